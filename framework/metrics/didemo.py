"""DiDeMo's rule: ranked segments of whole chunks against those of the annotators whom they suit best."""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np

from framework.core.options import above, option
from framework.errors import DataError
from framework.metrics.lists import Bools, Floats, Table, overlaps, percent, tables
from framework.metrics.metric import Metric, MomentLists

AGREEING: Final = 3
"""Annotators of a query that count, those the ranking suits best."""

SEGMENTS: Final = 21
"""Those of six chunks, all of which are to be ranked."""

TOLERANCE_S: Final = 1e-3
"""Seconds that an annotated border may be off a chunk's."""


def didemo(predictions: MomentLists, truths: MomentLists, chunk_s: float = 5.0) -> dict[str, float]:
    """Percent, as ``{"R1": ..., "R5": ..., "mIoU": ...}``; averages of ``per_query``, raises as it."""
    return percent(per_query(predictions, truths, chunk_s))


def per_query(predictions: MomentLists, truths: MomentLists, chunk_s: float = 5.0) -> dict[str, Floats]:
    """Score each query: (Q,) by name, in the order of ``truths`` (Hendricks et al. 2017).

    truths: a moment an annotator, equal ones kept, seconds; at least three. "Rn" is 1 where the mean rank of the three
    annotators' segments that rank best is n or better. "mIoU": IoU of the first segment with each annotator's, mean of
    the three highest. A segment that is not listed is a miss, and an empty list one of everything.
    Predicted moments may be any seconds: each goes to the nearest borders of chunks, and one that would vanish to the
    chunk of its middle; to refuse them would leave the rule to methods that choose among the 21 segments, which keep
    theirs. Moments that become one segment have the rank of the first, and later ones move up.
    Raises DataError where the ids of both sides differ, a moment is malformed, a query has fewer than three annotators,
    or an annotated moment is no whole chunks.
    """
    found, truth = tables(predictions, truths)
    _check_annotators(truth, chunk_s)
    found, truth = (attrs.evolve(side, spans=_chunks(side.spans, chunk_s)) for side in (found, truth))
    segments, mask = truth.padded()
    ranks = np.where(mask, _ranks(found, segments), np.inf)
    mean_rank = np.sort(ranks, axis=1)[:, :AGREEING].mean(axis=1)
    ious = overlaps(*found.first(1).padded(), segments, mask)[:, 0].clip(min=0)
    highest = np.sort(ious, axis=1)[:, -AGREEING:].mean(axis=1)
    return {**{f"R{n}": (mean_rank <= n).astype(np.float64) for n in (1, 5)}, "mIoU": highest}


def _check_annotators(truth: Table, chunk_s: float) -> None:
    counts = np.bincount(truth.owner)
    if (few := counts < AGREEING).any():
        query, count = truth.queries[few.argmax()], counts[few.argmax()]
        raise DataError(
            f"ground truth of query {query!r}: {count} moments; DiDeMo's rule needs {AGREEING} annotators or more, "
            "a moment each, equal ones too"
        )
    borders = np.rint(truth.spans / chunk_s) * chunk_s
    whole = (np.abs(borders - truth.spans) <= TOLERANCE_S).all(axis=1) & (borders[:, 0] < borders[:, 1])
    if not whole.all():
        at = whole.argmin()
        raise DataError(
            f"ground truth of query {truth.queries[truth.owner[at]]!r}: moment {truth.spans[at].tolist()} must begin "
            f"and end at multiples of {chunk_s:g} s; give it in whole chunks, or set the rule's option chunk_s"
        )


def _chunks(spans: Floats, chunk_s: float) -> Floats:
    """First chunk and the one after the last, (N, 2), at least one chunk."""
    chunks = np.rint(spans / chunk_s)
    middle = np.floor(spans.mean(axis=1) / chunk_s)
    empty = chunks[:, 0] == chunks[:, 1]
    return np.where(empty[:, None], np.stack([middle, middle + 1], axis=1), chunks)


def _ranks(found: Table, truth: Floats) -> Floats:
    """Rank (Q, A) of each annotated segment among the different ones listed for its query; inf: not listed."""
    spans, mask = found.kept(_new(np.column_stack([found.owner, found.spans]))).padded()
    same = (spans[:, :, None] == truth[:, None]).all(axis=-1) & mask[:, :, None]
    return np.where(same.any(axis=1), same.argmax(axis=1) + 1.0, np.inf)


def _new(rows: Floats) -> Bools:
    """Whether each row (N, columns) is the first of those equal to it, (N,); as np.unique along an axis, but faster."""
    order = np.lexsort(rows.T)
    new = np.ones(len(rows), dtype=bool)
    new[order[1:]] = (np.diff(rows[order], axis=0) != 0).any(axis=1)
    return new


@attrs.frozen
class DidemoOptions:
    """The rule of DiDeMo."""

    chunk_s: float = option(5.0, doc="seconds of the chunks that segments are made of", rule=above(0))


class Didemo(Metric):
    """R1, R5 and mIoU by the three of a query's annotators whom the ranking suits best."""

    primary = "R1"
    names = ("R1", "R5", "mIoU")
    depth = SEGMENTS

    def __init__(self, options: DidemoOptions) -> None:
        self.options = options
        self.rule = (
            f"DiDeMo: moments moved to the nearest borders of {options.chunk_s:g}-s chunks, equal ones once; Rn: mean "
            f"rank of the {AGREEING} annotators' moments that rank best <= n; mIoU: of the first moment, mean of the "
            f"{AGREEING} highest over annotators"
        )

    def __call__(self, predictions: MomentLists, truths: MomentLists) -> dict[str, float]:
        return didemo(predictions, truths, self.options.chunk_s)

    def per_query(self, predictions: MomentLists, truths: MomentLists) -> dict[str, Floats]:
        return per_query(predictions, truths, self.options.chunk_s)
