"""The recipes of the plugin: they load at both sizes, and differ from each other by what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from framework.core.encoder import Inputs
from framework.engine.assemble import Method, assemble
from framework.recipe import Recipe, load_recipe

FOLDER = Path(__file__).parents[2] / "recipes"
RECIPES = sorted(
    path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.toml") if "ms2d" in path.read_text(encoding="utf-8")
)
ABLATIONS = [name for name in RECIPES if name.startswith("ablations/")]
TWINS = [
    ("ms2d_charades.toml", "ms2d_charades_one_step.toml"),
    ("ms2d_charades_small.toml", "ms2d_charades_small_one_step.toml"),
]


def recipe(name: str) -> Recipe:
    return load_recipe(FOLDER / name)


def built(found: Recipe) -> Method:
    with torch.device("meta"):
        return assemble(found, Inputs(video=1024, vocabulary=100))


def difference(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    """Tables in which two resolved recipes differ, apart from what they are called and what is expected of them."""
    return {key for key in one if one[key] != other[key]} - {"name", "expected"}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_named_after_its_file(name: str):
    assert recipe(name).name == Path(name).stem


@pytest.mark.parametrize("name", RECIPES)
def test_the_embedded_instance_is_small_and_needs_no_file(name: str):
    small = recipe(name).with_embedded()
    assert (small.data.dataset.name, small.data.text.name) == ("synthetic", "learned")
    assert sum(weight.numel() for weight in built(small).modules.parameters()) < 2_000_000


@pytest.mark.parametrize(("diffusion", "twin"), TWINS)
def test_a_one_step_twin_differs_in_the_sampler_alone(diffusion: str, twin: str):
    one, other = recipe(diffusion), recipe(twin)
    for a, b in ((one, other), (one.with_embedded(), other.with_embedded())):
        assert difference(a.resolved, b.resolved) == {"sampler"}


@pytest.mark.parametrize("size", ["", "_small"])
def test_the_control_shares_encoder_data_and_training_with_the_diffusion_recipe(size: str):
    one, other = recipe(f"ms2d_charades{size}.toml"), recipe(f"ms2dtan_charades{size}.toml")
    assert difference(one.resolved, other.resolved) == {"target", "denoiser", "sampler"}


def test_the_control_at_full_size_has_the_weights_of_ms_2d_tan():
    method = built(recipe("ms2dtan_charades.toml"))
    table = 300 * 100  # the learned words that stand in for GloVe here
    assert sum(weight.numel() for weight in method.modules.parameters()) - table == 477_885_449


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_changes_target_and_denoiser_only_and_brings_its_published_numbers(name: str):
    found, base = recipe(name), recipe("ms2d_charades.toml")
    assert difference(base.resolved, found.resolved) <= {"target", "denoiser"}
    assert found.expected["source"].endswith(f"table {name[len('ablations/table')]}")
    assert list(found.expected)[1:] == ["R1@0.5", "R1@0.7", "R5@0.5", "R5@0.7"]


def test_every_row_of_the_papers_three_ablations_is_there():
    rows = [name[len("ablations/table")] for name in ABLATIONS]
    assert [rows.count(table) for table in "345"] == [5, 3, 4]


@pytest.mark.parametrize("name", ["table3_cnn_concat", "table4_mse_full", "table5_stylize_both"])
def test_the_best_row_of_each_ablation_is_the_model_itself(name: str):
    found, base = recipe(f"ablations/{name}.toml"), recipe("ms2d_charades.toml")
    assert difference(base.resolved, found.resolved) == set()
    assert found.expected["R1@0.7"] == base.expected["R1@0.7"] == 40.8
