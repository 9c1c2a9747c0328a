"""What every recipe owes a reader: split, features, the rule of its dataset, and numbers that can be compared."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from framework.engine.data import missing
from framework.recipe import Recipe, load_recipe

FOLDER = Path(__file__).parents[2] / "recipes"
RECIPES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.toml"))
README = (FOLDER / "README.md").read_text(encoding="utf-8")
REPORTED = {"charades_sta": "test", "tacos": "test", "activitynet": "test", "didemo": "test", "qvhighlights": "val"}
RULES = {"didemo": {"didemo"}, "qvhighlights": {"qvhighlights"}}
"""Datasets with a rule of their own; the others are scored by IoU above or from a threshold."""

DATASETS = ("charades", "didemo", "tacos", "tacos_long", "activitynet", "qvhighlights")
SPANS = {
    "diffusionvmr": ("charades", "charades_vgg", "tacos", "qvhighlights"),
    "momentdiff": ("charades", "tacos", "qvhighlights"),
    "diffusionvg": ("charades", "activitynet"),
}


@cache
def recipe(name: str, *overrides: str) -> Recipe:
    return load_recipe(FOLDER / name, overrides)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_names_the_split_that_its_dataset_is_reported_on(name: str):
    found = recipe(name)
    written = found.tree.at(("evaluate", "split"))
    assert written == found.evaluate.split == REPORTED[found.data.dataset.name]
    small = found.with_embedded()
    assert small.evaluate.split in small.data.dataset.part.factory.splits


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_scored_by_the_rule_of_its_dataset_and_expects_numbers_that_the_rule_gives(name: str):
    found = recipe(name)
    assert found.evaluate.metric.name in RULES.get(found.data.dataset.name, {"rank", "rank_ge"})
    rule = found.evaluate.metric.part.factory(found.evaluate.metric.options)
    assert set(found.expected) - {"source"} <= {*rule.names, *rule.highlight_names}
    assert not found.expected or found.expected["source"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_names_its_features_and_its_overlay_needs_none(name: str):
    found = recipe(name)
    assert found.data.options.sources
    small = found.with_embedded()
    assert small.data.options.sources == ()
    assert missing(small) == []


@pytest.mark.parametrize("name", RECIPES)
def test_the_overlay_is_over_in_minutes(name: str):
    small = recipe(name).with_embedded()
    assert small.train.epochs <= 20
    assert small.data.dataset.options.train_queries <= 2000
    assert small.data.options.window <= 128
    # Rows of the embedded videos last 0.64 s, whatever those of the dataset do.
    assert small.data.options.clip_s == 0.64


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("form", ["ms2d_{}", "ms2d_{}_one_step", "ms2dtan_{}"])
def test_each_dataset_has_the_map_method_its_twin_and_its_control(dataset: str, form: str):
    found = recipe(f"{form.format(dataset)}.toml")
    assert found.data.dataset.name == {"charades": "charades_sta", "tacos_long": "tacos"}.get(dataset, dataset)


@pytest.mark.parametrize(("method", "datasets"), SPANS.items())
def test_each_span_method_has_a_recipe_and_a_twin_on_every_dataset_that_its_source_reports(
    method: str, datasets: tuple[str, ...]
):
    stems = {Path(name).stem for name in RECIPES if "/" not in name and "_small" not in name}
    wanted = {f"{method}_{dataset}{twin}" for dataset in datasets for twin in ("", "_one_step")}
    assert {stem for stem in stems if stem.startswith(f"{method}_")} == wanted


@pytest.mark.parametrize("name", [name for name in RECIPES if "/" not in name and "_one_step" not in name])
def test_the_readme_has_a_row_for_each_recipe(name: str):
    assert f"`{Path(name).stem}`" in README


@pytest.mark.parametrize("name", RECIPES)
def test_with_the_real_annotations_nothing_but_features_is_missing(name: str, shared: Path):
    found = recipe(name)
    folder = shared / "data" / found.data.dataset.name
    lines = missing(recipe(name, f"data.root={folder}"))
    absent = {line.split(":")[0] for line in lines}
    features = {str(folder / source) for source in found.data.options.sources}
    words = {str(folder / file) for file in [getattr(found.data.text.options, "file", None)] if file}
    # The training annotations of DiDeMo are not among the shared files.
    assert absent - {str(folder / "train_data.json")} == features | words
