"""Which rows of a video a batch takes, and what it makes of them: a window, or a fixed number spread over the video."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.data.dataset import Query
from framework.data.options import DataOptions
from framework.data.positions import with_positions

Clips = NDArray[np.float32]


@attrs.frozen
class Excerpt:
    """Rows ``start`` to ``stop`` of a video and what they mean in time.

    samples: number of rows that are made of them, 0 for all as they are. offset_s: where the excerpt starts in the
    video. extent_s: its length. duration: the annotated length of the whole video. All in seconds.
    """

    video: str
    start: int
    stop: int
    offset_s: float
    extent_s: float
    duration: float
    samples: int = 0


@attrs.frozen
class Draw:
    """What the random crop of a query depends on, and nothing else. key: a stable integer of the query id."""

    seed: int
    epoch: int
    key: int


def excerpt(query: Query, rows: int, data: DataOptions, draw: Draw | None = None) -> Excerpt:
    """Fit a video of ``rows`` rows; with ``draw`` a window is cropped at random, as in training.

    In the mode ``window`` times come from rows x clip_s, never from the annotated duration. The crop ignores the moment
    and may cut it or miss it, and a moment is not clipped to the crop, both as in MS-2D-TAN: a moment's fractions may
    lie outside [0, 1]. In the mode ``sample`` the extent is the annotated duration.
    """
    if data.mode == "sample":
        return Excerpt(query.video, 0, rows, 0.0, query.duration, query.duration, data.window)
    start, stop = 0, rows
    if draw is not None and rows > data.window:
        start = crop_start(rows, data.window, draw)
        stop = start + data.window
    return Excerpt(query.video, start, stop, start * data.clip_s, (stop - start) * data.clip_s, query.duration)


def crop_start(rows: int, window: int, draw: Draw) -> int:
    """First row of a crop, uniform in 0 to ``rows - window``.

    MS-2D-TAN never draws the last of them (its range ends one early); here all have the same chance.
    """
    return int(np.random.default_rng([draw.seed, draw.epoch, draw.key]).integers(rows - window + 1))


def middle_rows(rows: int, samples: int) -> NDArray[np.int64]:
    """Pick ``samples`` of ``rows`` rows, the middle one of each stretch (MS-2D-TAN, sampling mode).

    samples + 1 marks are spread over the video, rounded half to even in float32; short videos repeat rows.
    """
    marks = np.arange(samples + 1, dtype=np.float32) / np.float32(samples) * np.float32(rows)
    places = np.minimum(np.round(marks).astype(np.int64), rows - 1)
    middles: NDArray[np.int64] = (places[:-1] + places[1:]) // 2
    return middles


def middle(clips: Clips, samples: int) -> Clips:
    """(T, D) to (samples, D): the middle row of each stretch, ``middle_rows``."""
    picked: Clips = clips[middle_rows(len(clips), samples)]
    return picked


def mean(clips: Clips, samples: int) -> Clips:
    """(T, D) to (samples, D): row i is the mean of rows b(i) to b(i + 1), b(i) = round(i T / samples), half to even.

    A bin between two equal borders, as in a video of fewer rows than samples, takes the row that its centre lies in:
    row floor((i + 1/2) T / samples). The loader of 2D-TAN differs twice: its borders end at T - 1, so that the last row
    of a long video counts nowhere, and an empty bin takes the row behind its border, up to half a row late. Here every
    row of a video that has at least ``samples`` of them counts once. Means of rows of length 1 are shorter than 1, and
    stay so.
    """
    rows, bins = len(clips), np.arange(samples)
    borders = np.rint(np.arange(samples + 1) * rows / samples).astype(np.int64)
    counts = np.diff(borders)
    out: Clips = clips[(2 * bins + 1) * rows // (2 * samples)]
    full = counts > 0
    out[full] = np.add.reduceat(clips, borders[:-1][full], axis=0) / counts[full, None]
    return out


def linear(clips: Clips, samples: int) -> Clips:
    """(T, D) to (samples, D): linear interpolation at the centres of as many equal bins, as OpenTAD does.

    Row r stands for the time r + 1/2 of T (the convention that torch calls ``align_corners=False``), so bin i lies at
    row (i + 1/2) T / samples - 1/2; before the centre of the first row and behind that of the last they are repeated.
    """
    rows = len(clips)
    at = ((np.arange(samples) + 0.5) * rows / samples - 0.5).clip(0, rows - 1)
    low = at.astype(np.int64)
    share = (at - low).astype(np.float32)[:, None]
    between: Clips = clips[low] * (1 - share) + clips[np.minimum(low + 1, rows - 1)] * share
    return between


RESAMPLING: Final[Mapping[str, Callable[[Clips, int], Clips]]] = {"middle": middle, "mean": mean, "linear": linear}
"""What [data] resample names."""


def prepared(clips: Clips, entry: Excerpt, data: DataOptions) -> Clips:
    """What a batch holds of an excerpt: its rows (T, D), normalised already, to (T', D + ``data.added_columns``).

    They are resampled where the excerpt asks for a number of them, as normalised rows, not the other way round (so do
    2D-TAN and MS-2D-TAN); then come the position columns, where the recipe asks for them. Rows that nothing is done to
    are returned as they are, no copy.
    """
    rows = RESAMPLING[data.resample](clips, entry.samples) if entry.samples else clips
    return with_positions(rows) if data.positions else rows
