"""The features of a single video, as a command line names them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.data.dataset import FeatureSource
from framework.data.features import open_features
from framework.data.store import StoreFeatures, is_store
from framework.errors import DataError

Clips = NDArray[np.float32]


class OneVideo(FeatureSource):
    """Rows in memory, as a source of the one video called "video"."""

    def __init__(self, clips: Clips, name: str = "the given video") -> None:
        self.clips, self.name = clips, name

    def videos(self) -> frozenset[str]:
        return frozenset({"video"})

    def shape(self, video: str) -> tuple[int, int]:
        return self.clips.shape[0], self.clips.shape[1]

    def read(self, video: str, start: int = 0, stop: int | None = None) -> Clips:
        return self.clips[start:stop]


@attrs.frozen(eq=False)
class Shown:
    """What was read. features: (T, D), or a list, one a source. clip_s: seconds a row, where a store says so."""

    features: Clips | list[Clips]
    clip_s: float | None


def read_video(path: Path) -> Shown:
    """Read one video's features: a .npy or .npz file, ``FILE.hdf5:VIDEO``, or ``STORE:VIDEO``. Raises DataError.

    Several of them with commas between are a list, one a source.
    """
    written = str(path)
    try:
        several = written.split(",")
        # A comma may also be part of a name, where what it parts names nothing.
        one = len(several) == 1 or (_named(written) and not all(map(_named, several)))
        parts = [_read_one(each) for each in ([written] if one else several)]
    except OSError as error:
        raise DataError(f"{written[:200]}: cannot be read ({error.strerror}). Name a file that can.") from None
    stated = {clip_s for _, clip_s in parts if clip_s is not None}
    if len(stated) > 1:
        raise DataError(
            f"{path}: these stores say different seconds a row: {', '.join(f'{each:g}' for each in sorted(stated))}. "
            "Show the sources that the weights were trained on."
        )
    features = [clips for clips, _ in parts]
    return Shown(features[0] if len(features) == 1 else features, stated.pop() if stated else None)


def _named(written: str) -> bool:
    return Path(written).is_file() or any(True for _ in _places(written))


def _read_one(written: str) -> tuple[Clips, float | None]:
    path = Path(written)
    if path.suffix in (".npy", ".npz") and path.is_file():
        return open_features(path).read(path.stem), None
    for file, video in _places(written):
        source = open_features(file)
        return source.read(video), source.clip_s if isinstance(source, StoreFeatures) else None
    raise DataError(f"{path}: must be a .npy or .npz file of one video, or FILE.hdf5:VIDEO, or STORE:VIDEO.")


def _places(written: str) -> Iterator[tuple[Path, str]]:
    """Every way to take ``FILE:VIDEO`` apart whose file is there; either side may have colons of its own."""
    for at in range(len(written) - 1, 0, -1):
        file = Path(written[:at])
        if written[at] == ":" and (file.is_file() or is_store(file)):
            yield file, written[at + 1 :]
