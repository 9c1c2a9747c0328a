"""Video features on disk: a store, an HDF5 file, a folder of .npy or .npz files, or a single such file.

All of them hold one array (T, D) a video, so a recipe need not say which it is.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from framework.data.dataset import FeatureSource
from framework.data.store import FEATURES, INDEX, StoreFeatures, feature_files, is_store
from framework.errors import DataError, cut, nearest

KEYS = ("features", "arr", "feats")
"""Names that an array has inside an .npz file or an HDF5 group; the only array there may have any name."""

_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    KeyError,
    RuntimeError,
    MemoryError,
    OverflowError,
    TokenError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What h5py, numpy and zipfile raise on damaged files and dangling links."""

Header = tuple[tuple[int, ...], "np.dtype[Any]"]


def open_features(path: Path, keys: Sequence[str] = KEYS, noun: str = "video") -> FeatureSource:
    """Open ``path`` by what it is.

    keys: names of the wanted array, best first, where a file or group holds several; the only one may have any name.
    noun: what messages call an item. Raises DataError where ``path`` is missing, empty or something else.
    """
    if path.is_dir():
        if is_store(path):
            return StoreFeatures(path, noun)
        return _open_folder(path, keys, noun)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; {noun} features are looked for there")
    if h5py.is_hdf5(path):
        return Hdf5Features(path, keys, noun)
    if path.suffix in (".npy", ".npz"):
        return _FOLDERS[path.suffix](path.parent, {path.stem: path}, path, keys, noun)
    raise DataError(f"{path}: is neither HDF5, .npy nor .npz, or is cut off; {noun} features come in one of these")


def _open_folder(path: Path, keys: Sequence[str], noun: str) -> FeatureSource:
    found = {suffix: {file.stem: file for file in feature_files(path, suffix)} for suffix in _FOLDERS}
    kinds = [suffix for suffix, files in found.items() if files]
    if not kinds:
        raise DataError(f"{path}: holds no .npy and no .npz file; name an HDF5 file itself, not the folder it is in")
    if len(kinds) > 1:
        raise DataError(f"{path}: holds both .npy and .npz files; keep one kind, so that no {noun} has two versions")
    if list(found[kinds[0]].values()) == [path / FEATURES]:
        raise DataError(
            f"{path}: holds {FEATURES} alone, as a store whose {INDEX} is absent; copy that too, or, where it is one "
            f"{noun}, name the file itself"
        )
    return _FOLDERS[kinds[0]](path, found[kinds[0]], path, keys, noun)


