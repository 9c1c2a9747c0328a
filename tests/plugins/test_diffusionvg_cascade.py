"""The denoiser of DiffusionVG, and the soft crop of a span."""

from __future__ import annotations

import attrs
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framework.core.denoiser import Site
from framework.core.structures import Condition, Prediction, Slots
from framework.testing import check_denoiser, tiny
from framework.testing.toys import ToySpans, ToySpansOptions
from plugins.diffusionvg.cascade import CascadeDenoiser, CascadeOptions
from plugins.diffusionvg.crop import soft_crop
from plugins.diffusionvg.encoder import VideoCentredEncoder, VideoCentredOptions

SMALL = CascadeOptions(heads=2, ffn=12, time_width=10)
SETTINGS = {
    "released": SMALL,
    "self": attrs.evolve(SMALL, interaction="self"),
    "logit": attrs.evolve(SMALL, update="logit"),
    "queries": attrs.evolve(SMALL, queries=4, interaction="self"),
    "exit": attrs.evolve(SMALL, layers=3, exit_layer=1),
    "one layer": attrs.evolve(SMALL, layers=1),
}
LENGTHS = [9, 4, 1]


def build(options: CascadeOptions = SMALL, width: int = 8, slots: int | None = 4) -> CascadeDenoiser:
    torch.manual_seed(0)
    return CascadeDenoiser(options, Site({"seq": width, "clips": 1}, 2, slots)).eval()


def condition(lengths: list[int] = LENGTHS) -> Condition:
    """Videos of that many clips, padded with zeros; a row is the same whatever stands beside it."""
    clips = torch.tensor(lengths)
    drawn = [torch.randn(20, 8, generator=torch.Generator().manual_seed(length)) for length in lengths]
    real = torch.arange(max(lengths)) < clips[:, None]
    return Condition({"seq": torch.stack(drawn)[:, : max(lengths)] * real[..., None], "clips": clips}, len(lengths))


def slots_of(mask: Tensor) -> Slots:
    return Slots(mask, torch.zeros_like(mask, dtype=torch.long), None, ((mask.shape[1],),))


def spans_of(rows: int = 3, count: int = 4) -> Tensor:
    return torch.rand(rows, count, 2, generator=torch.Generator().manual_seed(1))


def answer(made: CascadeDenoiser, x_t: Tensor, cond: Condition, mask: Tensor | None = None) -> Prediction:
    real = torch.ones(x_t.shape[:2], dtype=torch.bool) if mask is None else mask
    found: Prediction = made(x_t, torch.linspace(1, 0.2, len(x_t)), cond, slots_of(real))
    return found


@pytest.mark.parametrize("name", SETTINGS)
def test_the_laws_of_denoisers_hold(name: str) -> None:
    encoder = VideoCentredEncoder(
        VideoCentredOptions(width=8, heads=2, layers=1, ffn=8, pool_clips=5, max_words=4), tiny.INPUTS
    )
    target = ToySpans(ToySpansOptions())
    check_denoiser(build(SETTINGS[name]).train(), target=target, encoder=encoder, examples=3)


def slow_crop(features: Tensor, scores: Tensor, clips: int, start: float, end: float) -> Tensor:
    """One span of one video, as the paper's text has it."""
    first, last = min(max(int(start * clips), 0), clips - 1), min(int(end * clips), clips)
    inside = range(first, last) if first < last else [first]
    total = sum(scores[i].exp() for i in inside)
    return sum(scores[i].exp() / total * features[i] for i in inside)


@settings(deadline=None, max_examples=30)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    # Whole clips of most lengths are among them, and spans of no length, reversed, overhanging and outside.
    edges=st.lists(st.tuples(st.integers(-24, 48), st.integers(-24, 48)), min_size=1, max_size=6),
)
def test_the_soft_crop_is_that_of_a_slow_loop(lengths: list[int], edges: list[tuple[int, int]]) -> None:
    cond = condition(lengths)
    features, clips = cond.feats["seq"].double(), cond.feats["clips"]
    scores = torch.randn(features.shape[:2], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spans = (torch.tensor(edges, dtype=torch.float64) / 24).expand(len(lengths), -1, -1)
    found = soft_crop(features, scores, clips, spans)
    for row, length in enumerate(lengths):
        for place, (start, end) in enumerate(spans[row].tolist()):
            torch.testing.assert_close(
                found[row, place], slow_crop(features[row], scores[row], length, start, end), rtol=1e-9, atol=1e-9
            )


def test_a_span_to_the_end_of_the_video_holds_the_last_clip() -> None:
    cond = condition([6])
    found = soft_crop(cond.feats["seq"], torch.zeros(1, 6), cond.feats["clips"], torch.tensor([[[0.5, 1.0]]]))
    torch.testing.assert_close(found[0, 0], cond.feats["seq"][0, 3:6].mean(dim=0))


def test_gradients_reach_features_and_scores_and_not_spans() -> None:
    cond = condition()
    features, spans = cond.feats["seq"].requires_grad_(), spans_of().requires_grad_()
    scores = torch.zeros(3, 9, requires_grad=True)
    soft_crop(features, scores, cond.feats["clips"], spans).square().sum().backward()
    assert features.grad is not None
    assert scores.grad is not None
    assert features.grad.any()
    assert scores.grad.any()
    assert spans.grad is None


@pytest.mark.parametrize("update", ["sigmoid", "logit"])
def test_a_layer_is_its_formula_proposal_by_proposal(update: str) -> None:
    made, cond = build(attrs.evolve(SMALL, layers=1, update=update)), condition()
    (layer,), spans = made.layers, spans_of()
    with torch.no_grad():
        found = answer(made, spans, cond).x0
        time = made.time(torch.linspace(1, 0.2, 3))
        for row, place in [(0, 0), (0, 3), (1, 2), (2, 1)]:
            centre, width = spans[row, place].tolist()
            ends = torch.tensor([centre - width / 2, centre + width / 2])
            features, length = cond.feats["seq"][row], LENGTHS[row]
            crop = slow_crop(features, features @ made.score.weight[0], length, *ends.tolist()) + layer.place(ends)
            hidden = F.layer_norm(crop + layer.interact.project(crop), (8,))
            hidden = F.layer_norm(hidden + layer.ffn.out(layer.ffn.hidden(hidden).relu()), (8,))
            gain, shift = layer.modulate.project(time[row]).chunk(2)
            move, grow = layer.change(hidden * (1 + gain) + shift)
            old = width if update == "sigmoid" else torch.logit(torch.tensor(width))
            wanted = torch.stack([centre + move / 2, torch.sigmoid(grow + old)])
            torch.testing.assert_close(found[row, place], wanted, rtol=1e-5, atol=1e-5)


def test_a_change_of_nothing_keeps_a_span_under_logit_and_not_as_released() -> None:
    for update, widths in (("logit", [0.1, 0.5, 0.9]), ("sigmoid", [0.5250, 0.6225, 0.7109])):
        made = build(attrs.evolve(SMALL, update=update))
        for layer in made.layers:
            layer.change[-1].weight.data.zero_()
            layer.change[-1].bias.data.zero_()
        spans = torch.tensor([[[0.3, 0.1], [0.5, 0.5], [0.5, 0.9]]])
        first = answer(made, spans, condition([9])).aux[0].x0[0]
        torch.testing.assert_close(first[:, 0], spans[0, :, 0])
        torch.testing.assert_close(first[:, 1], torch.tensor(widths), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["released", "self", "logit"])
def test_permuting_proposals_permutes_the_answers(name: str) -> None:
    made, cond, spans = build(SETTINGS[name]), condition(), spans_of(count=7)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        found, turned = answer(made, spans, cond), answer(made, spans[:, order], cond)
    torch.testing.assert_close(turned.x0, found.x0[:, order], rtol=0, atol=1e-5)
    assert not torch.allclose(found.x0, found.x0[:, order], atol=1e-3)


@pytest.mark.parametrize("name", ["released", "self"])
def test_a_prediction_does_not_depend_on_the_other_rows(name: str) -> None:
    made, spans = build(SETTINGS[name]), spans_of()
    with torch.no_grad():
        together = answer(made, spans, condition()).x0
        changed = condition([9, 7, 1])
        beside = answer(made, torch.cat([spans[:1], spans[1:] / 2]), changed).x0
        alone = made(spans[:1], torch.ones(1), condition([9]), slots_of(torch.ones(1, 4, dtype=torch.bool))).x0
    torch.testing.assert_close(together[:1], beside[:1], rtol=0, atol=1e-5)
    torch.testing.assert_close(together[:1], alone, rtol=0, atol=1e-5)
    assert not torch.allclose(together[1], beside[1], atol=1e-3)


@pytest.mark.parametrize(("name", "seen"), [("released", False), ("self", True)])
def test_proposals_of_a_row_see_each_other_only_by_attention(name: str, seen: bool) -> None:
    made, cond, spans = build(SETTINGS[name]), condition([9]), spans_of(rows=1)
    other = torch.cat([spans[:, :1], 1 - spans[:, 1:]], dim=1)
    with torch.no_grad():
        found, beside = (answer(made, given, cond).x0[:, 0] for given in (spans, other))
    assert torch.allclose(found, beside, atol=1e-5) != seen


@pytest.mark.parametrize("name", ["released", "self"])
def test_padded_proposals_are_not_read_and_are_answered_with_zero(name: str) -> None:
    made, cond, spans = build(SETTINGS[name]), condition(), spans_of()
    mask = torch.arange(4) < torch.tensor([4, 2, 1])[:, None]
    with torch.no_grad():
        found = answer(made, spans, cond, mask).x0
        soiled = answer(made, spans.masked_fill(~mask[..., None], 3.0), cond, mask).x0
        fewer = answer(made, spans[:, :2], cond, mask[:, :2]).x0
    torch.testing.assert_close(found, soiled, rtol=0, atol=1e-5)
    torch.testing.assert_close(found[1:, :2], fewer[1:], rtol=0, atol=1e-5)
    assert not found[~mask].any()


def test_any_number_of_proposals_is_answered() -> None:
    made, cond = build(slots=None), condition()
    for count in (1, 5, 100):
        assert answer(made, spans_of(count=count), cond).x0.shape == (3, count, 2)


def test_learned_queries_tell_equal_proposals_apart() -> None:
    cond, equal = condition(), torch.full((3, 4, 2), 0.5)
    with torch.no_grad():
        plain, told = (answer(build(SETTINGS[name]), equal, cond).x0 for name in ("released", "queries"))
    assert torch.equal(plain, plain[:, :1].expand_as(plain))
    assert (told[:, 1:] - told[:, :1]).abs().amax(dim=-1).min() > 1e-3


def test_more_proposals_than_queries_are_refused() -> None:
    with pytest.raises(ValueError, match="queries = 4: the target has up to 9 proposals"):
        build(SETTINGS["queries"], slots=9)


def test_inference_stops_at_the_layer_that_was_asked_for_and_training_does_not() -> None:
    cond, spans = condition(), spans_of()
    whole, short = build(attrs.evolve(SMALL, layers=3)), build(attrs.evolve(SMALL, layers=3, exit_layer=2))
    with torch.no_grad():
        full, early = answer(whole, spans, cond), answer(short, spans, cond)
        assert len(short.train()(spans, torch.ones(3), cond, slots_of(torch.ones(3, 4, dtype=torch.bool))).aux) == 2
    assert len(early.aux) == 1
    torch.testing.assert_close(early.x0, full.aux[1].x0)
    torch.testing.assert_close(early.aux[0].x0, full.aux[0].x0)


def test_spans_carry_no_gradient_from_layer_to_layer() -> None:
    made, cond = build(attrs.evolve(SMALL, layers=2)), condition()
    found = answer(made, spans_of(), cond)
    found.x0.sum().backward()
    assert all(weight.grad is None for weight in made.layers[0].change.parameters())
    assert made.layers[0].ffn.out.weight.grad.any()


def test_networks_of_equal_shape_start_from_different_weights_and_leave_the_generator_alone() -> None:
    torch.manual_seed(5)
    made = CascadeDenoiser(SMALL, Site({"seq": 8, "clips": 1}, 2))
    after = torch.rand(1)
    first, second = made.layers
    assert not torch.equal(first.change[0].weight, second.change[0].weight)
    torch.manual_seed(2018)
    CascadeDenoiser(SMALL, Site({"seq": 8, "clips": 1}, 2))
    assert not torch.equal(after, torch.rand(1))


def test_each_option_of_size_reaches_its_place() -> None:
    made = build(attrs.evolve(SMALL, ffn=7, time_width=6, dropout=0.3, centre_weight=4.0))
    layer = made.layers[0]
    assert layer.ffn.hidden.out_features == 7
    assert layer.modulate.project[1].in_features == 6
    assert layer.ffn.dropout.p == layer.interact.dropout.p == 0.3
    moved = [
        answer(build(attrs.evolve(SMALL, layers=1, centre_weight=weight)), spans_of(), condition()).x0 - spans_of()
        for weight in (1.0, 4.0)
    ]
    torch.testing.assert_close(moved[0][..., 0], 4 * moved[1][..., 0], rtol=1e-4, atol=1e-5)


def test_no_layer_gives_a_class() -> None:
    found = answer(build(), spans_of(), condition())
    assert all(not said.heads for said in (found, *found.aux))


def test_an_exit_beyond_the_last_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="exit_layer = 3 must be at most layers = 2"):
        build(attrs.evolve(SMALL, exit_layer=3))


def test_a_width_that_the_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="heads = 3 must divide width = 8"):
        build(attrs.evolve(SMALL, heads=3, interaction="self"))


def test_an_odd_width_is_refused() -> None:
    with pytest.raises(ValueError, match="width = 9 must be even"):
        build(width=9)
