"""The recipes that come along are legal, on their dataset and on the embedded overlay."""

from __future__ import annotations

from pathlib import Path

import pytest

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
