"""The recipes that come along are legal, on their dataset and on the embedded overlay."""

from __future__ import annotations

from pathlib import Path

import pytest

from framework.data.glove import GloveOptions
from framework.recipe import load_recipe, parse_recipe
from framework.recipe.files import FOLDERS
from framework.registry import load_registry

RECIPES = sorted(FOLDERS[1].rglob("*.toml"))


def test_recipes_come_along() -> None:
    assert RECIPES


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_that_comes_along_loads_and_reads_back_equal(path: Path) -> None:
    registry = load_registry()
    recipe = load_recipe(path, (), registry)
    assert recipe.name == path.stem
    for each in (recipe, recipe.with_embedded(registry)):
        assert parse_recipe(each.to_toml(), Path("again.toml"), registry) == each


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_reads_words_from_the_glove_file_that_it_is_given_and_embedded_from_none(path: Path) -> None:
    registry = load_registry()
    assert load_recipe(path, (), registry).with_embedded(registry).data.text.name != "glove"
    overrides = ("data.text.name=glove", "data.text.file=glove.txt")
    for order in (overrides, overrides[::-1]):
        assert load_recipe(path, order, registry).data.text.options == GloveOptions(file="glove.txt")


def test_files_of_charades_are_not_looked_for_by_the_data_that_stand_in() -> None:
    registry = load_registry()
    overrides = ("data.root=films", "data.video=i3d.hdf5", "data.text.name=glove", "data.text.file=glove.txt")
    recipe = load_recipe(FOLDERS[1] / "ms2d_charades.toml", overrides, registry)
    assert (recipe.data.options.root, recipe.data.options.video) == ("films", "i3d.hdf5")
    plain = load_recipe(FOLDERS[1] / "ms2d_charades.toml", (), registry)
    assert recipe.with_embedded(registry) == plain.with_embedded(registry)