class ArrayStore(FeatureSource):
    """One array an item, checked when it is read: rank 2, floating point, finite, at least one row."""

    def __init__(self, path: Path, keys: Sequence[str], noun: str) -> None:
        self.path, self.keys, self.noun, self._any_name = path, tuple(keys), noun, True
        self.name = str(path)

    def shape(self, video: str) -> tuple[int, int]:
        """Rows and width (T, D). Raises DataError on an absent item, wrong rank, wrong type or no rows."""
        self._require(video)
        with self._readable(video):
            shape, dtype = self._header(video)
        place = f'{self.name}: {self.noun} "{video}"'
        if len(shape) != 2:
            raise DataError(f"{place} has shape {shape}; features must be (rows, width)")
        if dtype.kind != "f":
            raise DataError(f"{place} has type {dtype}; features must be floating point")
        if min(shape) == 0:
            raise DataError(f"{place} has shape {shape}; features must have at least one row and one column")
        return shape[0], shape[1]

    def read(self, video: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Rows ``start`` to ``stop`` as float32. Raises DataError as ``shape`` does, and on NaN and infinity."""
        self.shape(video)
        with self._readable(video), np.errstate(over="ignore"):
            values = self._values(video, start, stop).astype(np.float32)
        finite = np.isfinite(values).all(axis=1)
        if not finite.all():
            row = start + int(finite.argmin())
            raise DataError(
                f'{self.name}: {self.noun} "{video}" has NaN or infinity in row {row}; features must be finite, '
                "extract them again"
            )
        return values

    def _require(self, video: str) -> None:
        known = self.videos()
        if video not in known:
            raise DataError(f'{self.name}: has no {self.noun} "{video}" among its {len(known)}.{nearest(video, known)}')

    @contextmanager
    def _readable(self, video: str) -> Iterator[None]:
        try:
            yield
        except _UNREADABLE as error:
            raise DataError(
                f'{self.name}: {self.noun} "{video}" cannot be read: {error}; the file may be cut off'
            ) from None

    def require_key(self) -> None:
        """Take no array of another name than ``keys``, not even the only one: somebody asked for it by name."""
        self._any_name = False

    def _choose(self, video: str, names: Sequence[str]) -> str:
        """Which of several arrays of one item is meant."""
        for key in (*self.keys, *(names if len(names) == 1 and self._any_name else ())):
            if key in names:
                return key
        raise DataError(
            f'{self.name}: {self.noun} "{video}" holds the arrays {_listed(names)}; '
            f"one of them must be called {' or '.join(self.keys)}"
        )

    @abstractmethod
    def _header(self, video: str) -> Header:
        """Shape and type of one array, without its values."""

    @abstractmethod
    def _values(self, video: str, start: int, stop: int | None) -> NDArray[Any]:
        """Rows of one array, as stored."""


class Hdf5Features(ArrayStore):
    """An HDF5 file with one dataset a video at its root, or one group a video that holds the dataset.

    All of them may lie in one group instead: the only thing at the root, where it holds several things and none of
    them is a dataset with one of the names that an array of a video has.

    The file is opened once a process: a copy sent to another process opens it anew.
    """

    def __init__(self, path: Path, keys: Sequence[str] = KEYS, noun: str = "video") -> None:
        super().__init__(path, keys, noun)
        self._handle: tuple[int, Any] | None = None
        try:
            self._within = self._group()
            self._videos = frozenset(self._file()[self._within].keys())
        except _UNREADABLE as error:
            raise DataError(f"{path}: cannot be read: {error}; the file may be cut off") from None
        if not self._videos:
            raise DataError(f"{path}: holds no {noun}; was the conversion that wrote it given any?")

    def videos(self) -> frozenset[str]:
        return self._videos

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handle": None}

    def _file(self) -> Any:
        # HDF5 state does not survive a fork, so the handle is remembered together with its process.
        if self._handle is None or self._handle[0] != os.getpid():
            try:
                self._handle = (os.getpid(), h5py.File(self.path, "r"))
            except OSError as error:
                raise DataError(f"{self.path}: cannot be opened as HDF5: {error}") from None
        return self._handle[1]

    def _group(self) -> str:
        """Where in the file the videos are."""
        file = self._file()
        names = list(file)
        if len(names) != 1 or file.get(names[0], getclass=True) is not h5py.Group:
            return "/"
        group = file[names[0]]
        named = any(group.get(key, getclass=True) is h5py.Dataset for key in self.keys)
        return "/" if named or len(group) < 2 else names[0]

    def _dataset(self, video: str) -> Any:
        # One look-up: on short videos they take as long as reading does.
        node = self._file()[video if self._within == "/" else f"{self._within}/{video}"]
        if not isinstance(node, h5py.Group):
            return node
        return node[self._choose(video, [name for name in node if isinstance(node[name], h5py.Dataset)])]

    def _header(self, video: str) -> Header:
        dataset = self._dataset(video)
        if getattr(dataset, "shape", None) is None:  # An HDF5 null dataspace, or a type stored on its own.
            raise DataError(f'{self.name}: {self.noun} "{video}" holds no array; features must be (rows, width)')
        return dataset.shape, dataset.dtype

    def _values(self, video: str, start: int, stop: int | None) -> NDArray[Any]:
        return np.asarray(self._dataset(video)[start:stop])


class _Files(ArrayStore):
    """One file a video, named after it."""

    def __init__(self, folder: Path, files: dict[str, Path], path: Path, keys: Sequence[str], noun: str) -> None:
        super().__init__(path, keys, noun)
        self._paths = files
        self._videos = frozenset(files)

    def videos(self) -> frozenset[str]:
        return self._videos


class NpyFeatures(_Files):
    """A folder with one .npy file a video."""

    def _header(self, video: str) -> Header:
        with self._paths[video].open("rb") as file:
            return _npy_header(file)

    def _values(self, video: str, start: int, stop: int | None) -> NDArray[Any]:
        return np.asarray(np.load(self._paths[video], mmap_mode="r", allow_pickle=False)[start:stop])


class NpzFeatures(_Files):
    """A folder with one .npz file a video."""

    def _header(self, video: str) -> Header:
        with zipfile.ZipFile(self._paths[video]) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            with archive.open(self._choose(video, names) + ".npy") as file:
                return _npy_header(file)

    def _values(self, video: str, start: int, stop: int | None) -> NDArray[Any]:
        with np.load(self._paths[video], allow_pickle=False) as archive:
            return np.asarray(archive[self._choose(video, archive.files)][start:stop])


def _listed(names: Sequence[str]) -> str:
    return cut(", ".join(sorted(names)), 120) or "(none)"


_FOLDERS: dict[str, type[_Files]] = {".npy": NpyFeatures, ".npz": NpzFeatures}


def _npy_header(file: IO[bytes]) -> Header:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"its .npy header has version {version}, known are 1.0 and 2.0")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype
