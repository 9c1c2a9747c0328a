"""The denoising decoder of DiffusionVMR."""

from __future__ import annotations

import math

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from framework.core.denoiser import Site
from framework.core.structures import Condition, Prediction, Slots
from framework.moments import cxw_to_start_end
from framework.targets import Spans, SpansOptions
from framework.testing import check_denoiser, tiny
from plugins.diffusionvmr.cascade import Cascade, CascadeOptions
from plugins.diffusionvmr.interaction import DynamicInteraction
from plugins.diffusionvmr.joint import JointEncoder, JointOptions
from plugins.diffusionvmr.update import LARGEST, UPDATES

SMALL = CascadeOptions(layers=3, heads=2, ffn=12, dynamic=4, bins=3)
SITE = Site({"seq": 8, "clips": 1, "words": 8, "spoken": 1}, channels=2, slots=4)

SETTINGS = {
    "published": SMALL,
    "absolute": attrs.evolve(SMALL, update="absolute"),
    "logit": attrs.evolve(SMALL, update="logit"),
    "repool": attrs.evolve(SMALL, repool=True),
    "queries": attrs.evolve(SMALL, queries=4),
    "queries, absolute": attrs.evolve(SMALL, queries=6, update="absolute"),
    "exit": attrs.evolve(SMALL, exit_layer=2),
    "overhanging, dropout": attrs.evolve(SMALL, clamp_rois=False, dropout=0.1, samples=1, bins=5),
}
SETS = [name for name in SETTINGS if "queries" not in name]


def build(options: CascadeOptions = SMALL) -> Cascade:
    torch.manual_seed(0)
    return Cascade(options, SITE).eval()


def setting(rows: int = 2, slots: int = 4, seed: int = 0) -> tuple[Tensor, Tensor, Condition, Slots]:
    """Spans, times, a condition of up to 9 clips and slots that are all real; row r is the same in every batch."""
    source = [torch.Generator().manual_seed(seed + 10 * row) for row in range(rows)]
    x_t = torch.stack([torch.rand(slots, 2, generator=one) for one in source])
    clips = torch.tensor([9 - 2 * (row % 4) for row in range(rows)])
    seq = torch.stack([torch.randn(9, 8, generator=one) for one in source])
    seq = seq * (torch.arange(9) < clips[:, None])[..., None]
    mask = torch.ones(rows, slots, dtype=torch.bool)
    free = Slots(mask, torch.zeros_like(mask, dtype=torch.long), None, ((slots,),))
    return x_t, torch.linspace(1, 0.2, rows), Condition({"seq": seq, "clips": clips}, rows), free


