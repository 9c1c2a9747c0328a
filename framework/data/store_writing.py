"""Write a store: any source of features to one array, in steps that can be interrupted at any of them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.data.dataset import FeatureSource
from framework.data.store import (
    DTYPES,
    FEATURES,
    INDEX,
    JOURNAL,
    PARTIAL,
    SCHEMA,
    Place,
    Progress,
    crc32,
    mapped,
    read_index,
)
from framework.errors import DataError


@attrs.frozen(eq=False)
class Plan:
    """What a store is to hold; known from headers alone.

    names: id in the store -> id in the source. rows: id in the store -> its number of rows, in the order of the file.
    origin: where the source is, for the record. clip_s: seconds a row, None where nobody said.
    """

    source: FeatureSource
    origin: str
    names: Mapping[str, str]
    rows: Mapping[str, int]
    width: int
    dtype: str = "float32"
    clip_s: float | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Shape of the array."""
        return sum(self.rows.values()), self.width

    @property
    def firsts(self) -> dict[str, int]:
        """Where each video begins."""
        ends = accumulate(self.rows.values(), initial=0)
        return dict(zip(self.rows, ends, strict=False))

    @property
    def head(self) -> dict[str, Any]:
        """What must be equal for a conversion to go on with the work of another."""
        listed = json.dumps([[video, self.names[video], rows] for video, rows in self.rows.items()])
        return {
            "schema": SCHEMA,
            "source": self.origin,
            "dtype": self.dtype,
            "clip_s": self.clip_s,
            "width": self.width,
            "rows": self.size[0],
            "selection": hashlib.sha256(listed.encode()).hexdigest(),
        }

    def values(self, video: str) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """The rows of one video, as the source gives them and as the store holds them.

        Raises DataError where the source has changed, and where a number does not fit the dtype.
        """
        values = self.source.read(self.names[video])
        place = f'{self.source.name}: video "{self.names[video]}"'
        if values.shape != (self.rows[video], self.width):
            was = self.rows[video], self.width
            raise DataError(f"{place} is {values.shape} now and was {was} before; leave the source alone meanwhile")
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(values, dtype=DTYPES[self.dtype])
        if not np.isfinite(stored).all():
            raise DataError(
                f"{place} holds {float(np.abs(values).max()):g}, and the largest {self.dtype} is "
                f"{np.finfo(stored.dtype).max:g}; use float32"
            )
        return values, stored


@attrs.frozen
class Written:
    """What ``write_store`` did. resumed: videos found finished. error: the largest difference from the source."""

    videos: int
    rows: int
    resumed: int
    error: float


def plan_store(
    source: FeatureSource,
    origin: str,
    videos: Iterable[str] | None = None,
    *,
    rename: Callable[[str], str] = str,
    dtype: str = "float32",
    clip_s: float | None = None,
    progress: Progress[str] | None = None,
) -> Plan:
    """Look at the headers of the wanted videos, all by default, in the order of their names.

    rename: makes the id in the store of that in the source. Raises DataError where there is nothing to convert, a video
    is absent, two would have one id, or widths differ.
    """
    known = source.videos()
    wanted = sorted(known if videos is None else set(videos))
    if not known or not wanted:
        raise DataError(f"{source.name}: there is no video to convert, and a store without any would be of no use")
    if absent := [video for video in wanted if video not in known]:
        few = ", ".join(absent[:3]) + (", ..." if len(absent) > 3 else "")
        raise DataError(
            f"{source.name}: {len(absent)} of {len(wanted)} wanted videos are not there: {few}; "
            f'it holds videos such as "{min(known)}"'
        )
    names: dict[str, str] = {}
    rows: dict[str, int] = {}
    width = source.shape(wanted[0])[1]
    for video in progress(wanted, "looking at headers") if progress else wanted:
        name, (rows_here, width_here) = rename(video), source.shape(video)
        if width_here != width:
            raise DataError(
                f'{source.name}: video "{video}" has {width_here} columns, "{wanted[0]}" has {width}; '
                "a store holds features of one kind"
            )
        if name in names:
            raise DataError(f'{source.name}: "{names[name]}" and "{video}" would both be "{name}"; keep one of them')
        names[name], rows[name] = video, rows_here
    return Plan(source, origin, names, rows, width, dtype, clip_s)


def write_store(
    plan: Plan, folder: Path, *, force: bool = False, progress: Progress[str] | None = None
) -> Written | None:
    """Write what ``plan`` says to ``folder``, going on where an earlier call with the same plan was interrupted.

    Returns None where that plan was finished already. force: replaces a store that holds something else, finished or
    not. Raises DataError where ``folder`` holds anything else, a number does not fit the dtype, or the disk is full.
    """
    _require_ours(plan, folder)
    try:
        if not force and (folder / INDEX).is_file():
            _require_same(plan, folder, read_index(folder))
            return None
        done = None if force else _resumed(plan, folder)
        if done is None:
            _begin(plan, folder)
        return _finish(plan, folder, _fill(plan, folder, done or {}, progress), len(done or {}), progress)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror or error})") from None


def _require_ours(plan: Plan, folder: Path) -> None:
    """Refuse to write over anything but a store, whatever is asked."""
    if folder.resolve() == Path(plan.origin).resolve():
        raise DataError(f"{folder}: is what shall be converted; name another folder for the store")
    if not folder.exists():
        return
    names = {file.name for file in folder.iterdir()} if folder.is_dir() else {folder.name}
    begun = _says_store(folder / INDEX) or _says_store(folder / JOURNAL)
    if not names <= {FEATURES, INDEX, JOURNAL, PARTIAL} or (names and not begun):
        raise DataError(f"{folder}: exists and is no store; name a folder that is new or empty")


