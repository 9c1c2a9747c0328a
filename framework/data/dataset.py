"""Dataset: who is asked what, where the answer lies, and where the features of each video come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.errors import DataError, nearest


@attrs.frozen
class Query:
    """One sentence asked of one video.

    id: unique within the dataset. duration: annotated length of the video, seconds. moments: start and end in seconds
    and a weight, any number of them; one of weight 0 counts in scoring and is not learned from, such as the moment of
    an annotator whom the others contradict. place: ``file:line`` it was read from, for messages. saliency: start and
    end in seconds of stretches whose fit to the text people have scored, and the score, larger is better; None where
    the dataset has no such labels. ratings: what each annotator gave each of those stretches, for rules that ask each
    of them; None where only their sum is known.
    """

    id: int | str
    text: str
    video: str
    duration: float
    moments: tuple[tuple[float, float, float], ...]
    place: str
    saliency: tuple[tuple[float, float, float], ...] | None = None
    ratings: tuple[tuple[int, ...], ...] | None = None


ENDINGS: Final = (".hdf5", ".h5", ".npy", ".npz")
"""Of files of features; the name of a folder may hold dots as well, such as i3d_0.64."""


def origin_of(path: Path) -> str:
    """What the features at ``path`` are called: as the file without its ending, or as the folder."""
    name = path.name if path.name not in ("", "..") else path.resolve().name
    return name if path.suffix not in ENDINGS or path.is_dir() else path.stem


class FeatureSource(ABC):
    """Features of each video. name: what messages call it."""

    name: str

    @property
    def origin(self) -> str:
        """What the features are, wherever they lie: the file's name without its ending, or the folder's."""
        return origin_of(Path(self.name))

    @abstractmethod
    def videos(self) -> frozenset[str]:
        """Ids of all videos it holds."""

    @abstractmethod
    def shape(self, video: str) -> tuple[int, int]:
        """Rows and width (T, D) of one video, without reading its values."""

    @abstractmethod
    def read(self, video: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Rows ``start`` to ``stop`` of one video, float32 (rows, D)."""


class Dataset(ABC):
    """Built as ``Dataset(options, root)``; ``root`` is the folder that relative paths of the recipe start from.

    splits: names of all splits. train: which of them is trained on. validation: which of them choices are made on; None
    where the field has none. Any other split is read only where a recipe or a command names it, so that test labels are
    never used unasked. rated_clip_s: seconds of the clips whose fit to the text people have rated, as far as splits
    were read; None where they have not. rule: the metric that the field scores it by. homepage: where to get the files.
    """

    splits: tuple[str, ...]
    train: ClassVar[str] = "train"
    validation: str | None = None
    rated_clip_s: float | None = None
    rule: ClassVar[str] = "rank"
    homepage: ClassVar[str] = ""

    def __init__(self, options: Any, root: Path) -> None:
        self.options, self.root = options, root

    @abstractmethod
    def missing(self, splits: Sequence[str] | None = None) -> list[str]:
        """Files looked for and not found, one line each with where to get it; empty where it can be used.

        splits: those whose files are wanted; None: all.
        """

    @abstractmethod
    def queries(self, split: str) -> list[Query]:
        """All queries of a split, in the order of its file.

        Raises DataError, naming file and line, on malformed input and on an empty split.
        """

    def dropped(self, split: str) -> list[tuple[str, str]]:
        """Place and reason of each line that the field's rule leaves out."""
        return []

    def features(self) -> FeatureSource | None:
        """Features that the dataset brings along; None where the recipe names the files."""
        return None

    def require(self, split: str) -> None:
        """Raise DataError where the dataset has no such split."""
        if split not in self.splits:
            raise DataError(f'split "{split}": must be one of {", ".join(self.splits)}.{nearest(split, self.splits)}')

    @abstractmethod
    def fingerprint(self, splits: Sequence[str] | None = None) -> str:
        """Hex SHA-256 over what defines the annotations of some splits: contents of the files, or constants.

        splits: None for all. What a run does not read is no part of its data.
        """
