"""However vectors of words are spoilt, a check names file and query or line: no traceback, no hang, no zero vectors."""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from framework.data.glove import read_glove
from tests.datasets.sound import FINE, GLOVE, GLOVE_TEXT, QUERY_FEATURES, Sound, cases, make_sound, with_number


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    return make_sound(tmp_path_factory.mktemp("sound") / "data")


QUERIES: Final[dict[str, Callable[[Path], object]]] = {
    "a_missing_query": lambda path: path.unlink(),
    "a_query_under_another_name": lambda path: path.rename(path.with_name(f"qid{path.name}")),
    "another_width": lambda path: np.savez(path, last_hidden_state=FINE),
    "a_pooled_vector": lambda path: np.savez(path, last_hidden_state=FINE[0]),
    "no_words": lambda path: np.savez(path, last_hidden_state=FINE[:0, :6]),
    "only_the_pooled_vector": lambda path: np.savez(path, pooler_output=FINE[0], other=FINE),
    "NaN": lambda path: np.savez(path, last_hidden_state=with_number(np.nan)[5:9, :6]),
    "integers": lambda path: np.savez(path, last_hidden_state=np.ones((4, 6), dtype=np.int64)),
    "half_a_file": lambda path: path.write_bytes(path.read_bytes()[:200]),
    "an_empty_file": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("spoil", cases(QUERIES))
@pytest.mark.parametrize("query", ["train_1", "train_4", "test_6"])
def test_spoilt_word_vectors_of_a_query_are_told(
    sound: Sound, tmp_path: Path, query: str, spoil: Callable[[Path], object]
) -> None:
    words = sound.copy("words", tmp_path)
    spoil(words / f"{query}.npz")
    said = sound.check(sound.folder / "npy", *QUERY_FEATURES, "--set", f'data.text.file="{words}"')
    said.require_refused(str(words), query)


def test_word_vectors_that_are_none_or_of_other_queries_are_told(sound: Sound, tmp_path: Path) -> None:
    def refused(source: Path) -> None:
        said = sound.check(sound.folder / "npy", *QUERY_FEATURES, "--set", f'data.text.file="{source}"')
        said.require_refused(str(source))

    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty")
    refused(tmp_path / "nowhere")
    refused(sound.folder / "npy")
    refused(sound.folder / "glove.txt")
    refused(sound.recipe)


GLOVES: Final[dict[str, bytes]] = {
    "a_short_line": b"the 0.1 0.2 0.3 0.4 0.5",
    "a_long_line": b"the 0.1 0.2 0.3 0.4 0.5 0.6 0.7",
    "a_word_alone": b"the",
    "an_empty_line": b"",
    "two_spaces": b"the  0.1 0.2 0.3 0.4 0.5 0.6",
    "tabs": b"the\t0.1\t0.2\t0.3\t0.4\t0.5\t0.6",
    "commas": b"the 0,1 0,2 0,3 0,4 0,5 0,6",
    "NaN": b"the 0.1 0.2 0.3 nan 0.5 0.6",
    "infinity": b"the 0.1 0.2 0.3 inf 0.5 0.6",
    "1e400": b"the 0.1 0.2 0.3 1e400 0.5 0.6",
    "1e39": b"the 0.1 0.2 0.3 1e39 0.5 0.6",
    "a_word_as_number": b"the 0.1 0.2 0.3 four 0.5 0.6",
    "no_UTF-8_in_a_number": b"the 0.1 0.2 0.3 0.\xff4 0.5 0.6",
    "NUL": b"the 0.1 0.2 0.3 0.4\0 0.5 0.6",
    "5000_digits": b"the 0.1 0.2 0.3 " + b"9" * 5000 + b" 0.5 0.6",
}


@pytest.mark.parametrize("line", cases(GLOVES))
def test_a_spoilt_line_of_vectors_is_told_with_its_number(sound: Sound, tmp_path: Path, line: bytes) -> None:
    path = sound.copy("glove.txt", tmp_path)
    lines = path.read_bytes().split(b"\n")
    lines[3] = line
    path.write_bytes(b"\n".join(lines))
    said = sound.check(sound.folder / "npy", *GLOVE_TEXT, "--set", f'data.text.file="{path}"')
    said.require_refused(f"{path}:4")


WORD_FILES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "empty": lambda content: b"",
    "a_line_break": lambda content: b"\n",
    "half": lambda content: content[: len(content) // 2 - 20],
    "a_header_of_word2vec": lambda content: b"11 6\n" + content,
    "gzip": gzip.compress,
    "UTF-16": lambda content: content.decode().encode("utf-16"),
    "a_page": lambda content: b"<!DOCTYPE html>\n<html><body>404: Not Found</body></html>\n",
    "words_without_vectors": lambda content: b"the\na\n",
    "other_words": lambda content: b"".join(b"x" + line for line in content.splitlines(True)),
    "NULs": lambda content: b"\0" * 1000,
    "one_long_line": lambda content: b"a " * 1_000_000,
}


@pytest.mark.parametrize("mutate", cases(WORD_FILES))
def test_a_file_that_is_no_glove_is_told(sound: Sound, tmp_path: Path, mutate: Callable[[bytes], bytes]) -> None:
    path = sound.copy("glove.txt", tmp_path)
    path.write_bytes(mutate(path.read_bytes()))
    said = sound.check(sound.folder / "npy", *GLOVE_TEXT, "--set", f'data.text.file="{path}"')
    said.require_refused(str(path))


def test_a_byte_order_mark_is_no_part_of_the_first_word(sound: Sound, tmp_path: Path) -> None:
    path = sound.copy("glove.txt", tmp_path)
    before, _ = read_glove(path, GLOVE)
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    after, _ = read_glove(path, GLOVE)
    assert set(before.vectors) == set(after.vectors) == set(GLOVE)
    np.testing.assert_array_equal(before.vectors[GLOVE[0]], after.vectors[GLOVE[0]])
