from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.errors import DataError
from framework.metrics import PARTS, Metric, QVHighlights, QVHighlightsOptions, qvhighlights
from framework.metrics.qvhighlights import THRESHOLDS, average_precisions, per_query

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


def overlap(a: list[float], b: list[float]) -> float:
    inter = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return inter / (a[1] - a[0] + b[1] - b[0] - inter) if inter else 0.0


def slow_average_precision(found: Moments, truths: Moments, threshold: float) -> float:
    """The definition, moment by moment."""
    taken: set[int] = set()
    curve = [(0.0, 0.0)]
    for count, moment in enumerate(sorted(found[:10], key=lambda moment: -moment[2]), 1):
        free = [(overlap(moment, truth), at) for at, truth in enumerate(truths) if at not in taken]
        if free and max(free)[0] >= threshold:
            taken.add(max(free)[1])
        curve.append((len(taken) / len(truths), len(taken) / count))
    area = 0.0
    for at in range(1, len(curve)):
        area += (curve[at][0] - curve[at - 1][0]) * max(precision for _, precision in curve[at:])
    return area


@few
@given(st.lists(query, min_size=1, max_size=4))
def test_average_precision_is_what_its_definition_gives(queries: list[tuple[Moments, Moments]]) -> None:
    found = average_precisions(*sides(queries))
    wanted = [[slow_average_precision(*each, threshold) for threshold in THRESHOLDS] for each in queries]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


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
    np.testing.assert_allclose(average_precisions(*sides(backwards)), average_precisions(*sides(listed)), atol=1e-12)


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


def test_a_ground_truth_is_found_once() -> None:
    """Hits at ranks 1 and 3 of two ground truths: precision 1 up to recall 1/2, then 2/3."""
    twice: Moments = [[0.0, 10.0, 0.9], [0.0, 10.0, 0.8], [40.0, 50.0, 0.7]]
    found = qvhighlights({1: twice}, {1: [[0.0, 10.0], [40.0, 50.0]]})
    assert found["mAP"] == pytest.approx(100 * (1 / 2 + 2 / 3 / 2))


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


@pytest.mark.parametrize(
    ("moments", "message"),
    [
        ([[0.0, float("nan"), 0.5]], "must be finite"),
        ([[5.0, 4.0, 0.9]], "start <= end"),
        ([[0.0, 4.0, float("nan")]], "must have a finite score"),
        ([[0.0, 4.0, 0.9, 1.0]], "got shape"),
    ],
)
def test_malformed_moments_are_refused_with_their_query(moments: Any, message: str) -> None:
    """The official evaluator counts a NaN boundary as a hit."""
    fine: Lists = {3: [[0.0, 1.0]], "q9": [[0.0, 1.0]]}
    with pytest.raises(DataError, match=f"prediction of query 'q9': moment.*{message}"):
        qvhighlights(fine | {"q9": moments}, fine)


def test_queries_must_be_the_same_on_both_sides() -> None:
    with pytest.raises(DataError, match="1 queries have no predictions, first 2"):
        qvhighlights({1: []}, {1: [[0, 1]], 2: [[0, 1]]})
    with pytest.raises(DataError, match="query 1 has no ground-truth moment"):
        qvhighlights({1: []}, {1: []})


@pytest.mark.parametrize("lengths", [False, True])
def test_the_part_knows_its_numbers_before_it_scores(lengths: bool) -> None:
    metric = QVHighlights(QVHighlightsOptions(lengths=lengths))
    truths: Lists = {1: [[0.0, 4.0], [10.0, 30.0], [40.0, 100.0]]}
    assert tuple(metric(truths, truths)) == metric.names
    assert set(metric(truths, truths).values()) == ({100.0} if not lengths else {100.0, 100 * 1 / 3, 50.0})
    assert metric.primary == "mAP"
    assert metric.primary in metric.names
    assert set(metric.per_query(truths, truths)) == {"R1@0.5", "R1@0.7", "mAP@0.5", "mAP@0.75", "mAP"}


def test_the_part_is_registered_with_its_paper_and_prints_its_rule() -> None:
    part = next(part for part in PARTS if part.name == "qvhighlights")
    metric = part.factory(part.options())
    assert isinstance(metric, Metric)
    assert (part.kind, len(part.papers)) == ("metric", 1)
    assert all(word in metric.rule for word in (">= m", "first 10 moments", "0.5:0.05:0.95"))


def test_numbers_are_those_of_the_official_evaluation(shared: Path) -> None:
    """200 queries of the validation split with made predictions: ties, unsorted, degenerate, more than ten."""
    file = shared / "golden" / "qvhighlights_eval.json"
    if not file.exists():
        pytest.skip(f"no {file}")
    record = json.loads(file.read_text())
    assert list(THRESHOLDS) == record["iou_thresholds_ap"]
    record = record["sets"]["generated_200"]
    predictions: Lists = {each["qid"]: each["pred_relevant_windows"] for each in record["predictions"]}
    truths: Lists = {each["qid"]: each["relevant_windows"] for each in record["ground_truth"]}
    official = record["official"]
    precisions = average_precisions(predictions, truths)
    np.testing.assert_allclose(precisions, [record["per_query"][str(qid)]["ap"] for qid in truths], atol=1e-11)
    for at, threshold in enumerate(THRESHOLDS):
        assert round(100 * precisions[:, at].mean(), 2) == official["full"]["MR-mAP"][f"{threshold:g}"]
    found = {name: round(value, 2) for name, value in qvhighlights(predictions, truths, lengths=True).items()}
    brief = official["brief"]
    assert found == {
        **{name: brief[f"MR-full-{name}"] for name in ("R1@0.5", "R1@0.7", "mAP@0.5", "mAP@0.75", "mAP")},
        **{f"mAP-{name}": brief[f"MR-{name}-mAP"] for name in ("short", "middle", "long")},
    }
    firsts = per_query(predictions, truths)["R1@0.5"]
    assert firsts.tolist() == [float(record["per_query"][str(qid)]["top1_best_iou"] >= 0.5) for qid in truths]
