"""Charades-STA: sentences with moments on the videos of Charades (Gao et al. 2017, Sigurdsson et al. 2016)."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from framework.core.options import option
from framework.data.dataset import Dataset, Query
from framework.data.simulation import Interval
from framework.errors import DataError

HOMEPAGE: Final = "https://github.com/jiyanggao/TALL"
CLASSES: Final = 157
COLUMNS: Final = ("id", "scene", "actions", "length")

Dropped = tuple[str, str]
"""Place and reason of a line that was left out."""

REVERSED: Final = frozenset({("LEOL6", 8.0, 7.0), ("IOL8Q", 20.9, 12.0), ("AKKWU", 38.0, 13.0)})
"""Video, start and end of the reversed moments in the published training file (four lines), which the field drops."""


@attrs.frozen
class Video:
    """One line of a Charades CSV.

    duration: seconds. actions: the labelled intervals as written; seven of the published file end before they start.
    """

    id: str
    duration: float
    scene: str
    actions: tuple[Interval, ...]
    place: str


@attrs.frozen
class CharadesStaOptions:
    """Where the annotations are."""

    annotations: str = option("", doc="folder with the two text and two CSV files, from the data root; empty: the root")


class CharadesSta(Dataset):
    """Charades-STA: 12,404 training and 3,720 test queries, about 30 s a video, one moment a query.

    The field has no validation split. A query's id is its split and line number, as ``test_17``: stable whatever is
    dropped, and unlike a running number it cannot be mistaken for the id that another project gave another line.
    """

    splits = ("train", "test")
    homepage = HOMEPAGE

    def __init__(self, options: CharadesStaOptions, root: Path) -> None:
        super().__init__(options, root)
        self.folder = root / options.annotations
        self._kept: dict[str, tuple[list[Query], list[Dropped]]] = {}

    def missing(self) -> list[str]:
        return [
            f"{path}: not found. {source}"
            for split in self.splits
            for path, source in (
                (self._text(split), f"Charades-STA is at {HOMEPAGE}"),
                (self._csv(split), "It is part of Charades: https://prior.allenai.org/projects/charades"),
            )
            if not path.is_file()
        ]

    def queries(self, split: str) -> list[Query]:
        return self._read(split)[0]

    def dropped(self, split: str) -> list[Dropped]:
        return self._read(split)[1]

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for split in self.splits:
            for path in (self._text(split), self._csv(split)):
                content = _content(path)
                digest.update(f"{path.name} {len(content)}\n".encode() + content)
        return digest.hexdigest()

    def _read(self, split: str) -> tuple[list[Query], list[Dropped]]:
        self.require(split)
        if split not in self._kept:
            self._kept[split] = read_queries(self._text(split), split, read_videos(self._csv(split)))
        return self._kept[split]

    def _text(self, split: str) -> Path:
        return self.folder / f"charades_sta_{split}.txt"

    def _csv(self, split: str) -> Path:
        return self.folder / f"Charades_v1_{split}.csv"


def read_queries(path: Path, split: str, videos: dict[str, Video]) -> tuple[list[Query], list[Dropped]]:
    """Read a file of lines ``VIDEO START END##SENTENCE``; return the queries, and place and reason of dropped lines.

    A sentence is what follows ``##`` without its final period, as MS-2D-TAN's loader cuts it: with it, the last word of
    every sentence would be unknown wherever words are split at white space alone.
    The same loader's rule for moments: an end beyond the video is moved to its end, a start is left as
    written, and a line whose start is not before that end is dropped without a word. Here a moment that is empty or
    reversed as written is an error instead, but for the known ones of the published file: a mistake of the file is not
    an end that was cut. Raises DataError naming file and line.
    """
    kept: list[Query] = []
    dropped: list[Dropped] = []
    for place, line in _lines(path):
        name, start, end, text = _parse(line, place)
        video = videos.get(name)
        if video is None:
            raise DataError(
                f'{place}: video "{name}" is not in the CSV of this split. Add its line, or remove this one.'
            )
        if start >= end and (name, start, end) not in REVERSED:
            raise DataError(f"{place}: start {start} s, end {end} s: a moment must end after it starts. Mend the line.")
        if start >= min(end, video.duration):
            reason = f"start {start} s is not before end {end} s in a video of {video.duration} s"
            dropped.append((place, reason))
            continue
        moment = (start, min(end, video.duration), 1.0)
        kept.append(Query(f"{split}_{_number(place)}", text.removesuffix("."), name, video.duration, (moment,), place))
    if not kept:
        raise DataError(f"{path}: no query left of this split. Is the file complete?")
    return kept, dropped


def read_videos(path: Path) -> dict[str, Video]:
    """Read a Charades CSV, by video id. Raises DataError naming file and line."""
    videos: dict[str, Video] = {}
    for place, row in _records(path):
        video = Video(
            row["id"],
            _seconds(row["length"], "length", place, positive=True),
            row["scene"],
            _actions(row["actions"], place),
            place,
        )
        known = videos.setdefault(video.id, video)
        if known.duration != video.duration:
            raise DataError(
                f'{place}: video "{video.id}" has length {video.duration} s here, {known.duration} s at {known.place}. '
                "One video has one length: remove one of the lines."
            )
    return videos


def _records(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Place and fields of each CSV line; a header or line that breaks the form is an error."""
    reader = csv.DictReader(io.StringIO(_decode(path), newline=""), strict=True)
    first = 1
    try:
        columns = reader.fieldnames or ()
        absent = [column for column in COLUMNS if column not in columns]
        if absent:
            raise DataError(f"{path}:1: no column {', '.join(absent)}. The header must name {', '.join(COLUMNS)}.")
        first = reader.line_num + 1
        for row in reader:
            place = f"{path}:{reader.line_num}"
            if None in row or None in row.values() or not row["id"]:
                raise DataError(f"{place}: must have the {len(columns)} fields that the header names. Mend the line.")
            yield place, row
            first = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{first}: not a CSV line ({error}). Mend its quotes.") from None


