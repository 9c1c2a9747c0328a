"""The keys of a recipe's [data] table that every dataset shares."""

from __future__ import annotations

import attrs

from framework.core.options import above, at_least, one_of, option
from framework.data.positions import COLUMNS


def _share(value: float) -> str | None:
    return None if 0 <= value < 1 else "must be at least 0 and less than 1"


def _sources(value: str | tuple[str, ...]) -> str | None:
    names = (value,) if isinstance(value, str) else value
    return None if names and len(set(names)) == len(names) else "must name one source at least, and none twice"


@attrs.frozen
class DataOptions:
    """Where the features lie and how a video becomes a fixed number of rows."""

    root: str = option(".", doc="folder that the dataset's files and `video` are looked for in")
    video: str | tuple[str, ...] | None = option(
        None,
        doc="video features: a store, an HDF5 file, or a folder of .npy or of .npz files; a list is set side by side",
        rule=_sources,
    )
    mode: str = option(
        "window",
        doc="window: a crop in training and the whole video in evaluation; sample: `window` rows spread over the video",
        rule=one_of("window", "sample"),
    )
    clip_s: float = option(
        0.64,
        doc="seconds between two feature rows; in the mode `sample` only `predict` counts by it",
        rule=above(0),
    )
    window: int = option(64, doc="rows a training video has; a shorter one is padded to it", rule=at_least(1))
    resample: str = option(
        "middle",
        doc="how `sample` makes `window` rows: the middle row or the mean of each bin, or linear interpolation",
        rule=one_of("middle", "mean", "linear"),
    )
    normalize: bool = option(True, doc="scale each row of the features to length 1, before any resampling")
    positions: bool = option(False, doc="append where each row starts and ends, as two columns of fractions")
    holdout: float = option(0.0, doc="share of the training videos held out for validation", rule=_share)
    cache_mb: int = option(
        2048, doc="memory for features that were read once, megabytes; stores are not kept in it", rule=at_least(0)
    )
    prefetch: int = option(2, doc="batches made ahead in a background thread; 0 makes none", rule=at_least(0))

    @property
    def sources(self) -> tuple[str, ...]:
        """What ``video`` names, in its order; empty where the dataset brings its features along."""
        return (self.video,) if isinstance(self.video, str) else self.video or ()

    @property
    def added_columns(self) -> int:
        """How much wider the rows of a batch are than those of the sources together."""
        return COLUMNS if self.positions else 0
