"""The denoiser of MomentDiff."""

from __future__ import annotations

import math

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framework.core.denoiser import Site
from framework.core.noise import GeneratorNoise
from framework.core.structures import Condition, Prediction, Rows, Slots
from framework.samplers.gaussian import Gaussian, GaussianOptions
from framework.samplers.one_step import OneStep, OneStepOptions
from framework.targets import Spans, SpansOptions
from framework.testing import check_denoiser, tiny
from plugins.momentdiff.decoder import DecoderOptions, SpanDecoder, span_code
from plugins.momentdiff.encoder import CrossEncoder, CrossOptions
from plugins.momentdiff.layer import SpanLayer

SMALL = DecoderOptions(heads=2, ffn=12, layers=3)
SITE = Site({"seq": 8, "clips": 1}, channels=2, slots=5)


class UnevenSpans(Spans):
    """Spans, of which a row has one to five, by the length of its video."""

    requires = frozenset({"clips"})

    def slots(self, cond: Condition, rows: Rows | None) -> Slots:
        slots = super().slots(cond, rows)
        count = 1 + cond.feats["clips"] % slots.mask.shape[1]
        return attrs.evolve(slots, mask=torch.arange(slots.mask.shape[1]) < count[:, None])


def decoder(site: Site = SITE, **given: object) -> SpanDecoder:
    torch.manual_seed(0)
    return SpanDecoder(attrs.evolve(SMALL, **given), site).eval()


def setting(clips: tuple[int, ...] = (9, 4, 1), slots: int = 5) -> tuple[Tensor, Tensor, Condition, Slots]:
    """x_t, t, condition and slots of videos of so many clips."""
    source = torch.Generator().manual_seed(0)
    lengths, rows = torch.tensor(clips), len(clips)
    seq = torch.randn(rows, max(clips), 8, generator=source)
    seq = seq * (torch.arange(max(clips)) < lengths[:, None])[..., None]
    mask = torch.ones(rows, slots, dtype=torch.bool)
    x_t = torch.rand(rows, slots, 2, generator=source)
    cond = Condition({"seq": seq, "clips": lengths}, rows)
    return x_t, torch.linspace(1, 0.2, rows), cond, Slots(mask, mask.long() * 0, None, ((slots,),))


LAWS: dict[str, dict[str, object]] = {
    "published": {"layers": 2},
    "one layer": {"layers": 1},
    "self-attention": {"self_attention": True},
    "queries": {"queries": 5},
    "queries and self-attention": {"queries": 6, "self_attention": True, "layers": 1},
    "early exit": {"exit_layer": 1},
}


@pytest.mark.parametrize("name", LAWS)
def test_the_laws_hold(name: str):
    torch.manual_seed(0)
    encoder = CrossEncoder(CrossOptions(width=8, layers=1, heads=2, ffn=12), tiny.INPUTS)
    for target in (Spans, UnevenSpans):
        options = SpansOptions(proposals=5, train_proposals=5)
        check_denoiser(decoder(**LAWS[name]).train(), target=target(options), encoder=encoder, examples=4)


@pytest.mark.parametrize("self_attention", [False, True])
def test_the_answer_moves_with_the_slots(self_attention: bool):
    made, (x_t, t, cond, slots) = decoder(self_attention=self_attention), setting()
    order = torch.tensor([3, 0, 4, 1, 2])
    plain, moved = made(x_t, t, cond, slots), made(x_t[:, order], t, cond, slots)
    for before, after in zip((*plain.aux, plain), (*moved.aux, moved), strict=True):
        torch.testing.assert_close(after.x0, before.x0[:, order])
        torch.testing.assert_close(after.heads["logit"], before.heads["logit"][:, order])


def test_with_queries_the_order_of_the_slots_matters():
    made, (x_t, t, cond, slots) = decoder(queries=5), setting()
    order = torch.tensor([3, 0, 4, 1, 2])
    plain, moved = made(x_t, t, cond, slots), made(x_t[:, order], t, cond, slots)
    assert (moved.x0 - plain.x0[:, order]).abs().max() > 1e-2


@pytest.mark.parametrize("self_attention", [False, True])
def test_proposals_see_each_other_only_where_they_should(self_attention: bool):
    made, (x_t, t, cond, slots) = decoder(self_attention=self_attention), setting()
    before, other = made(x_t, t, cond, slots).x0, x_t.clone()
    other[:, 0] = 1 - other[:, 0]
    change = (made(other, t, cond, slots).x0 - before)[:, 1:].abs().max()
    assert change > 1e-4 if self_attention else change == 0