def _actions(field: str, place: str) -> tuple[Interval, ...]:
    """Parse ``c077 12.10 18.00;c079 11.80 17.30``; empty where nothing is labelled."""
    return tuple(_action(entry, place) for entry in field.split(";") if entry)


def _action(entry: str, place: str) -> Interval:
    parts = entry.split()
    label = parts[0][1:] if parts and parts[0].startswith("c") else ""
    if len(parts) != 3 or not (label.isascii() and label.isdigit()) or int(label) >= CLASSES:
        raise DataError(
            f'{place}: action "{entry}": must be class (c000 to c{CLASSES - 1}), start and end, as c077 12.10 18.00.'
        )
    return Interval(int(label), *(_seconds(value, "action", place) for value in parts[1:]))


def _parse(line: str, place: str) -> tuple[str, float, float, str]:
    head, *rest = line.split("##")
    fields, text = head.split(), "".join(rest)
    if len(rest) != 1 or len(fields) != 3:
        raise DataError(f'{place}: "{_short(line)}": must be VIDEO START END##SENTENCE, times in seconds.')
    if not text.strip(" ."):
        raise DataError(f'{place}: "{_short(line)}": the sentence after ## is empty. Add it, or remove the line.')
    return fields[0], _seconds(fields[1], "start", place), _seconds(fields[2], "end", place), text


def _seconds(value: str, name: str, place: str, *, positive: bool = False) -> float:
    rule = "more than 0" if positive else "0 or more"
    try:
        seconds = float(value.replace("_", "?"))  # Python's own grouping of digits is no number to anybody else
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0 or (positive and not seconds):
        raise DataError(f'{place}: {name} "{_short(value)}": must be a number of seconds, {rule}.')
    return seconds


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Place and text of each line; what follows the last line break is a line unless it is empty."""
    # Not splitlines, which also cuts at characters that no editor counts as a line.
    *lines, last = _decode(path).split("\n")
    return ((f"{path}:{number}", line.rstrip("\r")) for number, line in enumerate([*lines, last] if last else lines, 1))


def _number(place: str) -> str:
    return place.rpartition(":")[2]


def _short(value: str) -> str:
    return value if len(value) <= 60 else value[:57] + "..."


def _decode(path: Path) -> str:
    try:
        return _content(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        byte = error.object[error.start]
        raise DataError(f"{path}:{line}: byte 0x{byte:02x} is not UTF-8. Convert the file to UTF-8.") from None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Charades-STA: {HOMEPAGE}") from None
