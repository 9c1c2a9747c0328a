"""Features in memory: normalised once, read from the disk once, checked before a run needs them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from framework.data.dataset import FeatureSource
from framework.data.options import DataOptions
from framework.errors import DataError, Problems


def unit_rows(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each row of (L, D) to length 1; a row shorter than 1e-12 is divided by that, so that zero stays zero."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.maximum(length, 1e-12), dtype=np.float32)


class VideoCache(FeatureSource):
    """A feature source in front of another one.

    normalize: scale each row to length 1, as MS-2D-TAN does. cache_mb: whole videos are kept until this many megabytes
    are full, and none is given up afterwards: under a shuffled epoch, giving up the oldest one would give up each video
    just before it is asked for again.
    """

    def __init__(self, source: FeatureSource, *, normalize: bool = True, cache_mb: int = 2048) -> None:
        self.source, self.name, self.normalize = source, source.name, normalize
        self._room = cache_mb * 2**20
        self._clips: dict[str, NDArray[np.float32]] = {}
        self._shapes: dict[str, tuple[int, int]] = {}

    @classmethod
    def over(cls, source: FeatureSource, data: DataOptions) -> VideoCache:
        """Put a cache in front of ``source``, unless it is one."""
        if isinstance(source, VideoCache):
            return source
        return cls(source, normalize=data.normalize, cache_mb=data.cache_mb)

    def videos(self) -> frozenset[str]:
        return self.source.videos()

    def shape(self, video: str) -> tuple[int, int]:
        if video not in self._shapes:
            self._shapes[video] = self.source.shape(video)
        return self._shapes[video]

    def read(self, video: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        if video not in self._clips:
            rows, width = self.shape(video)
            if rows * width * 4 > self._room:
                return self._prepared(self.source.read(video, start, stop))
            # A view, so that an array that belongs to the source stays writable there.
            kept = self._prepared(self.source.read(video)).view()
            kept.setflags(write=False)
            self._room -= rows * width * 4
            self._clips[video] = kept
        return self._clips[video][start:stop]

    def _prepared(self, clips: NDArray[np.float32]) -> NDArray[np.float32]:
        return unit_rows(clips) if self.normalize else clips

    def require(self, videos: Iterable[str]) -> int:
        """Check that each video is there and that all are equally wide; return that width.

        Raises DataError with the number and the first few names of absent videos, or Problems with all that is wrong.
        """
        wanted = sorted(set(videos))
        absent = [video for video in wanted if video not in self.videos()]
        if absent:
            few = ", ".join(absent[:3]) + (", ..." if len(absent) > 3 else "")
            raise DataError(
                f"{self.name}: {len(absent)} of {len(wanted)} videos have no features: {few}; "
                f'it holds videos such as "{min(self.videos())}"'
            )
        problems: list[DataError] = []
        for video in wanted:
            try:
                self.shape(video)
            except DataError as error:
                problems.append(error)
        if problems:
            raise Problems(problems)
        return self._one_width(wanted)

    def _one_width(self, videos: list[str]) -> int:
        width = self.shape(videos[0])[1]
        for video in videos:
            if self.shape(video)[1] != width:
                raise DataError(
                    f'{self.name}: video "{video}" has {self.shape(video)[1]} columns, "{videos[0]}" has {width}; '
                    "all videos must have the same features"
                )
        return width
