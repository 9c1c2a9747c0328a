"""Simulated features: rows shaped like those of an I3D network, made from the labelled actions of a video.

Nobody may redistribute the field's videos, and its published feature files go missing. Where only annotations are at
hand, this stands in for a network that saw the video: it knows which labelled actions overlap its receptive field, and
gets some of them wrong. What is made here is never a result on the real data; whoever writes it says so.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SIMULATOR: Final = "nlvl.simulation 1"
"""Name and version; the version grows with every change that changes a value."""


@attrs.frozen
class SimulationConstants:
    """Everything that makes the simulated features easy or hard, chosen once and stated nowhere else.

    Lengths in the latent space are in units of one action: a component of a class embedding has variance 1.

    clip_s, field_s: seconds from one row to the next, and seconds that a row looks at (I3D: 16 and 64 frames at 25/s).
    classes: number of action classes. embedding: dimensions of the latent space. neighbour_correlation: of the
    embeddings of classes c and c + 1, its n-th power n classes apart.
    jitter_s, jitter_share: standard deviation of the error of an interval's ends is the smaller of jitter_s seconds and
    jitter_share of its length. jitter_limit: largest error in standard deviations; below 2.5 no interval reverses.
    invisible_share, invisible_gain: share of actions hardly seen, and how strong they still are.
    confused_share, confused_reach: share of actions taken for another class, and how far off that class is at most.
    scene_strength, video_strength: standard deviation of the constant background that videos of one scene share, and of
    the part that is each video's own. noise, autocorrelation: standard deviation of the noise of a row and its
    correlation with the next row's.
    """

    clip_s: float = 0.64
    field_s: float = 2.56
    classes: int = 157
    embedding: int = 64
    neighbour_correlation: float = 0.5
    jitter_s: float = 0.6
    jitter_share: float = 0.2
    jitter_limit: float = 2.4
    invisible_share: float = 0.15
    invisible_gain: float = 0.1
    confused_share: float = 0.15
    confused_reach: int = 3
    scene_strength: float = 1.0
    video_strength: float = 0.5
    noise: float = 1.0
    autocorrelation: float = 0.7


@attrs.frozen
class Interval:
    """One labelled action: class, start and end in seconds."""

    label: int
    start: float
    end: float


@attrs.frozen(eq=False)
class Seen:
    """What the simulated network makes of n actions: label, start, end and gain, each (n,)."""

    label: NDArray[np.int64]
    start: Floats
    end: Floats
    gain: Floats


class Draws:
    """Random numbers that depend on their keys alone.

    Made from the raw bits of PCG64, whose stream numpy guarantees; the distributions of its Generator are not
    guaranteed to stay the same from one release to the next (NEP 19).
    """

    def __init__(self, *keys: object) -> None:
        digest = hashlib.sha256("\x1f".join(map(str, keys)).encode()).digest()
        self._bits = np.random.PCG64(int.from_bytes(digest, "big"))

    def uniform(self, *shape: int) -> Floats:
        """Numbers in [0, 1)."""
        raw = np.asarray(self._bits.random_raw(math.prod(shape)), dtype=np.uint64)
        numbers: Floats = (raw >> np.uint64(11)) * 2.0**-53
        return numbers.reshape(shape)

    def normal(self, *shape: int) -> Floats:
        """Standard normal numbers (Box and Muller 1958)."""
        half = (math.prod(shape) + 1) // 2
        radius, angle = np.sqrt(-2 * np.log1p(-self.uniform(half))), 2 * np.pi * self.uniform(half)
        both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
        numbers: Floats = both[: math.prod(shape)].reshape(shape)
        return numbers

    def number(self) -> float:
        """One number in [0, 1)."""
        return float(self.uniform(1)[0])

    def integer(self, stop: int) -> int:
        """One whole number of 0 .. stop - 1."""
        return int(self.number() * stop)


def row_count(duration: float, clip_s: float) -> int:
    """Number of feature rows of a video: whole clips only, at least one."""
    return max(1, math.floor(duration / clip_s + 1e-9))


def simulate(
    video: str,
    duration: float,
    intervals: Sequence[Interval],
    scene: str,
    constants: SimulationConstants,
    width: int = 256,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Make the features of one video, float32 (T, width), none negative.

    They depend on the arguments alone: not on other videos, on the order of videos or on the process.
    Raises ValueError where an interval's label is no class or it does not end after it starts.
    """
    count = row_count(duration, constants.clip_s)
    found = see(intervals, duration, constants, Draws("actions", seed, video))
    share = overlap(found, duration, count, constants)
    latent = (share * found.gain) @ class_embeddings(constants, seed)[found.label]
    latent += constants.scene_strength * _scene_embedding(scene, constants.embedding, seed)
    latent += constants.video_strength * Draws("video", seed, video).normal(constants.embedding)
    latent += constants.noise * coloured(Draws("noise", seed, video), count, constants)
    # A network's last layer ends in a rectifier; half of a random projection's outputs survive it.
    return np.maximum(latent @ _projection(constants.embedding, width, seed), 0).astype(np.float32)


