"""Features in memory: sources set side by side, normalised once, read once, checked before a run needs them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from framework.data.dataset import FeatureSource
from framework.data.options import DataOptions
from framework.data.store import StoreFeatures
from framework.errors import DataError, Problems

SLACK_ROWS: Final = 2
SLACK: Final = 0.1
"""By how many rows, and by which share, the lengths of one video in two sources may differ; both must be exceeded."""

Shape = tuple[int, int]


def unit_rows(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each row of (L, D) to length 1; a row shorter than 1e-12 is divided by that, so that zero stays zero."""
    with np.errstate(over="ignore"):
        length = np.linalg.norm(x, axis=1, keepdims=True)
    if not np.isfinite(length).all():  # Squares of numbers above 1e19 are too large for float32, the numbers are not.
        length = np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(x / np.maximum(length, 1e-12), dtype=np.float32)


class VideoCache(FeatureSource):
    """One feature source in front of one or several others.

    Several are set side by side in the order given, as Moment-DETR does with SlowFast and CLIP: each video is cut to
    its length in the shortest, since extractors differ by a row or two at the end.
    normalize: scale each row of each source to length 1. (MS-2D-TAN divides by max(length, 1e-12), as here; Moment-DETR
    by length + 1e-5.) cache_mb: whole videos are kept until this many megabytes are full, and none is given up
    afterwards: under a shuffled epoch, giving up the oldest one would give up each video just before it is asked for
    again. Stores are not kept: the system keeps their pages, once for all processes, and a window costs its own rows.
    """

    def __init__(self, *sources: FeatureSource, normalize: bool = True, cache_mb: int = 2048) -> None:
        self.sources, self.normalize = sources, normalize
        self.name = " + ".join(source.name for source in sources)
        self._videos = frozenset.intersection(*(source.videos() for source in sources))
        self._room = 0 if all(isinstance(source, StoreFeatures) for source in sources) else cache_mb * 2**20
        self._clips: dict[str, NDArray[np.float32]] = {}
        self._shapes: dict[str, list[Shape]] = {}

    @classmethod
    def over(cls, source: FeatureSource, data: DataOptions) -> VideoCache:
        """Put a cache in front of ``source``, unless it is one."""
        if isinstance(source, VideoCache):
            return source
        return cls(source, normalize=data.normalize, cache_mb=data.cache_mb)

    def videos(self) -> frozenset[str]:
        return self._videos

    def shape(self, video: str) -> Shape:
        return min(rows for rows, _ in self._all_shapes(video)), sum(self.widths(video))

    def widths(self, video: str) -> list[int]:
        """Columns of each source, in their order."""
        return [width for _, width in self._all_shapes(video)]

    def _all_shapes(self, video: str) -> list[Shape]:
        if video not in self._shapes:
            self._shapes[video] = [source.shape(video) for source in self.sources]
        return self._shapes[video]

    def read(self, video: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        if video not in self._clips:
            rows, width = self.shape(video)
            if rows * width * 4 > self._room:
                return self._joined(video, start, rows if stop is None else min(stop, rows))
            # A view, so that an array that belongs to the source stays writable there.
            kept = self._joined(video, 0, rows).view()
            kept.setflags(write=False)
            self._room -= rows * width * 4
            self._clips[video] = kept
        return self._clips[video][start:stop]

    def _joined(self, video: str, start: int, stop: int) -> NDArray[np.float32]:
        blocks = [source.read(video, start, stop) for source in self.sources]
        if self.normalize:
            blocks = [unit_rows(block) for block in blocks]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)

    def require(self, videos: Iterable[str]) -> int:
        """Check that each video is there and that all are equally wide; return that width.

        Raises DataError with the number and the first few names of absent videos or with the first video whose sources
        do not belong together, or Problems with all that is wrong.
        """
        wanted = sorted(set(videos))
        _refuse([error for source in self.sources if (error := _absent(source, wanted))])
        problems: list[DataError] = []
        for video in wanted:
            try:
                self.shape(video)
            except DataError as error:
                problems.append(error)
        _refuse(problems)
        self._require_one_length(wanted)
        self._require_one_width(wanted)
        return self.shape(wanted[0])[1]

    def _require_one_length(self, videos: Sequence[str]) -> None:
        apart = [video for video in videos if _apart([rows for rows, _ in self._all_shapes(video)])]
        if not apart:
            return
        shapes = zip(self.sources, self._all_shapes(apart[0]), strict=True)
        lengths = ", ".join(f"{rows} in {source.name}" for source, (rows, _) in shapes)
        raise DataError(
            f"{len(apart)} of {len(videos)} videos differ between the sources of [data] video by more than "
            f'{SLACK_ROWS} rows and {SLACK:.0%}, first "{apart[0]}" with rows {lengths}; '
            "name sources of the same videos and the same clip length"
        )

    def _require_one_width(self, videos: Sequence[str]) -> None:
        first = self.widths(videos[0])
        for video in videos:
            for source, width, wanted in zip(self.sources, self.widths(video), first, strict=True):
                if width != wanted:
                    raise DataError(
                        f'{source.name}: video "{video}" has {width} columns, "{videos[0]}" has {wanted}; '
                        "all videos must have the same features"
                    )


def _apart(rows: Sequence[int]) -> bool:
    """Whether the lengths of one video in several sources are too far from each other."""
    return max(rows) - min(rows) > max(SLACK_ROWS, SLACK * max(rows))


def _absent(source: FeatureSource, wanted: Sequence[str]) -> DataError | None:
    """Which of the wanted videos a source lacks, in one line; None where it has all."""
    known = source.videos()
    absent = [video for video in wanted if video not in known]
    if not absent:
        return None
    few = ", ".join(absent[:3]) + (", ..." if len(absent) > 3 else "")
    held = f'it holds videos such as "{min(known)}"' if known else "it holds none"
    if set(absent) & {name.rpartition(".")[0] for name in known}:
        held += "; tools/convert_features.py --drop-extension makes a store whose names end before the dot"
    return DataError(f"{source.name}: {len(absent)} of {len(wanted)} videos have no features: {few}; {held}")


def _refuse(problems: Sequence[DataError]) -> None:
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise Problems(problems)
