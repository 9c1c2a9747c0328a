"""Recall: how many of a query's ground-truth moments its first moments find."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from framework.core.options import at_least, every, option
from framework.metrics.lists import Floats, overlaps, percent, tables
from framework.metrics.metric import Metric, MomentLists
from framework.metrics.rank import share


def recall(
    predictions: MomentLists, truths: MomentLists, n: Sequence[int] = (1, 5), m: Sequence[float] = (0.5, 0.7)
) -> dict[str, float]:
    """Percent, as ``{"Recall1@0.5": ...}``; averages of ``per_query``, raises as it."""
    return percent(per_query(predictions, truths, n, m))


def per_query(
    predictions: MomentLists, truths: MomentLists, n: Sequence[int] = (1, 5), m: Sequence[float] = (0.5, 0.7)
) -> dict[str, Floats]:
    """Score each query: (Q,) by name, in the order of ``truths``.

    "Recalln@m": share of the query's ground-truth moments that any of the first n moments, as listed, overlaps by
    IoU >= m. One moment may find several: what is measured is what the proposals cover, and a matching would make the
    number depend on their order. With one ground truth a query it equals ``rank_ge``.
    Raises DataError where the ids of both sides differ or a moment is malformed.
    """
    found, truth = tables(predictions, truths)
    spans, mask = truth.padded()
    ious = overlaps(*found.first(max(n)).padded(), spans, mask)
    best = {count: ious[:, :count].max(axis=1) for count in n}
    return {
        _name(count, threshold): (best[count] >= threshold).sum(axis=1) / mask.sum(axis=1)
        for count in n
        for threshold in m
    }


def _name(n: int, m: float) -> str:
    return f"Recall{n}@{m:.12g}"


@attrs.frozen
class RecallOptions:
    """Recall of ground-truth moments."""

    n: tuple[int, ...] = option((1, 5), doc="how many of the first moments may find", rule=every(at_least(1)))
    m: tuple[float, ...] = option((0.5, 0.7), doc="IoU thresholds", rule=every(share))


class Recall(Metric):
    """Share of a query's ground-truth moments that its first n moments find at IoU >= m; mean over queries."""

    rule = (
        "Recall n@m: share of a query's ground-truth moments with IoU >= m with any of the first n moments, one of "
        "which may find several; mean over queries"
    )

    def __init__(self, options: RecallOptions) -> None:
        self.options = options
        self.names = tuple(dict.fromkeys(_name(n, m) for n in options.n for m in options.m))
        self.primary, self.depth = self.names[0], max(options.n)

    def __call__(self, predictions: MomentLists, truths: MomentLists) -> dict[str, float]:
        return recall(predictions, truths, self.options.n, self.options.m)

    def per_query(self, predictions: MomentLists, truths: MomentLists) -> dict[str, Floats]:
        return per_query(predictions, truths, self.options.n, self.options.m)
