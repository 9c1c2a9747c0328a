"""Features from a store, mapped into memory, against gzip HDF5 opened anew for each item, as peers read them.

Both sides read files that the system holds in memory already, as from the second epoch on, so no disk is measured; and
neither scales rows to length 1, which costs both the same.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from benchmarks.pair import Pair, Work
from framework.data.features import open_features
from framework.data.store_writing import plan_store, write_store

Floats = NDArray[np.float32]


def features(i3d: int = 128, slowfast: int = 32) -> list[Pair]:
    """Videos of the usual sizes, read one by one and copied to a padded batch."""
    return [
        _pair(f"{i3d} videos of about 50 x 1024 (I3D), files in memory, not scaled", i3d, 50, 1024),
        _pair(
            f"{slowfast} videos of about 75 x 2816 (SlowFast and CLIP), files in memory, not scaled", slowfast, 75, 2816
        ),
    ]


def _pair(case: str, videos: int, rows: int, width: int) -> Pair:
    @cache
    def folder() -> Path:
        return _files(videos, rows, width)

    def opened_anew(video: str) -> Floats:
        with h5py.File(folder() / "features.hdf5", "r") as file:
            return np.asarray(file[video][()], dtype=np.float32)

    @cache
    def read() -> Callable[[str], Floats]:
        return open_features(folder() / "store").read

    size = videos, rows + rows // 5, width
    return Pair(case, _batched(opened_anew, *size), _batched(lambda video: read()(video), *size))


def _batched(read: Callable[[str], Floats], videos: int, longest: int, width: int) -> Work:
    """Read all videos to one padded batch, the same memory each time: memory that is new costs as much as reading."""
    batch = np.zeros((videos, longest, width), dtype=np.float32)

    def run() -> Mapping[str, Floats]:
        for number, row in enumerate(batch):
            values = read(f"v{number}")
            row[: len(values)] = values
            row[len(values) :] = 0
        return {"batch": batch}

    return run


def _files(videos: int, rows: int, width: int) -> Path:
    """A folder with the same features as gzip HDF5 and as a store; it is removed when the program ends."""
    folder = Path(tempfile.mkdtemp(prefix="features"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with h5py.File(folder / "features.hdf5", "w") as file:
        for number, values in enumerate(_made(videos, rows, width)):
            file.create_dataset(f"v{number}", data=values, compression="gzip")
    write_store(plan_store(open_features(folder / "features.hdf5"), "features.hdf5"), folder / "store")
    return folder


def _made(videos: int, rows: int, width: int) -> Iterator[Floats]:
    """Features as a rectifier leaves them, half of them zero, so that gzip has work; lengths differ by a fifth."""
    random = np.random.default_rng(0)
    for _ in range(videos):
        length = int(random.integers(rows - rows // 5, rows + rows // 5 + 1))
        yield np.maximum(random.standard_normal((length, width), dtype=np.float32), 0)
