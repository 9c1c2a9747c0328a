from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.errors import DataError
from framework.metrics import PARTS, Metric, Rank, RankOptions, rank
from framework.metrics.rank import per_query

few = settings(deadline=None, max_examples=40)
grid_moments = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda pair: [float(pair[0]), float(sum(pair))])
predicted = st.lists(grid_moments, max_size=7)
annotated = st.lists(grid_moments, min_size=1, max_size=3)
scored = st.lists(st.tuples(predicted, annotated), min_size=1, max_size=6)
Lists = dict[int | str, Any]


def sides(queries: list[tuple[list[list[float]], list[list[float]]]]) -> tuple[Lists, Lists]:
    predictions: Lists = {at: found for at, (found, _) in enumerate(queries)}
    return predictions, {at: truth for at, (_, truth) in enumerate(queries)}


def overlap(a: list[float], b: list[float]) -> float:
    inter = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = a[1] - a[0] + b[1] - b[0] - inter
    return inter / union if inter else 0.0


@few
@given(scored, st.booleans())
def test_rank_counts_what_its_definition_counts(
    queries: list[tuple[list[list[float]], list[list[float]]]], strict: bool
) -> None:
    found = rank(*sides(queries), n=(1, 3, 5), m=(0.25, 0.5, 1.0), strict=strict)
    for n in (1, 3, 5):
        for m in (0.25, 0.5, 1.0):
            ious = [[overlap(a, b) for a in moments[:n] for b in truth] for moments, truth in queries]
            hits = [any(value > m if strict else value >= m for value in values) for values in ious]
            assert found[f"R{n}@{m:g}"] == pytest.approx(100 * sum(hits) / len(hits))
    firsts = [max((overlap(a, b) for a in moments[:1] for b in truth), default=0.0) for moments, truth in queries]
    assert found["mIoU"] == pytest.approx(100 * sum(firsts) / len(firsts))


@few
@given(scored)
def test_more_moments_never_score_less_and_stricter_thresholds_never_more(
    queries: list[tuple[list[list[float]], list[list[float]]]],
) -> None:
    found = rank(*sides(queries))
    assert found["R1@0.5"] <= found["R5@0.5"]
    assert found["R1@0.7"] <= found["R1@0.5"]
    assert found["R5@0.7"] <= found["R5@0.5"]


@few
@given(scored)
def test_order_of_queries_and_further_moments_do_not_matter(
    queries: list[tuple[list[list[float]], list[list[float]]]],
) -> None:
    predictions, truths = sides(queries)
    backwards = dict(reversed(predictions.items()))
    longer = {query: (found + [[0.0, 1.0]] * 3 if len(found) >= 5 else found) for query, found in backwards.items()}
    assert rank(longer, truths) == rank(predictions, truths)


@few
@given(scored)
def test_each_number_is_the_mean_over_queries_in_the_order_of_the_truths(
    queries: list[tuple[list[list[float]], list[list[float]]]],
) -> None:
    predictions, truths = sides(queries)
    values = per_query(predictions, truths)
    assert rank(predictions, truths) == {name: 100 * value.mean() for name, value in values.items()}
    for at, query in enumerate(truths):
        alone = per_query({query: predictions[query]}, {query: truths[query]})
        assert {name: value[at] for name, value in values.items()} == {name: value[0] for name, value in alone.items()}


def test_exact_truths_score_a_hundred() -> None:
    truths: Lists = {"a": [[0.0, 3.0]], "b": [[1.0, 2.0], [5.0, 9.0]]}
    assert rank(truths, truths) == {"R1@0.5": 100, "R1@0.7": 100, "R5@0.5": 100, "R5@0.7": 100, "mIoU": 100}


def test_a_query_without_predictions_is_a_miss() -> None:
    found = rank({1: [], 2: [[0.0, 4.0, 0.9]]}, {1: [[0.0, 4.0]], 2: [[0.0, 4.0]]})
    assert found["R5@0.5"] == found["mIoU"] == 50
    assert rank({1: []}, {1: [[0.0, 4.0]]}, strict=False) == dict.fromkeys(found, 0.0)


def test_an_iou_of_exactly_m_is_a_hit_only_under_the_other_rule() -> None:
    predictions, truths = {1: [[0.0, 5.0]], 2: [[0.0, 7.0]]}, {1: [[0.0, 10.0]], 2: [[0.0, 10.0]]}
    strict, loose = (rank(predictions, truths, n=(1,), strict=strict) for strict in (True, False))
    assert (strict["R1@0.5"], strict["R1@0.7"]) == (50, 0)
    assert (loose["R1@0.5"], loose["R1@0.7"]) == (100, 50)


def test_tensors_arrays_and_lists_with_or_without_scores_are_the_same_moments() -> None:
    truths = {1: torch.tensor([[2.0, 6.0]], dtype=torch.float64)}
    forms = [[[1.0, 5.0]], [(1.0, 5.0, 0.5)], np.array([[1, 5]]), torch.tensor([[1.0, 5.0, 0.1]])]
    assert len({tuple(rank({1: form}, truths).items()) for form in forms}) == 1


