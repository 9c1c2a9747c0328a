"""TACoS: sentences with moments on long cooking videos (Regneri et al. 2013, split by Gao et al. 2017)."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Final

import attrs

from framework.core.options import option
from framework.data.dataset import Dataset, Query
from framework.errors import DataError
from plugins.datasets.json_annotations import list_of, number_of, pair_of, parse_object, read_text, text_of, value_of

HOMEPAGE: Final = "https://github.com/microsoft/VideoX"
SOURCE: Final = f"TACoS as JSON is in the data folder of MS-2D-TAN: {HOMEPAGE}"

Dropped = tuple[str, str]
"""Place and reason of a moment that was left out."""


@attrs.frozen
class TacosOptions:
    """Where the annotations are."""

    annotations: str = option("", doc="folder with train.json, val.json and test.json, from the data root; empty: root")


class Tacos(Dataset):
    """TACoS: 9,790 training, 4,436 validation and 4,001 test queries on 127 videos, one moment a query.

    A query's id is its video and its place among that video's sentences, from 0, as ``s30-d52_0``: so the DETR family
    names them.
    """

    splits = ("train", "val", "test")
    validation = "val"
    homepage = HOMEPAGE

    def __init__(self, options: TacosOptions, root: Path) -> None:
        super().__init__(options, root)
        self.folder = root / options.annotations
        self._kept: dict[str, tuple[list[Query], list[Dropped]]] = {}

    def missing(self) -> list[str]:
        paths = [self._path(split) for split in self.splits]
        return [f"{path}: not found. {SOURCE}" for path in paths if not path.is_file()]

    def queries(self, split: str) -> list[Query]:
        return self._read(split)[0]

    def dropped(self, split: str) -> list[Dropped]:
        return self._read(split)[1]

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for split in self.splits:
            content = read_text(self._path(split), SOURCE).encode()
            digest.update(f"{split} {len(content)}\n".encode() + content)
        return digest.hexdigest()

    def _read(self, split: str) -> tuple[list[Query], list[Dropped]]:
        self.require(split)
        if split not in self._kept:
            self._kept[split] = read_queries(self._path(split))
        return self._kept[split]

    def _path(self, split: str) -> Path:
        return self.folder / f"{split}.json"


@attrs.frozen
class Video:
    """One record of a file: place for messages, frames a second, and number of frames."""

    id: str
    place: str
    fps: float
    frames: float


def read_queries(path: Path) -> tuple[list[Query], list[Dropped]]:
    """Read one object of ``{"VIDEO.avi": {timestamps, sentences, fps, num_frames}}``.

    Returns queries, and place and reason of dropped moments. Times are frames. MS-2D-TAN's rule: a moment that is empty
    or reversed as written is dropped, then a start is moved to 0 and an end to the end of the video. One outside the
    video would be turned round by that; it is dropped too (the published files have neither kind). A sentence is as
    written, but for blanks at its ends: splitting it into words is the text source's. Raises DataError naming file,
    video and number of the moment.
    """
    kept: list[Query] = []
    dropped: list[Dropped] = []
    places: dict[str, str] = {}
    for name, record in parse_object(read_text(path, SOURCE), path).items():
        video = _video(name, record, f'{path} ["{name}"]')
        if video.id in places:
            raise DataError(f"{video.place}: is the video {video.id} of {places[video.id]} again. Join the records.")
        places[video.id] = video.place
        _add_queries(video, record, kept, dropped)
    if not kept:
        raise DataError(f"{path}: no query left of this split. Is the file complete?")
    return kept, dropped


def _video(name: str, record: Any, place: str) -> Video:
    if not isinstance(record, dict):
        raise DataError(f"{place}: must hold timestamps, sentences, fps and num_frames. Mend the record.")
    fps, frames = (
        number_of(value_of(record, key, place), f"{place} {key}", positive=True) for key in ("fps", "num_frames")
    )
    return Video(os.path.splitext(name)[0], place, fps, frames)


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
        first, last = max(start, 0.0), min(end, video.frames)
        if start >= end or first >= last:
            reason = f"start {start:g} to end {end:g} holds nothing of a video of {video.frames:g} frames"
            dropped.append((place, reason))
            continue
        seconds = (first / video.fps, last / video.fps, 1.0)
        kept.append(Query(f"{video.id}_{number}", text, video.id, video.frames / video.fps, (seconds,), place))
