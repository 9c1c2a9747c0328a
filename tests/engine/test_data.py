"""Which split a run reports, and which files it wants for that."""

from __future__ import annotations

from pathlib import Path

import pytest

from framework.engine.data import HELD_OUT, missing, open_data, open_dataset, reported_split, splits_of
from framework.errors import RecipeError
from framework.recipe import Recipe, load_recipe
from framework.registry import Registry
from tests.engine.conftest import TINY


def recipe_of(folder: Path, registry: Registry, *overrides: str, split: str | None = None) -> Recipe:
    text = TINY.replace('split = "test"\n', f'split = "{split}"\n' if split else "")
    path = folder / "tiny.toml"
    path.write_text(text)
    return load_recipe(path, overrides, registry)


CHARADES = ("data.name=charades_sta",)


def test_without_a_word_the_split_is_that_of_choices_and_test_labels_stay_closed(
    tmp_path: Path, registry: Registry
) -> None:
    recipe = recipe_of(tmp_path, registry)
    data = open_data(recipe)
    assert (data.reported, data.validation) == ("val", "val")
    assert set(data.queries) == {"train", "val"}


def test_a_dataset_without_one_must_be_told(tmp_path: Path, registry: Registry) -> None:
    recipe = recipe_of(tmp_path, registry, *CHARADES)
    with pytest.raises(RecipeError, match=r"\[evaluate\] split is not set, and charades_sta has no validation split"):
        reported_split(recipe, open_dataset(recipe.data))


def test_a_held_out_share_is_reported_where_nothing_else_is_named(tmp_path: Path, registry: Registry) -> None:
    recipe = recipe_of(tmp_path, registry, *CHARADES, "data.holdout=0.1")
    dataset = open_dataset(recipe.data)
    assert reported_split(recipe, dataset) == HELD_OUT
    assert splits_of(recipe, dataset) == ["train"]


def test_a_split_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path, registry: Registry) -> None:
    recipe = recipe_of(tmp_path, registry, split="tests")
    with pytest.raises(RecipeError, match=r'split = "tests": synthetic has train, val, test\. Did you mean "test"\?'):
        splits_of(recipe, open_dataset(recipe.data))
    held_out = recipe_of(tmp_path, registry, split=HELD_OUT)
    with pytest.raises(RecipeError, match="held_out"):
        splits_of(held_out, open_dataset(held_out.data))


def test_only_files_of_the_splits_that_are_read_are_asked_for(tmp_path: Path, registry: Registry) -> None:
    recipe = recipe_of(tmp_path, registry, "data.name=tacos", f"data.root={tmp_path}", split="val")
    asked = [line for line in missing(recipe) if "TACoS" in line]
    assert [Path(line.split(":")[0]).name for line in asked] == ["train.json", "val.json"]
