"""Scoring rules written query by query, threshold by threshold and moment by moment: slow, and plainly the definitions.

They are this project's own, not the field's programs; like those, they compute each overlap once for all thresholds.
Arguments and results are those of ``framework.metrics``; moments are lists of [start, end] or [start, end, score].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

Moment = Sequence[float]
Moments = Sequence[Moment]
Lists = Mapping[int | str, Moments]

THRESHOLDS = [percent / 100 for percent in range(50, 100, 5)]
LENGTHS = {"short": (0, 10), "middle": (10, 30), "long": (30, 150)}
LEVELS = {"Fair": 2, "Good": 3, "VeryGood": 4}


def overlap(a: Moment, b: Moment) -> float:
    """IoU of two moments; 0 where one has no length."""
    inter = min(a[1], b[1]) - max(a[0], b[0])
    return inter / (a[1] - a[0] + b[1] - b[0] - inter) if inter > 0 else 0.0


def suppressed(moments: Moments, threshold: float | None) -> list[Moment]:
    """The moments, best first, less those that overlap a kept one by more than the threshold."""
    kept: list[Moment] = []
    for moment in moments:
        if threshold is None or all(overlap(moment, better) <= threshold for better in kept):
            kept.append(moment)
    return kept


def rank(
    predictions: Lists,
    truths: Lists,
    n: Sequence[int] = (1, 5),
    m: Sequence[float] = (0.5, 0.7),
    strict: bool = True,
    nms: float | None = None,
) -> dict[str, float]:
    """``framework.metrics.rank``."""
    values: dict[str, list[float]] = {}
    for query, truth in truths.items():
        kept = suppressed(predictions[query], nms)
        for count in n:
            for threshold in m:
                ious = [overlap(moment, each) for moment in kept[:count] for each in truth]
                hit = any(iou > threshold if strict else iou >= threshold for iou in ious)
                values.setdefault(f"R{count}@{threshold:g}", []).append(hit)
        values.setdefault("mIoU", []).append(max([overlap(kept[0], each) for each in truth] if kept else [0.0]))
    return {name: _percent(each) for name, each in values.items()}


def average_precision(moments: Moments, truth: Moments, threshold: float, first: int | None = None) -> float:
    """Average precision of one query at one IoU, as a share."""
    return area(ranked_overlaps(moments[:first], truth), threshold)


def ranked_overlaps(moments: Moments, truth: Moments) -> list[list[float]]:
    """IoU of each moment, best first, with each of the truth."""
    ranked = sorted(moments, key=lambda moment: -sum(moment[2:]))
    return [[overlap(moment, each) for each in truth] for moment in ranked]


def area(ious: Sequence[Sequence[float]], threshold: float) -> float:
    """Average precision of one query by the overlaps of its moments."""
    taken: set[int] = set()
    curve = [(0.0, 0.0)]
    for count, own in enumerate(ious, 1):
        free = [(iou, at) for at, iou in enumerate(own) if at not in taken]
        if free and max(free)[0] >= threshold:
            taken.add(max(free)[1])
        curve.append((len(taken) / len(own), len(taken) / count))
    return sum(
        (curve[at][0] - curve[at - 1][0]) * max(precision for _, precision in curve[at:]) for at in range(1, len(curve))
    )


def qvhighlights(predictions: Lists, truths: Lists) -> dict[str, float]:
    """``framework.metrics.qvhighlights`` with all lengths and thresholds; a length that no query has is left out."""
    values: dict[str, list[float]] = {}
    for suffix, low, high in [("", -1.0, float("inf")), *((f"-{name}", *limits) for name, limits in LENGTHS.items())]:
        for query, moments in predictions.items():
            truth = [each for each in truths[query] if low < each[1] - each[0] <= high]
            if not truth:
                continue
            best = max((overlap(moment, each) for moment in moments[:1] for each in truth), default=0.0)
            ious = ranked_overlaps(moments[:10], truth)
            precisions = [area(ious, threshold) for threshold in THRESHOLDS]
            for threshold, precision in zip(THRESHOLDS, precisions, strict=True):
                values.setdefault(f"R1@{threshold:g}{suffix}", []).append(best >= threshold)
                values.setdefault(f"mAP@{threshold:g}{suffix}", []).append(precision)
            values.setdefault(f"mAP{suffix}", []).append(sum(precisions) / len(precisions))
    return {name: _percent(each) for name, each in values.items()}


def highlights(
    scores: Mapping[int | str, Sequence[float]], ratings: Mapping[int | str, Sequence[Sequence[int]]]
) -> dict[str, float]:
    """``framework.metrics.highlights``."""
    values: dict[str, list[float]] = {}
    for level, low in LEVELS.items():
        for query, table in ratings.items():
            own = [*scores[query][: len(table)], *[0.0] * (len(table) - len(scores[query]))]
            of_people = [
                clip_precision(own, [rating >= low for rating in person]) for person in zip(*table, strict=True)
            ]
            best = scores[query].index(max(scores[query]))
            values.setdefault(f"HL-{level}-mAP", []).append(sum(of_people) / len(of_people))
            values.setdefault(f"HL-{level}-Hit1", []).append(best < len(table) and max(table[best]) >= low)
    return {name: _percent(each) for name, each in values.items()}


def clip_precision(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """Mean, over the points of the curve at which recall grows, of the best precision at that recall or more."""
    clips = found = 0
    points: list[tuple[int, float]] = []
    for _, tied in groupby(sorted(zip(scores, positive, strict=True), key=lambda clip: -clip[0]), lambda clip: clip[0]):
        labels = [label for _, label in tied]
        clips, found = clips + len(labels), found + sum(labels)
        points.append((found, found / clips))
    recalls = sorted({count for count, _ in points if count})
    best = [max(precision for count, precision in points if count >= recall) for recall in recalls]
    return sum(best) / len(best) if best else 0.0


def _percent(values: Sequence[float]) -> float:
    return 100 * sum(values) / len(values)