def test_more_proposals_at_inference_leave_the_others_as_they_are():
    made, (x_t, t, cond, slots) = decoder(Site(SITE.widths, 2)), setting(slots=9)
    fewer = Slots(slots.mask[:, :4], slots.place[:, :4], None, ((4,),))
    torch.testing.assert_close(made(x_t[:, :4], t, cond, fewer).x0, made(x_t, t, cond, slots).x0[:, :4])


def test_equal_proposals_get_equal_answers_unless_queries_tell_them_apart():
    _, t, cond, slots = setting()
    middle = torch.full((3, 5, 2), 0.5)
    assert decoder()(middle, t, cond, slots).x0.std(dim=1).max() < 1e-6
    assert decoder(queries=5)(middle, t, cond, slots).x0.std(dim=1).min() > 1e-3


@settings(deadline=None, max_examples=20)
@given(centre=st.floats(0, 1, width=32), wide=st.floats(0, 1, width=32), quarter=st.integers(1, 8))
def test_the_code_of_a_span_is_that_of_the_slow_definition(centre: float, wide: float, quarter: int):
    half, wanted = 2 * quarter, []
    for number in (centre, wide):
        for pair in range(quarter):
            angle = 2 * math.pi * number / 10000 ** (2 * pair / half)
            wanted += [math.sin(angle), math.cos(angle)]
    found = span_code(torch.tensor([[[centre, wide]]]), 2 * half)[0, 0]
    torch.testing.assert_close(found, torch.tensor(wanted), rtol=0, atol=1e-5)


@pytest.mark.parametrize("first", [True, False])
def test_attention_compares_contents_and_positions_head_by_head(first: bool):
    torch.manual_seed(0)
    layer = SpanLayer(8, heads=2, ffn=12, dropout=0.1, self_attention=False).eval()
    seq, code, content, sine, at = (torch.randn(1, n, 8) for n in (4, 4, 3, 3, 3))
    real = torch.tensor([[True, True, True, False]])
    memory = layer.read(seq, code, real, first)
    found = layer(content, memory, sine, at, torch.ones(1, 3, dtype=torch.bool), first)
    key_at, query_at = layer.key_at(code), layer.query_at(sine)
    key = layer.key(seq) + (key_at if first else 0)
    query = layer.query(content + (at if first else 0))
    value, attended = layer.value(seq), torch.zeros(1, 3, 8)
    for head in (slice(0, 4), slice(4, 8)):
        for slot in range(3):
            score = torch.stack(
                [
                    query[0, slot, head] @ key[0, clip, head] + query_at[0, slot, head] @ key_at[0, clip, head]
                    for clip in range(3)
                ]
            )
            attended[0, slot, head] = (score / math.sqrt(8)).softmax(0) @ value[0, :3, head]
    wanted = layer.ffn(layer.norm(content + layer.out(attended)))
    torch.testing.assert_close(found, wanted)


def test_positions_are_scaled_by_the_content_from_the_second_layer_on():
    made, question = decoder(), setting()
    before = made(*question)
    with torch.no_grad():
        made.scale[-1].bias += 1
    after = made(*question)
    assert torch.equal(after.aux[0].x0, before.aux[0].x0)
    assert (after.aux[1].x0 - before.aux[1].x0).abs().max() > 1e-4
    assert (after.x0 - before.x0).abs().max() > 1e-4
    assert decoder(layers=1).scale is None


def test_an_early_exit_gives_that_layers_answer_and_training_runs_them_all():
    question = setting()
    full = decoder()(*question)
    layers = (*full.aux, full)
    assert len(layers) == 3
    for number in (1, 2, 3):
        early = decoder(exit_layer=number)
        answer = early(*question)
        assert torch.equal(answer.x0, layers[number - 1].x0)
        assert torch.equal(answer.heads["logit"], layers[number - 1].heads["logit"])
        assert len(answer.aux) == number - 1
        assert len(early.train()(*question).aux) == 2


def test_time_acts_in_proportion_to_its_gain():
    x_t, t, cond, slots = setting()
    for gain, least, most in ((0.0, 0.0, 0.0), (0.1, 1e-4, 1.0)):
        made = decoder(time_gain=gain)
        change = (made(x_t, t / 3, cond, slots).x0 - made(x_t, t, cond, slots).x0).abs().max()
        assert least <= change <= most
    start, later = (decoder(time_gain=gain)._start(x_t, t)[1] for gain in (0.0, 0.2))
    torch.testing.assert_close((later - start)[0, 0], 2 * (decoder()._start(x_t, t)[1] - start)[0, 0])


