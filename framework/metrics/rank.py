"""Rank n@m and mIoU, the rule of Charades-STA, TACoS and ActivityNet Captions."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import attrs
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from framework.core.options import at_least, every, option
from framework.errors import DataError
from framework.metrics.metric import Metric, MomentLists
from framework.moments.iou import iou


def rank(
    predictions: MomentLists,
    truths: MomentLists,
    n: Sequence[int] = (1, 5),
    m: Sequence[float] = (0.5, 0.7),
    strict: bool = True,
) -> dict[str, float]:
    """Percent of queries with a hit, as ``{"R1@0.5": ..., "mIoU": ...}``; averages of ``per_query``, raises as it."""
    values = per_query(predictions, truths, n, m, strict)
    return {name: 100 * float(value.mean()) for name, value in values.items()}


def per_query(
    predictions: MomentLists,
    truths: MomentLists,
    n: Sequence[int] = (1, 5),
    m: Sequence[float] = (0.5, 0.7),
    strict: bool = True,
) -> dict[str, NDArray[np.float64]]:
    """Score each query: (Q,) float64 by name, in the order of ``truths``.

    "Rn@m" is 1 where any of the first n moments, as listed, has IoU > m with any ground truth (>= m if not
    ``strict``; 2D-TAN and MS-2D-TAN count >, the DETR family >=). "mIoU" is the IoU of the first moment with its best
    ground truth: best of n it is not, though the authors' code reads as if. A query with an empty list is a miss.
    Raises DataError where the ids of both sides differ or a moment is malformed.
    """
    ious = best_ious(predictions, truths, max(n))
    values = {}
    for count in n:
        best = ious[:, :count].max(axis=1)
        for threshold in m:
            hit = best > threshold if strict else best >= threshold
            values[_name(count, threshold)] = hit.astype(np.float64)
    return values | {"mIoU": ious[:, 0].clip(min=0)}


def _name(n: int, m: float) -> str:
    return f"R{n}@{m:g}"


def best_ious(predictions: MomentLists, truths: MomentLists, top: int) -> NDArray[np.float64]:
    """IoU (Q, top) of each of the first moments with its best ground truth; -1 where a list is shorter."""
    _check_ids(predictions, truths)
    found, found_mask = _padded("prediction", [(query, predictions[query]) for query in truths], top)
    truth, truth_mask = _padded("ground truth", list(truths.items()))
    if not truth_mask.any(axis=1).all():
        query = list(truths)[int(truth_mask.any(axis=1).argmin())]
        raise DataError(f"query {query!r} has no ground-truth moment; leave it out of the truths")
    pairs = iou(torch.from_numpy(found), torch.from_numpy(truth)).numpy()
    best: NDArray[np.float64] = np.where(truth_mask[:, None], pairs, -1.0).max(axis=2)
    return np.where(found_mask, best, -1.0)


def _share(value: float) -> str | None:
    return None if 0 < value <= 1 else "must be above 0 and at most 1"


@attrs.frozen
class RankOptions:
    """Rank n@m and mIoU."""

    n: tuple[int, ...] = option((1, 5), doc="how many of the best moments may hit", rule=every(at_least(1)))
    m: tuple[float, ...] = option((0.5, 0.7), doc="IoU thresholds", rule=every(_share))
    strict: bool = option(True, doc="true: a hit needs IoU > m, as 2D-TAN counts; false: IoU >= m, as DETR methods do")


class Rank(Metric):
    """Share of queries with a hit among the first n moments, and mean IoU of the first."""

    def __init__(self, options: RankOptions) -> None:
        self.options = options
        found = [_name(n, m) for n in options.n for m in options.m]
        self.primary, self.names = found[0], (*dict.fromkeys(found), "mIoU")
        self.rule = (
            f"Rank n@m: IoU {'>' if options.strict else '>='} m with any ground truth among the first n moments; "
            "mIoU: of the first moment with its best ground truth"
        )

    def __call__(self, predictions: MomentLists, truths: MomentLists) -> dict[str, float]:
        return rank(predictions, truths, self.options.n, self.options.m, self.options.strict)

    def per_query(self, predictions: MomentLists, truths: MomentLists) -> dict[str, NDArray[np.float64]]:
        return per_query(predictions, truths, self.options.n, self.options.m, self.options.strict)


def _check_ids(predictions: Collection[int | str], truths: Collection[int | str]) -> None:
    missing = [query for query in truths if query not in predictions]
    unknown = [query for query in predictions if query not in truths]
    if not truths:
        raise DataError("no queries to score: the ground truth is empty")
    if missing:
        raise DataError(
            f"{len(missing)} queries have no predictions, first {missing[0]!r}; give an empty list for none"
        )
    if unknown:
        raise DataError(f"{len(unknown)} predictions are of queries without ground truth, first {unknown[0]!r}")


def _padded(
    side: str, lists: Sequence[tuple[int | str, ArrayLike]], width: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The first ``width`` spans of each query (Q, width, 2), of the longest list where None, and their mask."""
    spans = [_spans(side, query, moments) for query, moments in lists]
    owner = np.repeat(np.arange(len(spans)), [len(each) for each in spans])
    flat = np.concatenate(spans)
    legal = np.isfinite(flat).all(axis=1) & (flat[:, 0] <= flat[:, 1])
    if not legal.all():
        first = int(legal.argmin())
        query = lists[owner[first]][0]
        raise DataError(f"{side} of query {query!r}: moment {flat[first].tolist()} must be finite with start <= end")
    width = max([len(each) for each in spans] + [1]) if width is None else width
    counts = np.array([min(len(each), width) for each in spans])
    mask = np.arange(width) < counts[:, None]
    padded = np.zeros((len(spans), width, 2))
    padded[mask] = np.concatenate([each[:width] for each in spans])
    return padded, mask


def _spans(side: str, query: int | str, moments: ArrayLike) -> NDArray[np.float64]:
    """Moments of one query as (k, 2); an empty list may have any shape."""
    try:
        spans = np.asarray(moments, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{side} of query {query!r}: moments must be [start, end] or [start, end, score]") from error
    if spans.size == 0:
        return np.empty((0, 2))
    if spans.ndim != 2 or spans.shape[1] not in (2, 3):
        raise DataError(
            f"{side} of query {query!r}: moments must be (k, 2) or (k, 3) of start, end, score; got shape {spans.shape}"
        )
    return spans[:, :2]
