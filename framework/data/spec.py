"""FeatureSpec: which features weights were trained on, so that no others are shown to them.

Two extractors may give as many columns, and then only their numbers differ: their typical size is kept too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.data.cache import VideoCache
from framework.data.options import DataOptions

FEW: Final = 16
"""Videos whose rows are measured."""

APART: Final = 2.0
"""By which factor the typical lengths of one extractor's rows stay together from one video to another."""

OF_RECIPE: Final = ("clip_s", "mode", "window", "resample", "normalize", "positions")


def typical_length(clips: NDArray[np.float32]) -> float:
    """Median Euclidean length of the rows of (T, D)."""
    return float(np.median(np.linalg.norm(clips.astype(np.float64), axis=1)))


@attrs.frozen
class FeatureSpec:
    """What a checkpoint says of its features.

    names: of the sources, in their order, as ``FeatureSource.origin`` gives them: a store is called after the file that
    it was made from. widths: columns of each. clip_s: seconds a row.
    mode, window, resample: how a video becomes rows. normalize, positions: what is done to them. lengths: typical
    length of a row of each source before that. digest: of the numbers of a few videos, to know the same files again.
    """

    names: tuple[str, ...]
    widths: tuple[int, ...]
    clip_s: float
    mode: str
    window: int
    resample: str
    normalize: bool
    positions: bool
    lengths: tuple[float, ...]
    digest: str

    @classmethod
    def of(cls, options: DataOptions, features: VideoCache, videos: Sequence[str]) -> FeatureSpec:
        """Describe the features that a recipe reads, by a few of its videos."""
        few = videos[:: max(1, len(videos) // FEW)][:FEW]
        blocks = [[source.read(video) for video in few] for source in features.sources]
        kept = {name: getattr(options, name) for name in OF_RECIPE}
        return cls(
            names=tuple(source.origin for source in features.sources),
            widths=tuple(features.widths(few[0])),
            lengths=tuple(typical_length(np.concatenate(own)) for own in blocks),
            digest=hashlib.sha256(b"".join(block.tobytes() for own in blocks for block in own)).hexdigest(),
            **kept,
        )

    def under(self, options: DataOptions) -> FeatureSpec:
        """The same features, made into rows by other options."""
        return attrs.evolve(self, **{name: getattr(options, name) for name in OF_RECIPE})

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> FeatureSpec:
        """Take one out of a checkpoint's description. Raises KeyError or TypeError where it is damaged."""
        values = {field.name: stored[field.name] for field in attrs.fields(cls)}
        return cls(**values | {name: tuple(values[name]) for name in ("names", "widths", "lengths")})

    @property
    def words(self) -> str:
        """The sources and their columns, as a person reads them."""
        return ", ".join(f"{name} {width}" for name, width in zip(self.names, self.widths, strict=True))

    def doubts(self, lengths: Sequence[float]) -> Iterator[str]:
        """What rows of other lengths than those of training hint at, a line for each such source."""
        for name, ours, theirs in zip(self.names, self.lengths, lengths, strict=True):
            if not ours / APART <= theirs <= ours * APART:
                yield (
                    f"rows of {name} are typically {theirs:.3g} long, those of training {ours:.3g}: are they of the "
                    "same extractor, and as it gave them?"
                )

    def differences(self, other: FeatureSpec, renamed: bool = False) -> Iterator[str]:
        """What ``other`` would show to weights trained on these, a line each; nothing where they agree.

        renamed: names may differ, as those of moved files do; the order of known names may not.
        """
        if sorted(self.names) == sorted(other.names) and self.names != other.names:
            yield f"sources in the order {', '.join(other.names)}, trained on {', '.join(self.names)}"
        elif self.widths != other.widths:
            yield f"{other.words} columns, trained on {self.words}"
        elif self.names != other.names and not renamed:
            yield f"{', '.join(other.names)}, trained on {', '.join(self.names)}"
        for name in OF_RECIPE:
            # Only where rows are spread over a video does their number reach the weights.
            heeded = (
                self.mode == "sample" if name in ("resample", "window") else name != "clip_s" or self.mode == "window"
            )
            ours, theirs = getattr(self, name), getattr(other, name)
            if heeded and ours != theirs:
                yield f"{name} = {theirs}, trained on {ours}"
