"""Scoring rules of the field, one a file: a pure function and the ``Metric`` that makes it a part.

Every function takes the moments of all queries and gives percent by name. A new rule is a file beside ``rank`` and a
line in ``PARTS``; ``lists`` has the checks and the tables that all of them share.
"""

from framework.core.part import Part
from framework.metrics.average_precision import AveragePrecision, AveragePrecisionOptions, average_precision
from framework.metrics.didemo import Didemo, DidemoOptions, didemo
from framework.metrics.highlights import highlights
from framework.metrics.mean_iou import MeanIou, MeanIouOptions, mean_iou
from framework.metrics.metric import Metric, MomentLists, ScoreLists
from framework.metrics.official import official
from framework.metrics.papers import DIDEMO
from framework.metrics.qvhighlights import QVHighlights, QVHighlightsOptions, qvhighlights
from framework.metrics.rank import Rank, RankGe, RankOptions, rank
from framework.metrics.recall import Recall, RecallOptions, recall
from framework.targets.papers import MOMENT_DETR

PARTS = (
    Part("metric", "rank", Rank, RankOptions),
    Part("metric", "rank_ge", RankGe, RankOptions),
    Part("metric", "qvhighlights", QVHighlights, QVHighlightsOptions, (MOMENT_DETR,)),
    Part("metric", "didemo", Didemo, DidemoOptions, (DIDEMO,)),
    Part("metric", "mean_iou", MeanIou, MeanIouOptions),
    Part("metric", "average_precision", AveragePrecision, AveragePrecisionOptions),
    Part("metric", "recall", Recall, RecallOptions),
)

__all__ = [
    "PARTS",
    "AveragePrecision",
    "AveragePrecisionOptions",
    "Didemo",
    "DidemoOptions",
    "MeanIou",
    "MeanIouOptions",
    "Metric",
    "MomentLists",
    "QVHighlights",
    "QVHighlightsOptions",
    "Rank",
    "RankGe",
    "RankOptions",
    "Recall",
    "RecallOptions",
    "ScoreLists",
    "average_precision",
    "didemo",
    "highlights",
    "mean_iou",
    "official",
    "qvhighlights",
    "rank",
    "recall",
]
