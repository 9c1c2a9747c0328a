"""A store: the features of many videos in one uncompressed array that is mapped into memory, with an index.

    NAME/features.npy    all rows of all videos (rows, D), float32 or float16; numpy.load reads it without this project
    NAME/index.json      schema, origin (what the features are called), dtype, width, rows, clip_s, a record of what it
                         was made of; video id -> [first row, rows, crc32 of its bytes]

While a store is being written ``index.jsonl`` stands in for ``index.json``: a line that says what is to be written, and
one for each finished video. ``index.json`` is put in place in one step once everything was compared with the source, so
a store that opens is whole, and writing goes on where it was interrupted (``framework.data.store_writing``).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from framework.data.dataset import FeatureSource
from framework.errors import DataError, cut, nearest

SCHEMA: Final = "nlvl feature store 2"
"""Name and version; the version grows with every change that an older reader would misread."""

FEATURES: Final = "features.npy"
INDEX: Final = "index.json"
JOURNAL: Final = "index.jsonl"
PARTIAL: Final = "index.json.partial"
DTYPES: Final[dict[str, np.dtype[Any]]] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}

MOST: Final = 10**15
"""Rows or columns that no store has."""

T = TypeVar("T")
Progress = Callable[[Sequence[T], str], Iterable[T]]
"""Yields the items of a sequence and tells somebody how far they are; the text says what is done to them."""

Place = tuple[int, int, int]
"""First row, number of rows and crc32 of a video."""


def is_store(path: Path) -> bool:
    """Whether a folder is a store, finished or not; a folder of feature files that has some index is none."""
    indexed = (path / INDEX).is_file() or (path / JOURNAL).is_file()
    return indexed and {file.name for file in feature_files(path)} <= {FEATURES}


def feature_files(folder: Path, *suffixes: str) -> list[Path]:
    """The .npy and .npz files of a folder by name, or those with the suffixes given.

    A name that begins with a dot is the system's: beside each file macOS may put another, such as ._features.npy.
    """
    wanted = suffixes or (".npy", ".npz")
    return sorted(file for file in folder.glob("*") if file.name.endswith(wanted) and not file.name.startswith("."))


class StoreFeatures(FeatureSource):
    """A finished store. Rows are slices of the mapped file: only what is asked for is read, and float32 is not copied.

    Numbers that are not finite are refused at each read, as everywhere. The writer has refused them already, so this
    only finds bytes that went bad since; it takes a fifth of the time that scaling the same rows to length 1 takes.
    Other damage is found by ``damaged``, which reads everything.

    clip_s: seconds a row, where whoever wrote it has said so. Raises DataError where the folder is no finished store or
    its files contradict each other.
    """

    def __init__(self, path: Path, noun: str = "video") -> None:
        self.path, self.noun, self.name = path, noun, str(path)
        index = read_index(path)
        self.dtype = DTYPES[index["dtype"]]
        self.clip_s: float | None = index["clip_s"]
        self._origin: str = index["origin"]
        self._size = int(index["rows"]), int(index["width"])
        self._places: dict[str, Place] = {video: tuple(place) for video, place in index["videos"].items()}
        self._rows: NDArray[Any] | None = None
        self._mapped()

    @property
    def origin(self) -> str:
        """Of the features that the store was made of, whatever its own name."""
        return self._origin

    def videos(self) -> frozenset[str]:
        return frozenset(self._places)

    def shape(self, video: str) -> tuple[int, int]:
        return self._place(video)[1], self._size[1]

    def read(self, video: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Rows ``start`` to ``stop``, read-only where they are stored as float32. Raises DataError on NaN, infinity."""
        first, rows, _ = self._place(video)
        low, high, _ = slice(start, stop).indices(rows)
        values = self._mapped()[first + low : first + max(low, high)].astype(np.float32, copy=False)
        finite = np.isfinite(values)
        if not finite.all():
            row = low + int(finite.all(axis=1).argmin())
            raise DataError(
                f'{self.name}: {self.noun} "{video}" has NaN or infinity in row {row}, and had none when the store was '
                "written; write it again"
            )
        return values

    def damaged(self, progress: Progress[str] | None = None) -> list[str]:
        """Videos whose bytes are no longer those that were written; reads the whole store."""
        videos = list(self._places)
        rows = self._mapped()
        return [
            video
            for video in (progress(videos, "verifying") if progress else videos)
            if crc32(rows, self._places[video]) != self._places[video][2]
        ]

    def __getstate__(self) -> dict[str, Any]:
        # A pickled map would be a copy of all numbers; whoever gets it maps the file anew. A fork keeps the map.
        return {**self.__dict__, "_rows": None}

    def _place(self, video: str) -> Place:
        place = self._places.get(video)
        if place is None:
            known = self._places
            raise DataError(f'{self.name}: has no {self.noun} "{video}" among its {len(known)}.{nearest(video, known)}')
        return place

    def _mapped(self) -> NDArray[Any]:
        if self._rows is None:
            # A plain array: slices of numpy.memmap take longer to make.
            self._rows = np.asarray(mapped(self.path / FEATURES, self._size, self.dtype))
        return self._rows


