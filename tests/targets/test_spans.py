from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framework.core.noise import GeneratorNoise, KeyedNoise
from framework.core.structures import Condition, Index, Prediction, Rows, Slots
from framework.moments import iou
from framework.samplers import Gaussian, GaussianOptions
from framework.targets import Spans, SpansOptions, truths

TRUTH = (0.2, 0.6)


def noise(seed: int = 0) -> GeneratorNoise:
    return GeneratorNoise(torch.Generator().manual_seed(seed))


def rows_of(*moments: list[tuple[float, float]]) -> Rows:
    ask = torch.arange(len(moments))
    made = [torch.tensor([(0.0, s, e, 1.0) for s, e in each]).reshape(-1, 4) for each in moments]
    return Rows(Index(ask, ask[:, None], ask), made)


def encoded(options: SpansOptions, rows: Rows, seed: int = 0) -> tuple[Tensor, Slots]:
    target = Spans(options)
    target.at(1.0)
    slots = target.slots(Condition({}, len(rows)), rows)
    return target.encode(rows, slots, noise(seed)), slots


def test_moments_come_first_and_placeholders_after_them() -> None:
    x0, _ = encoded(SpansOptions(train_proposals=6), rows_of([TRUTH], [(0.0, 0.1), (0.5, 1.0)]))
    torch.testing.assert_close(x0[0, 0], torch.tensor([0.4, 0.4]))
    assert sorted(x0[1, :2, 0].tolist()) == pytest.approx([0.05, 0.75])
    assert len(x0[0].unique(dim=0)) == 6


def test_placeholders_are_normal_around_the_middle_with_a_least_width() -> None:
    options = SpansOptions(train_proposals=4000, padding_std=1 / 6, padding_width=0.01)
    x0, _ = encoded(options, rows_of([]))
    for channel in (0, 1):
        assert float(x0[0, :, channel].mean()) == pytest.approx(0.5, abs=0.01)
        assert float(x0[0, :, channel].std()) == pytest.approx(1 / 6, abs=0.01)
    assert float(x0[0, :, 1].min()) == pytest.approx(0.01)
    wide, _ = encoded(SpansOptions(train_proposals=4000, padding_std=0.5, padding_width=0.2), rows_of([]))
    assert float(wide[..., 1].min()) == pytest.approx(0.2)


def test_a_moment_outside_the_window_leaves_no_gap_before_the_visible_one() -> None:
    rows = rows_of([(1.1, 1.5), (0.2, 0.6), (-0.4, 0.0)])
    for options in (SpansOptions(train_proposals=3), SpansOptions(train_proposals=3, padding="repeat")):
        x0, slots = encoded(options, rows)
        torch.testing.assert_close(x0[0, 0], torch.tensor([0.4, 0.4]))
        sure = Spans(options).ideal(rows, slots, noise()).heads["logit"][0, :, 0]
        assert (sure > 0).tolist() == [True, options.padding == "repeat", options.padding == "repeat"]


def test_repetition_gives_every_slot_a_moment_of_its_row() -> None:
    x0, _ = encoded(SpansOptions(train_proposals=5, padding="repeat"), rows_of([TRUTH], [(0.0, 0.1), (0.5, 1.0)]))
    torch.testing.assert_close(x0[0], torch.tensor([0.4, 0.4]).expand(5, 2))
    assert sorted({round(c, 2) for c in x0[1, :, 0].tolist()}) == [0.05, 0.75]


def test_more_moments_than_proposals_are_a_fair_choice_for_the_process_and_all_for_the_loss() -> None:
    rows = rows_of([(0.0, 0.1), (0.3, 0.4), (0.8, 0.9)])
    seen = {round(float(encoded(SpansOptions(train_proposals=1), rows, seed)[0][0, 0, 0]), 2) for seed in range(40)}
    assert seen == {0.05, 0.35, 0.85}
    target = Spans(SpansOptions(train_proposals=1))
    slots = target.slots(Condition({}, 1), rows)
    for centre in (0.05, 0.35, 0.85):
        pred = Prediction(torch.tensor([[[centre, 0.1]]]), {"logit": torch.zeros(1, 1, 2)})
        assert float(target.loss(pred, torch.zeros(1, 1, 2), slots, rows)["l1"]) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("progress", "count"), [(0.0, 1), (0.1, 4), (0.25, 10), (0.49, 19), (0.5, 20), (0.75, 20), (1.0, 20)]
)
def test_the_curriculum_grows_from_one_to_twenty_over_half_of_training(progress: float, count: int) -> None:
    target = Spans(SpansOptions(first_proposals=1, train_proposals=20, ramp=0.5, proposals=7))
    target.at(progress)
    assert target.slots(Condition({}, 1), rows_of([TRUTH])).mask.shape == (1, count)
    assert target.slots(Condition({}, 1), None).mask.shape == (1, 7), "inference does not follow training"


