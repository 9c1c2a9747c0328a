from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.glove import GloveOptions
from framework.data.text import (
    PADDING,
    PUNCTUATION,
    UNKNOWN,
    LearnedOptions,
    LearnedText,
    split_words,
    treebank_words,
)
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
        ("split", ["person", "'s", "half-open", "door", ",", "-", "\u201c", "it", "\u201d", "."]),
    ],
)
def test_words_are_lower_case_and_punctuation_follows_the_option(punctuation: str, words: list[str]) -> None:
    assert split_words("query 1", "  Person's  half-open\tDOOR, - \u201cit\u201d.", punctuation) == words


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        # Examples of NLTK's documentation of its Treebank tokenizer, in lower case.
        ("They'll save and invest more.", "they 'll save and invest more ."),
        ("hi, my name can't hello,", "hi , my name ca n't hello ,"),
        ("Good muffins cost $3.88 in New York.", "good muffins cost $ 3.88 in new york ."),
        # What NLTK 3.10 gives.
        ('"We beat some good teams," he said.', "`` we beat some good teams , '' he said ."),
        ("Well, cliche-ridden (a show) if she didn't.", "well , cliche-ridden ( a show ) if she did n't ."),
        ("the man's dogs' bowls", "the man 's dogs ' bowls"),
        ("I'm sure we've won; they're out, he'd said!", "i 'm sure we 've won ; they 're out , he 'd said !"),
        ("pan,then 1,000 at 12:30 stop--now wait... ok/no", "pan , then 1,000 at 12:30 stop -- now wait ... ok/no"),
        ("a 50% of #1 'it' & label(s)", "a 50 % of # 1 ' it ' & label ( s )"),
        ("90's rock", "90 's rock"),
        # Where it differs: NLTK gives "can not", "-the" and keeps the period of "u.s." inside a sentence.
        ("cannot -the u.s. team", "cannot - the u.s . team"),
    ],
)
def test_split_follows_the_treebank(sentence: str, words: str) -> None:
    assert split_words("query 1", sentence, "split") == words.split()


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet="ab1 .,:!?()-/\"'\u2019ntsl", max_size=20))
def test_splitting_loses_no_character_and_joins_none(sentence: str) -> None:
    words = treebank_words(sentence)
    quotes = {"``": '"', "''": '"'}
    assert "".join(quotes.get(word, word) for word in words) == "".join(sentence.split())
    assert all(words)
    assert not any(character.isspace() for word in words for character in word)
    assert not any(word[0] in PUNCTUATION and word[-1] in PUNCTUATION and any(map(str.isalnum, word)) for word in words)


@pytest.mark.parametrize("punctuation", ["strip", "split"])
@pytest.mark.parametrize("sentence", ["", "   ", "?!", "..."])
def test_a_sentence_without_words_is_refused_with_its_query(sentence: str, punctuation: str) -> None:
    source = _learned(punctuation=punctuation)
    with pytest.raises(DataError, match=r"query 7: the sentence .* has no words"):
        source.encode(7, sentence)
    with pytest.raises(DataError, match="query 7: the sentence"):
        source.expect([(6, "fine"), (7, sentence)])


@pytest.mark.parametrize("options", [LearnedOptions, GloveOptions])
def test_every_source_of_words_takes_the_three_ways_with_punctuation(options: type) -> None:
    rule = attrs.fields_dict(options)["punctuation"].metadata["rule"]
    assert [rule(value) for value in ("strip", "keep", "split")] == [None] * 3
    assert rule("drop") == "must be one of strip, keep, split"


def test_marks_are_words_of_a_learned_vocabulary_where_they_are_split_off() -> None:
    assert _learned(punctuation="split").unknown("a door, a dog?") == ["dog", "?"]


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
