"""The metrics file of QVHighlights' official evaluator, to compare with the files that peers publish."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.errors import DataError
from framework.metrics.average_precision import THRESHOLDS
from framework.metrics.highlights import LEVELS, highlights
from framework.metrics.lists import Floats
from framework.metrics.metric import MomentLists, ScoreLists
from framework.metrics.qvhighlights import LENGTHS, MAP, R1, Scores, by_length


def official(
    predictions: MomentLists,
    truths: MomentLists,
    scores: ScoreLists | None = None,
    ratings: MomentLists | None = None,
) -> dict[str, dict[str, Any]]:
    """Everything that the official evaluator writes, under its names: percent, rounded to two decimals.

    scores, ratings: those of the clips, see ``highlights``; without them the file has no highlight part, as there.
    Raises DataError for what ``by_length`` or ``highlights`` refuses, and where one of scores and ratings is missing.
    """
    if (scores is None) != (ratings is None):
        lacking = "scores" if scores is None else "ratings"
        raise DataError(f"highlights need scores and ratings; there are no {lacking}. Give both, or neither.")
    by_range = by_length(predictions, truths, LENGTHS)
    moments = {name: _moments(of_range) for name, of_range in by_range.items()}
    brief = {f"MR-full-R1@{m:g}": moments["full"]["MR-R1"][f"{m:g}"] for m in R1}
    brief["MR-full-mAP"] = moments["full"]["MR-mAP"]["average"]
    brief |= {f"MR-full-mAP@{m:g}": moments["full"]["MR-mAP"][f"{m:g}"] for m in MAP}
    brief |= {f"MR-{name}-mAP": moments[name]["MR-mAP"]["average"] for name in sorted(LENGTHS)}
    clips: dict[str, dict[str, Any]] = {}
    if scores is not None and ratings is not None:
        found = highlights(scores, ratings)
        for level in LEVELS:
            clips[f"HL-min-{level}"] = {f"HL-{name}": _rounded(found[f"HL-{level}-{name}"]) for name in ("mAP", "Hit1")}
        brief |= {f"{level}-{name[3:]}": value for level, part in clips.items() for name, value in part.items()}
    return {"brief": brief, **clips, **{name: moments[name] for name in sorted(moments)}}


def _moments(scores: Scores) -> dict[str, dict[str, float]]:
    precision = _by_threshold(scores.precision) | {"average": _rounded(100 * scores.precision.mean())}
    return {"MR-mAP": precision, "MR-R1": _by_threshold(scores.hit.astype(np.float64))}


def _by_threshold(values: Floats) -> dict[str, float]:
    return {f"{m:g}": _rounded(100 * mean) for m, mean in zip(THRESHOLDS, values.mean(axis=0), strict=True)}


def _rounded(value: float) -> float:
    return round(float(value), 2)