def test_without_a_curriculum_the_number_is_constant() -> None:
    target = Spans(SpansOptions(train_proposals=9))
    assert {target.count, *(target.at(p) or target.count for p in (0.0, 0.3, 1.0))} == {9}  # type: ignore[func-returns-value]


@given(st.integers(1, 12), st.integers(0, 3))
@settings(deadline=None, max_examples=20)
def test_a_longer_list_of_proposals_begins_with_the_noise_of_a_shorter_one(count: int, seed: int) -> None:
    rows = rows_of([TRUTH], [(0.5, 0.9)])
    drawn = []
    for proposals in (count, count + 5):
        slots = Spans(SpansOptions(proposals=proposals)).slots(Condition({}, 2), None)
        drawn.append(KeyedNoise(seed, rows.index.key).normal(slots, 2))
    torch.testing.assert_close(drawn[1][:, :count], drawn[0])


def answers(confidence: list[float], spans: list[tuple[float, float]]) -> Prediction:
    """A prediction of one row; spans as start and end."""
    both = torch.tensor([spans])
    x0 = torch.stack([both.mean(-1), both[..., 1] - both[..., 0]], -1)
    sure = torch.logit(torch.tensor([confidence]))
    return Prediction(x0, {"logit": torch.stack([sure, torch.zeros_like(sure)], -1)})


def decoded(options: SpansOptions, *preds: Prediction) -> list[tuple[float, float, float]]:
    target = Spans(options)
    cond = Condition({}, 1)
    found = target.decode(preds, cond, target.slots(cond, None))
    assert found.mask.all()
    table = torch.stack([found.start, found.end, found.score], -1)[0]
    return [tuple(round(value, 3) for value in line) for line in table.tolist()]  # type: ignore[misc]


def test_confidence_is_the_foreground_probability_and_foreground_is_the_first_class() -> None:
    pred = answers([0.3, 0.9], [(0.1, 0.2), (0.5, 1.0)])
    assert decoded(SpansOptions(proposals=2), pred) == [(0.5, 1.0, 0.9), (0.1, 0.2, 0.3)]


def test_a_vote_is_the_mean_overlap_with_all_proposals() -> None:
    pred = answers([0.5] * 3, [(0.0, 0.4), (0.0, 0.5), (0.8, 1.0)])
    options = SpansOptions(proposals=3, padding="repeat", match="all", score="vote")
    spans = torch.tensor([[0.0, 0.4], [0.0, 0.5], [0.8, 1.0]])
    wanted = iou(spans, spans).mean(1)
    assert sorted(score for *_, score in decoded(options, pred)) == pytest.approx(sorted(wanted.tolist()), abs=1e-3)
    assert decoded(options, pred)[-1][:2] == (0.8, 1.0)


def test_votes_weighed_by_the_first_proposal_follow_it() -> None:
    spans = [(0.8, 1.0), (0.0, 0.4), (0.0, 0.5)]
    options = {"proposals": 3, "padding": "repeat", "match": "all", "score": "vote"}
    assert decoded(SpansOptions(**options), answers([0.5] * 3, spans))[0][:2] != (0.8, 1.0)
    weighed = decoded(SpansOptions(**options, votes="first"), answers([0.5] * 3, spans))
    assert weighed[0] == (0.8, 1.0, pytest.approx(1 / 3, abs=1e-3))
    assert [score for *_, score in weighed[1:]] == [0.0, 0.0]


def test_ensembles_take_all_steps_all_but_the_last_or_the_last() -> None:
    steps = [answers([share], [(0.0, share)]) for share in (0.2, 0.4, 0.6)]
    ends = {name: [end for _, end, _ in decoded(SpansOptions(proposals=1, ensemble=name), *steps)] for name in KINDS}
    assert ends == {"all": [0.6, 0.4, 0.2], "but_last": [0.4, 0.2], "last": [0.6]}


