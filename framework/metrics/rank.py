"""Rank n@m and mIoU, the rule of Charades-STA, TACoS and ActivityNet Captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs
import numpy as np
import torch

from framework.core.options import at_least, between, every, option
from framework.metrics.lists import Bools, Floats, Table, overlaps, percent, tables
from framework.metrics.metric import Metric, MomentLists
from framework.moments import nms as suppress


def rank(
    predictions: MomentLists,
    truths: MomentLists,
    n: Sequence[int] = (1, 5),
    m: Sequence[float] = (0.5, 0.7),
    strict: bool = True,
    nms: float | None = None,
) -> dict[str, float]:
    """Percent of queries with a hit, as ``{"R1@0.5": ..., "mIoU": ...}``; averages of ``per_query``, raises as it."""
    return percent(per_query(predictions, truths, n, m, strict, nms))


def per_query(
    predictions: MomentLists,
    truths: MomentLists,
    n: Sequence[int] = (1, 5),
    m: Sequence[float] = (0.5, 0.7),
    strict: bool = True,
    nms: float | None = None,
) -> dict[str, Floats]:
    """Score each query: (Q,) float64 by name, in the order of ``truths``.

    "Rn@m" is 1 where any of the first n moments, as listed, has IoU > m with any ground truth (>= m if not
    ``strict``; 2D-TAN and MS-2D-TAN count >, the DETR family >=). "mIoU" is the IoU of the first moment with its best
    ground truth: best of n it is not, though the authors' code reads as if. A query with an empty list is a miss.
    nms: drop each moment whose IoU with one listed before it, and kept, is above this; None: the lists as they are.
    Raises DataError where the ids of both sides differ or a moment is malformed.
    """
    found, truth = tables(predictions, truths)
    ious = overlaps(*_leading(found, max(n), nms), *truth.padded()).max(axis=2)
    values = {}
    for count in n:
        best = ious[:, :count].max(axis=1)
        for threshold in m:
            hit = best > threshold if strict else best >= threshold
            values[_name(count, threshold)] = hit.astype(np.float64)
    return values | {"mIoU": ious[:, 0].clip(min=0)}


def _leading(found: Table, count: int, nms: float | None) -> tuple[Floats, Bools]:
    """The first moments of each list that stay (Q, n, 2), and their mask (Q, n)."""
    if nms is None:
        return found.first(count).padded()
    spans, mask = found.padded()
    # The order of the list ranks, whatever the scores say.
    order = -torch.arange(spans.shape[1], dtype=torch.float64).expand(mask.shape)
    kept = suppress(torch.from_numpy(spans), order, nms, count, torch.from_numpy(mask)).numpy()
    return np.take_along_axis(spans, kept[..., None].clip(min=0), axis=1), kept >= 0


def _name(n: int, m: float) -> str:
    return f"R{n}@{m:.12g}"


def share(value: float) -> str | None:
    """An IoU that a moment can have to reach: above 0, at most 1."""
    return None if 0 < value <= 1 else "must be above 0 and at most 1"


@attrs.frozen
class RankOptions:
    """Rank n@m and mIoU."""

    n: tuple[int, ...] = option((1, 5), doc="how many of the best moments may hit", rule=every(at_least(1)))
    m: tuple[float, ...] = option((0.5, 0.7), doc="IoU thresholds", rule=every(share))
    nms: float | None = option(
        None,
        doc="drop moments whose IoU with one listed before is above this; none: score the lists as they are",
        rule=between(0, 1),
    )


class RankRule(Metric):
    """What both rules share. strict: whether a hit needs more than the threshold."""

    strict: ClassVar[bool]

    def __init__(self, options: RankOptions) -> None:
        self.options = options
        found = [_name(n, m) for n in options.n for m in options.m]
        self.primary, self.names, self.depth = found[0], (*dict.fromkeys(found), "mIoU"), max(options.n)
        lists = "moments as listed" if options.nms is None else f"after NMS {options.nms:g}"
        self.rule = (
            f"Rank n@m: IoU {'>' if self.strict else '>='} m with any ground truth among the first n moments, {lists}; "
            "mIoU: of the first moment with its best ground truth"
        )

    def __call__(self, predictions: MomentLists, truths: MomentLists) -> dict[str, float]:
        return percent(self.per_query(predictions, truths))

    def per_query(self, predictions: MomentLists, truths: MomentLists) -> dict[str, Floats]:
        options = self.options
        return per_query(predictions, truths, options.n, options.m, self.strict, options.nms)


class Rank(RankRule):
    """Share of queries with a hit, IoU > m, among the first n moments, and mean IoU of the first; as 2D-TAN counts."""

    strict = True


class RankGe(RankRule):
    """Share of queries with a hit, IoU >= m, among the first n moments, and mean IoU of the first; as DETR methods."""

    strict = False
