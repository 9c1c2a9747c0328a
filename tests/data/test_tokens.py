from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from framework.data.tokens import TokensOptions, TokensText
from framework.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "clip_text").mkdir()
    for name, length in {"qid7": 3, "s30_0": 40}.items():
        tokens = np.arange(1, 2 * length + 1, dtype=np.float16).reshape(length, 2)
        np.savez(tmp_path / "clip_text" / f"{name}.npz", last_hidden_state=tokens, pooler_output=np.ones(2))
    return tmp_path


def _tokens(root: Path, **options: Any) -> TokensText:
    source = TokensText(TokensOptions(**options), root)
    source.prepare([], [])
    return source


def test_tokens_are_found_by_either_name_cut_and_scaled(root: Path) -> None:
    source = _tokens(root)
    assert (source.width, source.vocabulary) == (2, None)
    np.testing.assert_allclose(
        source.encode(7, "any"), np.array([[1, 2], [3, 4], [5, 6]]) / np.sqrt([[5], [25], [61]]), rtol=1e-6
    )
    assert source.encode("s30_0", "any").shape == (32, 2)
    assert _tokens(root, normalize=False, max_tokens=1).encode(7, "any").tolist() == [[1, 2]]


def test_tokens_in_hdf5_are_the_same(root: Path) -> None:
    with h5py.File(root / "text.hdf5", "w") as file:
        for path in (root / "clip_text").glob("*.npz"):
            file[f"{path.stem}/last_hidden_state"] = np.load(path)["last_hidden_state"]
            file[f"{path.stem}/pooler_output"] = np.load(path)["pooler_output"]
    np.testing.assert_array_equal(_tokens(root, file="text.hdf5").encode(7, ""), _tokens(root).encode(7, ""))


def test_a_query_without_tokens_is_refused_with_both_names(root: Path) -> None:
    with pytest.raises(DataError, match="no token features of query 8, neither as 8 nor as qid8"):
        _tokens(root).expect([(7, "any"), (8, "any")])


def test_tokens_of_another_width_are_refused(root: Path) -> None:
    np.savez(root / "clip_text" / "qid9.npz", last_hidden_state=np.ones((2, 3)))
    with pytest.raises(DataError, match="query 9 has 3 columns, others have 2"):
        _tokens(root).encode(9, "any")


def test_a_restored_source_knows_its_width(root: Path) -> None:
    source = _tokens(root)
    other = TokensText(TokensOptions(), root)
    other.restore(json.loads(json.dumps(source.state())))
    assert other.width == 2
    np.testing.assert_array_equal(other.encode(7, ""), source.encode(7, ""))


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="clip_text: no such file or folder; query features are looked for there"):
        _tokens(tmp_path)
