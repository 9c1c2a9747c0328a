"""The decoder of Moment-DETR, the discriminative control of span diffusion."""

from __future__ import annotations

import attrs
import pytest
import torch
from torch import Tensor

from framework.core.denoiser import Site
from framework.core.structures import Condition, Slots
from framework.samplers.one_step import OneStep, OneStepOptions
from framework.targets import Spans, SpansOptions
from framework.testing import check_denoiser, tiny
from framework.testing.tiny import Case
from plugins.momentdetr.decoder import DecoderOptions, QueryDecoder

SMALL = DecoderOptions(heads=2, ffn=12, layers=3, queries=5)
SITE = Site({"seq": 8, "clips": 1, "words": 8, "spoken": 1}, channels=2, slots=5)


def decoder(site: Site = SITE, **given: object) -> QueryDecoder:
    torch.manual_seed(0)
    return QueryDecoder(attrs.evolve(SMALL, **given), site).eval()


def condition(case: Case) -> Condition:
    """Random clips and words; those of a row are the same whatever stands beside it."""

    def sequence(counts: list[int], shift: int) -> Tensor:
        drawn = [torch.randn(40, 8, generator=torch.Generator().manual_seed(2 * row.key + shift)) for row in case]
        return (
            torch.stack(drawn)[:, : max(counts)]
            * (torch.arange(max(counts)) < torch.tensor(counts)[:, None])[..., None]
        )

    clips, spoken = [row.clips for row in case], [row.words for row in case]
    feats = {"seq": sequence(clips, 0), "words": sequence(spoken, 1)}
    return Condition({**feats, "clips": torch.tensor(clips), "spoken": torch.tensor(spoken)}, len(case))


def setting(slots: int = 5) -> tuple[Tensor, Tensor, Condition, Slots]:
    cond = condition(tiny.case(videos=3, clips=9))
    mask = torch.ones(3, slots, dtype=torch.bool)
    return torch.rand(3, slots, 2), torch.rand(3), cond, Slots(mask, mask.long() * 0, None, ((slots,),))


LAWS: dict[str, dict[str, object]] = {
    "published": {"layers": 2},
    "clips alone": {"words": False, "layers": 1},
    "early exit, more queries than proposals": {"exit_layer": 2, "queries": 7},
}


@pytest.mark.parametrize("name", LAWS)
def test_the_laws_hold(name: str):
    target = Spans(SpansOptions(proposals=5, train_proposals=5))
    check_denoiser(decoder(**LAWS[name]).train(), target=target, condition=condition, examples=5)


def test_neither_the_noisy_value_nor_the_time_is_read():
    made, (x_t, t, cond, slots) = decoder(), setting()
    before, after = made(x_t, t, cond, slots), made(1 - x_t, 1 - t, cond, slots)
    assert torch.equal(before.x0, after.x0)
    assert torch.equal(before.heads["logit"], after.heads["logit"])


def test_queries_tell_the_slots_of_one_step_apart():
    made, (_, _, cond, slots) = decoder(), setting()
    target, process = Spans(SpansOptions(proposals=5, train_proposals=5)), OneStep(OneStepOptions())
    x_t, t = process.start(slots, 2, None)
    apart = made(target.space.natural(x_t), t, cond, slots).x0
    assert apart.std(dim=1).min() > 1e-4
    assert ((apart >= 0) & (apart <= 1)).all()
    with torch.no_grad():
        made.queries[:] = made.queries[:1]
    assert made(target.space.natural(x_t), t, cond, slots).x0.std(dim=1).max() < 1e-6


def test_padded_proposals_are_not_read_and_answer_zero():
    made, (x_t, t, cond, slots) = decoder(), setting()
    mask = slots.mask & (torch.arange(5) < 3)
    fewer = Slots(mask[:, :3], slots.place[:, :3], None, ((3,),))
    padded, short = made(x_t, t, cond, attrs.evolve(slots, mask=mask)), made(x_t[:, :3], t, cond, fewer)
    torch.testing.assert_close(padded.x0[:, :3], short.x0)
    assert not padded.x0[:, 3:].any()
    assert (short.x0 - made(x_t, t, cond, slots).x0[:, :3]).abs().max() > 1e-4


def test_words_are_read_where_the_option_says_so():
    x_t, t, cond, slots = setting()
    other = Condition({**cond.feats, "words": -cond.feats["words"]}, cond.rows)
    for words in (True, False):
        made = decoder(words=words)
        change = (made(x_t, t, other, slots).x0 - made(x_t, t, cond, slots).x0).abs().max()
        assert change > 1e-4 if words else change == 0
        assert made.requires == ({"seq", "clips", "words", "spoken"} if words else {"seq", "clips"})


def test_words_have_no_order_and_clips_have_one():
    made, (x_t, t, _, slots) = decoder(), setting()
    case = tuple(attrs.evolve(row, clips=6, words=4) for row in tiny.case(videos=3))
    cond = condition(case)
    answer = made(x_t, t, cond, slots).x0
    for name, moves in (("words", False), ("seq", True)):
        turned = Condition({**cond.feats, name: cond.feats[name].flip(1)}, cond.rows)
        change = (made(x_t, t, turned, slots).x0 - answer).abs().max()
        assert change > 1e-4 if moves else change < 1e-5


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


def test_weights_of_the_layers_start_as_xavier_draws_them():
    made = decoder()
    # Uniform up to sqrt(6 / (8 + 8)), where torch itself would stop at sqrt(1 / 8).
    assert (1 / 8) ** 0.5 < made.layers[0].cross.query.weight.abs().max() < (6 / 16) ** 0.5


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
        ({"queries": 4}, SITE, "queries = 4: the target has up to 5 proposals, and each needs a learned"),
        ({"exit_layer": 4}, SITE, "exit_layer = 4 must be at most layers = 3"),
        ({"heads": 3}, SITE, "heads = 3 must divide width = 8"),
        ({"heads": 3}, Site({"seq": 9}, 2), "the encoder's width = 9 must be even"),
    ],
)
def test_options_that_cannot_work_are_refused(given: dict[str, object], site: Site, message: str):
    with pytest.raises(ValueError, match=message):
        decoder(site, **given)


def test_as_many_queries_as_proposals_are_enough():
    assert decoder(queries=5).queries.shape == (5, 8)
    assert decoder(Site(SITE.widths, 2), queries=3).queries.shape == (3, 8)
