"""The two geometries that targets share: the pyramid of IoU maps, and the set of spans, which is a part itself."""

from __future__ import annotations

from typing import Final

from framework.core.part import Part
from framework.targets import papers
from framework.targets.map_pyramid import MapPyramid, map_rows
from framework.targets.matching import match
from framework.targets.saliency import (
    Mismatch,
    clip_scores,
    clips_inside,
    contrast,
    extremes,
    hinge,
    mismatched,
    real_clips,
    saliency_hinge,
)
from framework.targets.set_loss import truths
from framework.targets.spans import Spans, SpansOptions

PARTS: Final = (Part("target", "spans", Spans, SpansOptions, papers.SPANS),)

__all__ = [
    "PARTS",
    "MapPyramid",
    "Mismatch",
    "Spans",
    "SpansOptions",
    "clip_scores",
    "clips_inside",
    "contrast",
    "extremes",
    "hinge",
    "map_rows",
    "match",
    "mismatched",
    "real_clips",
    "saliency_hinge",
    "truths",
]
