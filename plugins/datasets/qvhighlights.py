"""QVHighlights: queries with several moments each, and how well every clip of them fits (Lei et al. 2021)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import attrs

from framework.core.options import option
from framework.data.dataset import Dataset, Query
from framework.errors import DataError
from plugins.datasets.json_annotations import (
    list_of,
    number_of,
    pair_of,
    parse_object,
    read_text,
    shown,
    text_of,
    value_of,
)

HOMEPAGE: Final = "https://github.com/jayleicn/moment_detr"
SOURCE: Final = f"QVHighlights is in the data folder of {HOMEPAGE}"
CLIP_S: Final = 2
"""Seconds of the clips whose saliency people have scored."""

ANNOTATORS: Final = 3
HIGHEST: Final = 4
"""The best of the scores 0, 1, ... that an annotator gives a clip."""

Stretch = tuple[float, float, float]


@attrs.frozen
class QVHighlightsOptions:
    """Where the annotations are."""

    annotations: str = option(
        "", doc="folder with highlight_train_release.jsonl and highlight_val_release.jsonl, from the data root"
    )


class QVHighlights(Dataset):
    """QVHighlights: 7,218 training and 1,550 validation queries, one or more moments each, 150 s a video.

    The labels of the test split are not in its release: scores on it come from the authors' server. So what is trained
    here is tested on ``val``, and there is no further split to choose weights on; a recipe that selects them on val, as
    the field does, is told that its number is optimistic, and [data] holdout takes a share of the training videos
    instead. Ids are the numbers of the release.
    """

    splits = ("train", "val")
    test = "val"
    homepage = HOMEPAGE

    def __init__(self, options: QVHighlightsOptions, root: Path) -> None:
        super().__init__(options, root)
        self.folder = root / options.annotations
        self._kept: dict[str, list[Query]] = {}

    def missing(self) -> list[str]:
        paths = [self._path(split) for split in self.splits]
        return [f"{path}: not found. {SOURCE}" for path in paths if not path.is_file()]

    def queries(self, split: str) -> list[Query]:
        self.require(split)
        if split not in self._kept:
            self._kept[split] = read_queries(self._path(split))
        return self._kept[split]

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for split in self.splits:
            content = read_text(self._path(split), SOURCE).encode()
            digest.update(f"{split} {len(content)}\n".encode() + content)
        return digest.hexdigest()

    def _path(self, split: str) -> Path:
        return self.folder / f"highlight_{split}_release.jsonl"


def read_queries(path: Path) -> list[Query]:
    """Read a file of one JSON object a line. Raises DataError naming file and line."""
    queries: list[Query] = []
    places: dict[str, str] = {}
    videos: dict[str, Query] = {}
    # Not splitlines, which also cuts at characters that no editor counts as a line.
    *lines, last = read_text(path, SOURCE).split("\n")
    for number, line in enumerate([*lines, last] if last else lines, 1):
        place = f"{path}:{number}"
        query = _query(parse_object(line, path, number), place)
        # Compared as text, as noise is drawn from it and predictions are joined by it.
        if str(query.id) in places:
            raise DataError(f"{place} qid = {shown(query.id)}: is that of {places[str(query.id)]} too. Renumber one.")
        known = videos.setdefault(query.video, query)
        if known.duration != query.duration:
            raise DataError(
                f"{place} duration = {query.duration:g}: the same video lasts {known.duration:g} s at {known.place}. "
                "One video has one length: mend one of the lines."
            )
        places[str(query.id)] = place
        queries.append(query)
    if not queries:
        raise DataError(f"{path}: no query in this split. Is the file complete?")
    return queries


def _query(record: dict[str, Any], place: str) -> Query:
    qid = value_of(record, "qid", place)
    if not isinstance(qid, (int, str)) or isinstance(qid, bool) or qid == "":
        raise DataError(f"{place} qid = {shown(qid)}: must be a whole number or a text. Mend the line.")
    text, video = (text_of(value_of(record, key, place), f"{place} {key}") for key in ("query", "vid"))
    duration = number_of(value_of(record, "duration", place), f"{place} duration", positive=True)
    moments, saliency = _moments(record, duration, place), _saliency(record, duration, place)
    return Query(qid, text, video, duration, moments, place, saliency)


def _moments(record: dict[str, Any], duration: float, place: str) -> tuple[Stretch, ...]:
    windows = list_of(record, "relevant_windows", place)
    if not windows:
        raise DataError(f"{place} relevant_windows = []: must have a window at least. Add it, or remove the line.")
    moments = []
    for number, window in enumerate(windows):
        start, end = pair_of(window, f"{place} relevant_windows[{number}]")
        if not 0 <= start < end <= duration:
            raise DataError(
                f"{place} relevant_windows[{number}] = {shown(window)}: must be seconds with 0 <= start < end <= "
                f"{duration:g}, the video's duration. Mend the line."
            )
        moments.append((start, end, 1.0))
    return tuple(moments)


def _saliency(record: dict[str, Any], duration: float, place: str) -> tuple[Stretch, ...] | None:
    """The scored clips, each with the sum of its annotators' scores, 0 to 12; None where a line scores none."""
    if "relevant_clip_ids" not in record and "saliency_scores" not in record:
        return None
    clips, scores = (list_of(record, key, place) for key in ("relevant_clip_ids", "saliency_scores"))
    if len(clips) != len(scores):
        raise DataError(
            f"{place}: has {len(clips)} relevant_clip_ids and {len(scores)} saliency_scores. Each clip has its scores."
        )
    last, stretches = int(duration / CLIP_S) - 1, []
    for number, (clip, score) in enumerate(zip(clips, scores, strict=True)):
        if not _whole(clip, last) or clip in clips[:number]:
            raise DataError(
                f"{place} relevant_clip_ids[{number}] = {shown(clip)}: must be a whole number, 0 to {last} in a video "
                f"of {duration:g} s, and none twice. Mend the line."
            )
        if not isinstance(score, list) or len(score) != ANNOTATORS or not all(_whole(each, HIGHEST) for each in score):
            raise DataError(
                f"{place} saliency_scores[{number}] = {shown(score)}: must be {ANNOTATORS} whole numbers, 0 to "
                f"{HIGHEST}, one an annotator. Mend the line."
            )
        stretches.append((float(CLIP_S * clip), float(CLIP_S * (clip + 1)), float(sum(score))))
    return tuple(stretches)


def _whole(value: Any, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= highest
