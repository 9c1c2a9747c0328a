"""Scoring rules of the field, one a file: a pure function and the ``Metric`` that makes it a part.

A new rule (QVHighlights, DiDeMo, ...) is a file beside ``rank`` and a line in ``PARTS``.
"""

from framework.core.part import Part
from framework.metrics.metric import Metric, MomentLists
from framework.metrics.rank import Rank, RankOptions, per_query, rank

PARTS = (Part("metric", "rank", Rank, RankOptions),)

__all__ = ["PARTS", "Metric", "MomentLists", "Rank", "RankOptions", "per_query", "rank"]
