from __future__ import annotations

from types import ModuleType
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.metrics import Recall, RecallOptions, rank, recall

few = settings(deadline=None, max_examples=40)
spans = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda pair: [float(pair[0]), float(sum(pair))])
query = st.tuples(st.lists(spans, max_size=7), st.lists(spans, min_size=1, max_size=4))
Lists = dict[int | str, Any]
Moments = list[list[float]]


def apart(queries: list[tuple[Moments, Moments]]) -> tuple[Lists, Lists]:
    """Predictions and truths."""
    return {at: found for at, (found, _) in enumerate(queries)}, {at: truth for at, (_, truth) in enumerate(queries)}


@few
@given(st.lists(query, min_size=1, max_size=5))
def test_it_is_the_share_of_moments_found(by_loop: ModuleType, queries: list[tuple[Moments, Moments]]) -> None:
    sides = apart(queries)
    found = recall(*sides, n=(1, 3), m=(0.25, 1.0))
    for n in (1, 3):
        for m in (0.25, 1.0):
            shares = [
                sum(any(by_loop.overlap(moment, truth) >= m for moment in moments[:n]) for truth in truths)
                / len(truths)
                for moments, truths in queries
            ]
            assert found[f"Recall{n}@{m:g}"] == pytest.approx(100 * sum(shares) / len(shares))


@few
@given(st.lists(query.map(lambda sides: (sides[0], sides[1][:1])), min_size=1, max_size=5))
def test_with_one_truth_a_query_it_is_rank_with_ge(queries: list[tuple[Moments, Moments]]) -> None:
    sides = apart(queries)
    wanted = rank(*sides, strict=False)
    assert recall(*sides) == {f"Recall{name[1:]}": value for name, value in wanted.items() if name != "mIoU"}


def test_one_moment_may_find_several() -> None:
    assert recall({1: [[0.0, 10.0]]}, {1: [[0.0, 8.0], [2.0, 10.0], [0.0, 2.0]]}, n=(1,), m=(0.7,)) == {
        "Recall1@0.7": pytest.approx(200 / 3)
    }


def test_the_part_reads_every_option() -> None:
    metric = Recall(RecallOptions(n=(2,), m=(0.2, 0.6)))
    assert metric({1: [[50.0, 60.0], [0.0, 5.0], [0.0, 10.0]]}, {1: [[0.0, 10.0]]}) == {
        "Recall2@0.2": 100,
        "Recall2@0.6": 0,
    }
    assert metric.primary == "Recall2@0.2"


@pytest.mark.parametrize(("name", "value"), [("n", (0,)), ("n", ()), ("m", (0.5, 0.0)), ("m", (1.5,)), ("m", ())])
def test_values_out_of_range_break_a_stated_rule(name: str, value: tuple[float, ...]) -> None:
    assert "must" in attrs.fields_dict(RecallOptions)[name].metadata["rule"](value)
