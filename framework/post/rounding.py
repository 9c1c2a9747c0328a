"""Rounding of candidates to multiples of a length, before they are selected."""

from __future__ import annotations

import math
from typing import Any

import attrs

from framework.core.options import option
from framework.core.structures import Candidates


def _grid(value: float) -> str | None:
    return None if value == 0 or 0.001 <= value < math.inf else "must be 0, or a finite number of 0.001 or more"


def rounding() -> Any:
    """Declare ``round_s``, an option of every part that selects."""
    return option(
        0.0,
        doc="seconds that starts and ends are rounded to multiples of, as Moment-DETR's submissions are; 0 leaves them",
        rule=_grid,
    )


def rounded(candidates: Candidates, round_s: float) -> Candidates:
    """Candidates (R, n) whose starts and ends are the nearest multiples of ``round_s`` seconds, half to even.

    Lei et al. 2021 (QVHighlights) annotate clips of 2 seconds; their submissions are rounded to those. A multiple may
    lie beyond the end of the video, and two ends may meet: the engine clips, and a span of no length scores 0.
    """
    if not round_s:
        return candidates
    start, end = ((seconds / round_s).round() * round_s for seconds in (candidates.start, candidates.end))
    return attrs.evolve(candidates, start=start, end=end)


def stated(round_s: float) -> str:
    """The beginning of a part's rule: what is done to starts and ends first."""
    return f"starts and ends rounded to multiples of {round_s:g} s; " if round_s else ""
