"""Dataset: who is asked what, where the answer lies, and where the features of each video come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.errors import DataError, nearest


@attrs.frozen
class Query:
    """One sentence asked of one video.

    id: unique within the dataset. duration: annotated length of the video, seconds. moments: start and end in seconds
    and a weight, any number of them. place: ``file:line`` it was read from, for messages. saliency: start and end in
    seconds of stretches whose fit to the text people have scored, and the score, larger is better; None where the
    dataset has no such labels.
    """

    id: int | str
    text: str
    video: str
    duration: float
    moments: tuple[tuple[float, float, float], ...]
    place: str
    saliency: tuple[tuple[float, float, float], ...] | None = None


class FeatureSource(ABC):
    """Features of each video. name: what messages call it."""

    name: str

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

    splits: names of all splits. train, test: which of them is trained and tested on. validation: None where the field
    has none. homepage: where to get the files.
    """

    splits: ClassVar[tuple[str, ...]]
    train: ClassVar[str] = "train"
    validation: ClassVar[str | None] = None
    test: ClassVar[str] = "test"
    homepage: ClassVar[str] = ""

    def __init__(self, options: Any, root: Path) -> None:
        self.options, self.root = options, root

    @abstractmethod
    def missing(self) -> list[str]:
        """Files looked for and not found, one line each with where to get it; empty where it can be used."""

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
    def fingerprint(self) -> str:
        """Hex SHA-256 over what defines the annotations: contents of the files, or constants."""
