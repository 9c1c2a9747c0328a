from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framework.data.glove import GloveOptions, GloveText, read_glove
from framework.errors import DataError

LINES = ["the 0.1 0.2 0.3", "person -1 0 1e-2", "door 4 5 6", ", 9 9 9"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "glove.txt").write_text("\n".join(LINES) + "\n")
    return tmp_path


def _glove(root: Path, *sentences: str, **options: Any) -> GloveText:
    source = GloveText(GloveOptions(file="glove.txt", **options), root)
    if sentences:
        source.prepare([], sentences)
    return source


def test_words_get_their_vectors_and_an_unknown_one_is_zero(root: Path) -> None:
    source = _glove(root, "The person", "zebra door,")
    assert (source.width, source.vocabulary) == (3, None)
    np.testing.assert_array_equal(
        source.encode(1, "Zebra, the door."), np.array([[0, 0, 0], [0.1, 0.2, 0.3], [4, 5, 6]], dtype=np.float32)
    )


def test_a_word_with_its_comma_is_unknown_where_punctuation_is_kept(root: Path) -> None:
    assert _glove(root, "door, door", punctuation="keep").encode(1, "door, door").tolist() == [[0, 0, 0], [4, 5, 6]]


def test_only_needed_words_are_parsed(root: Path) -> None:
    (root / "glove.txt").write_text("the 1 2 3\nother one two three\n")
    found, _ = read_glove(root / "glove.txt", ["the"])
    assert list(found.vectors) == ["the"]
    with pytest.raises(DataError, match=r"glove\.txt:2: must be a word and 3 finite numbers"):
        read_glove(root / "glove.txt", ["other"])


@pytest.mark.parametrize(
    "line", ["door 4 5", "door 4 5 6 7", "door", "door 4 5 nan", "door 4 x 6", "door 4  6", ". . . 4 5 6"]
)
def test_a_malformed_line_is_refused_by_file_and_line_and_skipped_on_demand(line: str, root: Path) -> None:
    (root / "glove.txt").write_text("\n".join([*LINES[:2], line, *LINES[3:]]))
    with pytest.raises(
        DataError, match=r"glove\.txt:3: must be a word and 3 finite .* text\.strict = false to skip it"
    ):
        _glove(root, "the door")
    source = _glove(root, "the door", strict=False)
    assert source.encode(1, "door the")[1].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert source.encode(1, "door the")[0].tolist() == [0, 0, 0]


def test_a_checkpoint_encodes_the_sentences_of_its_dataset_without_the_file(root: Path) -> None:
    source = _glove(root, "the person", "zebra")
    state = json.loads(json.dumps(source.state()))
    (root / "glove.txt").unlink()
    restored = _glove(root)
    restored.restore(state)
    assert restored.width == 3
    np.testing.assert_array_equal(restored.encode(1, "zebra person the"), source.encode(1, "zebra person the"))
    with pytest.raises(DataError, match=r'no such GloVe file, needed for 1 words such as "door"; get it from'):
        restored.encode(1, "the door")


def test_a_checkpoint_looks_new_words_up_in_the_same_file_only(root: Path) -> None:
    restored = _glove(root)
    restored.restore(_glove(root, "the person").state())
    assert restored.encode(1, "door").tolist() == [[4, 5, 6]]
    (root / "glove.txt").write_text("dog 7 8 9\n")
    restored.expect([(1, "the door")])
    with pytest.raises(DataError, match="is not the GloVe file of the checkpoint"):
        restored.expect([(1, "the dog")])


def test_an_empty_file_is_refused(root: Path) -> None:
    (root / "glove.txt").write_text("")
    with pytest.raises(DataError, match=r"glove\.txt: is empty"):
        _glove(root, "the")


def test_a_sentence_without_words_is_refused(root: Path) -> None:
    with pytest.raises(DataError, match="query 5: the sentence"):
        _glove(root, "the").encode(5, "...")


def test_words_outside_ascii_are_found(root: Path) -> None:
    (root / "glove.txt").write_text("caf\u00e9 1 2 3\n", encoding="utf-8")
    assert _glove(root, "Caf\u00c9").encode(1, "caf\u00e9").tolist() == [[1, 2, 3]]
