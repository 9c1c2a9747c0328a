"""Scoring rules of the field, one a file: a pure function and the ``Metric`` that makes it a part.

A new rule (DiDeMo, ...) is a file beside ``rank`` and a line in ``PARTS``.
"""

from framework.core.part import Part
from framework.metrics.metric import Metric, MomentLists
from framework.metrics.qvhighlights import QVHIGHLIGHTS, QVHighlights, QVHighlightsOptions, qvhighlights
from framework.metrics.rank import Rank, RankOptions, per_query, rank

PARTS = (
    Part("metric", "rank", Rank, RankOptions),
    Part("metric", "qvhighlights", QVHighlights, QVHighlightsOptions, (QVHIGHLIGHTS,)),
)

__all__ = [
    "PARTS",
    "QVHIGHLIGHTS",
    "Metric",
    "MomentLists",
    "QVHighlights",
    "QVHighlightsOptions",
    "Rank",
    "RankOptions",
    "per_query",
    "qvhighlights",
    "rank",
]
