"""Moment retrieval as QVHighlights scores it: R1@m and mean average precision; the highlights are in ``highlights``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import attrs
import numpy as np

from framework.core.options import option
from framework.errors import DataError
from framework.metrics.average_precision import THRESHOLDS, areas
from framework.metrics.highlights import LEVELS, highlights
from framework.metrics.lists import Bools, Floats, overlaps, overlaps_by_length, percent, tables
from framework.metrics.metric import Metric, MomentLists, ScoreLists

FIRST: Final = 10
"""How many moments of a query count."""

LENGTHS: Final[Mapping[str, tuple[float, float]]] = {"short": (0, 10), "middle": (10, 30), "long": (30, 150)}
"""Ground-truth moments of a length range: longer than the first number of seconds, at most the second."""

R1: Final = (0.5, 0.7)
MAP: Final = (0.5, 0.75)
"""The thresholds of the headline numbers."""


def qvhighlights(
    predictions: MomentLists, truths: MomentLists, lengths: bool = False, all_thresholds: bool = False
) -> dict[str, float]:
    """Percent as the official evaluator gives them, unrounded; raises what ``by_length`` raises.

    "R1@m" and "mAP@m" at the headline thresholds, or at all ten; "mAP" is the mean over all ten.
    lengths: add "mAP-short", "mAP-middle" and "mAP-long", with ``all_thresholds`` also "R1@m-short" and so on.
    """
    found = by_length(predictions, truths, LENGTHS if lengths else ())
    values = _values(found.pop("full"), all_thresholds)
    for name, part in found.items():
        of_length = _values(part, all_thresholds)
        values |= {f"{each}-{name}": of_length[each] for each in (of_length if all_thresholds else ("mAP",))}
    return percent(values)


def per_query(predictions: MomentLists, truths: MomentLists, all_thresholds: bool = False) -> dict[str, Floats]:
    """Score each query against all of its ground truth: (Q,) by name, in the order of ``truths``; see ``by_length``."""
    return _values(by_length(predictions, truths)["full"], all_thresholds)


@attrs.frozen(eq=False)
class Scores:
    """Of some queries, at each of ``THRESHOLDS``. hit: (q, 10), of the first moment. precision: (q, 10), average."""

    hit: Bools
    precision: Floats


def by_length(predictions: MomentLists, truths: MomentLists, lengths: Iterable[str] = ()) -> dict[str, Scores]:
    """Scores of each query against all of its ground truth, "full", and against that of each length range.

    A hit: the moment listed first, whatever its score, has IoU >= m with any ground truth. Average precision: the first
    ten moments as listed count, sorted by score, see ``average_precision.areas``. A query with an empty list scores 0
    (the official evaluator fails at R1 and leaves it out of mAP). Moments are scored as given: rounding them to whole
    clips is a step of its own. A length range leaves out queries without ground truth of that length; a prediction that
    finds a moment of another length is a false positive there.
    Raises DataError where the ids of both sides differ, a moment is malformed, or no query has a moment of a range.
    """
    found, truth = tables(predictions, truths)
    spans, mask = truth.padded()
    moments, found_mask = found.first(FIRST).padded()
    first = overlaps(moments[:, :1], found_mask[:, :1], spans, mask)
    ious = overlaps_by_length(*found.first(FIRST).by_score().padded(), spans, mask)
    scores = {"full": _scores(first, ious, mask)}
    for name in lengths:
        low, high = LENGTHS[name]
        length = spans[..., 1] - spans[..., 0]
        within = mask & (length > low) & (length <= high)
        if not (some := within.any(axis=1)).any():
            raise DataError(
                f"mAP-{name} has no value: no ground-truth moment is longer than {low} s and at most {high} s; "
                "set the rule's option lengths = false"
            )
        scores[name] = _scores(first[some], ious[some], within[some])
    return scores


def _scores(first: Floats, ious: Floats, mask: Bools) -> Scores:
    best = np.where(mask, first[:, 0], -1.0).max(axis=1)
    return Scores(best[:, None] >= np.array(THRESHOLDS), areas(ious, mask, THRESHOLDS))


def _values(scores: Scores, all_thresholds: bool) -> dict[str, Floats]:
    recalls, precisions = (THRESHOLDS, THRESHOLDS) if all_thresholds else (R1, MAP)
    return {
        **{f"R1@{m:g}": scores.hit[:, THRESHOLDS.index(m)].astype(np.float64) for m in recalls},
        **{f"mAP@{m:g}": scores.precision[:, THRESHOLDS.index(m)] for m in precisions},
        "mAP": scores.precision.mean(axis=1),
    }


@attrs.frozen
class QVHighlightsOptions:
    """R1 and mAP of QVHighlights."""

    lengths: bool = option(
        False, doc="also give mAP over short (at most 10 s), middle (30 s) and long (150 s) ground truth"
    )
    all_thresholds: bool = option(
        False, doc="give R1 and mAP at each IoU from 0.5 to 0.95, with lengths for each length too: the official file"
    )


class QVHighlights(Metric):
    """R1@m, mAP and highlights by the rules of QVHighlights' official evaluator."""

    primary = "mAP"
    depth = FIRST
    rule = (
        "QVHighlights: R1@m: IoU >= m of the first moment with any ground truth; mAP@m: average precision of the "
        f"first {FIRST} moments at IoU >= m, each ground truth found once; mAP: its mean over m = 0.5:0.05:0.95; "
        "HL-x: clips rated x or better; mAP: mean over queries and annotators; Hit1: best-scored clip, any annotator"
    )
    highlight_names = tuple(f"HL-{level}-{number}" for level in LEVELS for number in ("mAP", "Hit1"))

    def __init__(self, options: QVHighlightsOptions) -> None:
        self.options = options
        thresholds = (THRESHOLDS, THRESHOLDS) if options.all_thresholds else (R1, MAP)
        numbers = [f"{name}@{m:g}" for name, each in zip(("R1", "mAP"), thresholds, strict=True) for m in each]
        numbers.append("mAP")
        of_length = numbers if options.all_thresholds else ["mAP"]
        lengths = [f"{number}-{name}" for name in LENGTHS for number in of_length] if options.lengths else []
        self.names = (*numbers, *lengths)

    def __call__(self, predictions: MomentLists, truths: MomentLists) -> dict[str, float]:
        return qvhighlights(predictions, truths, self.options.lengths, self.options.all_thresholds)

    def per_query(self, predictions: MomentLists, truths: MomentLists) -> dict[str, Floats]:
        return per_query(predictions, truths, self.options.all_thresholds)

    def highlights(self, scores: ScoreLists, ratings: MomentLists) -> dict[str, float]:
        return highlights(scores, ratings)
