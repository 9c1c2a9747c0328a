from __future__ import annotations

import random
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.errors import DataError
from framework.metrics import PARTS, QVHighlights, QVHighlightsOptions, highlights, qvhighlights
from framework.metrics.qvhighlights import per_query

few = settings(deadline=None, max_examples=60)
# A coarse grid, so that moments, overlaps and scores are often equal.
spans = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda pair: [2.0 * pair[0], 2.0 * sum(pair)])
scored = st.tuples(spans, st.integers(0, 3)).map(lambda pair: [*pair[0], pair[1] / 4])
real_spans = st.tuples(st.integers(0, 8), st.integers(1, 8)).map(lambda pair: [2.0 * pair[0], 2.0 * sum(pair)])
query = st.tuples(st.lists(scored, max_size=13), st.lists(real_spans, min_size=1, max_size=4))
Lists = dict[int | str, Any]
Moments = list[list[float]]


def sides(queries: list[tuple[Moments, Moments]]) -> tuple[Lists, Lists]:
    return {at: found for at, (found, _) in enumerate(queries)}, {at: truth for at, (_, truth) in enumerate(queries)}


@few
@given(st.lists(query, min_size=1, max_size=4))
def test_each_number_is_what_its_definition_gives(by_loop: ModuleType, queries: list[tuple[Moments, Moments]]) -> None:
    # One query more, so that each length range has a ground truth.
    predictions, truths = sides([*queries, ([[0.0, 12.0, 0.5]], [[0.0, 4.0], [10.0, 30.0], [40.0, 100.0]])])
    wanted = by_loop.qvhighlights(predictions, truths)
    assert qvhighlights(predictions, truths, lengths=True, all_thresholds=True) == pytest.approx(wanted)
    assert len(wanted) == 4 * 21
    for lengths, all_thresholds in ((False, False), (True, False), (False, True)):
        found = qvhighlights(predictions, truths, lengths, all_thresholds)
        assert found == pytest.approx({name: wanted[name] for name in found})
        assert len(found) == (21 if all_thresholds else 5 + 3 * lengths)


@few
@given(st.lists(query, min_size=1, max_size=4))
def test_each_number_is_the_mean_over_queries_scored_alone(queries: list[tuple[Moments, Moments]]) -> None:
    predictions, truths = sides(queries)
    values = per_query(predictions, truths)
    assert qvhighlights(predictions, truths) == {name: 100 * value.mean() for name, value in values.items()}
    for at in range(len(queries)):
        alone = per_query({at: predictions[at]}, {at: truths[at]})
        assert {name: value[at] for name, value in values.items()} == {name: value[0] for name, value in alone.items()}


@few
@given(st.lists(query, min_size=1, max_size=4), st.randoms())
def test_the_order_of_the_list_decides_r1_alone_and_distinct_scores_decide_map(
    queries: list[tuple[Moments, Moments]], chance: random.Random
) -> None:
    def score(found: Moments) -> Moments:
        return [[*moment[:2], rank] for moment, rank in zip(found, chance.sample(range(99), len(found)), strict=True)]

    listed = [(score(found[:10]), truths) for found, truths in queries]
    mixed = [(found[:1] + chance.sample(found[1:], len(found[1:])), truths) for found, truths in listed]
    assert qvhighlights(*sides(mixed)) == pytest.approx(qvhighlights(*sides(listed)))
    backwards = [(found[::-1], truths) for found, truths in listed]
    assert qvhighlights(*sides(backwards))["mAP"] == pytest.approx(qvhighlights(*sides(listed))["mAP"])


def test_the_first_listed_moment_and_not_the_best_scored_one_is_r1() -> None:
    truths: Lists = {1: [[0.0, 10.0]]}
    found = qvhighlights({1: [[20.0, 30.0, 0.1], [0.0, 10.0, 0.9]]}, truths)
    assert (found["R1@0.5"], found["mAP"]) == (0, 100)


def test_an_iou_of_exactly_m_is_a_hit() -> None:
    truths: Lists = {1: [[0.0, 20.0]]}
    assert qvhighlights({1: [[0.0, 14.0, 0.9]]}, truths)["R1@0.7"] == 100
    assert qvhighlights({1: [[0.0, 15.0, 0.9]]}, truths)["mAP@0.75"] == 100
    assert qvhighlights({1: [[0.0, 14.99, 0.9]]}, truths)["mAP@0.75"] == 0


def test_the_eleventh_moment_does_not_count_even_with_the_best_score() -> None:
    wrong: Moments = [[90.0, 100.0, 0.1]] * 10
    assert qvhighlights({1: [*wrong, [0.0, 10.0, 0.9]]}, {1: [[0.0, 10.0]]})["mAP"] == 0
    assert qvhighlights({1: [*wrong[:9], [0.0, 10.0, 0.9]]}, {1: [[0.0, 10.0]]})["mAP"] == 100