def test_keys_and_values_are_kept_while_sampling_and_only_then():
    made, (x_t, t, cond, slots) = decoder(), setting()
    made(x_t, t, cond, slots)
    assert not cond.memo
    with torch.no_grad():
        made(x_t, t, cond, slots)
        kept = {key: id(value) for key, value in cond.memo.items()}
        made(1 - x_t, t / 2, cond, slots)
    assert len(kept) == len(made.layers)
    assert {key: id(value) for key, value in cond.memo.items()} == kept


def test_spans_are_fractions_and_zero_at_padding():
    x_t, t, cond, slots = setting()
    mask = slots.mask.clone()
    mask[0, 3:] = False
    answer = decoder()(x_t, t, cond, attrs.evolve(slots, mask=mask)).x0
    assert torch.equal(answer.all(dim=-1), mask)
    assert ((answer >= 0) & (answer <= 1)).all()


def test_weights_of_the_layers_start_as_xavier_draws_them():
    made = decoder()
    # Uniform up to sqrt(6 / (8 + 8)), where torch itself would stop at sqrt(1 / 8).
    assert (1 / 8) ** 0.5 < made.layers[0].query.weight.abs().max() < (6 / 16) ** 0.5


@pytest.mark.parametrize("given", [{"heads": 4}, {"ffn": 13}, {"layers": 2}, {"dropout": 0.5}], ids=str)
def test_every_size_and_dropout_changes_the_network(given: dict[str, object]):
    found = []
    for options in ({}, given):
        made = decoder(**options).train()
        torch.manual_seed(1)
        found.append(made(*setting()).x0)
    assert not torch.allclose(found[0], found[1])


@pytest.mark.parametrize(
    ("given", "site", "message"),
    [
        ({"heads": 3}, SITE, "heads = 3 must divide the encoder's width = 8"),
        ({}, Site({"seq": 10}, 2), "the encoder's width = 10 must be a multiple of 4"),
        ({"exit_layer": 4}, SITE, "exit_layer = 4 must be at most layers = 3"),
        ({"queries": 4}, SITE, "queries = 4: the target has up to 5 proposals"),
        ({}, Site({"seq": 8}, 1), r"momentdiff\.decoder needs 2 numbers a slot, centre and width; the target has 1"),
    ],
)
def test_options_that_cannot_work_are_refused(given: dict[str, object], site: Site, message: str):
    with pytest.raises(ValueError, match=message):
        decoder(site, **given)


@pytest.mark.parametrize("twin", [False, True])
def test_encoder_and_denoiser_learn_a_few_moments_by_heart(twin: bool):
    torch.manual_seed(0)
    case = tiny.case(videos=8, clips=16)
    batch, rows, target = tiny.collate(case), tiny.rows(case), Spans(SpansOptions(proposals=3, train_proposals=3))
    encoder = CrossEncoder(CrossOptions(width=16, layers=1, heads=2, ffn=32, dropout=0, input_dropout=0), tiny.INPUTS)
    site = Site(encoder.widths, 2, 3)
    denoiser = SpanDecoder(DecoderOptions(heads=2, ffn=32, dropout=0, queries=3 * twin), site)
    process = OneStep(OneStepOptions()) if twin else Gaussian(GaussianOptions())
    noise, weights = GeneratorNoise(torch.Generator().manual_seed(0)), [*encoder.parameters(), *denoiser.parameters()]
    optimizer = torch.optim.Adam(weights, lr=3e-3)

    def step() -> tuple[Prediction, float]:
        sides = {side: encoder.encode(side, x, mask) for side, (x, mask) in batch.feats.items()}
        cond = encoder.join(sides, rows.index)
        slots = target.slots(cond, rows)
        x0 = target.encode(rows, slots, noise)
        x_t, t, _ = process.corrupt(target.space.signal(x0), slots, noise)
        answer = denoiser(target.space.natural(x_t), t, cond, slots)
        terms = {**target.loss(answer, x0, slots, rows), **encoder.loss(cond, rows, sides)}
        total = torch.stack(list(terms.values())).sum(dim=0).mean()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        return answer, total.item()

    first = step()[1]
    last = [step()[1] for _ in range(80)][-10:]
    assert sum(last) / 10 < 0.5 * first
