from __future__ import annotations

from types import ModuleType
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.metrics import AveragePrecision, AveragePrecisionOptions, average_precision, qvhighlights
from framework.metrics.average_precision import THRESHOLDS, per_query

few = settings(deadline=None, max_examples=50)
# A coarse grid, so that moments, overlaps and scores are often equal, and moments of no length are drawn.
spans = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda pair: [2.0 * pair[0], 2.0 * sum(pair)])
scored = st.tuples(spans, st.integers(0, 3)).map(lambda pair: [*pair[0], pair[1] / 4])
query = st.tuples(st.lists(scored, max_size=13), st.lists(spans, min_size=1, max_size=4))
Lists = dict[int | str, Any]
Moments = list[list[float]]


def apart(queries: list[tuple[Moments, Moments]]) -> tuple[Lists, Lists]:
    """Predictions and truths."""
    return {at: found for at, (found, _) in enumerate(queries)}, {at: truth for at, (_, truth) in enumerate(queries)}


@few
@given(st.lists(query, min_size=1, max_size=4), st.sampled_from([None, 1, 10]))
def test_average_precision_is_what_its_definition_gives(
    by_loop: ModuleType, queries: list[tuple[Moments, Moments]], first: int | None
) -> None:
    sides = apart(queries)
    found = per_query(*sides, m=(0.3, *THRESHOLDS, 1.0), first=first)
    for m in (0.3, *THRESHOLDS, 1.0):
        wanted = [by_loop.average_precision(*each, m, first) for each in queries]
        np.testing.assert_allclose(found[f"AP@{m:g}"], wanted, atol=1e-12)
    assert average_precision(*sides, m=(0.3, *THRESHOLDS, 1.0), first=first) == {
        name: 100 * value.mean() for name, value in found.items()
    }


@few
@given(st.lists(query, min_size=1, max_size=4))
def test_the_first_ten_at_ten_thresholds_are_the_map_of_qvhighlights(queries: list[tuple[Moments, Moments]]) -> None:
    sides = apart(queries)
    assert average_precision(*sides, first=10)["AP"] == qvhighlights(*sides)["mAP"]


def test_hits_at_ranks_one_and_three_of_two_truths() -> None:
    """Precision 1 up to recall 1/2, then 2/3; the second moment finds what is found already."""
    twice: Moments = [[0.0, 10.0, 0.9], [0.0, 10.0, 0.8], [40.0, 50.0, 0.7]]
    found = average_precision({1: twice}, {1: [[0.0, 10.0], [40.0, 50.0]]}, m=(0.5,))
    assert found["AP"] == pytest.approx(100 * (1 / 2 + 2 / 3 / 2))


def test_of_equal_scores_the_one_listed_first_comes_first() -> None:
    truths: Lists = {1: [[0.0, 10.0]]}
    assert average_precision({1: [[20.0, 30.0, 0.5], [0.0, 10.0, 0.5]]}, truths)["AP"] == 50
    assert average_precision({1: [[0.0, 10.0, 0.5], [20.0, 30.0, 0.5]]}, truths)["AP"] == 100


def test_the_part_reads_every_option_and_says_so() -> None:
    sides: tuple[Lists, Lists] = {1: [[0.0, 6.0, 0.1], [0.0, 10.0, 0.9]]}, {1: [[0.0, 10.0]]}
    assert AveragePrecision(AveragePrecisionOptions())(*sides)["AP"] == 100
    metric = AveragePrecision(AveragePrecisionOptions(m=(0.6, 0.8), first=1))
    assert metric(*sides) == {"AP@0.6": 100, "AP@0.8": 0, "AP": 50}
    assert "first 1 moments" in metric.rule
    assert "m = 0.6, 0.8" in metric.rule
    assert "all moments" in AveragePrecision(AveragePrecisionOptions()).rule


@pytest.mark.parametrize(("name", "value"), [("m", (0.5, 0.0)), ("m", ()), ("first", 0)])
def test_values_out_of_range_break_a_stated_rule(name: str, value: Any) -> None:
    assert "must" in attrs.fields_dict(AveragePrecisionOptions)[name].metadata["rule"](value)
