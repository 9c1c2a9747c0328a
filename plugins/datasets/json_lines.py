"""Annotations of one JSON object a line, the form of QVHighlights (Lei et al. 2021) that others have taken over."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import attrs

from framework.data import whole_clips
from framework.data.dataset import Query
from framework.data.json_text import shown
from framework.errors import DataError
from plugins.datasets.annotation_files import read_text, require_name, split_lines
from plugins.datasets.json_annotations import (
    duration_of,
    is_whole,
    list_of,
    name_of,
    pair_of,
    parse_object,
    text_of,
    value_of,
)

Stretch = tuple[float, float, float]
Ratings = tuple[tuple[int, ...], ...]

MEND: Final = "Mend the line."


@attrs.frozen
class LineRules:
    """What the lines of a file must keep, beside the form.

    labelled: each query has a window. clip_s: seconds of the clips that relevant_clip_ids counts, from 0. annotators:
    how many have rated each clip; None: any number, the same for all clips of a line. highest: the best of the ratings
    0, 1, ... clipped: a window that ends after its video ends with it instead of being an error. overlong: the remedy
    of that error.
    """

    labelled: bool
    clip_s: float
    annotators: int | None
    highest: int
    clipped: bool = False
    overlong: str = MEND


def read_queries(path: Path, source: str, rules: LineRules) -> list[Query]:
    """Read a file; keys that the form does not know are left alone. Raises DataError naming file and line.

    source: where to get the file. A query's saliency is the sum of its annotators' ratings.
    """
    queries: list[Query] = []
    places: dict[str, str] = {}
    videos: dict[str, Query] = {}
    for number, line in enumerate(split_lines(read_text(path, source)), 1):
        place = f"{path}:{number}"
        query = _query(parse_object(line, path, number), place, rules)
        # Compared as text, as noise is drawn from it and predictions are joined by it.
        if str(query.id) in places:
            raise DataError(f"{place} qid = {shown(query.id)}: is that of {places[str(query.id)]} too. Renumber one.")
        known = videos.setdefault(query.video, query)
        if known.duration != query.duration:
            raise DataError(
                f"{place} duration = {query.duration:.10g}: the same video lasts {known.duration:.10g} s at "
                f"{known.place}. One video has one length: mend one of the lines."
            )
        places[str(query.id)] = place
        queries.append(query)
    if not queries:
        raise DataError(f"{path}: no query in this split. Is the file complete?")
    return queries


def _query(record: dict[str, Any], place: str, rules: LineRules) -> Query:
    qid = value_of(record, "qid", place)
    if not (is_whole(qid) or isinstance(qid, str)) or qid == "":
        raise DataError(f"{place} qid = {shown(qid)}: must be a whole number or a text. {MEND}")
    require_name(str(qid), f"{place} qid")
    text = text_of(value_of(record, "query", place), f"{place} query")
    video = name_of(value_of(record, "vid", place), f"{place} vid")
    duration = duration_of(value_of(record, "duration", place), f"{place} duration")
    moments = _moments(record, duration, place, rules)
    saliency, ratings = _saliency(record, duration, place, rules)
    return Query(qid, text, video, duration, moments, place, saliency, ratings)


def _moments(record: dict[str, Any], duration: float, place: str, rules: LineRules) -> tuple[Stretch, ...]:
    if not rules.labelled and record.get("relevant_windows") is None:
        return ()
    windows = list_of(record, "relevant_windows", place)
    if not windows and rules.labelled:
        raise DataError(f"{place} relevant_windows = []: must have a window at least. Add it, or remove the line.")
    return tuple(
        _moment(window, duration, f"{place} relevant_windows[{number}]", rules) for number, window in enumerate(windows)
    )


def _moment(window: Any, duration: float, place: str, rules: LineRules) -> Stretch:
    start, end = pair_of(window, place)
    last = min(end, duration)
    if not 0 <= start < last or (end > duration and not rules.clipped):
        remedy = rules.overlong if 0 <= start < last else MEND
        raise DataError(
            f"{place} = {shown(window)}: must be seconds with 0 <= start < end <= {duration:.10g}, the video's "
            f"duration. {remedy}"
        )
    return start, last, 1.0


def _saliency(
    record: dict[str, Any], duration: float, place: str, rules: LineRules
) -> tuple[tuple[Stretch, ...] | None, Ratings | None]:
    """The rated clips, each with the sum of its ratings, and the ratings themselves; None where a line has none."""
    if record.get("relevant_clip_ids") is None and record.get("saliency_scores") is None:
        return None, None
    clips, ratings = (list_of(record, key, place) for key in ("relevant_clip_ids", "saliency_scores"))
    if len(clips) != len(ratings):
        raise DataError(
            f"{place}: has {len(clips)} relevant_clip_ids and {len(ratings)} saliency_scores. Each clip has its scores."
        )
    _require_clips(clips, whole_clips(duration, rules.clip_s), duration, place, rules)
    _require_ratings(ratings, place, rules)
    return (
        tuple(
            (rules.clip_s * clip, rules.clip_s * (clip + 1), float(sum(rating)))
            for clip, rating in zip(clips, ratings, strict=True)
        ),
        tuple(map(tuple, ratings)),
    )


def _require_clips(clips: list[Any], count: int, duration: float, place: str, rules: LineRules) -> None:
    seen: set[int] = set()
    for number, clip in enumerate(clips):
        if not is_whole(clip) or not 0 <= clip < count or clip in seen:
            raise DataError(
                f"{place} relevant_clip_ids[{number}] = {shown(clip)}: must be one of the {count} clips of "
                f"{rules.clip_s:g} s in a video of {duration:.10g} s, a whole number from 0, and none twice. {MEND}"
            )
        seen.add(clip)


def _require_ratings(ratings: list[Any], place: str, rules: LineRules) -> None:
    annotators = rules.annotators
    for number, rating in enumerate(ratings):
        several = isinstance(rating, list) and len(rating) == (annotators or max(len(rating), 1))
        if not several or not all(is_whole(each) and 0 <= each <= rules.highest for each in rating):
            raise DataError(
                f"{place} saliency_scores[{number}] = {shown(rating)}: must be {annotators or 'a list of'} whole "
                f"numbers, 0 to {rules.highest}, one an annotator. {MEND}"
            )
        annotators = len(rating)
