"""Scoring rules of the field, one a file: a pure function and the ``Metric`` that makes it a part.

A new rule (DiDeMo, ...) is a file beside ``rank`` and a line in ``PARTS``.
"""

from framework.core.part import Part
from framework.metrics.metric import Metric, MomentLists
from framework.metrics.qvhighlights import QVHighlights, QVHighlightsOptions, qvhighlights
from framework.metrics.rank import Rank, RankOptions, rank
from framework.targets.papers import MOMENT_DETR

PARTS = (
    Part("metric", "rank", Rank, RankOptions),
    Part("metric", "qvhighlights", QVHighlights, QVHighlightsOptions, (MOMENT_DETR,)),
)

__all__ = [
    "PARTS",
    "Metric",
    "MomentLists",
    "QVHighlights",
    "QVHighlightsOptions",
    "Rank",
    "RankOptions",
    "qvhighlights",
    "rank",
]
