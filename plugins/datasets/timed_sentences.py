"""Timed sentences by video: the JSON form in which TACoS and ActivityNet Captions are shared."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import attrs

from framework.core.options import option
from framework.data.dataset import Query
from framework.data.json_text import shown
from framework.errors import DataError
from plugins.datasets.annotation_files import AnnotationFiles, Dropped, read_text
from plugins.datasets.json_annotations import list_of, name_of, pair_of, parse_object, text_of


@attrs.frozen
class TimedSentencesOptions:
    """Where the annotations are."""

    annotations: str = option("", doc="folder with train.json, val.json and test.json, from the data root; empty: root")


@attrs.frozen
class Video:
    """One record of a file.

    id: of the video, as features are named. stem: what the ids of its queries begin with. place: for messages. length:
    in the unit of its timestamps, which is called ``unit`` and of which ``per_second`` make a second.
    """

    id: str
    stem: str
    place: str
    length: float
    unit: str
    per_second: float


class TimedSentences(AnnotationFiles):
    """One file a split, of one object ``{"VIDEO": {timestamps, sentences, ...}}``.

    A query's id is its video and its place among that video's sentences, from 0, as ``s30-d52_0``: so the DETR family
    names those of TACoS.
    """

    splits = ("train", "val", "test")
    validation = "val"
    source: ClassVar[str]

    def __init__(self, options: TimedSentencesOptions, root: Path) -> None:
        super().__init__(options, root, options.annotations)

    @abstractmethod
    def video(self, split: str, name: str, record: dict[str, Any], place: str) -> Video:
        """What a record says of its video, whose key in the file is ``name``. Raises DataError."""

    def files(self, split: str) -> list[tuple[Path, str]]:
        return [(self.folder / f"{split}.json", self.source)]

    def read(self, split: str) -> tuple[list[Query], list[Dropped]]:
        ((path, source),) = self.files(split)
        return read_queries(path, source, lambda name, record, place: self.video(split, name, record, place))


def read_queries(
    path: Path, source: str, video_of: Callable[[str, dict[str, Any], str], Video]
) -> tuple[list[Query], list[Dropped]]:
    """Read one file; return queries, and place and reason of dropped moments.

    MS-2D-TAN's rule: a moment that is empty or reversed as written is dropped, then a start is moved to 0 and an end to
    the end of the video. One outside the video would be turned round by that; it is dropped too (the published files
    have none). A sentence is as written, but for blanks at its ends: splitting it into words is the text source's.
    Raises DataError naming file, video and number of the moment.
    """
    kept: list[Query] = []
    dropped: list[Dropped] = []
    places: dict[str, str] = {}
    for name, record in parse_object(read_text(path, source), path).items():
        place = f"{path} [{shown(name)}]"
        if not isinstance(record, dict):
            raise DataError(f"{place}: must be an object with timestamps and sentences. Mend the record.")
        name_of(name, f"{path} key")
        video = video_of(name, record, place)
        if video.id in places:
            raise DataError(f"{place}: is the video {shown(video.id)} of {places[video.id]} again. Join the records.")
        places[video.id] = place
        _add_queries(video, record, kept, dropped)
    if not kept:
        raise DataError(f"{path}: no query left of this split. Is the file complete?")
    return kept, dropped


def _add_queries(video: Video, record: dict[str, Any], kept: list[Query], dropped: list[Dropped]) -> None:
    moments, sentences = (list_of(record, key, video.place) for key in ("timestamps", "sentences"))
    if len(moments) != len(sentences):
        raise DataError(
            f"{video.place}: has {len(moments)} timestamps and {len(sentences)} sentences. Each needs one of the other."
        )
    for number, (moment, sentence) in enumerate(zip(moments, sentences, strict=True)):
        place = f"{video.place} timestamps[{number}]"
        start, end = pair_of(moment, place)
        text = text_of(sentence, f"{video.place} sentences[{number}]")
        first, last = max(start, 0.0) / video.per_second, min(end, video.length) / video.per_second
        if start >= end or first >= last:
            reason = f"start {start:g} to end {end:g} holds nothing of a video of {video.length:g} {video.unit}"
            dropped.append((place, reason))
            continue
        duration = video.length / video.per_second
        kept.append(Query(f"{video.stem}_{number}", text, video.id, duration, ((first, last, 1.0),), place))