def same(found: Prediction, wanted: Prediction) -> None:
    torch.testing.assert_close(found.x0, wanted.x0, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.heads["logit"], wanted.heads["logit"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_laws_hold(name: str):
    torch.manual_seed(0)
    encoder = JointEncoder(JointOptions(width=8, layers=1, heads=2, ffn=12), tiny.INPUTS)
    target = Spans(SpansOptions(proposals=4, train_proposals=3))
    site = Site(encoder.widths, target.space.channels, target.most_slots)
    check_denoiser(Cascade(SETTINGS[name], site), target=target, encoder=encoder, examples=5)


@pytest.mark.parametrize("name", SETS)
def test_without_queries_the_answer_turns_with_the_order_of_the_proposals(name: str):
    denoiser, (x_t, t, cond, slots) = build(SETTINGS[name]), setting()
    order = torch.tensor([2, 0, 3, 1])
    wanted, found = denoiser(x_t, t, cond, slots), denoiser(x_t[:, order], t, cond, slots)
    same(found, Prediction(wanted.x0[:, order], {"logit": wanted.heads["logit"][:, order]}))


def test_with_queries_equal_proposals_get_different_answers_and_without_equal_ones():
    _, t, cond, slots = setting()
    middle = torch.full((2, 4, 2), 0.5)
    apart, alike = (build(SETTINGS[name])(middle, t, cond, slots) for name in ("queries", "published"))
    assert torch.pdist(apart.x0[0]).min() > 1e-3
    torch.testing.assert_close(alike.x0, alike.x0[:, :1].expand_as(alike.x0))


@pytest.mark.parametrize("name", SETTINGS)
def test_a_row_does_not_depend_on_the_rest_of_its_batch(name: str):
    denoiser, (x_t, t, cond, slots) = build(SETTINGS[name]), setting(4)
    together = denoiser(x_t, t, cond, slots)
    for row in range(4):
        clips = int(cond.feats["clips"][row])
        own = Condition({"seq": cond.feats["seq"][row, None, :clips], "clips": cond.feats["clips"][row, None]}, 1)
        one = Slots(slots.mask[:1], slots.place[:1], None, slots.shapes)
        alone = denoiser(x_t[row, None], t[row, None], own, one)
        same(alone, Prediction(together.x0[row, None], {"logit": together.heads["logit"][row, None]}))


@pytest.mark.parametrize("name", SETTINGS)
def test_padded_proposals_change_nothing(name: str):
    denoiser, (x_t, t, cond, slots) = build(SETTINGS[name]), setting()
    padded = attrs.evolve(slots, mask=torch.tensor([[True] * 3 + [False]] * 2))
    short = Slots(slots.mask[:, :3], slots.place[:, :3], None, ((3,),))
    found, wanted = denoiser(x_t, t, cond, padded), denoiser(x_t[:, :3], t, cond, short)
    same(Prediction(found.x0[:, :3], {"logit": found.heads["logit"][:, :3]}), wanted)


def test_training_at_one_number_of_proposals_and_asking_another_is_fine():
    denoiser = build()
    for slots in (1, 3, 50):
        x_t, t, cond, free = setting(2, slots)
        answer = denoiser(x_t, t, cond, free)
        assert answer.x0.shape == answer.heads["logit"].shape == (2, slots, 2)


@pytest.mark.parametrize("name", SETTINGS)
@settings(deadline=None, max_examples=10)
@given(
    span=st.sampled_from([(0.5, 0.0), (0.0, 0.0), (1.0, 1.0), (0.5, -0.4), (-3.0, 2.0), (0.9, 1.0), (0.3, 9.0)]),
    clips=st.integers(1, 9),
)
def test_spans_of_no_width_reversed_and_overhanging_have_finite_answers_and_gradients(
    name: str, span: tuple[float, float], clips: int
):
    denoiser, (_, t, cond, slots) = build(SETTINGS[name]), setting()
    seq = cond.feats["seq"].clone().requires_grad_()
    short = Condition({"seq": seq, "clips": torch.full((2,), clips)}, 2)
    answer = denoiser(torch.tensor(span).expand(2, 4, 2), t, short, slots)
    outputs = [values for one in (answer, *answer.aux) for values in (one.x0, one.heads["logit"])]
    assert all(values.isfinite().all() for values in outputs)
    torch.stack([values.sum() for values in outputs]).sum().backward()
    assert seq.grad.isfinite().all()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in denoiser.parameters())


def test_widths_stay_finite_however_many_layers_answer_the_most_they_can():
    denoiser, (x_t, t, cond, slots) = build(attrs.evolve(SMALL, layers=12)), setting()
    with torch.no_grad():
        for layer in denoiser.layers:
            layer.span[-1].bias.fill_(1e4)
    answer = denoiser(x_t, t, cond, slots)
    assert answer.x0.isfinite().all()
    # The whole video, at the most 6,250 times as wide.
    torch.testing.assert_close(answer.x0[..., 1], torch.full((2, 4), 100_000 / 16))


def test_a_width_of_zero_can_recover():
    denoiser, (_, t, cond, slots) = build(attrs.evolve(SMALL, layers=1, min_width=0.02)), setting()
    with torch.no_grad():
        denoiser.layers[0].span[-1].weight.zero_()
        denoiser.layers[0].span[-1].bias.copy_(torch.tensor([1.0, math.log(3)]))
    answer = denoiser(torch.tensor([0.4, 0.0]).expand(2, 4, 2), t, cond, slots)
    torch.testing.assert_close(answer.x0, torch.tensor([0.4 + 0.01, 0.06]).expand(2, 4, 2))


# Worked out by hand: sigmoid(0.4) = 0.598688; logits of 0.25 and 0.5 are -1.098612 and 0.
@pytest.mark.parametrize(
    ("update", "answer", "wanted"),
    [
        ("delta", (0.4, math.log(2)), (0.25 + 0.2 * 0.5, 1.0)),
        ("delta", (0.0, 99.0), (0.25, 0.5 * 6250)),
        ("absolute", (0.4, 0.0), (0.598688, 0.5)),
        ("logit", (1.098612, 0.4), (0.5, 0.598688)),
    ],
)
def test_an_answer_becomes_a_span(update: str, answer: tuple[float, float], wanted: tuple[float, float]):
    found = UPDATES[update](torch.tensor([[[0.25, 0.5]]]), torch.tensor([[answer]]))
    torch.testing.assert_close(found, torch.tensor([[wanted]]))


@settings(deadline=None, max_examples=30)
@given(centre=st.floats(0, 1), width=st.floats(1e-3, 1))
def test_an_answer_of_zeros_leaves_the_span_where_it_was_unless_it_is_absolute(centre: float, width: float):
    spans, zeros = torch.tensor([[[centre, width]]]), torch.zeros(1, 1, 2)
    assert torch.equal(UPDATES["delta"](spans, zeros), spans)
    torch.testing.assert_close(UPDATES["logit"](spans, zeros), spans.clamp(1e-3, 1 - 1e-3))
    assert UPDATES["absolute"](spans, zeros).tolist() == [[[0.5, 0.5]]]


def test_the_largest_growth_is_that_of_box_detectors():
    assert pytest.approx(8.7403, abs=1e-4) == LARGEST


@pytest.mark.parametrize("update", UPDATES)
def test_each_layer_goes_on_from_the_spans_of_the_last_and_crops_there(update: str):
    denoiser, (x_t, t, cond, slots) = build(attrs.evolve(SMALL, update=update)), setting()
    answer = denoiser(x_t, t, cond, slots)
    entering = [x_t, *(one.x0 for one in answer.aux)]
    features, time = None, denoiser.time(t)
    for layer, spans, wanted in zip(denoiser.layers, entering, [*answer.aux, answer], strict=True):
        spans = torch.stack([spans[..., 0].clamp(0, 1), spans[..., 1].clamp(1e-3, 1)], dim=-1)
        crops = denoiser._crop(cond, spans)
        features = crops.mean(2) if features is None else features
        features, found = layer(spans, features, crops, time, slots.mask)
        same(found, wanted)


def test_a_crop_is_of_the_stretch_between_the_ends_of_a_span():
    denoiser, (_, _, cond, _) = build(attrs.evolve(SMALL, bins=1, samples=1)), setting(1)
    # The middle of clip 2 of 9 is at 2.5 / 9.
    span = torch.tensor([[[2.5 / 9, 0.5]]])
    assert cxw_to_start_end(span).mean() == pytest.approx(2.5 / 9)
    torch.testing.assert_close(denoiser._crop(cond, span)[0, 0, 0], cond.feats["seq"][0, 2])


def test_clamped_crops_of_an_overhanging_span_are_those_of_its_part_inside():
    denoiser, (_, _, cond, _) = build(), setting(1)
    over, inside = torch.tensor([[[0.1, 0.6]]]), torch.tensor([[[0.2, 0.4]]])
    torch.testing.assert_close(denoiser._crop(cond, over), denoiser._crop(cond, inside))
    free = build(SETTINGS["overhanging, dropout"])
    assert (free._crop(cond, over) - free._crop(cond, inside)).abs().max() > 1e-2


def test_time_changes_the_answer_but_not_the_features_handed_on():
    denoiser, (x_t, t, cond, slots) = build(), setting()
    layer, crops = denoiser.layers[0], denoiser._crop(cond, x_t)
    early, late = (layer(x_t, crops.mean(2), crops, denoiser.time(at), slots.mask) for at in (t, t / 2))
    assert torch.equal(early[0], late[0])
    assert (early[1].heads["logit"] - late[1].heads["logit"]).abs().max() > 1e-3
    assert (early[1].x0 - late[1].x0).abs().max() > 1e-3


def test_spans_carry_no_gradient_from_layer_to_layer():
    denoiser, (x_t, t, cond, slots) = build(attrs.evolve(SMALL, repool=True)), setting()
    denoiser(x_t, t, cond, slots).x0.sum().backward()
    # With a fresh start in each layer nothing else links them.
    assert all(weight.grad is None for layer in denoiser.layers[:-1] for weight in layer.parameters())
    carried = build()
    carried(x_t, t, cond, slots).x0.sum().backward()
    assert carried.layers[0].ffn.out.weight.grad.any()
    assert carried.layers[0].span[-1].weight.grad is None


def test_a_fresh_start_in_each_layer_gives_other_answers_from_the_second_on():
    carried, fresh = build(), build(attrs.evolve(SMALL, repool=True))
    x_t, t, cond, slots = setting()
    first, second = carried(x_t, t, cond, slots), fresh(x_t, t, cond, slots)
    same(first.aux[0], second.aux[0])
    assert (first.aux[1].heads["logit"] - second.aux[1].heads["logit"]).abs().max() > 1e-3


def test_the_learned_features_of_queries_enter_the_first_layer():
    denoiser, (x_t, t, cond, slots) = build(SETTINGS["queries"]), setting()
    before = denoiser(x_t, t, cond, slots).aux[0]
    with torch.no_grad():
        denoiser.queries.feature.neg_()
    assert (denoiser(x_t, t, cond, slots).aux[0].heads["logit"] - before.heads["logit"]).abs().max() > 1e-3


@pytest.mark.parametrize("update", UPDATES)
def test_the_learned_spans_of_queries_learn_where_an_answer_depends_on_them(update: str):
    denoiser, (x_t, t, cond, slots) = build(attrs.evolve(SMALL, queries=4, update=update)), setting()
    answer = denoiser(x_t, t, cond, slots)
    torch.stack([one.x0.sum() for one in (answer, *answer.aux)]).sum().backward()
    if update == "absolute":
        assert not denoiser.queries.offset.requires_grad
    else:
        assert denoiser.queries.offset.grad.any()


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_an_exit_answers_what_its_layer_answers_in_the_whole_network(layer: int):
    whole, early = build(), build(attrs.evolve(SMALL, exit_layer=layer))
    x_t, t, cond, slots = setting()
    full, found = whole(x_t, t, cond, slots), early(x_t, t, cond, slots)
    wanted = [*full.aux, full]
    same(found, wanted[layer - 1])
    assert len(found.aux) == layer - 1
    # In training every layer answers.
    assert len(early.train()(x_t, t, cond, slots).aux) == 2


def test_later_layers_are_not_run_behind_an_exit():
    early, (x_t, t, cond, slots) = build(attrs.evolve(SMALL, exit_layer=1)), setting()
    with torch.no_grad():
        for weight in early.layers[1].parameters():
            weight.fill_(torch.nan)
    assert early(x_t, t, cond, slots).x0.isfinite().all()


def test_the_dynamic_interaction_filters_each_crop_by_its_own_proposals_matrices():
    torch.manual_seed(0)
    block, features, crops = DynamicInteraction(8, 4, 3), torch.randn(2, 5, 8), torch.randn(2, 5, 3, 8)
    found = block(features, crops)
    for row in range(2):
        for slot in range(5):
            both = block.generate(features[row, slot])
            first, second = both[:32].reshape(8, 4), both[32:].reshape(4, 8)
            x = block.norm_in(crops[row, slot] @ first).relu() @ second
            x = block.norm(block.out(block.norm_out(x).relu().flatten())).relu()
            torch.testing.assert_close(found[row, slot], x)


def test_dropout_acts_in_training_only():
    denoiser, (x_t, t, cond, slots) = build(attrs.evolve(SMALL, dropout=0.5)), setting()
    assert torch.equal(denoiser(x_t, t, cond, slots).x0, denoiser(x_t, t, cond, slots).x0)
    denoiser.train()
    assert not torch.equal(denoiser(x_t, t, cond, slots).x0, denoiser(x_t, t, cond, slots).x0)
    plain = build().train()
    assert torch.equal(plain(x_t, t, cond, slots).x0, plain(x_t, t, cond, slots).x0)


def test_a_full_size_decoder_has_the_number_of_weights_of_its_description():
    with torch.device("meta"):
        made = Cascade(CascadeOptions(), Site({"seq": 512, "clips": 1}, 2, 20))
    generators = [layer.interaction.generate.weight.numel() for layer in made.layers]
    # 33.6 million a layer, 201 million in six: most of the decoder.
    assert generators == [512 * 2 * 512 * 64] * 6 == [33_554_432] * 6
    d = 512
    attention, ffn = 4 * (d * d + d) + 2 * d, 2 * d * 2048 + 2048 + d + 2 * d
    interaction = (d + 1) * 2 * d * 64 + 2 * 64 + 2 * d + 7 * d * d + d + 2 * d + 2 * d
    heads = 4 * (d * d + 2 * d) + 2 * (2 * d + 2)
    time = 4 * d * 2 * d + 2 * d
    embedding = d * 4 * d + 4 * d + 16 * d * d + 4 * d
    assert sum(weight.numel() for weight in made.parameters()) == embedding + 6 * (
        attention + ffn + interaction + heads + time
    )


def test_every_matrix_of_a_linear_layer_starts_xavier_uniform():
    for module in build(attrs.evolve(SMALL, ffn=64)).modules():
        if isinstance(module, nn.Linear) and module.weight.numel() >= 100:
            bound = (6 / sum(module.weight.shape)) ** 0.5
            assert 0.9 * bound < module.weight.abs().max() <= bound


@pytest.mark.parametrize(
    ("options", "site", "error"),
    [
        (attrs.evolve(SMALL, heads=3), SITE, "heads = 3 must divide width = 8"),
        (attrs.evolve(SMALL, exit_layer=4), SITE, "exit_layer = 4 must be at most layers = 3"),
        (attrs.evolve(SMALL, queries=3), SITE, "queries = 3: the target has up to 4 proposals"),
        (SMALL, attrs.evolve(SITE, channels=1), "needs 2 numbers a slot, centre and width; the target has 1"),
    ],
)
def test_options_that_cannot_work_are_refused(options: CascadeOptions, site: Site, error: str):
    with pytest.raises(ValueError, match=error) as caught:
        Cascade(options, site)
    assert "\n" not in str(caught.value)
