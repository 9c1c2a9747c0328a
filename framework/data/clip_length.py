"""Does the recipe's clip length fit the features? Rows times seconds a row should give the annotated duration."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import attrs

from framework.data.cache import VideoCache
from framework.data.dataset import FeatureSource, Query
from framework.data.store import StoreFeatures
from framework.errors import DataError

TOLERANCE = 0.1
"""Share of the duration that rows x clip_s may be off; one row more or less is always allowed."""


def whole_clips(duration: float, clip_s: float) -> int:
    """How many clips fit into a video; 0.9 s holds three of 0.3 s, though 0.9 / 0.3 is a little less."""
    return int(duration / clip_s + 1e-6)


@attrs.frozen
class ClipLengths:
    """What ``clip_length_report`` found.

    videos: number looked at. warnings: one line for each that is off. measured_s: median of duration / rows.
    stated: name of each store among the features that says how many seconds its rows last, and that number.
    """

    name: str
    clip_s: float
    videos: int
    warnings: tuple[str, ...]
    measured_s: float
    stated: tuple[tuple[str, float], ...] = ()

    @property
    def contradiction(self) -> str | None:
        """What is wrong with clip_s: a store says otherwise, or more than half of the videos are off.

        A few are usual, and are warnings.
        """
        for name, seconds in self.stated:
            if abs(seconds - self.clip_s) > 1e-3 * seconds:
                return (
                    f"[data] clip_s = {self.clip_s:g}: {name} says that its rows last {seconds:g} s. Set clip_s to "
                    "that, or check that these are the features you mean"
                )
        if 2 * len(self.warnings) <= self.videos:
            return None
        return (
            f"[data] clip_s = {self.clip_s:g}: {len(self.warnings)} of {self.videos} videos of {self.name} are "
            f"more than {TOLERANCE:.0%} longer or shorter than annotated; the median of duration / rows is "
            f"{self.measured_s:.4g} s. Set clip_s to that, or check that these are the features you mean"
        )

    def require(self) -> None:
        """Raise DataError where the features contradict clip_s.

        In windows every moment would be learned at a wrong place without any other sign of it.
        """
        if self.contradiction:
            raise DataError(self.contradiction)


def clip_length_report(queries: Sequence[Query], features: FeatureSource, clip_s: float) -> ClipLengths:
    """Compare rows x ``clip_s`` of each video with its annotated duration, seconds."""
    durations = {query.video: query.duration for query in queries}
    rows = {video: features.shape(video)[0] for video in durations}
    warnings = tuple(
        f'{features.name}: video "{video}" has {rows[video]} rows x {clip_s:g} s = {rows[video] * clip_s:.2f} s, '
        f"annotated are {duration:.2f} s"
        for video, duration in durations.items()
        if abs(rows[video] * clip_s - duration) > max(TOLERANCE * duration, clip_s)
    )
    measured = median(duration / rows[video] for video, duration in durations.items())
    sources = features.sources if isinstance(features, VideoCache) else (features,)
    stores = [source for source in sources if isinstance(source, StoreFeatures)]
    stated = tuple((store.name, store.clip_s) for store in stores if store.clip_s is not None)
    return ClipLengths(features.name, clip_s, len(durations), warnings, measured, stated)
