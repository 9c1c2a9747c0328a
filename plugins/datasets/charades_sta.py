"""Charades-STA: sentences with moments on the videos of Charades (Gao et al. 2017, Sigurdsson et al. 2016)."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from framework.core.options import option
from framework.data.dataset import Query
from framework.data.simulation import Interval
from framework.errors import DataError, cut
from plugins.datasets.annotation_files import (
    LONGEST_S,
    AnnotationFiles,
    Dropped,
    read_text,
    require_name,
    split_lines,
)

HOMEPAGE: Final = "https://github.com/jiyanggao/TALL"
SOURCE: Final = f"Charades-STA is at {HOMEPAGE}"
SOURCE_CSV: Final = "It is part of Charades: https://prior.allenai.org/projects/charades"
CLASSES: Final = 157
COLUMNS: Final = ("id", "scene", "actions", "length")

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


class CharadesSta(AnnotationFiles):
    """Charades-STA: 12,404 training and 3,720 test queries, about 30 s a video, one moment a query.

    The field has no validation split. A query's id is its split and line number, as ``test_17``: stable whatever is
    dropped, and unlike a running number it cannot be mistaken for the id that another project gave another line.
    """

    splits = ("train", "test")
    homepage = HOMEPAGE

    def __init__(self, options: CharadesStaOptions, root: Path) -> None:
        super().__init__(options, root, options.annotations)

    def files(self, split: str) -> list[tuple[Path, str]]:
        return [
            (self.folder / f"charades_sta_{split}.txt", SOURCE),
            (self.folder / f"Charades_v1_{split}.csv", SOURCE_CSV),
        ]

    def read(self, split: str) -> tuple[list[Query], list[Dropped]]:
        (text, _), (csv_file, _) = self.files(split)
        return read_queries(text, split, read_videos(csv_file))


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
                f'{place}: video "{cut(name)}" is not in the CSV of this split. Add its line, or remove this one.'
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
            require_name(row["id"], f"{place}: id"),
            _seconds(row["length"], "length", place, positive=True),
            row["scene"],
            _actions(row["actions"], place),
            place,
        )
        known = videos.setdefault(video.id, video)
        if known.duration != video.duration:
            raise DataError(
                f'{place}: video "{cut(video.id)}" has length {video.duration} s here, {known.duration} s at '
                f"{known.place}. One video has one length: remove one of the lines."
            )
    return videos


def _records(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Place and fields of each CSV line; a header or line that breaks the form is an error."""
    reader = csv.DictReader(io.StringIO(_text(path, SOURCE_CSV), newline=""), strict=True)
    first = 1
    try:
        columns = reader.fieldnames or ()
        absent = [column for column in COLUMNS if column not in columns]
        if absent:
            raise DataError(f"{path}:1: no column {', '.join(absent)}. The header must name {', '.join(COLUMNS)}.")
        if len(set(columns)) < len(columns):
            raise DataError(f"{path}:1: the header names a column twice. Name each once.")
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
    digits = label.isascii() and label.isdigit() and len(label) == 3
    if len(parts) != 3 or not digits or int(label) >= CLASSES:
        raise DataError(
            f'{place}: action "{cut(entry)}": must be class (c000 to c{CLASSES - 1}), start and end, as '
            "c077 12.10 18.00."
        )
    return Interval(int(label), *(_seconds(value, "action", place) for value in parts[1:]))


def _parse(line: str, place: str) -> tuple[str, float, float, str]:
    head, *rest = line.split("##")
    fields, text = head.split(), "".join(rest)
    if len(rest) != 1 or len(fields) != 3:
        raise DataError(f'{place}: "{cut(line)}": must be VIDEO START END##SENTENCE, times in seconds.')
    if not any(character.isalnum() for character in text):
        raise DataError(f'{place}: "{cut(line)}": the sentence after ## is empty. Add it, or remove the line.')
    return fields[0], _seconds(fields[1], "start", place), _seconds(fields[2], "end", place), text


def _seconds(value: str, name: str, place: str, *, positive: bool = False) -> float:
    rule = "more than 0" if positive else "0 or more"
    try:
        # Python's own grouping of digits, and digits of other scripts, are no number to anybody else.
        seconds = float(value) if value.isascii() and "_" not in value else math.nan
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= LONGEST_S or (positive and not seconds):
        raise DataError(
            f'{place}: {name} "{cut(value)}": must be a number of seconds, {rule} and at most {LONGEST_S:g}.'
        )
    return seconds


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Place and text of each line."""
    return ((f"{path}:{number}", line) for number, line in enumerate(split_lines(_text(path, SOURCE)), 1))


def _text(path: Path, source: str) -> str:
    """The text of a file. UTF-8 allows the byte 0, but there it means UTF-16, or a copy that was never finished."""
    text = read_text(path, source)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path}:{line}: byte 0x00 is no text. Convert the file to UTF-8, or get it again.")
    return text


def _number(place: str) -> str:
    return place.rpartition(":")[2]
