"""Moment retrieval as QVHighlights scores it: R1@m and mean average precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from framework.core.options import option
from framework.errors import DataError
from framework.metrics.metric import Metric, MomentLists
from framework.metrics.rank import best_ious
from framework.moments.iou import iou

FIRST: Final = 10
"""How many moments of a query count."""

THRESHOLDS: Final = tuple(percent / 100 for percent in range(50, 100, 5))
"""IoU thresholds that ``mAP`` is the mean over."""

LENGTHS: Final[Mapping[str, tuple[float, float]]] = {"short": (0, 10), "middle": (10, 30), "long": (30, 150)}
"""Ground-truth moments of a length range: longer than the first number of seconds, at most the second."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def qvhighlights(predictions: MomentLists, truths: MomentLists, lengths: bool = False) -> dict[str, float]:
    """Percent as the official evaluator gives them, unrounded: averages of ``per_query``, which raises what it raises.

    lengths: add ``mAP-short``, ``mAP-middle`` and ``mAP-long``. Each counts the ground truth of its length range alone
    and leaves out queries without any; a prediction that finds a moment of another length is a false positive there.
    Raises DataError where no query has a moment of a range.
    """
    values = per_query(predictions, truths)
    found = {name: 100 * float(value.mean()) for name, value in values.items()}
    for name, limits in LENGTHS.items() if lengths else ():
        some = _within(truths, *limits)
        if not some:
            low, high = limits
            raise DataError(
                f"mAP-{name} has no value: no ground-truth moment is longer than {low} s and at most {high} s; "
                "set the rule's option lengths = false"
            )
        found[f"mAP-{name}"] = 100 * float(average_precisions(predictions, some).mean())
    return found


def per_query(predictions: MomentLists, truths: MomentLists) -> dict[str, Floats]:
    """Score each query: (Q,) by name, in the order of ``truths``.

    "R1@m" is 1 where the moment listed first, whatever its score, has IoU >= m with any ground truth. "mAP@m" is the
    average precision at IoU m, "mAP" its mean over 0.5, 0.55, ..., 0.95. A query with an empty list scores 0 (the
    official evaluator fails at R1 and leaves it out of mAP). Moments are scored as given: rounding them to whole clips
    is a step of its own. Raises DataError where the ids of both sides differ or a moment is malformed.
    """
    best = best_ious(predictions, truths, 1)[:, 0]
    precisions = average_precisions(predictions, truths)
    recalls = {f"R1@{m:g}": (best >= m).astype(np.float64) for m in (0.5, 0.7)}
    at = {f"mAP@{m:g}": precisions[:, THRESHOLDS.index(m)] for m in (0.5, 0.75)}
    return recalls | at | {"mAP": precisions.mean(axis=1)}


def average_precisions(predictions: MomentLists, truths: MomentLists) -> Floats:
    """Average precision of each query at each of ``THRESHOLDS``, (Q, 10).

    The first ten moments as listed count, sorted by score, equal ones in their order. One after the other takes the
    ground truth that it overlaps most among those that are still free and have IoU >= m with it, or is a false
    positive. The value is the area under the precision-recall curve, where the precision at a recall is the highest
    one at that recall or more (PASCAL VOC 2011). Both sides must be what ``best_ious`` lets pass.
    """
    found, found_mask = _padded([_ranked(query, predictions[query]) for query in truths])
    truth, truth_mask = _padded([_table(moments)[:, :2] for moments in truths.values()])
    overlaps = iou(torch.from_numpy(found), torch.from_numpy(truth)).numpy()
    hits = _hits(overlaps, found_mask, truth_mask)
    precision = hits.cumsum(axis=-1) / np.arange(1, hits.shape[-1] + 1)
    highest = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    # Each hit raises recall by 1 / ground truths; positions behind the end of a list are no hits.
    area: Floats = (hits * highest).sum(axis=-1) / truth_mask.sum(axis=1)[:, None]
    return area


