"""The recipes of the plugin: they load at both sizes, and differ from each other by what they say."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from framework.core.encoder import Inputs
from framework.core.noise import GeneratorNoise
from framework.core.structures import Candidates, Condition, Index, Prediction, Rows
from framework.engine.assemble import Method, assemble
from framework.moments import iou
from framework.recipe import Recipe, load_recipe

FOLDER = Path(__file__).parents[2] / "recipes"
RECIPES = sorted(
    path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.toml") if "ms2d" in path.read_text(encoding="utf-8")
)
ABLATIONS = [name for name in RECIPES if name.startswith("ablations/")]
DIFFUSION = [name for name in RECIPES if name.startswith("ms2d_") and "_one_step" not in name]
WORDS = 100
NOISE = GeneratorNoise(torch.Generator())


@cache
def recipe(name: str, *overrides: str) -> Recipe:
    return load_recipe(FOLDER / name, overrides)


def built(found: Recipe, video: int = 1024) -> Method:
    with torch.device("meta"):
        return assemble(found, Inputs(video=video, vocabulary=WORDS))


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


@pytest.mark.parametrize("name", DIFFUSION)
def test_a_one_step_twin_differs_in_the_sampler_alone(name: str):
    one, other = recipe(name), recipe(name.replace(".toml", "_one_step.toml"))
    for a, b in ((one, other), (one.with_embedded(), other.with_embedded())):
        assert difference(a.resolved, b.resolved) == {"sampler"}
    assert other.objectives[0].sampler.name == "one_step"


@pytest.mark.parametrize("name", DIFFUSION)
def test_the_control_shares_encoder_data_and_training_with_the_diffusion_recipe(name: str):
    one, other = recipe(name), recipe(name.replace("ms2d_", "ms2dtan_"))
    for a, b in ((one, other), (one.with_embedded(), other.with_embedded())):
        assert difference(a.resolved, b.resolved) == {"target", "denoiser", "sampler"}


@pytest.mark.parametrize("name", DIFFUSION)
def test_the_control_is_the_same_method_on_every_dataset(name: str):
    one, other = (recipe(each.replace("ms2d_", "ms2dtan_")).resolved for each in (DIFFUSION[0], name))
    sizes = {"width", "map_width", "kernel", "groups", "time_width"}
    for table in ("target", "denoiser", "sampler"):
        assert {key: value for key, value in one[table].items() if key not in sizes} == {
            key: value for key, value in other[table].items() if key not in sizes
        }


@pytest.mark.parametrize(
    ("name", "video", "overrides", "weights"),
    [
        ("ms2dtan_charades", 1024, (), 477_885_449),
        ("ms2dtan_tacos", 4096, (), 479_458_313),
        ("ms2dtan_tacos", 4096, ("data.window=384", "encoder.pool=6"), 479_458_313),
        ("ms2dtan_tacos", 1024, (), 477_885_449),
        ("ms2dtan_activitynet", 4096, (), 479_458_313),
        ("ms2dtan_tacos_long", 4096, (), 233_084_943),
        ("ms2dtan_tacos_long", 1024, (), 231_512_079),
    ],
)
def test_the_control_at_full_size_has_the_weights_of_ms_2d_tan(
    name: str, video: int, overrides: tuple[str, ...], weights: int
):
    """Counted by running the authors' networks; their words are GloVe vectors, a table of 300 numbers each here."""
    method = built(recipe(f"{name}.toml", *overrides), video)
    assert sum(weight.numel() for weight in method.modules.parameters()) - 300 * WORDS == weights


def test_each_answer_on_didemo_is_one_of_the_21_segments_and_all_are_ranked():
    found = recipe("ms2d_didemo.toml")
    method = built(found, video=4096)
    target = method.objectives[0].target
    cond = Condition({"clips": torch.tensor([6]), "clip": torch.tensor([1 / 6])}, 1)
    slots = target.slots(cond, None)
    x0 = torch.rand(slots.mask.shape, generator=torch.Generator().manual_seed(0))[..., None]
    ranked = in_seconds(method.post(target.decode([Prediction(x0)], cond, slots)), 30.0)
    segments = {(5 * first, 5 * last) for first in range(6) for last in range(first + 1, 7)}
    assert len(ranked) == 21
    assert {(round(start), round(end)) for start, end in ranked} == segments


def test_no_kernel_is_wider_than_the_smallest_map_of_didemo():
    found = recipe("ms2d_didemo.toml")
    assert found.objectives[0].denoiser.options.kernel <= found.layout["anchors"] == found.layout["clips"] == 6


def test_cells_of_qvhighlights_hold_their_best_iou_with_any_moment_and_give_every_moment_back():
    found = recipe("ms2d_qvhighlights.toml", "data.text.name=learned")
    method = built(found, video=2816)
    target, clips = method.objectives[0].target, 75
    moments = torch.tensor([[20.0, 24.0], [40.0, 64.0], [72.0, 144.0]])  # seconds, on cells of the three maps
    cond = Condition({"clips": torch.tensor([clips]), "clip": torch.tensor([1 / clips])}, 1)
    slots = target.slots(cond, None)
    place = torch.zeros(1, dtype=torch.long)
    asked = torch.cat([torch.zeros(3, 1), moments / 150, torch.ones(3, 1)], dim=1)
    ideal = target.ideal(Rows(Index(place, place[:, None], place), [asked]), slots, NOISE)
    each = iou(slots.anchor[0] * 150, moments)
    torch.testing.assert_close(ideal.x0[0, slots.mask[0], 0], each.amax(dim=1)[slots.mask[0]], rtol=0, atol=1e-5)
    ranked = in_seconds(method.post(target.decode([ideal], cond, slots)), 150.0)
    assert {(round(start), round(end)) for start, end in ranked[:3]} == {(20, 24), (40, 64), (72, 144)}
    assert 3 < len(ranked) <= 10


def in_seconds(candidates: Candidates, duration: float) -> list[tuple[float, float]]:
    """What is kept of the only row, best first."""
    kept = candidates.mask[0]
    pairs = torch.stack([candidates.start[0, kept], candidates.end[0, kept]], dim=1) * duration
    return [(start, end) for start, end in pairs.tolist()]


@pytest.mark.parametrize("name", ["ms2d_charades.toml", "ms2d_tacos.toml", "ms2d_activitynet.toml"])
def test_the_longest_cell_is_as_long_as_the_window(name: str):
    layout = recipe(name).layout
    assert layout["anchors"] << (layout["scales"] - 1) == layout["clips"] == recipe(name).data.options.window == 64


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
