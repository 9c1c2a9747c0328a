"""Highlight detection as QVHighlights scores it: mean average precision and Hit@1 of the scores of clips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from framework.errors import DataError
from framework.metrics.lists import Bools, Floats, check_ids, percent
from framework.metrics.metric import MomentLists, ScoreLists

LEVELS: Final[Mapping[str, int]] = {"Fair": 2, "Good": 3, "VeryGood": 4}
"""The rating from which a clip is a highlight; QVHighlights' ratings are 0 to 4, and VeryGood is its headline."""


def highlights(scores: ScoreLists, ratings: MomentLists) -> dict[str, float]:
    """Percent, as ``{"HL-Fair-mAP": ..., "HL-Fair-Hit1": ...}``; averages of ``per_query``, raises as it."""
    return percent(per_query(scores, ratings))


def per_query(scores: ScoreLists, ratings: MomentLists) -> dict[str, Floats]:
    """Score each query: (Q,) by name, in the order of ``ratings``; a level is one of ``LEVELS``.

    "HL-level-mAP": mean over its annotators of the average precision of ``by_annotator``. "HL-level-Hit1": 1 where the
    clip with the highest score, the first of equal ones, is a highlight to any annotator; beyond the rated clips it is
    a miss. Raises what ``by_annotator`` raises.
    """
    given, rated = _sides(scores, ratings)
    precisions = _by_annotator(given, rated)
    best = [int(own.argmax()) for own in given]
    highest = np.array([table[at].max() if at < len(table) else 0 for table, at in zip(rated, best, strict=True)])
    values = {}
    for level, low in LEVELS.items():
        values[f"HL-{level}-mAP"] = np.nanmean(precisions[level], axis=1)
        values[f"HL-{level}-Hit1"] = (highest >= low).astype(np.float64)
    return values


def by_annotator(scores: ScoreLists, ratings: MomentLists) -> dict[str, Floats]:
    """Average precision of each query to each annotator, (Q, annotators) by level, NaN where a query has fewer.

    A query's list of scores is cut to its rated clips, or filled up with zeros: it may be off by a clip or two.
    Raises DataError, naming the query, where the ids of both sides differ, a list is empty, a number is not finite, or
    ratings are no table of (clips, annotators).
    """
    return _by_annotator(*_sides(scores, ratings))


def average_precisions(scores: Floats, positive: Bools) -> Floats:
    """Average precision of each query in each of A ways to call its clips positive, (Q, A).

    scores: (Q, clips), -inf where there is no clip. positive: (Q, A, clips). Clips of equal score are one point of the
    precision-recall curve. The value is the mean, over the points at which recall grows, of the highest precision at
    that recall or more: the official evaluator's, in which each such point weighs alike however much recall it adds.
    Without a positive clip it is 0, where only positive ones are there 1.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    # The last of each run of equal scores; with one more -inf behind, as the last clip of all ends its run too.
    ends = ranked > np.pad(ranked[:, 1:], ((0, 0), (0, 1)), constant_values=-np.inf)
    found = np.take_along_axis(positive, order[:, None], axis=2).cumsum(axis=2)
    precision = np.where(ends[:, None], found / np.arange(1, scores.shape[1] + 1), 0)
    highest = np.maximum.accumulate(precision[..., ::-1], axis=2)[..., ::-1]
    grows = np.diff(np.maximum.accumulate(found * ends[:, None], axis=2), axis=2, prepend=0) > 0
    mean: Floats = (highest * grows).sum(axis=2) / grows.sum(axis=2).clip(min=1)
    return mean


def _by_annotator(given: list[NDArray[Any]], rated: list[NDArray[Any]]) -> dict[str, Floats]:
    clips, people = np.max([table.shape for table in rated], axis=0)
    score = np.full((len(rated), clips), -np.inf)
    rating = np.full((len(rated), people, clips), np.nan)
    for at, (own, table) in enumerate(zip(given, rated, strict=True)):
        score[at, : len(table)] = 0
        score[at, : min(len(own), len(table))] = own[: len(table)]
        rating[at, : table.shape[1], : table.shape[0]] = table.T
    asked = ~np.isnan(rating[..., 0])
    positive = np.concatenate([rating >= low for low in LEVELS.values()], axis=1)
    precisions = np.split(average_precisions(score, positive), len(LEVELS), axis=1)
    return {level: np.where(asked, each, np.nan) for level, each in zip(LEVELS, precisions, strict=True)}


def _sides(scores: ScoreLists, ratings: MomentLists) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Both sides query by query, checked."""
    check_ids(scores, ratings, "scores", "ratings", "leave them out of the ratings")
    given = [_numbers("scores", query, scores[query], 1) for query in ratings]
    return given, [_numbers("ratings", query, table, 2) for query, table in ratings.items()]


def _numbers(side: str, query: int | str, values: ArrayLike, dimensions: int) -> NDArray[Any]:
    """The numbers of one query; raises DataError for anything else."""
    form = {1: "(n,), a number a clip", 2: "(clips, annotators)"}[dimensions]
    try:
        table = np.asarray(values)
    except (TypeError, ValueError):
        table = np.array(None)
    if table.dtype.kind not in "iuf" or table.ndim != dimensions or table.size == 0:
        raise DataError(f"{side} of query {query!r}: must be {form}, and not empty; got shape {table.shape}")
    if not np.isfinite(table).all():
        at = int(np.isfinite(table).reshape(len(table), -1).all(axis=1).argmin())
        raise DataError(f"{side} of query {query!r}: clip {at} has {table[at].tolist()}; must be finite")
    return table