def _hits(overlaps: Floats, found_mask: Bools, truth_mask: Bools) -> Bools:
    """Whether each ranked moment finds a free ground truth at each threshold, (Q, 10, P); overlaps: (Q, P, G)."""
    thresholds, truths = np.array(THRESHOLDS), np.arange(overlaps.shape[2])
    free = np.repeat(truth_mask[:, None], len(thresholds), axis=1)
    hits = np.zeros((len(overlaps), len(thresholds), overlaps.shape[1]), dtype=bool)
    for place in range(overlaps.shape[1]):
        overlap = overlaps[:, place, None, :]
        legal = free & (overlap >= thresholds[:, None]) & found_mask[:, place, None, None]
        # Of two that it overlaps alike the official evaluator takes the later one.
        taken = len(truths) - 1 - np.where(legal, overlap, -1.0)[..., ::-1].argmax(axis=-1)
        hits[..., place] = legal.any(axis=-1)
        free &= ~(hits[..., place, None] & (truths == taken[..., None]))
    return hits


def _ranked(query: int | str, moments: ArrayLike) -> Floats:
    """The first moments of a query, (k, 2), best score first; without scores the order is that of the list."""
    table = _table(moments)[:FIRST]
    if table.shape[1] < 3:
        return table
    if not np.isfinite(table[:, 2]).all():
        wrong = table[int(np.isfinite(table[:, 2]).argmin())].tolist()
        raise DataError(f"prediction of query {query!r}: moment {wrong} must have a finite score")
    return table[np.argsort(-table[:, 2], kind="stable"), :2]


def _table(moments: ArrayLike) -> Floats:
    """Moments of one query as an array (k, 2 or 3); an empty list may have any shape."""
    table = np.asarray(moments, dtype=np.float64)
    return table if table.size else np.empty((0, 2))


def _padded(lists: Sequence[Floats]) -> tuple[Floats, Bools]:
    """Spans of each query (Q, n, 2), n at least 1, and their mask (Q, n)."""
    counts = np.array([len(spans) for spans in lists])
    mask = np.arange(max(int(counts.max()), 1)) < counts[:, None]
    padded = np.zeros((*mask.shape, 2))
    padded[mask] = np.concatenate(lists)
    return padded, mask


def _within(truths: MomentLists, low: float, high: float) -> dict[int | str, Floats]:
    """The ground truth of a length range, without queries that have none."""
    found = {}
    for query, moments in truths.items():
        spans = _table(moments)[:, :2]
        length = spans[:, 1] - spans[:, 0]
        if len(kept := spans[(length > low) & (length <= high)]):
            found[query] = kept
    return found


@attrs.frozen
class QVHighlightsOptions:
    """R1 and mAP of QVHighlights."""

    lengths: bool = option(
        False, doc="also give mAP over short (at most 10 s), middle (30 s) and long (150 s) ground truth"
    )


class QVHighlights(Metric):
    """R1@m and mAP by the rules of QVHighlights' official evaluator; its highlight part is not here."""

    primary = "mAP"
    rule = (
        "QVHighlights: R1@m: IoU >= m of the first moment with any ground truth; mAP@m: average precision of the "
        f"first {FIRST} moments at IoU >= m, each ground truth found once; mAP: its mean over m = 0.5:0.05:0.95"
    )

    def __init__(self, options: QVHighlightsOptions) -> None:
        self.options = options
        lengths = [f"mAP-{name}" for name in LENGTHS] if options.lengths else []
        self.names = ("R1@0.5", "R1@0.7", "mAP@0.5", "mAP@0.75", "mAP", *lengths)

    def __call__(self, predictions: MomentLists, truths: MomentLists) -> dict[str, float]:
        return qvhighlights(predictions, truths, self.options.lengths)

    def per_query(self, predictions: MomentLists, truths: MomentLists) -> dict[str, Floats]:
        return per_query(predictions, truths)
