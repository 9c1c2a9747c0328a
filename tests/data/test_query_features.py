from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import h5py
import numpy as np
import pytest

from framework.data.query_features import QueryFeatures, QueryFeaturesOptions
from framework.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Words of queries 7 and 8 as Moment-DETR distributes them: half precision, beside a pooled vector."""
    (tmp_path / "clip_text").mkdir()
    for name, length in {"qid7": 3, "qid8": 40}.items():
        words = np.arange(1, 2 * length + 1, dtype=np.float16).reshape(length, 2)
        np.savez(tmp_path / "clip_text" / f"{name}.npz", last_hidden_state=words, pooler_output=np.ones(2))
    return tmp_path


def _features(root: Path, **options: Any) -> QueryFeatures:
    source = QueryFeatures(QueryFeaturesOptions(**options), root)
    source.prepare([], [])
    return source


def test_words_of_a_query_are_found_by_its_id_cut_and_scaled(root: Path) -> None:
    source = _features(root)
    assert (source.width, source.vocabulary) == (2, None)
    found = source.encode(7, "any")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.array([[1, 2], [3, 4], [5, 6]]) / np.sqrt([[5], [25], [61]]), rtol=1e-6)
    assert source.encode(8, "any").shape == (32, 2)
    assert _features(root, words=None).encode(8, "any").shape == (40, 2)
    assert _features(root, normalize=False, words=1).encode(7, "any").tolist() == [[1, 2]]


@pytest.mark.parametrize("suffix", ["npz", "npy", "hdf5"])
@pytest.mark.parametrize("item", ["{qid}", "text_{qid}", "{qid}_of_{qid}"])
def test_an_item_is_named_by_the_option_in_every_kind_of_file(tmp_path: Path, item: str, suffix: str) -> None:
    words = np.array([[1.0, 0.0], [0.0, 1.0]])
    name = item.replace("{qid}", "s30-d52_0")
    (tmp_path / "words").mkdir()
    if suffix == "npz":
        np.savez(tmp_path / "words" / f"{name}.npz", token=words)
    elif suffix == "npy":
        np.save(tmp_path / "words" / f"{name}.npy", words)
    else:
        with h5py.File(tmp_path / "words.hdf5", "w") as file:
            file[f"{name}/last_hidden_state"], file[f"{name}/pooler_output"] = words, words[0]
    file_name = "words.hdf5" if suffix == "hdf5" else "words"
    source = _features(tmp_path, item=item, file=file_name)
    source.expect([("s30-d52_0", "any")])
    assert source.encode("s30-d52_0", "any").tolist() == words.tolist()


def test_absent_queries_are_counted_and_the_first_is_named(root: Path) -> None:
    with pytest.raises(DataError) as caught:
        _features(root).expect([(7, "any"), (9, "any"), (8, "any"), ("x1", "any")])
    message = str(caught.value)
    assert message.startswith(
        f'{root / "clip_text"}: 2 of 4 queries have no word vectors, first 9, looked for as "qid9"; it holds items '
        'such as "qid7".'
    )
    assert "text.item" in message
    assert "\n" not in message


def test_words_of_another_width_are_refused(root: Path) -> None:
    np.savez(root / "clip_text" / "qid9.npz", last_hidden_state=np.ones((2, 3)))
    with pytest.raises(DataError, match="query 9 has 3 columns, others have 2"):
        _features(root).encode(9, "any")
    with pytest.raises(DataError, match="query 9 has 3 columns, others have 2"):
        _features(root).expect([(7, "any"), (9, "any")])


def test_a_query_without_the_array_is_refused_before_it_is_read(root: Path) -> None:
    np.savez(root / "clip_text" / "qid9.npz", pooler_output=np.ones(2), other=np.ones(2))
    with pytest.raises(DataError, match=r'query "qid9" holds the arrays other, pooler_output'):
        _features(root).expect([(7, "any"), (9, "any")])


@pytest.mark.parametrize("there", [True, False])
def test_a_restored_source_refuses_a_new_sentence_in_one_line_with_and_without_the_file(
    root: Path, tmp_path_factory: pytest.TempPathFactory, there: bool
) -> None:
    state = json.loads(json.dumps(_features(root).state()))
    other = QueryFeatures(QueryFeaturesOptions(), root if there else tmp_path_factory.mktemp("elsewhere"))
    other.restore(state)
    assert other.width == 2
    with pytest.raises(DataError, match=r"cannot make any.*learned.*to ask new sentences") as caught:
        other.encode("a dog {runs}", "a dog {runs}")
    assert "\n" not in str(caught.value)
    assert other.unknown("a dog runs") == []
    if there:
        np.testing.assert_array_equal(other.encode(7, ""), _features(root).encode(7, ""))


def test_a_missing_file_is_told_before_a_run_and_refused_in_one(tmp_path: Path) -> None:
    source = QueryFeatures(QueryFeaturesOptions(file="words"), tmp_path)
    (line,) = source.missing()
    assert line.startswith(f"{tmp_path / 'words'}: no word vectors there.")
    assert "--set data.text.file=" in line
    with pytest.raises(DataError, match="words: no such file or folder; query features are looked for there"):
        source.prepare([], [])


def test_nothing_is_missing_where_the_file_is(root: Path) -> None:
    assert QueryFeatures(QueryFeaturesOptions(), root).missing() == []


@pytest.mark.parametrize(("name", "value"), [("item", "qid"), ("words", 0)])
def test_values_out_of_range_break_a_stated_rule(name: str, value: object) -> None:
    assert "must" in attrs.fields_dict(QueryFeaturesOptions)[name].metadata["rule"](value)
