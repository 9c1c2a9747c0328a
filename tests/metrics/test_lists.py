"""What every rule refuses, and in which words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from framework.errors import DataError
from framework.metrics import PARTS, average_precision, didemo, mean_iou, official, qvhighlights, rank, recall
from framework.metrics.lists import tables

Lists = dict[int | str, Any]
Rule = Callable[[Lists, Lists], Any]
FINE: list[list[float]] = [[0.0, 5.0], [0.0, 5.0], [5.0, 30.0], [5.0, 100.0]]
every_rule = pytest.mark.parametrize(
    "rule", [rank, qvhighlights, didemo, mean_iou, average_precision, recall, official], ids=lambda rule: rule.__name__
)


@every_rule
def test_missing_and_unknown_queries_are_named(rule: Rule) -> None:
    with pytest.raises(DataError, match=r"2 queries have no predictions, first 'b'; give an empty list for none"):
        rule({"a": []}, {"a": FINE, "b": FINE, "c": FINE})
    with pytest.raises(DataError, match=r"1 predictions are of queries without ground truth, first 7"):
        rule({"a": [], 7: []}, {"a": FINE})
    with pytest.raises(DataError, match=r"have no predictions, first 1"):
        rule({"1": []}, {1: FINE})
    with pytest.raises(DataError, match="no queries to score: ground truth of none"):
        rule({}, {})


@every_rule
def test_a_query_without_ground_truth_is_refused(rule: Rule) -> None:
    with pytest.raises(DataError, match="query 2 has no ground-truth moment; leave it out of the truths"):
        rule({1: [], 2: []}, {1: FINE, 2: []})


MALFORMED = [
    ([[0.0, float("nan")]], r"\[0.0, nan\] must be finite"),
    ([[float("-inf"), 1.0]], "must be finite"),
    ([[0.0, 5.0], [5.0, 4.0]], r"\[5.0, 4.0\] must be finite with start <= end"),
    ([[0.0, 4.0, float("nan")]], r"\[0.0, 4.0, nan\] must have a finite score"),
    ([0.0, 4.0], r"got shape \(2,\)"),
    ([[0.0, 4.0, 0.9, 1.0]], r"got shape \(1, 4\)"),
    ([[0.0, 4.0], [1.0]], r"must be \[start, end\]"),
    ([["a", "b"]], r"must be \[start, end\]"),
    ([["0", "4"]], "all numbers"),
    ([[0, 10**400]], "all numbers"),
    ([[None, 4.0]], "all numbers"),
    ([[True, False]], "all numbers"),
]


@every_rule
@pytest.mark.parametrize(("moments", "message"), MALFORMED)
def test_malformed_moments_are_refused_with_their_query_on_either_side(rule: Rule, moments: Any, message: str) -> None:
    fine: Lists = {3: FINE, "q9": FINE}
    with pytest.raises(DataError, match=f"prediction of query 'q9': moment.*{message}"):
        rule(fine | {"q9": moments}, fine)
    with pytest.raises(DataError, match=f"ground truth of query 'q9': moment.*{message}"):
        rule(fine, fine | {"q9": moments})


@every_rule
def test_a_malformed_moment_is_found_beyond_those_that_count(rule: Rule) -> None:
    with pytest.raises(DataError, match="start <= end"):
        rule({1: [[0.0, 1.0]] * 19 + [[2.0, 1.0]]}, {1: FINE})


@every_rule
def test_tensors_arrays_and_lists_with_or_without_scores_are_the_same_moments(rule: Rule) -> None:
    truths: Lists = {1: torch.tensor(FINE, dtype=torch.float64), 2: tuple(map(tuple, FINE))}
    forms: list[Any] = [[[1, 5]], [(1.0, 5.0, 0.5)], np.array([[1, 5]]), torch.tensor([[1.0, 5.0, 0.1]])]
    nothing: list[Any] = [[], np.empty((0, 3))]
    assert len({str(rule({1: form, 2: empty}, truths)) for form in forms for empty in nothing}) == 1


@every_rule
def test_the_order_of_the_predictions_is_of_no_account(rule: Rule) -> None:
    truths: Lists = {1: FINE, "b": [[0.0, 10.0], *FINE[1:]]}
    predictions: Lists = {1: [[0.0, 5.0]], "b": [[5.0, 30.0], [0.0, 10.0]]}
    assert rule(dict(reversed(predictions.items())), truths) == rule(predictions, truths)


def test_a_table_keeps_the_order_of_the_truths_and_of_each_list() -> None:
    found, truth = tables({"b": [[3, 4, 0.5], [1, 2, 0.9], [5, 6, 0.5]], 1: []}, {1: [[0, 1]], "b": [[2, 3]]})
    assert (found.queries, truth.queries) == ((1, "b"), (1, "b"))
    assert (found.owner.tolist(), found.place.tolist()) == ([1, 1, 1], [0, 1, 2])
    assert found.by_score().spans.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert found.first(2).by_score().spans.tolist() == [[1, 2], [3, 4]]
    spans, mask = found.first(2).padded()
    assert spans.tolist() == [[[0, 0], [0, 0]], [[3, 4], [1, 2]]]
    assert mask.tolist() == [[False, False], [True, True]]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_part_knows_its_numbers_beforehand_and_gives_them_per_query_too(part: Any) -> None:
    metric = part.factory(part.options())
    truths: Lists = {1: FINE, 2: FINE[::-1], 3: [[0.0, 10.0]] * 3}
    predictions: Lists = {1: FINE[::-1], 2: [], 3: [[0.0, 10.0, 0.3], [5.0, 30.0, 0.7]]}
    found, values = metric(predictions, truths), metric.per_query(predictions, truths)
    assert tuple(found) == metric.names == tuple(values)
    assert metric.primary in metric.names
    assert found == {name: 100 * value.mean() for name, value in values.items()}
    assert all(value.shape == (3,) and value.dtype == np.float64 for value in values.values())
    assert all(0 < value < 100 for value in found.values())
    for at, query in enumerate(truths):
        alone = metric.per_query({query: predictions[query]}, {query: truths[query]})
        assert {name: value[at] for name, value in values.items()} == {name: value[0] for name, value in alone.items()}
    assert "\n" not in metric.rule
    assert len({part.name for part in PARTS}) == len(PARTS) == 7
