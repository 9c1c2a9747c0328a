"""Average precision of each query's ranked moments, and its mean over queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np

from framework.core.options import at_least, every, option
from framework.metrics.lists import Bools, Floats, overlaps_by_length, percent, tables
from framework.metrics.metric import Metric, MomentLists
from framework.metrics.rank import share

THRESHOLDS: Final = tuple(percent / 100 for percent in range(50, 100, 5))
"""0.50, 0.55, ..., 0.95."""


def average_precision(
    predictions: MomentLists, truths: MomentLists, m: Sequence[float] = THRESHOLDS, first: int | None = None
) -> dict[str, float]:
    """Percent, as ``{"AP@0.5": ..., ..., "AP": ...}``; averages of ``per_query``, raises as it."""
    return percent(per_query(predictions, truths, m, first))


def per_query(
    predictions: MomentLists, truths: MomentLists, m: Sequence[float] = THRESHOLDS, first: int | None = None
) -> dict[str, Floats]:
    """Score each query: (Q,) by name, in the order of ``truths``.

    "AP@m": the moments of one query, at IoU m, see ``areas``; nothing is pooled over queries. "AP": its mean over all
    m. first: only so many count, the first as listed; None: all. They are sorted by score, equal ones in their order.
    A query with an empty list scores 0. Raises DataError where the ids of both sides differ or a moment is malformed.
    """
    found, truth = tables(predictions, truths)
    moments, found_mask = found.first(first).by_score().padded()
    spans, mask = truth.padded()
    of_queries = areas(overlaps_by_length(moments, found_mask, spans, mask), mask, m)
    return {f"AP@{each:.12g}": of_queries[:, at] for at, each in enumerate(m)} | {"AP": of_queries.mean(axis=1)}


def areas(ious: Floats, truth_mask: Bools, m: Sequence[float]) -> Floats:
    """Average precision of each query at each IoU, (Q, len(m)).

    ious: (Q, P, G) of each moment, best score first, with each ground truth, -1 where either is not real. One moment
    after the other takes the ground truth that it overlaps most among those still free and that it overlaps by m or
    more, or is a false positive. The value is the area under the precision-recall curve, where the precision at a
    recall is the highest one at that recall or more (PASCAL VOC 2011). Each query needs a ground truth in its mask.
    """
    hits = _hits(np.where(truth_mask[:, None], ious, -1.0), m)
    precision = hits.cumsum(axis=-1) / np.arange(1, hits.shape[-1] + 1)
    highest = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    # Each hit raises recall by 1 / ground truths; positions behind the end of a list are no hits.
    area: Floats = (hits * highest).sum(axis=-1) / truth_mask.sum(axis=1)[:, None]
    return area


def _hits(ious: Floats, m: Sequence[float]) -> Bools:
    """Whether each ranked moment finds a free ground truth at each threshold, (Q, len(m), P)."""
    # Backwards, as of two that a moment overlaps alike the official evaluator of QVHighlights takes the later one.
    backwards, thresholds = ious[:, None, :, ::-1], np.array(m)
    free = np.ones((len(ious), len(thresholds), ious.shape[2]), dtype=bool)
    hits = np.zeros((len(ious), len(thresholds), ious.shape[1]), dtype=bool)
    for place in range(ious.shape[1]):
        left = np.where(free, backwards[:, :, place], -1.0)
        taken = left.argmax(axis=-1)[..., None]
        hit = np.take_along_axis(left, taken, axis=-1) >= thresholds[:, None]
        np.put_along_axis(free, taken, np.take_along_axis(free, taken, axis=-1) & ~hit, axis=-1)
        hits[..., place] = hit[..., 0]
    return hits


@attrs.frozen
class AveragePrecisionOptions:
    """Average precision."""

    m: tuple[float, ...] = option(THRESHOLDS, doc="IoU thresholds", rule=every(share))
    first: int | None = option(None, doc="how many moments of a query count; none: all", rule=at_least(1))


class AveragePrecision(Metric):
    """Average precision of each query's moments at IoU m, each ground truth found once; mean over queries."""

    primary = "AP"

    def __init__(self, options: AveragePrecisionOptions) -> None:
        self.options, self.depth = options, options.first or 1
        self.names = (*dict.fromkeys(f"AP@{m:.12g}" for m in options.m), "AP")
        which = "all" if options.first is None else f"the first {options.first}"
        self.rule = (
            f"AP@m: average precision of {which} moments of a query, best score first, at IoU >= m, each ground truth "
            f"found once; AP: its mean over m = {', '.join(f'{m:g}' for m in options.m)}; means over queries"
        )

    def __call__(self, predictions: MomentLists, truths: MomentLists) -> dict[str, float]:
        return average_precision(predictions, truths, self.options.m, self.options.first)

    def per_query(self, predictions: MomentLists, truths: MomentLists) -> dict[str, Floats]:
        return per_query(predictions, truths, self.options.m, self.options.first)