def see(intervals: Sequence[Interval], duration: float, constants: SimulationConstants, draws: Draws) -> Seen:
    """Jitter, hide and confuse the actions of one video."""
    label = np.array([interval.label for interval in intervals], dtype=np.int64)
    if len(label) and not (label.min() >= 0 and label.max() < constants.classes):
        raise ValueError(f"labels {label.min()} to {label.max()}: must be 0 to {constants.classes - 1}")
    ends = np.array([(interval.start, interval.end) for interval in intervals], dtype=np.float64).reshape(-1, 2)
    if not (ends[:, 0] < ends[:, 1]).all():
        raise ValueError("an action must end after it starts")
    fate, step = draws.uniform(len(label)), draws.uniform(len(label))
    spread = np.minimum(constants.jitter_s, constants.jitter_share * (ends[:, 1] - ends[:, 0]))
    limit = constants.jitter_limit
    ends = np.clip(ends + spread[:, None] * np.clip(draws.normal(len(label), 2), -limit, limit), 0, duration)
    invisible = fate < constants.invisible_share
    confused = ~invisible & (fate < constants.invisible_share + constants.confused_share)
    return Seen(
        np.where(confused, _confuse(label, step, constants), label),
        ends[:, 0],
        ends[:, 1],
        np.where(invisible, constants.invisible_gain, 1.0),
    )


def _confuse(label: NDArray[np.int64], step: Floats, constants: SimulationConstants) -> NDArray[np.int64]:
    """Move each label by 1 .. reach classes either way; at an end of the list, the other way."""
    reach = constants.confused_reach
    offset = (step * 2 * reach).astype(np.int64) - reach
    offset += offset >= 0
    moved = label + offset
    return np.where((moved < 0) | (moved >= constants.classes), label - offset, moved)


def overlap(found: Seen, duration: float, count: int, constants: SimulationConstants) -> Floats:
    """Share of each row's receptive field that each action fills, (T, n); the field ends where the video does."""
    centre = (np.arange(count)[:, None] + 0.5) * constants.clip_s
    low = np.maximum(centre - constants.field_s / 2, 0)
    high = np.minimum(centre + constants.field_s / 2, max(duration, constants.clip_s))
    share: Floats = np.maximum(np.minimum(found.end, high) - np.maximum(found.start, low), 0) / (high - low)
    return share


def coloured(draws: Draws, count: int, constants: SimulationConstants) -> Floats:
    """Noise of unit variance (T, E) whose rows follow a first-order autoregression."""
    noise, keep = draws.normal(count, constants.embedding), constants.autocorrelation
    noise[1:] *= math.sqrt(1 - keep**2)
    for row in range(1, count):
        noise[row] += keep * noise[row - 1]
    return noise


@lru_cache(maxsize=8)
def class_embeddings(constants: SimulationConstants, seed: int) -> Floats:
    """Embedding of each class (classes, E): neighbours, which share an object in Charades, are alike."""
    keep = constants.neighbour_correlation
    embeddings = Draws("classes", seed).normal(constants.classes, constants.embedding)
    embeddings[1:] *= math.sqrt(1 - keep**2)
    for label in range(1, constants.classes):
        embeddings[label] += keep * embeddings[label - 1]
    return embeddings


@lru_cache(maxsize=64)
def _scene_embedding(scene: str, embedding: int, seed: int) -> Floats:
    return Draws("scene", seed, scene).normal(embedding)


@lru_cache(maxsize=8)
def _projection(embedding: int, width: int, seed: int) -> Floats:
    return Draws("projection", seed).normal(embedding, width) / math.sqrt(embedding)