def test_missing_and_unknown_queries_are_named() -> None:
    with pytest.raises(DataError, match=r"2 queries have no predictions, first 'b'"):
        rank({"a": []}, {"a": [[0, 1]], "b": [[0, 1]], "c": [[0, 1]]})
    with pytest.raises(DataError, match=r"1 predictions are of queries without ground truth, first 7"):
        rank({"a": [], 7: []}, {"a": [[0, 1]]})
    with pytest.raises(DataError, match=r"have no predictions, first 1"):
        rank({"1": []}, {1: [[0, 1]]})
    with pytest.raises(DataError, match="no queries to score"):
        rank({}, {})


@pytest.mark.parametrize(
    ("moments", "message"),
    [
        ([[0.0, float("nan")]], "must be finite"),
        ([[float("-inf"), 1.0]], "must be finite"),
        ([[5.0, 4.0, 0.9]], "start <= end"),
        ([0.0, 4.0], r"got shape \(2,\)"),
        ([[0.0, 4.0, 0.9, 1.0]], r"got shape \(1, 4\)"),
        ([[0.0, 4.0], [1.0]], r"must be \[start, end\]"),
        ([["a", "b"]], r"must be \[start, end\]"),
    ],
)
def test_malformed_moments_are_refused_with_their_query_on_either_side(moments: Any, message: str) -> None:
    fine: Lists = {3: [[0.0, 1.0]], "q9": [[0.0, 1.0]]}
    with pytest.raises(DataError, match=f"prediction of query 'q9': moment.*{message}"):
        rank(fine | {"q9": moments}, fine)
    with pytest.raises(DataError, match=f"ground truth of query 'q9': moment.*{message}"):
        rank(fine, fine | {"q9": moments})


def test_a_malformed_moment_is_found_beyond_the_first_n() -> None:
    with pytest.raises(DataError, match="start <= end"):
        rank({1: [[0.0, 1.0]] * 9 + [[2.0, 1.0]]}, {1: [[0.0, 1.0]]})


def test_a_query_without_ground_truth_is_refused() -> None:
    with pytest.raises(DataError, match="query 2 has no ground-truth moment"):
        rank({1: [], 2: []}, {1: [[0.0, 1.0]], 2: []})


def test_the_part_prints_its_rule_and_headline() -> None:
    (part,) = (part for part in PARTS if part.name == "rank")
    metric = part.factory(part.options())
    assert isinstance(metric, Metric)
    assert (part.kind, part.name, metric.primary) == ("metric", "rank", "R1@0.5")
    assert "IoU > m" in metric.rule
    assert "IoU >= m" in Rank(RankOptions(strict=False)).rule


def test_the_part_reads_every_option() -> None:
    metric = Rank(RankOptions(n=(2,), m=(0.25,), strict=False))
    sides: tuple[Lists, Lists] = {1: [[50.0, 60.0], [0.0, 1.0]]}, {1: [[0.0, 4.0]]}
    assert metric(*sides) == {"R2@0.25": 100, "mIoU": 0}
    assert metric.primary == "R2@0.25"
    assert {name: value.tolist() for name, value in metric.per_query(*sides).items()} == {"R2@0.25": [1], "mIoU": [0]}


@pytest.mark.parametrize("options", [RankOptions(), RankOptions(n=(5, 1, 5), m=(0.3, 0.25, 0.3))])
def test_the_part_knows_the_names_of_its_numbers_before_it_scores(options: RankOptions) -> None:
    metric = Rank(options)
    assert metric.names == tuple(metric({1: [[0.0, 1.0]]}, {1: [[0.0, 4.0]]}))
    assert metric.primary in metric.names


@pytest.mark.parametrize(("name", "value"), [("n", (1, 0)), ("n", ()), ("m", (0.5, 0.0)), ("m", (1.5,)), ("m", ())])
def test_values_out_of_range_break_a_stated_rule(name: str, value: tuple[float, ...]) -> None:
    assert "must" in attrs.fields_dict(RankOptions)[name].metadata["rule"](value)


def test_numbers_are_those_of_the_official_evaluation(shared: Path) -> None:
    file = shared / "golden" / "tan_rank.json"
    if not file.exists():
        pytest.skip(f"no {file}")
    record = json.loads(file.read_text())
    truths: Lists = {at: [each["times"]] for at, each in enumerate(record["annotations"])}
    predictions: Lists = dict(enumerate(record["predictions"]))
    special_truths: Lists = {at: [each["times"]] for at, each in enumerate(record["special"])}
    special: Lists = {at: each["pred"] for at, each in enumerate(record["special"])}
    for result in record["results"]:
        n, m = result["recall"], result["tiou"]
        found, edge = rank(predictions, truths, n, m), rank(special, special_truths, n, m)
        for row, threshold in enumerate(m):
            for column, count in enumerate(n):
                name = f"R{count}@{threshold:g}"
                assert found[name] == 100 * result["ranks_[tiou][recall]"][row][column]
                assert edge[name] == 100 * result["special_ranks"][row][column]
        assert found["mIoU"] == pytest.approx(100 * result["mIoU"], abs=1e-10)
        assert edge["mIoU"] == pytest.approx(100 * result["special_mIoU"], abs=1e-10)
