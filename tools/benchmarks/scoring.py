"""Scoring all queries at once, against query by query, at the sizes of the field's evaluation sets.

The loop is this project's own: the times of the field's programs, which read and check files too, are not in the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from torch import Tensor, float64, tensor

from benchmarks import scoring_by_loop as by_loop
from benchmarks.pair import Pair
from framework import metrics

Lists = dict[int | str, list[list[float]]]
RANKED: Final = {"as listed": None, "after NMS 0.49": 0.49}


def scoring(queries: int = 1550, sentences: int = 3720) -> list[Pair]:
    """Numbers of invented predictions: QVHighlights' validation split, and Charades-STA's test split."""
    source = np.random.default_rng(0)
    truths = _truths(source, queries)
    predictions = _near(source, truths, 10)
    scores: dict[int | str, list[float]] = {query: source.normal(size=75).tolist() for query in truths}
    ratings: dict[int | str, list[list[int]]] = {query: source.integers(0, 5, (75, 3)).tolist() for query in truths}
    ones = {query: moments[:1] for query, moments in _truths(source, sentences).items()}
    fives = _near(source, ones, 5)
    return [
        Pair(
            f"QVHighlights, {queries} queries x 10 moments, all lengths and thresholds, against our own loop",
            lambda: _tensors(by_loop.qvhighlights(predictions, truths)),
            lambda: _tensors(metrics.qvhighlights(predictions, truths, lengths=True, all_thresholds=True)),
        ),
        Pair(
            f"QVHighlights, {queries} queries x 75 clips x 3 annotators, against our own loop",
            lambda: _tensors(by_loop.highlights(scores, ratings)),
            lambda: _tensors(metrics.highlights(scores, ratings)),
        ),
        *(
            _rank(f"Rank n@m, {sentences} queries x 5 moments, {name}, against our own loop", fives, ones, nms)
            for name, nms in RANKED.items()
        ),
    ]


def _rank(case: str, predictions: Lists, truths: Lists, nms: float | None) -> Pair:
    def run(rule: Callable[..., dict[str, float]]) -> dict[str, Tensor]:
        return _tensors(rule(predictions, truths, nms=nms))

    return Pair(case, lambda: run(by_loop.rank), lambda: run(metrics.rank))


def _tensors(numbers: dict[str, float]) -> dict[str, Tensor]:
    return {name: tensor(value, dtype=float64) for name, value in numbers.items()}


def _truths(source: np.random.Generator, queries: int) -> Lists:
    """One to four moments a query, of all lengths."""
    starts = [source.integers(0, 60, source.integers(1, 5)) for _ in range(queries)]
    return {
        query: [[2.0 * start, 2.0 * (start + int(source.integers(1, 75 - start)))] for start in own.tolist()]
        for query, own in enumerate(starts)
    }


def _near(source: np.random.Generator, truths: Lists, count: int) -> Lists:
    """Scored moments near the ground truth, best first."""
    found: Lists = {}
    for query, moments in truths.items():
        spans = np.array(moments)[source.integers(0, len(moments), count)] + source.normal(0, 6, (count, 2))
        scores = np.sort(source.random(count))[::-1]
        found[query] = np.column_stack([np.sort(spans.clip(0, 150), axis=1), scores]).tolist()
    return found
