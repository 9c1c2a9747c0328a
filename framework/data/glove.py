"""Word vectors from a GloVe text file, frozen."""

from __future__ import annotations

import base64
import codecs
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.core.options import option
from framework.core.part import Paper
from framework.data.text import TextSource, punctuation_option, split_words
from framework.errors import DataError

GLOVE: Final = Paper(
    "GloVe: Global Vectors for Word Representation",
    """@inproceedings{pennington2014glove,
  title = {{GloVe}: Global Vectors for Word Representation},
  author = {Pennington, Jeffrey and Socher, Richard and Manning, Christopher D.},
  booktitle = {Proceedings of the 2014 Conference on Empirical Methods in Natural Language Processing},
  pages = {1532--1543},
  year = {2014}
}""",
)


@attrs.frozen
class GloveOptions:
    """Options of GloVe vectors."""

    file: str = option(
        "glove.6B.300d.txt", doc="GloVe text file, from the data's root: a word and its numbers a line", movable=True
    )
    punctuation: str = punctuation_option()
    strict: bool = option(True, doc="refuse a file with a malformed line; false skips such lines (GloVe 840B has some)")


class GloveText(TextSource):
    """Frozen GloVe vectors; a word that GloVe lacks is the zero vector, as in MS-2D-TAN.

    The file is read in one pass and only the needed words are parsed. A checkpoint carries their vectors, so it encodes
    any sentence of its dataset without the file; a new word needs the very same file.
    """

    options: GloveOptions

    def __init__(self, options: GloveOptions, root: Path) -> None:
        super().__init__(options, root)
        self.path = root / options.file
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self._absent: set[str] = set()
        self._sha256: str | None = None

    def missing(self) -> list[str]:
        if self.path.is_file():
            return []
        return [
            f"{self.path}: no GloVe file there. Get it from https://nlp.stanford.edu/projects/glove/ and point to it "
            "by --set data.text.file=FILE, or learn word vectors instead by --set data.text=learned."
        ]

    def prepare(self, train_sentences: Iterable[str], all_sentences: Iterable[str]) -> None:
        self._fetch({word for text in all_sentences for word in self._words("dataset", text)})

    def expect(self, queries: Sequence[tuple[int | str, str]]) -> None:
        self._fetch({word for query_id, sentence in queries for word in self._words(f"query {query_id}", sentence)})

    def encode(self, query_id: int | str, sentence: str) -> NDArray[np.float32]:
        words = self._words(f"query {query_id}", sentence)
        self._fetch(words)
        zero = np.zeros(self.width or 0, dtype=np.float32)
        return np.stack([self._vectors.get(word, zero) for word in words])

    def state(self) -> dict[str, Any]:
        packed = b"".join(vector.tobytes() for vector in self._vectors.values())
        return {
            "sha256": self._sha256,
            "width": self.width,
            "words": list(self._vectors),
            "vectors": base64.b64encode(packed).decode("ascii"),
            "absent": sorted(self._absent),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.width, self._sha256, self._absent = state["width"], state["sha256"], set(state["absent"])
        vectors = np.frombuffer(base64.b64decode(state["vectors"]), dtype="<f4").reshape(-1, state["width"])
        self._vectors = dict(zip(state["words"], vectors.astype(np.float32), strict=True))

    def _words(self, place: str, sentence: str) -> list[str]:
        return split_words(place, sentence, self.options.punctuation)

    def _fetch(self, words: Iterable[str]) -> None:
        """Look up the words that are not known yet; one pass over the file where there are any."""
        wanted = {word for word in words if word not in self._vectors and word not in self._absent}
        if not wanted:
            return
        if not self.path.is_file():
            raise DataError(
                f'{self.path}: no such GloVe file, needed for {len(wanted)} words such as "{min(wanted)}"; get it from '
                "https://nlp.stanford.edu/projects/glove/ or set [data] text.file to where it is"
            )
        found, sha256 = read_glove(self.path, wanted, strict=self.options.strict)
        if self._sha256 not in (None, sha256):
            raise DataError(
                f"{self.path}: is not the GloVe file of the checkpoint (SHA-256 {self._sha256}); use that one"
            )
        if not found.vectors and not self._vectors:
            raise DataError(
                f"{self.path}: has none of the {len(wanted)} words of the sentences, and each would be the zero "
                "vector; set [data] text.file to a file of their language, in lower case"
            )
        self._sha256, self.width = sha256, found.width
        self._vectors |= found.vectors
        self._absent |= wanted - found.vectors.keys()


@attrs.frozen(eq=False)
class Vectors:
    """The vectors of some words, each (width,) float32."""

    width: int
    vectors: dict[str, NDArray[np.float32]]


def read_glove(path: Path, words: Iterable[str], *, strict: bool = True) -> tuple[Vectors, str]:
    """Vectors of those ``words`` that the file has, and the file's SHA-256, in one pass.

    The first line says how wide all are. Raises DataError with file and line on a malformed one, unless not ``strict``.
    """
    wanted = {word.encode() for word in words}
    vectors: dict[str, NDArray[np.float32]] = {}
    digest, width = hashlib.sha256(), 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            digest.update(line)
            # An editor's mark in front of the first word would make that word unknown.
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            word, _, rest = line.rstrip().partition(b" ")
            fields = rest.count(b" ") + bool(rest)
            width = width or fields
            values = _parsed(rest) if word in wanted and fields == width else None
            if fields != width or (word in wanted and values is None):
                if not strict:
                    continue
                raise DataError(
                    f"{path}:{number}: must be a word and {width} finite numbers between single spaces, as line 1 is, "
                    f"but has {fields} fields behind the word; mend it, or set [data] text.strict = false to skip it"
                )
            if values is not None:
                vectors.setdefault(word.decode(), values)
    if not width:
        raise DataError(f"{path}: is empty; a GloVe file has a word and its numbers a line")
    return Vectors(width, vectors), digest.hexdigest()


def _parsed(numbers: bytes) -> NDArray[np.float32] | None:
    try:
        with np.errstate(over="ignore"):
            values = np.array([float(number) for number in numbers.split(b" ")]).astype(np.float32)
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None
