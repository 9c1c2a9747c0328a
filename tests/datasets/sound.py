"""A small recipe and features of every kind that nothing is wrong with, for whoever spoils them."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
import pytest
from numpy.typing import NDArray

from framework.registry import load_registry
from tests.datasets.conftest import WIDTH, Folder, as_hdf5, as_npy, as_npz, random_features, write_charades
from tests.datasets.recipes import write
from tests.datasets.refusal import Said, say

TOOL: Final = Path(__file__).parents[2] / "tools" / "convert_features.py"
VIDEO: Final = "train3"
ITEM: Final = f'video "{VIDEO}"'

Array = NDArray[Any]


@attrs.frozen
class Sound:
    """A recipe that a check finds nothing wrong with. folder: its data, with one source of features of each kind."""

    recipe: Path
    folder: Path

    def check(self, source: Path, *overrides: str) -> Said:
        return say("check", self.recipe, "--set", f'data.video="{source}"', *overrides)

    def copy(self, name: str, to: Path) -> Path:
        """A source of its own for whoever spoils it."""
        if (self.folder / name).is_dir():
            return Path(shutil.copytree(self.folder / name, to / name))
        return Path(shutil.copy(self.folder / name, to / name))


@cache
def tool() -> Any:
    """The tool as it is, a file that is no part of the packages."""
    specification = importlib.util.spec_from_file_location("convert_features", TOOL)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def convert(source: Path, *arguments: object) -> Said:
    return say(source, *arguments, main=tool().main)


def make_sound(folder: Path) -> Sound:
    """Write the data to ``folder``, and the recipe beside it."""
    folder.mkdir()
    write_charades(folder)
    part = load_registry().part("dataset", "charades_sta", "test")
    dataset = part.factory(part.options(), folder)
    found = Folder("charades_sta", folder, {split: dataset.queries(split) for split in dataset.splits})
    arrays = random_features(found.queries, 1.0)
    as_hdf5(folder / "c3d.hdf5", arrays)
    as_npy(folder / "npy", arrays)
    as_npz(folder / "npz", arrays)
    assert convert(folder / "npy", folder / "store").status == 0
    rng = np.random.default_rng(1)
    words = {str(query.id): rng.normal(size=(4, 6)).astype(np.float32) for query in found.queries}
    as_npz(folder / "words", words, "last_hidden_state")
    lines = [f"{word} {' '.join(f'{number:.3f}' for number in rng.normal(size=6))}\n" for word in GLOVE]
    (folder / "glove.txt").write_text("".join(lines))
    data = 'video = "c3d.hdf5"\nclip_s = 1.0\nwindow = 64'
    sound = Sound(write(found, data, 'rule = "rank"\nsplit = "test"', (16, 2, 4, 4)), folder)
    for source in ("c3d.hdf5", "npy", "npz", "store"):
        assert sound.check(folder / source).status == 0
    assert sound.check(folder / "npy", *QUERY_FEATURES).status == 0
    assert sound.check(folder / "npy", *GLOVE_TEXT).status == 0
    return sound


def cases(table: Mapping[str, Any]) -> list[Any]:
    """Cases by their names."""
    return [pytest.param(case, id=name) for name, case in table.items()]


GLOVE: Final = ("a", "person", "opens", "the", "door", "she", "cuts", "onion", "dog", "runs", "away")
GLOVE_TEXT: Final = ("--set", 'data.text={name="glove", file="glove.txt"}')
QUERY_FEATURES: Final = ("--set", 'data.text={name="features", file="words", item="{qid}"}')

FINE: Final = np.random.default_rng(2).normal(size=(26, WIDTH)).astype(np.float32)


def with_number(number: float) -> Array:
    spoilt = FINE.astype(np.float64)
    spoilt[7, 3] = number
    return spoilt
