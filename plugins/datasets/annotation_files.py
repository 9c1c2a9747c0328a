"""Datasets that are files in a folder: which of them are missing, reading each split once, and what identifies them."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from framework.data.dataset import Dataset, Query
from framework.data.json_text import decoded
from framework.errors import DataError, cut

Dropped = tuple[str, str]
"""Place and reason of a moment that was left out."""

LONGEST_S: Final = 1e6
"""Seconds that no video exceeds (11 days): more is a mistake of units, and as many clips would fill the memory."""

LONGEST_NAME: Final = 255
"""Characters of an id: as many as the name of a file may have, where features are a file a video or a query."""


class AnnotationFiles(Dataset):
    """One or more files a split, in ``folder``; a split is read when first asked for, and then kept."""

    def __init__(self, options: Any, root: Path, folder: str = "") -> None:
        super().__init__(options, root)
        self.folder = root / folder
        self._kept: dict[str, tuple[list[Query], list[Dropped]]] = {}

    @abstractmethod
    def files(self, split: str) -> list[tuple[Path, str]]:
        """The files of a split, each with a sentence that says where to get it."""

    @abstractmethod
    def read(self, split: str) -> tuple[list[Query], list[Dropped]]:
        """The queries of a split, and place and reason of each that the field leaves out. Raises DataError."""

    def missing(self, splits: Sequence[str] | None = None) -> list[str]:
        return [
            f"{path}: not found. {source}"
            for split in (self.splits if splits is None else splits)
            for path, source in self._files(split)
            if not path.is_file()
        ]

    def queries(self, split: str) -> list[Query]:
        return self._once(split)[0]

    def dropped(self, split: str) -> list[Dropped]:
        return self._once(split)[1]

    def fingerprint(self, splits: Sequence[str] | None = None) -> str:
        """Over the files of those splits that are there."""
        digest = hashlib.sha256()
        for path, source in (file for split in splits or self.splits for file in self._files(split)):
            if path.is_file():
                content = read_bytes(path, source)
                digest.update(f"{path.name} {len(content)}\n".encode() + content)
        return digest.hexdigest()

    def _files(self, split: str) -> list[tuple[Path, str]]:
        self.require(split)
        return self.files(split)

    def _once(self, split: str) -> tuple[list[Query], list[Dropped]]:
        self.require(split)
        if split not in self._kept:
            self._kept[split] = self.read(split)
        return self._kept[split]


def read_bytes(path: Path, source: str) -> bytes:
    """The content of a file; ``source`` says where to get it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). {source}") from None


def read_text(path: Path, source: str) -> str:
    """The text of a UTF-8 file, without a byte order mark; ``source`` says where to get it."""
    return decoded(read_bytes(path, source), path)


def split_lines(text: str) -> list[str]:
    """Lines without their line breaks; what follows the last one is a line unless it is empty."""
    # Not splitlines, which also cuts at characters that no editor counts as a line.
    *lines, last = text.split("\n")
    return [line.removesuffix("\r") for line in ([*lines, last] if last else lines)]


def require_name(name: str, place: str) -> str:
    """An id that the name of a file can hold."""
    if len(name) > LONGEST_NAME:
        raise DataError(f'{place} = "{cut(name)}": must be at most {LONGEST_NAME} characters. Rename it.')
    return name