KINDS = ("all", "but_last", "last")


@pytest.mark.parametrize("ensemble", KINDS)
@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("renew", [0.0, 0.5])
def test_one_step_gives_the_last_layer_whatever_eta_renewal_and_ensemble(
    ensemble: str, eta: float, renew: float
) -> None:
    target = Spans(SpansOptions(proposals=4, ensemble=ensemble, renew=renew))
    rows, cond = rows_of([TRUTH], [(0.1, 0.3)]), Condition({}, 2)
    slots = target.slots(cond, None)
    last = Prediction(torch.rand(2, 4, 2), {"logit": torch.randn(2, 4, 2)})
    earlier = Prediction(torch.rand(2, 4, 2), {"logit": torch.randn(2, 4, 2)})
    sampler = Gaussian(GaussianOptions(steps=1, eta=eta, spacing="peer"))
    walk = sampler.sample(
        lambda x_t, t, previous=None: Prediction(last.x0, last.heads, (earlier,)),
        slots,
        target,
        KeyedNoise(0, rows.index.key),
    )
    found, wanted = target.decode(walk, cond, slots), target.decode([last], cond, slots)
    for name in ("start", "end", "score"):
        torch.testing.assert_close(getattr(found, name), getattr(wanted, name))


def test_renewal_replaces_the_proposals_that_the_network_doubts_each_row_by_itself() -> None:
    target = Spans(SpansOptions(proposals=3, renew=0.5))
    slots = target.slots(Condition({}, 2), None)
    sure = torch.tensor([[2.0, -2.0, 2.0], [-2.0, -2.0, 2.0]])
    pred = Prediction(torch.rand(2, 3, 2), {"logit": torch.stack([sure, -sure], -1)})
    x = torch.full((2, 3, 2), 7.0)
    kept = (target.refine(x, pred, slots, KeyedNoise(0, torch.tensor([4, 5]))) == 7).all(-1)
    assert kept.tolist() == [[True, False, True], [False, False, True]]
    untouched = Spans(SpansOptions(proposals=3)).refine(x, pred, slots, KeyedNoise(0, torch.tensor([4, 5])))
    assert untouched is x


def test_several_draws_are_joined_not_averaged() -> None:
    target, cond = Spans(SpansOptions(proposals=1)), Condition({}, 1)
    draws = [[answers([0.4], [(0.0, 0.2)])], [answers([0.7], [(0.6, 1.0)])]]
    found = target.decode(target.combine(draws), cond, target.slots(cond, None))
    assert [round(x, 2) for x in found.end[0].tolist()] == [1.0, 0.2]


def test_spans_that_leave_the_video_are_cut_and_reversed_ones_have_no_length() -> None:
    pred = Prediction(torch.tensor([[[0.1, 0.6], [0.5, -0.4], [1.5, 0.2]]]), {"logit": torch.zeros(1, 3, 2)})
    for start, end, _ in decoded(SpansOptions(proposals=3), pred):
        assert 0 <= start <= end <= 1


def test_the_network_sees_noise_inside_the_video() -> None:
    target = Spans(SpansOptions(scale=2.0))
    seen = target.space.natural(torch.randn(20000, 1, 2, generator=torch.Generator().manual_seed(0)))
    assert float(seen.min()) == 0
    assert float(seen.max()) == 1
    # Reference: mean 0.500, standard deviation 0.240, 2.3 % of widths exactly 0 under pure noise at scale 2.
    assert float(seen.mean()) == pytest.approx(0.5, abs=0.005)
    assert float(seen.std()) == pytest.approx(0.24, abs=0.005)
    assert float((seen[..., 1] == 0).float().mean()) == pytest.approx(0.023, abs=0.004)


@pytest.mark.parametrize(
    ("given_options", "words"),
    [
        ({"first_proposals": 30}, "first_proposals = 30 must be at most train_proposals = 20"),
        ({"match": "all"}, 'set padding = "repeat"'),
        ({"match": "all", "padding": "repeat"}, 'set score = "vote"'),
        ({"match": "all", "padding": "repeat", "score": "vote", "renew": 0.5}, "renew = 0.5 needs a confidence"),
    ],
)
def test_options_that_contradict_each_other_are_refused(given_options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Spans(SpansOptions(**given_options))


def test_truths_of_a_row_without_moments_are_none() -> None:
    assert not truths(rows_of([], []))[1].any()