def mapped(path: Path, size: tuple[int, int], dtype: np.dtype[Any]) -> np.memmap[Any, np.dtype[Any]]:
    """Map an array of known size; one that ends too early would end the process at some later read."""
    try:
        rows = np.lib.format.open_memmap(path, mode="r")
        found = path.stat().st_size
    except (OSError, ValueError, EOFError, TokenError) as error:
        raise DataError(f"{path}: cannot be read ({error}); copy or write the store again") from None
    wanted = rows.offset + size[0] * size[1] * dtype.itemsize
    if rows.shape != size or rows.dtype != dtype or not rows.flags.c_contiguous or found != wanted:
        raise DataError(
            f"{path}: holds {rows.shape} of {rows.dtype} in {found} bytes, and the index describes {size} of {dtype} "
            f"in {wanted}; copy or write the store again"
        )
    return rows


def crc32(rows: NDArray[Any], place: Place) -> int:
    """Of the bytes of one video."""
    return zlib.crc32(rows[place[0] : place[0] + place[1]].data)


def read_index(folder: Path) -> dict[str, Any]:
    """Read and check index.json. Raises DataError, with the remedy where writing was interrupted."""
    path = folder / INDEX
    if not path.is_file() and (folder / JOURNAL).is_file():
        raise DataError(
            f"{folder}: is not finished, its writing was interrupted; run tools/convert_features.py again, without "
            "--force, and it goes on"
        )
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        broken = _broken(index)
    except (OSError, ValueError, RecursionError) as error:
        broken = f"cannot be read ({error})"
    if broken:
        raise DataError(f"{path}: {broken}; copy or write the store again")
    return dict(index)


def _broken(index: Any) -> str | None:
    """Which rule an index breaks, if any. The stretches of the videos lie one after the other and fill the array."""
    if not isinstance(index, dict) or index.get("schema") != SCHEMA:
        return f'does not say schema = "{SCHEMA}", so this is no store or that of another version'
    if index.get("dtype") not in list(DTYPES):
        return f"dtype must be one of {', '.join(DTYPES)}"
    if not all(type(index.get(key)) is int and 0 < index[key] < MOST for key in ("rows", "width")):
        return f"rows and width must be whole numbers above 0 and below {MOST:.0e}"
    clip_s = index.setdefault("clip_s", None)
    if clip_s is not None and not (type(clip_s) in (int, float) and 0 < clip_s < float("inf")):
        return "clip_s must be a number of seconds above 0, or null"
    if not isinstance(index.get("origin"), str) or not index["origin"]:
        return "origin must be what the features are called"
    videos = index.get("videos")
    if not isinstance(videos, dict) or not videos:
        return "videos must be an object with at least one video"
    end = 0
    for video, place in videos.items():
        if not (isinstance(place, list) and len(place) == 3 and all(type(number) is int for number in place)):
            return f'video "{cut(video)}" must be [first row, rows, crc32]'
        if place[0] != end or place[1] < 1:
            rule = f"must have a row at least and begin at row {end}, where the one before it ends"
            return f'video "{cut(video)}" {rule}'
        end += place[1]
    return None if end == index["rows"] else f"its videos have {end} rows together, but rows = {index['rows']}"
