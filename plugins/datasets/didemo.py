"""DiDeMo: each sentence located by several people among the 5 s chunks of a video (Hendricks et al. 2017)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from framework.core.options import at_least, option
from framework.data.dataset import Query
from framework.data.json_text import shown
from framework.errors import DataError
from plugins.datasets.annotation_files import AnnotationFiles, Dropped, read_text
from plugins.datasets.json_annotations import is_whole, list_of, name_of, parse_list, text_of, value_of

HOMEPAGE: Final = "https://github.com/LisaAnne/LocalizingMoments"
SOURCE: Final = f"DiDeMo is in the data folder of {HOMEPAGE}"
CHUNKS: Final = 6
CHUNK_S: Final = 5.0

Segment = tuple[int, int]
"""First and last chunk."""


@attrs.frozen
class DidemoOptions:
    """Where the annotations are, and which of them are learned from."""

    annotations: str = option(
        "", doc="folder with train_data.json, val_data.json and test_data.json, from the data root; empty: the root"
    )
    agree: int = option(
        2,
        doc="annotators who must have chosen a segment for it to be learned from, or it is the most chosen one",
        rule=at_least(1),
    )


class Didemo(AnnotationFiles):
    """DiDeMo: 4,180 validation and 4,021 test queries, each with the moments of four or more annotators.

    Every video counts as six chunks of 5 s, 30 s, where the file says that it has five too: the official rule ranks the
    21 segments of six chunks whatever the length. A query's id is its annotation_id; its video is as written, which is
    the key of average_fc7.h5.
    """

    splits = ("train", "val", "test")
    validation = "val"
    rule = "didemo"
    homepage = HOMEPAGE

    def __init__(self, options: DidemoOptions, root: Path) -> None:
        super().__init__(options, root, options.annotations)

    def files(self, split: str) -> list[tuple[Path, str]]:
        return [(self.folder / f"{split}_data.json", SOURCE)]

    def read(self, split: str) -> tuple[list[Query], list[Dropped]]:
        ((path, _),) = self.files(split)
        return read_queries(path, self.options.agree), []


def read_queries(path: Path, agree: int) -> list[Query]:
    """Read a file of one list of records.

    Moments: one an annotator in the order of the file, also where several chose the same, as the official rule asks
    each of them; the weights are those of ``learned``. Raises DataError naming file, place in the list and annotation.
    """
    queries: list[Query] = []
    places: dict[int, str] = {}
    for index, record in enumerate(parse_list(read_text(path, SOURCE), path)):
        place = f"{path} [{index}]"
        if not isinstance(record, dict):
            raise DataError(f"{place} = {shown(record)}: must be an object, {{...}}. Mend the record.")
        number = value_of(record, "annotation_id", place)
        if not is_whole(number):
            raise DataError(f"{place} annotation_id = {shown(number)}: must be a whole number. Mend the record.")
        if number in places:
            raise DataError(f"{place} annotation_id = {shown(number)}: is that of {places[number]} too. Renumber one.")
        places[number] = place
        queries.append(_query(number, record, f"{place} annotation_id {shown(number)}", agree))
    if not queries:
        raise DataError(f"{path}: no query in this split. Is the file complete?")
    return queries


def learned(segments: Sequence[Segment], agree: int) -> list[float]:
    """The weight of each annotator's segment: 1 on the first of equal ones where it is learned from, else 0.

    That is where ``agree`` annotators or more chose it; where no segment has so many, where it is a most chosen one.
    The data come without such a rule. In the validation split 19 annotators of 100 chose what nobody else did, so by
    default two must agree; every query of the validation and test split has a segment that two chose.
    """
    counts = Counter(segments)
    least = min(agree, max(counts.values()))
    return [
        float(counts[segment] >= least and segments.index(segment) == place) for place, segment in enumerate(segments)
    ]


def _query(number: int, record: dict[str, Any], place: str, agree: int) -> Query:
    text = text_of(value_of(record, "description", place), f"{place} description")
    video = name_of(value_of(record, "video", place), f"{place} video")
    segments = _segments(record, place)
    moments = tuple(
        (CHUNK_S * first, CHUNK_S * (last + 1), weight)
        for (first, last), weight in zip(segments, learned(segments, agree), strict=True)
    )
    return Query(number, text, video, CHUNKS * CHUNK_S, moments, place)


def _segments(record: dict[str, Any], place: str) -> list[Segment]:
    chunks = value_of(record, "num_segments", place)
    if not is_whole(chunks) or not 1 <= chunks <= CHUNKS:
        raise DataError(
            f"{place} num_segments = {shown(chunks)}: must be a whole number, 1 to {CHUNKS}. Mend the record."
        )
    times = list_of(record, "times", place)
    if not times:
        raise DataError(f"{place} times = []: must have a segment at least. Add it, or remove the record.")
    for number, pair in enumerate(times):
        whole = isinstance(pair, list) and len(pair) == 2 and all(map(is_whole, pair))
        if not whole or not 0 <= pair[0] <= pair[1] < chunks:
            raise DataError(
                f"{place} times[{number}] = {shown(pair)}: must be [first, last] with whole numbers 0 <= first <= last "
                f"< {chunks}, the video's num_segments. Mend the record."
            )
    return [(first, last) for first, last in times]
