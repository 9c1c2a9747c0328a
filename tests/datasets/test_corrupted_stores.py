"""However a store of features is spoilt, a check names it and the place: no traceback, no hang."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from tests.datasets.mutations import DEEP
from tests.datasets.sound import ITEM, VIDEO, Sound, cases, convert, make_sound


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    return make_sound(tmp_path_factory.mktemp("sound") / "data")


INDEX: Final[dict[str, Any]] = {
    "schema_99": {"schema": "nlvl feature store 99"},
    "no_schema": {"schema": None},
    "another_width": {"width": 11},
    "a_width_of_text": {"width": "12"},
    "a_width_of_half": {"width": 12.5},
    "a_huge_width": {"width": 10**400},
    "a_true_width": {"width": True},
    "negative_width": {"width": -12},
    "fewer_rows": {"rows": 3},
    "more_rows": {"rows": 100_000},
    "another_type": {"dtype": "float16"},
    "an_unknown_type": {"dtype": "int8"},
    "a_list_of_types": {"dtype": ["float32"]},
    "clip_s_NaN": {"clip_s": float("nan")},
    "clip_s_infinite": {"clip_s": float("inf")},
    "clip_s_of_text": {"clip_s": "1"},
    "clip_s_0": {"clip_s": 0},
    "another_clip_s": {"clip_s": 64.0},
    "a_list_as_origin": {"origin": []},
    "no_origin": {"origin": ""},
    "no_videos": {"videos": {}},
    "a_list_of_videos": {"videos": [1]},
    "null_videos": {"videos": None},
}
PLACES: Final[dict[str, Any]] = {
    "negative": lambda place: [-place[0] - 1, *place[1:]],
    "overlapping": lambda place: [place[0] - 1, *place[1:]],
    "a_gap": lambda place: [place[0] + 1, *place[1:]],
    "outside": lambda place: [10**9, *place[1:]],
    "huge": lambda place: [10**400, *place[1:]],
    "no_rows": lambda place: [place[0], 0, place[2]],
    "negative_rows": lambda place: [place[0], -1, place[2]],
    "two_numbers": lambda place: place[:2],
    "four_numbers": lambda place: [*place, 0],
    "texts": lambda place: [str(number) for number in place],
    "fractions": lambda place: [float(number) for number in place],
    "true": lambda place: [True, *place[1:]],
    "null": lambda place: None,
}


def edit_index(store: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    index = json.loads((store / "index.json").read_text())
    edit(index)
    (store / "index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("changes", cases(INDEX))
def test_a_spoilt_head_of_a_store_is_told(sound: Sound, tmp_path: Path, changes: dict[str, Any]) -> None:
    store = sound.copy("store", tmp_path)
    edit_index(store, lambda index: index.update(changes))
    sound.check(store).require_refused(str(store))
    if "clip_s" not in changes or changes["clip_s"] != 64.0:
        convert(store, tmp_path / "again").require_refused(str(store))


@pytest.mark.parametrize("mutate", cases(PLACES))
def test_a_spoilt_place_in_a_store_is_told(sound: Sound, tmp_path: Path, mutate: Callable[[list[int]], Any]) -> None:
    store = sound.copy("store", tmp_path)
    edit_index(store, lambda index: index["videos"].update({VIDEO: mutate(index["videos"][VIDEO])}))
    sound.check(store).require_refused(str(store / "index.json"), ITEM)


STORES: Final[dict[str, Callable[[Path], object]]] = {
    "no_index": lambda store: (store / "index.json").unlink(),
    "an_empty_index": lambda store: (store / "index.json").write_bytes(b""),
    "half_an_index": lambda store: (store / "index.json").write_bytes((store / "index.json").read_bytes()[:99]),
    "an_index_cut_in_its_videos": lambda store: (store / "index.json").write_bytes(
        (store / "index.json").read_bytes()[:-30]
    ),
    "a_deep_index": lambda store: (store / "index.json").write_text(DEEP),
    "an_index_of_5000_digits": lambda store: (store / "index.json").write_text("9" * 5000),
    "an_index_in_UTF-16": lambda store: (store / "index.json").write_text("{}", encoding="utf-16"),
    "a_list_as_index": lambda store: (store / "index.json").write_text("[]"),
    "an_index_with_a_name_of_two_lines": lambda store: edit_index(
        store, lambda index: index["videos"].update({"a\nb": [-1, 1, 1]})
    ),
    "an_index_with_a_long_name": lambda store: edit_index(
        store, lambda index: index["videos"].update({"v" * 5000: [-1, 1, 1]})
    ),
    "a_video_less": lambda store: edit_index(store, lambda index: index["videos"].pop(VIDEO)),
    "an_unfinished_store": lambda store: (store / "index.json").rename(store / "index.jsonl"),
    "a_folder_as_index": lambda store: ((store / "index.json").unlink(), (store / "index.json").mkdir()),
    "no_features": lambda store: (store / "features.npy").unlink(),
    "empty_features": lambda store: (store / "features.npy").write_bytes(b""),
    "shorter_features": lambda store: (store / "features.npy").write_bytes((store / "features.npy").read_bytes()[:-48]),
    "longer_features": lambda store: (store / "features.npy").write_bytes((store / "features.npy").read_bytes() + b"0"),
    "features_of_another_type": lambda store: np.save(
        store / "features.npy", np.load(store / "features.npy").astype(np.float64)
    ),
    "turned_features": lambda store: np.save(
        store / "features.npy", np.asfortranarray(np.load(store / "features.npy"))
    ),
    "features_with_NaN": lambda store: set_row(store, np.nan),
    "a_folder_as_features": lambda store: ((store / "features.npy").unlink(), (store / "features.npy").mkdir()),
}


def set_row(store: Path, number: float) -> None:
    first = json.loads((store / "index.json").read_text())["videos"][VIDEO][0]
    features = np.lib.format.open_memmap(store / "features.npy", mode="r+")
    features[first + 2] = number
    features.flush()


@pytest.mark.parametrize("spoil", cases(STORES))
def test_a_spoilt_store_is_told(sound: Sound, tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    store = sound.copy("store", tmp_path)
    spoil(store)
    sound.check(store).require_refused(str(store))


def test_other_numbers_in_a_store_are_found_by_verifying(sound: Sound, tmp_path: Path) -> None:
    store = sound.copy("store", tmp_path)
    set_row(store, 0.5)
    convert(store, "--verify").require_refused(str(store), VIDEO)