def test_lists_without_scores_are_best_first() -> None:
    scored: Moments = [[0.0, 10.0, 0.9], [20.0, 30.0, 0.5]]
    truths: Lists = {1: [[20.0, 30.0]]}
    assert qvhighlights({1: [moment[:2] for moment in scored]}, truths) == qvhighlights({1: scored}, truths)


def test_a_query_without_predictions_scores_nothing_and_stays_in_the_mean() -> None:
    found = qvhighlights({1: [], 2: [[0.0, 4.0, 0.9]]}, {1: [[0.0, 4.0]], 2: [[0.0, 4.0]]})
    assert set(found.values()) == {50.0}
    assert set(qvhighlights({1: []}, {1: [[0.0, 4.0]]}).values()) == {0.0}


def test_a_length_range_counts_its_own_ground_truth_alone() -> None:
    """The hit on the long moment of query 1 is a false positive of its short range; query 2 has no short one."""
    truths: Lists = {1: [[0.0, 10.0], [20.0, 100.0]], 2: [[0.0, 30.0]]}
    predictions: Lists = {1: [[20.0, 100.0, 0.9], [0.0, 10.0, 0.8]], 2: [[0.0, 30.0, 0.5]]}
    found = qvhighlights(predictions, truths, lengths=True)
    assert {name: found[f"mAP-{name}"] for name in ("short", "middle", "long")} == {
        "short": 50,
        "middle": 100,
        "long": 100,
    }


def test_a_length_range_without_ground_truth_is_refused_with_the_remedy() -> None:
    with pytest.raises(DataError, match=r"mAP-middle has no value: .* 10 s and at most 30 s; .*lengths = false"):
        qvhighlights({1: [[0.0, 4.0, 0.9]]}, {1: [[0.0, 4.0]]}, lengths=True)


def test_a_length_that_no_truth_has_is_refused_with_the_remedy() -> None:
    truths: Lists = {1: [[0.0, 10.0], [20.0, 60.0]]}
    with pytest.raises(
        DataError, match=r"mAP-middle has no value: no ground.* 10 s and at most 30 s; set .*lengths = f"
    ):
        qvhighlights(truths, truths, lengths=True)


def test_a_moment_of_another_length_is_a_false_positive_and_a_query_without_the_length_left_out() -> None:
    truths: Lists = {1: [[0.0, 4.0], [40.0, 100.0]], 2: [[0.0, 20.0]]}
    found = qvhighlights({1: [[40.0, 100.0, 0.9], [0.0, 4.0, 0.8]], 2: []}, truths, lengths=True)
    assert (found["mAP-short"], found["mAP-middle"], found["mAP-long"]) == (50, 0, 100)


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("all_thresholds", [False, True])
def test_the_part_knows_its_numbers_before_it_scores(lengths: bool, all_thresholds: bool) -> None:
    metric = QVHighlights(QVHighlightsOptions(lengths=lengths, all_thresholds=all_thresholds))
    truths: Lists = {1: [[0.0, 4.0], [10.0, 30.0], [40.0, 100.0]]}
    found = metric(truths, truths)
    assert tuple(found) == metric.names
    full = (*metric.per_query(truths, truths),)
    assert full == metric.names[: len(full)]
    assert len(full) == (21 if all_thresholds else 5)
    assert {found[name] for name in full} == {100.0}
    if lengths:
        assert [found[f"mAP-{name}"] for name in ("short", "middle", "long")] == [100.0, 50.0, pytest.approx(100 / 3)]
    assert metric.primary == "mAP"


def test_the_part_is_registered_with_its_paper_and_prints_its_rule() -> None:
    part = next(part for part in PARTS if part.name == "qvhighlights")
    metric = part.factory(part.options())
    assert (part.kind, len(part.papers)) == ("metric", 1)
    assert all(word in metric.rule for word in (">= m", "first 10 moments", "0.5:0.05:0.95", "HL-x"))


def test_the_part_scores_highlights_too() -> None:
    metric = QVHighlights(QVHighlightsOptions())
    scores: Lists = {1: [0.1, 0.9, 0.5]}
    ratings: Lists = {1: [[0, 1], [4, 0], [2, 3]]}
    assert metric.highlights(scores, ratings) == highlights(scores, ratings)
    assert tuple(metric.highlights(scores, ratings)) == metric.highlight_names
    assert metric.highlight_names[-1] == "HL-VeryGood-Hit1"
