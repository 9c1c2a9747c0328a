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

from framework.data.dataset import FeatureSource, origin_of
from framework.data.folder_lock import locked
from framework.data.store import (
    DTYPES,
    FEATURES,
    INDEX,
    JOURNAL,
    PARTIAL,
    SCHEMA,
    Place,
    Progress,
    StoreFeatures,
    crc32,
    feature_files,
    mapped,
    read_index,
)
from framework.errors import DataError


@attrs.frozen(eq=False)
class Plan:
    """What a store is to hold; known from headers alone.

    record: what the features are called, where the source is, which of its arrays were asked for and how it was found.
    names: id in the store -> id in the source. rows: id in the store -> its number of rows, in the order of the file.
    clip_s: seconds a row, None where nobody said.
    """

    source: FeatureSource
    record: Mapping[str, Any]
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
            **self.record,
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
    path: str,
    videos: Iterable[str] | None = None,
    *,
    key: str | None = None,
    rename: Callable[[str], str] = str,
    dtype: str = "float32",
    clip_s: float | None = None,
    progress: Progress[str] | None = None,
) -> Plan:
    """Look at the headers of the wanted videos, all by default, in the order of their names.

    path: where the source is, as the user calls it: its features are called so, too, except for those of a store, which
    keep their name. key: which array of each video was asked for, if any was; it becomes part of the name. rename:
    makes the id in the store of that in the source. Raises DataError where there is nothing to convert, a video is
    absent, two would have one id, or widths differ.
    """
    record = _record(source, Path(path), key)
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
    return Plan(source, record, names, rows, width, dtype, clip_s)


def _record(source: FeatureSource, path: Path, key: str | None) -> dict[str, Any]:
    """What a store says of its source. Size and time of the files tell whether they have changed since."""
    origin = source.origin if isinstance(source, StoreFeatures) else origin_of(path)
    found = [file.stat() for file in (feature_files(path) if path.is_dir() else [path]) if file.is_file()]
    return {
        "origin": origin if key is None else f"{origin}:{key}",
        "source": str(path.resolve()),
        "key": key,
        "source_bytes": sum(file.st_size for file in found),
        "source_mtime_ns": max((file.st_mtime_ns for file in found), default=0),
    }


def write_store(
    plan: Plan, folder: Path, *, force: bool = False, progress: Progress[str] | None = None
) -> Written | None:
    """Write what ``plan`` says to ``folder``, going on where an earlier call with the same plan was interrupted.

    Returns None where that plan was finished already; a ``clip_s`` that the store did not say is added to it then.
    force: replaces a store that holds something else, finished or not. Raises DataError where ``folder`` holds anything
    else or is being written, a number does not fit the dtype, or the disk is full.
    """
    if str(folder.resolve()) == plan.record["source"]:
        raise DataError(f"{folder}: is what shall be converted; name another folder for the store")
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: exists and is no store; name a folder that is new or empty")
    try:
        folder.mkdir(exist_ok=True)
        with locked(folder):
            return _converted(plan, folder, force, progress)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror or error})") from None


def _converted(plan: Plan, folder: Path, force: bool, progress: Progress[str] | None) -> Written | None:
    _require_ours(folder)
    if not force and (folder / INDEX).is_file():
        index = read_index(folder)
        _require_same(plan, folder, index)
        if index["clip_s"] != plan.clip_s:
            _put_index(plan, folder, index["videos"])
        return None
    done = None if force else _resumed(plan, folder)
    if done is None:
        _begin(plan, folder)
    return _finish(plan, folder, _fill(plan, folder, done or {}, progress), len(done or {}), progress)


def _require_ours(folder: Path) -> None:
    """Refuse to write over anything but a store, whatever is asked."""
    # Names that begin with a dot are the system's, such as macOS's .DS_Store.
    names = {file.name for file in folder.iterdir() if not file.name.startswith(".")}
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
        was = found.get(key)
        if was == wanted or (key == "clip_s" and was is None):  # What nobody said can be said later.
            continue
        if key in ("source_bytes", "source_mtime_ns"):
            why = "the source has changed since it was written or begun"
        elif key == "selection":
            why = "was written or begun with other videos or rows"
        else:
            why = f"was written or begun with another {key} ({was}, now {wanted})"
        raise DataError(f"{folder}: {why}; name another folder, or add --force to replace what is there")


def _begin(plan: Plan, folder: Path) -> None:
    """Make the journal and an empty array of full size, so that a disk too small is known before anything is read."""
    features, dtype = folder / FEATURES, DTYPES[plan.dtype]
    needed = plan.size[0] * plan.size[1] * dtype.itemsize
    free = shutil.disk_usage(folder).free + (features.stat().st_size if features.is_file() else 0)
    if needed > free:
        raise DataError(f"{folder}: the store needs {_size(needed)}, and the disk has {_size(free)} left")
    # In this order: whenever it stops, the folder is the old store, or one that is not finished.
    (folder / JOURNAL).write_text(json.dumps(plan.head) + "\n", encoding="utf-8")
    for name in (INDEX, PARTIAL, FEATURES):
        (folder / name).unlink(missing_ok=True)
    np.lib.format.open_memmap(features, "w+", dtype, plan.size)


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


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
    _put_index(plan, folder, places)
    (folder / JOURNAL).unlink(missing_ok=True)
    return Written(len(videos), plan.size[0], resumed, error)


def _put_index(plan: Plan, folder: Path, places: Mapping[str, Place]) -> None:
    """Put the index in place in one step."""
    with (folder / PARTIAL).open("w", encoding="utf-8") as file:
        file.write(json.dumps({**plan.head, "videos": places}) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(folder / PARTIAL, folder / INDEX)
