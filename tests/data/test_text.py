from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.text import PADDING, PUNCTUATION, UNKNOWN, LearnedOptions, LearnedText, split_words
from framework.errors import DataError

SENTENCES = ["a person opens a door, slowly.", "the person sits"]


def _learned(**options: Any) -> LearnedText:
    source = LearnedText(LearnedOptions(**options), Path("."))
    source.prepare(SENTENCES, [*SENTENCES, "a dog"])
    return source


@pytest.mark.parametrize(
    ("punctuation", "words"),
    [
        ("strip", ["person's", "half-open", "door", "it"]),
        ("keep", ["person's", "half-open", "door,", "-", "\u201cit\u201d."]),
    ],
)
def test_words_are_lower_case_and_punctuation_follows_the_option(punctuation: str, words: list[str]) -> None:
    assert split_words("query 1", "  Person's  half-open\tDOOR, - \u201cit\u201d.", punctuation) == words


@pytest.mark.parametrize("sentence", ["", "   ", "?!", "..."])
def test_a_sentence_without_words_is_refused_with_its_query(sentence: str) -> None:
    with pytest.raises(DataError, match=r"query 7: the sentence .* has no words"):
        _learned().encode(7, sentence)
    with pytest.raises(DataError, match="query 7: the sentence"):
        _learned().expect([(6, "fine"), (7, sentence)])


def test_ids_start_behind_padding_and_unknown() -> None:
    source = _learned()
    ids = source.encode(1, "a person opens a dog").tolist()
    assert ids[0] == ids[3]
    assert ids[4] == UNKNOWN
    assert set(ids) & {PADDING} == set()
    assert max(ids) < source.vocabulary == 2 + len({"a", "person", "opens", "door", "slowly", "the", "sits"})


def test_a_rare_word_is_unknown() -> None:
    source = _learned(min_count=2)
    assert source.vocabulary == 4
    assert source.encode(1, "a person sits").tolist() == [2, 3, UNKNOWN]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.text(alphabet="abc ,.", min_size=1).filter(lambda s: s.strip(" ,.")), min_size=1, max_size=5))
def test_a_restored_source_encodes_alike(sentences: list[str]) -> None:
    source = LearnedText(LearnedOptions(), Path("."))
    source.prepare(sentences, [])
    other = LearnedText(LearnedOptions(), Path("elsewhere"))
    other.restore(json.loads(json.dumps(source.state())))
    assert other.vocabulary == source.vocabulary
    for sentence in [*sentences, "zebra"]:
        np.testing.assert_array_equal(other.encode(0, sentence), source.encode(0, sentence))


def test_the_order_of_training_sentences_does_not_matter() -> None:
    source = LearnedText(LearnedOptions(), Path("."))
    source.prepare(SENTENCES[::-1], [])
    assert source.state() == _learned().state()


def test_stripping_mends_the_tokens_of_charades_that_end_in_punctuation(shared: Path) -> None:
    lines = (shared / "data/charades_sta/charades_sta_train.txt").read_text().splitlines()
    sentences = [line.split("##")[1].removesuffix(".") for line in lines]

    def ending_in_punctuation(punctuation: str) -> int:
        return sum(word[-1] in PUNCTUATION for text in sentences for word in split_words("", text, punctuation))

    # 17 is the count of the official code's words on the training split.
    assert ending_in_punctuation("keep") == 17
    assert ending_in_punctuation("strip") == 0
