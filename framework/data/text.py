"""Text sources: sentences to word ids or word vectors."""

from __future__ import annotations

import re
import string
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.core.options import at_least, one_of, option
from framework.errors import DataError

PADDING, UNKNOWN = 0, 1

PUNCTUATION = string.punctuation + "\u2018\u2019\u201c\u201d\u2013\u2014\u2026"
"""ASCII punctuation and the quotes, dashes and ellipsis that word processors write."""

_MARK: Final = f"[{re.escape(PUNCTUATION)}]"
_SHORT: Final = "(?:n't|'(?:s|re|ve|ll|d|m))"
_MARKS: Final = re.compile(r"\.\.\.|--|.")
_JOINT: Final = re.compile(r"(?<=\w)(?:\.\.\.|--|[;?!@#$%&()\[\]{}<>]|[,:](?!\d))(?=\w)")
"""A mark that joins two words for want of a space, as in ``pan,then``; a number such as 1,000 or 12:30 stays one."""
_WORD: Final = re.compile(f"((?:(?!{_SHORT}{_MARK}*$){_MARK})*)(.*?)({_SHORT})?({_MARK}*)")
"""Marks in front, a stem, a contraction, marks behind; any of them may be empty."""


class TextSource(ABC):
    """Built as ``TextSource(options, root)``; ``root`` is the folder that relative paths start from.

    A run calls ``prepare`` once, a loaded checkpoint ``restore`` instead. width: features a word (D), None where words
    are ids. vocabulary: number of ids, with padding (0) and unknown (1), None where words are vectors. One of them is
    known once the source is prepared or restored.
    """

    width: int | None = None
    vocabulary: int | None = None

    def __init__(self, options: Any, root: Path) -> None:
        self.options, self.root = options, root

    def missing(self) -> list[str]:
        """Files looked for and not found, one line each with the remedy; empty where it can be used."""
        return []

    @abstractmethod
    def prepare(self, train_sentences: Iterable[str], all_sentences: Iterable[str]) -> None:
        """Learn from the training split what it decides, and get ready to encode sentences of any split."""

    @abstractmethod
    def expect(self, queries: Sequence[tuple[int | str, str]]) -> None:
        """Check ids and sentences that will be encoded, and fetch at once what they need.

        Raises DataError where one cannot be encoded. ``encode`` works without it, one look-up at a time.
        """

    @abstractmethod
    def encode(self, query_id: int | str, sentence: str) -> NDArray[Any]:
        """Word ids (L,) int64 or word vectors (L, D) float32. Raises DataError on a sentence without words."""

    def unknown(self, sentence: str) -> list[str]:
        """Words of a sentence that it has no vector of its own for; none where it cannot tell."""
        return []

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What a checkpoint needs to encode new sentences alike; JSON."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """Become the source that gave ``state``."""


def split_words(place: str, sentence: str, punctuation: str = "strip") -> list[str]:
    """Lower-case words between white space, as 2D-TAN splits Charades-STA.

    place: where the sentence is from, for the message. punctuation: "keep" is that rule, under which ``door,`` is a
    word of its own that no vocabulary knows. "strip" takes punctuation off both ends of each word and is our default;
    inner hyphens and apostrophes stay. "split" makes each mark a word, as 2D-TAN does for TACoS and ActivityNet
    Captions; see ``treebank_words``.
    Raises DataError where no word is left.
    """
    words = treebank_words(sentence) if punctuation == "split" else sentence.lower().split()
    bare = [word for word in (word.strip(PUNCTUATION) for word in words) if word]
    if punctuation == "strip" or (punctuation == "split" and not bare):  # Marks alone say nothing.
        words = bare
    if not words:
        raise DataError(f'{place}: the sentence "{sentence}" has no words; give it some or remove it')
    return words


def treebank_words(sentence: str) -> list[str]:
    """Lower-case words by the convention of the Penn Treebank, which GloVe's vocabulary follows.

    Marks at the ends of a word, and those that join two words, are words; ``...`` and ``--`` are one. n't, 's, 're,
    've, 'll, 'd and 'm are split off, so that ``can't`` is ``ca n't``. A double quote in front of a word is written as
    two backquotes, one behind it as two apostrophes. Inner periods, hyphens, slashes and apostrophes stay.

    2D-TAN calls NLTK's word_tokenize, which needs a model that has to be downloaded. Differences left: ``cannot``,
    ``gonna`` and the like are one word here; a period behind a word is always split off, while NLTK leaves it to an
    abbreviation inside a sentence; a hyphen or slash at an end is split off; a curly apostrophe inside a word and a
    double quote between two letters stay. With NLTK's sentences cut behind . ? and !, they concern 58 of the 90184
    sentences of TACoS and ActivityNet Captions.
    """
    words: list[str] = []
    for piece in _JOINT.sub(r" \g<0> ", sentence.lower()).split():
        match = _WORD.fullmatch(piece)
        assert match is not None  # Each part of the pattern may be empty, and the stem takes what no other does.
        front, stem, short, behind = match.groups()
        words += ["``" if mark == '"' else mark for mark in _MARKS.findall(front)]
        words += [part for part in (stem, short) if part]
        words += ["''" if mark == '"' else mark for mark in _MARKS.findall(behind)]
    return words


def punctuation_option() -> Any:
    """The option that all sources of words share."""
    return option(
        "strip",
        doc="punctuation at the ends of words: strip it, keep it as 2D-TAN does on Charades-STA, or split it off into "
        "words as 2D-TAN does on TACoS and ActivityNet Captions",
        rule=one_of("strip", "keep", "split"),
    )


@attrs.frozen
class LearnedOptions:
    """Options of the learned vocabulary."""

    punctuation: str = punctuation_option()
    min_count: int = option(
        1,
        doc="a word seen less often in training is unknown; 2 or more trains the unknown word's vector",
        rule=at_least(1),
    )


class LearnedText(TextSource):
    """Ids of the training split's words, for an encoder that learns a vector for each."""

    options: LearnedOptions
    vocabulary: int

    def __init__(self, options: LearnedOptions, root: Path) -> None:
        super().__init__(options, root)
        self._index({})

    def prepare(self, train_sentences: Iterable[str], all_sentences: Iterable[str]) -> None:
        """Only the training split counts: a word of the test split alone has no trained vector."""
        counts = Counter(word for text in train_sentences for word in self._words("training split", text))
        self._index(sorted(word for word, count in counts.items() if count >= self.options.min_count))

    def expect(self, queries: Sequence[tuple[int | str, str]]) -> None:
        for query_id, sentence in queries:
            self._words(f"query {query_id}", sentence)

    def encode(self, query_id: int | str, sentence: str) -> NDArray[np.int64]:
        words = self._words(f"query {query_id}", sentence)
        return np.array([self._ids.get(word, UNKNOWN) for word in words], dtype=np.int64)

    def unknown(self, sentence: str) -> list[str]:
        return [word for word in self._words("of the command", sentence) if word not in self._ids]

    def state(self) -> dict[str, Any]:
        return {"words": list(self._ids)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._index(state["words"])

    def _index(self, words: Iterable[str]) -> None:
        self._ids = {word: number for number, word in enumerate(words, start=UNKNOWN + 1)}
        self.vocabulary = len(self._ids) + 2

    def _words(self, place: str, sentence: str) -> list[str]:
        return split_words(place, sentence, self.options.punctuation)
