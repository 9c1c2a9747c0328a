from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.metrics import MeanIou, MeanIouOptions, mean_iou, rank

spans = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda pair: [float(pair[0]), float(sum(pair))])
query = st.tuples(st.lists(spans, max_size=7), st.lists(spans, min_size=1, max_size=3))
Lists = dict[int | str, Any]
Moments = list[list[float]]


def apart(queries: list[tuple[Moments, Moments]]) -> tuple[Lists, Lists]:
    """Predictions and truths."""
    return {at: found for at, (found, _) in enumerate(queries)}, {at: truth for at, (_, truth) in enumerate(queries)}


@settings(deadline=None, max_examples=40)
@given(st.lists(query, min_size=1, max_size=5), st.integers(1, 8))
def test_it_is_the_best_of_the_first_n_and_the_best_of_one_is_that_of_rank(
    by_loop: ModuleType, queries: list[tuple[Moments, Moments]], n: int
) -> None:
    sides = apart(queries)
    best = [
        max((by_loop.overlap(moment, truth) for moment in found[:n] for truth in truths), default=0.0)
        for found, truths in queries
    ]
    (value,) = mean_iou(*sides, n=n).values()
    assert value == pytest.approx(100 * sum(best) / len(best))
    assert mean_iou(*sides) == {"mIoU": rank(*sides)["mIoU"]}


def test_the_part_names_what_the_best_is_taken_of() -> None:
    sides: tuple[Lists, Lists] = {1: [[0.0, 2.0], [0.0, 6.0], [0.0, 10.0]]}, {1: [[0.0, 10.0]]}
    one, two = MeanIou(MeanIouOptions()), MeanIou(MeanIouOptions(n=2))
    assert (one(*sides), two(*sides)) == ({"mIoU": 20}, {"mIoU-best2": 60})
    assert (one.primary, two.primary) == ("mIoU", "mIoU-best2")
    assert "IoU of the first moment, as listed" in one.rule
    assert "best of the first 2 moments" in two.rule
