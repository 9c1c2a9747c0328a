"""The moments of all queries in one checked table: what every rule counts in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from framework.errors import DataError
from framework.metrics.metric import MomentLists
from framework.moments.iou import iou

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@attrs.frozen(eq=False)
class Table:
    """N moments of Q queries, query after query.

    spans: (N, 2) start and end, seconds. score: (N,), 0 where a list has none. owner: (N,) number of the query.
    queries: their ids, Q of them. place: (N,) in the query's list.
    """

    spans: Floats
    score: Floats
    owner: Ints
    queries: tuple[int | str, ...]
    place: Ints = attrs.field(init=False)

    @place.default
    def _place(self) -> Ints:
        counts = np.bincount(self.owner, minlength=len(self.queries))
        place: Ints = np.arange(len(self.owner)) - (counts.cumsum() - counts)[self.owner]
        return place

    def kept(self, which: NDArray[Any]) -> Table:
        """Those moments alone; which: a mask, or numbers in rising order."""
        return Table(self.spans[which], self.score[which], self.owner[which], self.queries)

    def first(self, count: int | None) -> Table:
        """The first moments of each list; all where None."""
        return self if count is None else self.kept(self.place < count)

    def by_score(self) -> Table:
        """Each list with its best score first, equal ones in their order."""
        order = np.lexsort((-self.score, self.owner))
        return attrs.evolve(self, spans=self.spans[order], score=self.score[order])

    def padded(self) -> tuple[Floats, Bools]:
        """Spans of each query (Q, n, 2), n at least 1, and their mask (Q, n)."""
        width = int(self.place.max(initial=0)) + 1
        spans = np.zeros((len(self.queries), width, 2))
        mask = np.zeros(spans.shape[:2], dtype=bool)
        spans[self.owner, self.place] = self.spans
        mask[self.owner, self.place] = True
        return spans, mask


def tables(predictions: MomentLists, truths: MomentLists) -> tuple[Table, Table]:
    """Both sides, queries in the order of ``truths``.

    Raises DataError, naming query and remedy, where the ids of both sides differ, a query has no ground truth, a moment
    is malformed, or a prediction's score is not finite.
    """
    check_ids(predictions, truths, "predictions", "ground truth", "give an empty list for none")
    found = _table("prediction", {query: predictions[query] for query in truths})
    truth = _table("ground truth", truths)
    counts = np.bincount(truth.owner, minlength=len(truths))
    if not counts.all():
        raise DataError(
            f"query {truth.queries[counts.argmin()]!r} has no ground-truth moment; leave it out of the truths"
        )
    return found, truth


def check_ids(found: Collection[int | str], wanted: Collection[int | str], side: str, other: str, remedy: str) -> None:
    """Raise DataError unless both hold the same query ids, and some. side, other: what they hold; remedy: of a gap."""
    if not wanted:
        raise DataError(f"no queries to score: {other} of none")
    if missing := [query for query in wanted if query not in found]:
        raise DataError(f"{len(missing)} queries have no {side}, first {missing[0]!r}; {remedy}")
    if unknown := [query for query in found if query not in wanted]:
        raise DataError(f"{len(unknown)} {side} are of queries without {other}, first {unknown[0]!r}")


def overlaps(found: Floats, found_mask: Bools, truth: Floats, truth_mask: Bools) -> Floats:
    """IoU (Q, P, G) of each moment with each ground truth of its query; -1 where either is not real."""
    pairs = iou(torch.from_numpy(found), torch.from_numpy(truth)).numpy()
    return np.where(found_mask[:, :, None] & truth_mask[:, None], pairs, -1.0)


def overlaps_by_length(found: Floats, found_mask: Bools, truth: Floats, truth_mask: Bools) -> Floats:
    """``overlaps``, divided by the sum of both lengths less what they share, not by the hull.

    For spans that overlap both are the union, up to the last bit, which decides at a threshold. QVHighlights' official
    evaluator divides so for average precision, and by the hull for R1.
    """
    (start, end), (true_start, true_end) = (
        np.moveaxis(found[:, :, None], -1, 0),
        np.moveaxis(truth[:, None], -1, 0),
    )
    shared = np.maximum(np.minimum(end, true_end) - np.maximum(start, true_start), 0)
    union = (end - start) + (true_end - true_start) - shared
    pairs = shared / np.where(union > 0, union, 1)
    return np.where(found_mask[:, :, None] & truth_mask[:, None], pairs, -1.0)


def percent(values: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """Means over queries, as percent."""
    return {name: 100 * float(value.mean()) for name, value in values.items()}


def _table(side: str, lists: MomentLists) -> Table:
    columns = [_columns(side, query, moments) for query, moments in lists.items()]
    counts = np.array([len(each) for each in columns])
    flat = np.concatenate(columns).astype(np.float64)
    table = Table(flat[:, :2], flat[:, 2], np.repeat(np.arange(len(counts)), counts), tuple(lists))
    finite = np.isfinite(flat)
    sound = finite[:, :2].all(axis=1) & (flat[:, 0] <= flat[:, 1])
    for legal, rule in ((sound, "must be finite with start <= end"), (finite[:, 2], "must have a finite score")):
        if not legal.all():
            at = legal.argmin()
            query = table.queries[table.owner[at]]
            moment = np.asarray(lists[query], dtype=np.float64)[table.place[at]].tolist()
            raise DataError(f"{side} of query {query!r}: moment {moment} {rule}")
    return table


def _columns(side: str, query: int | str, moments: ArrayLike) -> NDArray[Any]:
    """Moments of one query as (k, 3), score 0 where there is none; an empty list may have any shape."""
    try:
        table = np.asarray(moments)
    except (TypeError, ValueError):
        table = np.array(None)
    if table.size == 0:
        return np.empty((0, 3))
    if table.dtype.kind not in "iuf":
        raise DataError(f"{side} of query {query!r}: moments must be [start, end] or [start, end, score], all numbers")
    if table.ndim != 2 or table.shape[1] not in (2, 3):
        raise DataError(
            f"{side} of query {query!r}: moments must be (k, 2) or (k, 3) of start, end, score; got shape {table.shape}"
        )
    if table.shape[1] == 3:
        return table
    columns = np.zeros((len(table), 3))
    columns[:, :2] = table
    return columns