def _says_store(path: Path) -> bool:
    """Whether a file is an index or journal of ours, of any version; one that was cut off at once may be empty."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(200)
    return (path.name == JOURNAL and not start) or SCHEMA.rpartition(" ")[0].encode() in start


def _require_same(plan: Plan, folder: Path, found: Mapping[str, Any]) -> None:
    """Refuse to go on with, or to keep, what was made of something else."""
    for key, wanted in plan.head.items():
        if found.get(key) != wanted:
            both = "" if key == "selection" else f" ({found.get(key)}, now {wanted})"
            what = "videos or rows" if key == "selection" else key
            raise DataError(
                f"{folder}: was written or begun with another {what}{both}; name another folder, or add --force to "
                "replace what is there"
            )


def _begin(plan: Plan, folder: Path) -> None:
    """Make the journal and an empty array of full size, so that a disk too small is known before anything is read."""
    folder.mkdir(exist_ok=True)
    features, dtype = folder / FEATURES, DTYPES[plan.dtype]
    needed = plan.size[0] * plan.size[1] * dtype.itemsize
    free = shutil.disk_usage(folder).free + (features.stat().st_size if features.is_file() else 0)
    if needed > free:
        raise DataError(f"{folder}: the store needs {needed / 1e9:.1f} GB, and the disk has {free / 1e9:.1f} GB left")
    # In this order: whenever it stops, the folder is the old store, or one that is not finished.
    (folder / JOURNAL).write_text(json.dumps(plan.head) + "\n", encoding="utf-8")
    for name in (INDEX, PARTIAL, FEATURES):
        (folder / name).unlink(missing_ok=True)
    np.lib.format.open_memmap(features, "w+", dtype, plan.size)


def _resumed(plan: Plan, folder: Path) -> dict[str, int] | None:
    """Videos that an interrupted conversion has finished and their crc32; None where it has to begin.

    A video whose bytes are not those of the journal, as after a power cut, counts as not finished.
    """
    journal = folder / JOURNAL
    whole = journal.read_bytes() if journal.is_file() else b""
    whole = whole[: whole.rfind(b"\n") + 1]
    lines = whole.splitlines()
    if lines:
        _require_same(plan, folder, _parsed(journal, 1, lines[0], dict))
    if len(lines) < 2:
        return None
    os.truncate(journal, len(whole))
    rows, firsts = mapped(folder / FEATURES, plan.size, DTYPES[plan.dtype]), plan.firsts
    done = {}
    for number, line in enumerate(lines[1:], 2):
        video, *place = _parsed(journal, number, line, list) or [None]
        if not isinstance(video, str) or place[:2] != [firsts.get(video), plan.rows.get(video)] or len(place) != 3:
            raise DataError(f"{journal}:{number}: is damaged; add --force to begin again")
        if crc32(rows, (firsts[video], plan.rows[video], 0)) == place[2]:
            done[video] = place[2]
    return done


def _parsed(journal: Path, number: int, line: bytes, kind: type) -> Any:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, kind):
        raise DataError(f"{journal}:{number}: is damaged; add --force to begin again")
    return found


def _fill(plan: Plan, folder: Path, done: Mapping[str, int], progress: Progress[str] | None) -> dict[str, int]:
    """Write the videos that are left; returns the crc32 of all."""
    left = [video for video in plan.rows if video not in done]
    firsts, dtype, crcs = plan.firsts, DTYPES[plan.dtype], dict(done)
    offset = mapped(folder / FEATURES, plan.size, dtype).offset
    # Not through a map: on a full disk that would end the process, and this is an error that can be told.
    with (folder / FEATURES).open("r+b") as features, (folder / JOURNAL).open("a", encoding="utf-8") as journal:
        for video in progress(left, "converting") if progress else left:
            _, stored = plan.values(video)
            crcs[video] = zlib.crc32(stored.data)
            features.seek(offset + firsts[video] * plan.width * dtype.itemsize)
            features.write(stored.data)
            features.flush()
            journal.write(json.dumps([video, firsts[video], plan.rows[video], crcs[video]]) + "\n")
            journal.flush()
        os.fsync(features.fileno())
    return crcs


def _finish(plan: Plan, folder: Path, crcs: Mapping[str, int], resumed: int, progress: Progress[str] | None) -> Written:
    """Compare everything with the source, then put the index in place."""
    rows, firsts = mapped(folder / FEATURES, plan.size, DTYPES[plan.dtype]), plan.firsts
    places: dict[str, Place] = {video: (firsts[video], count, crcs[video]) for video, count in plan.rows.items()}
    videos, error = list(places), 0.0
    for video in progress(videos, "verifying") if progress else videos:
        values, wanted = plan.values(video)
        found = rows[firsts[video] : firsts[video] + plan.rows[video]]
        if not np.array_equal(found, wanted) or crc32(rows, places[video]) != crcs[video]:
            raise DataError(
                f'{folder}: video "{video}" does not read back as the source has it; has the source changed, or is the '
                "disk failing? Add --force to begin again"
            )
        error = max(error, float(np.abs(found - values).max()))
    with (folder / PARTIAL).open("w", encoding="utf-8") as file:
        file.write(json.dumps({**plan.head, "videos": places}, indent=None) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(folder / PARTIAL, folder / INDEX)
    (folder / JOURNAL).unlink()
    return Written(len(videos), plan.size[0], resumed, error)
