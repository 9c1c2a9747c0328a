from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.metrics import PARTS, Rank, RankGe, RankOptions, rank
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


@few
@given(scored, st.booleans(), st.sampled_from([None, 0.0, 0.3, 0.5, 1.0]))
def test_rank_counts_what_its_definition_counts(
    by_loop: ModuleType, queries: list[tuple[list[list[float]], list[list[float]]]], strict: bool, nms: float | None
) -> None:
    chosen: dict[str, Any] = {"n": (1, 3, 5), "m": (0.25, 0.5, 1.0), "strict": strict, "nms": nms}
    found = rank(*sides(queries), **chosen)
    assert found == pytest.approx(by_loop.rank(*sides(queries), **chosen))
    assert len(found) == 10


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
    predictions: Lists = {1: [[0.0, 5.0]], 2: [[0.0, 7.0]]}
    truths: Lists = {1: [[0.0, 10.0]], 2: [[0.0, 10.0]]}
    strict, loose = (rank(predictions, truths, n=(1,), strict=strict) for strict in (True, False))
    assert (strict["R1@0.5"], strict["R1@0.7"]) == (50, 0)
    assert (loose["R1@0.5"], loose["R1@0.7"]) == (100, 50)


def test_nms_drops_what_is_listed_later_whatever_its_score() -> None:
    truths: Lists = {1: [[0.0, 10.0]]}
    listed: Lists = {1: [[0.0, 4.0, 0.1], [0.0, 9.0, 0.9], [20.0, 30.0, 0.5]]}
    assert rank(listed, truths, n=(2,), m=(0.5,)) == {"R2@0.5": 100, "mIoU": 40}
    assert rank(listed, truths, n=(2,), m=(0.5,), nms=0.4) == {"R2@0.5": 0, "mIoU": 40}
    # 4 / 9 is no more than the threshold.
    assert rank(listed, truths, n=(2,), m=(0.5,), nms=4 / 9) == {"R2@0.5": 100, "mIoU": 40}


def test_nms_looks_at_the_whole_list_and_not_at_the_first_n() -> None:
    same: list[list[float]] = [[20.0, 30.0]] * 6
    assert rank({1: [*same, [0.0, 10.0]]}, {1: [[0.0, 10.0]]}, n=(2,), m=(0.5,), nms=0.49)["R2@0.5"] == 100


def test_the_two_rules_differ_at_the_threshold_alone_and_print_it() -> None:
    strict, loose = (part.factory(part.options()) for part in PARTS if part.name in ("rank", "rank_ge"))
    assert (strict.primary, strict.names) == (loose.primary, loose.names)
    assert "IoU > m with any" in strict.rule
    assert "IoU >= m with any" in loose.rule
    sides: tuple[Lists, Lists] = {1: [[0.0, 5.0]], 2: [[0.0, 7.0]]}, {1: [[0.0, 10.0]], 2: [[0.0, 10.0]]}
    assert strict(*sides) == {"R1@0.5": 50, "R1@0.7": 0, "R5@0.5": 50, "R5@0.7": 0, "mIoU": 60}
    assert loose(*sides) == {"R1@0.5": 100, "R1@0.7": 50, "R5@0.5": 100, "R5@0.7": 50, "mIoU": 60}


@pytest.mark.parametrize("rule", [Rank, RankGe])
def test_the_part_reads_every_option(rule: type[Rank] | type[RankGe]) -> None:
    sides: tuple[Lists, Lists] = {1: [[50.0, 60.0], [50.0, 59.0], [0.0, 1.0]]}, {1: [[0.0, 3.0]]}
    metric = rule(RankOptions(n=(2,), m=(0.25,)))
    assert metric(*sides) == {"R2@0.25": 0, "mIoU": 0}
    assert metric.primary == "R2@0.25"
    assert "moments as listed" in metric.rule
    metric = rule(RankOptions(n=(2,), m=(0.25,), nms=0.49))
    assert metric(*sides) == {"R2@0.25": 100, "mIoU": 0}
    assert {name: value.tolist() for name, value in metric.per_query(*sides).items()} == {"R2@0.25": [1], "mIoU": [0]}
    assert "after NMS 0.49" in metric.rule


@pytest.mark.parametrize("options", [RankOptions(), RankOptions(n=(5, 1, 5), m=(0.3, 0.25, 0.3))])
def test_the_part_knows_the_names_of_its_numbers_before_it_scores(options: RankOptions) -> None:
    metric = Rank(options)
    assert metric.names == tuple(metric({1: [[0.0, 1.0]]}, {1: [[0.0, 4.0]]}))
    assert metric.primary in metric.names


@pytest.mark.parametrize(
    ("name", "value"), [("n", (1, 0)), ("n", ()), ("m", (0.5, 0.0)), ("m", (1.5,)), ("m", ()), ("nms", 1.1)]
)
def test_values_out_of_range_break_a_stated_rule(name: str, value: Any) -> None:
    assert "must" in attrs.fields_dict(RankOptions)[name].metadata["rule"](value)


def test_numbers_are_those_of_the_official_evaluation(shared: Path) -> None:
    """300 annotations of Charades-STA and five edge cases; also the table that the peer's program prints."""
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
        names, numbers = (
            [cell.strip() for cell in line.split("|")[1:-1]] for line in result["table"].split("\n")[1:4:2]
        )
        assert names == list(found)
        assert numbers == [f"{value:.2f}" for value in found.values()]
    assert found["mIoU"] == pytest.approx(100 * record["mean_top1_iou"], abs=1e-10)
