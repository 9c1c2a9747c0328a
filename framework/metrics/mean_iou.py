"""Mean IoU of the best of each query's first moments."""

from __future__ import annotations

import attrs

from framework.core.options import at_least, option
from framework.metrics.lists import Floats, overlaps, percent, tables
from framework.metrics.metric import Metric, MomentLists


def mean_iou(predictions: MomentLists, truths: MomentLists, n: int = 1) -> dict[str, float]:
    """Percent, as ``{"mIoU": ...}``; the average of ``per_query``, raises as it."""
    return percent(per_query(predictions, truths, n))


def per_query(predictions: MomentLists, truths: MomentLists, n: int = 1) -> dict[str, Floats]:
    """Score each query: (Q,) by name, in the order of ``truths``.

    The highest IoU of any of the first n moments, as listed, with any ground truth; 0 where the list is empty. "mIoU"
    for the first moment alone, "mIoU-best5" for the best of five: peers give both under the one name.
    Raises DataError where the ids of both sides differ or a moment is malformed.
    """
    found, truth = tables(predictions, truths)
    return {_name(n): overlaps(*found.first(n).padded(), *truth.padded()).max(axis=(1, 2)).clip(min=0)}


def _name(n: int) -> str:
    return "mIoU" if n == 1 else f"mIoU-best{n}"


@attrs.frozen
class MeanIouOptions:
    """Mean IoU."""

    n: int = option(1, doc="how many of the first moments the best is taken of", rule=at_least(1))


class MeanIou(Metric):
    """Mean over queries of the IoU of the first moment, or the best of n, with its best ground truth."""

    def __init__(self, options: MeanIouOptions) -> None:
        self.options = options
        self.primary = _name(options.n)
        self.names, self.depth = (self.primary,), options.n
        which = "the first moment" if options.n == 1 else f"the best of the first {options.n} moments"
        self.rule = f"{self.primary}: IoU of {which}, as listed, with its best ground truth; mean over queries"

    def __call__(self, predictions: MomentLists, truths: MomentLists) -> dict[str, float]:
        return mean_iou(predictions, truths, self.options.n)

    def per_query(self, predictions: MomentLists, truths: MomentLists) -> dict[str, Floats]:
        return per_query(predictions, truths, self.options.n)
