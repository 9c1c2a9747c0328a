"""Which rows of a video a batch takes: a window of them, or a fixed number spread over it (MS-2D-TAN)."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.data.dataset import Query
from framework.data.options import DataOptions


@attrs.frozen
class Excerpt:
    """Rows ``start`` to ``stop`` of a video and what they mean in time.

    samples: number of rows that are picked from them, 0 for all. offset_s: where the excerpt starts in the video.
    extent_s: its length. duration: the annotated length of the whole video. All in seconds.
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
