"""The recipes of the span methods: they load at both sizes, and differ from each other by what they say."""

from __future__ import annotations

import json
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from framework.core.encoder import Inputs
from framework.engine.assemble import Method, assemble
from framework.engine.check import check_recipe
from framework.errors import RecipeError
from framework.recipe import Recipe, load_recipe

FOLDER = Path(__file__).parents[2] / "recipes"
METHODS = ("diffusionvmr", "momentdiff", "diffusionvg", "momentdetr")
RECIPES = sorted(
    path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.toml") if path.stem.startswith(METHODS)
)
TWINS = [name for name in RECIPES if name.endswith("_one_step.toml")]
SMALL = [name for name in RECIPES if "_small" in name]
TABLES = ("table4", "table5", "table6")


@cache
def recipe(name: str, *overrides: str) -> Recipe:
    return load_recipe(FOLDER / name, overrides)


def built(found: Recipe) -> Method:
    with torch.device("meta"):
        return assemble(found, Inputs(video=256, vocabulary=100))


def difference(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    """Tables in which two resolved recipes differ, apart from what they are called and what is expected of them."""
    return {key for key in one if one[key] != other.get(key)} - {"name", "expected"}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_named_after_its_file(name: str):
    assert recipe(name).name == Path(name).stem


@pytest.mark.parametrize("name", RECIPES)
def test_the_embedded_instance_is_small_and_needs_no_file(name: str):
    small = recipe(name).with_embedded()
    assert (small.data.dataset.name, small.data.text.name) == ("synthetic", "learned")
    assert small.data.options.video is None
    assert sum(weight.numel() for weight in built(small).modules.parameters()) < 2_000_000


@pytest.mark.parametrize("twin", TWINS)
def test_a_one_step_twin_differs_in_the_sampler_and_in_having_learned_queries(twin: str):
    one, other = recipe(twin.replace("_one_step", "")), recipe(twin)
    for a, b in ((one, other), (one.with_embedded(), other.with_embedded())):
        assert difference(a.resolved, b.resolved) - {"sweep"} == {"sampler", "denoiser"}
        denoisers = [dict(x.resolved["denoiser"]) for x in (a, b)]
        assert [denoiser.pop("queries") for denoiser in denoisers] == [0, b.objectives[0].target.options.proposals]
        assert denoisers[0] == denoisers[1]


def test_every_diffusion_recipe_has_its_twin():
    diffusion = [name for name in RECIPES if "/" not in name and not name.startswith("momentdetr")]
    plain = {name for name in diffusion if "_one_step" not in name}
    assert {name.replace("_one_step", "") for name in TWINS} == plain


@pytest.mark.parametrize("name", SMALL)
def test_small_recipes_share_data_and_scoring_with_the_map_methods(name: str):
    one, other = recipe("ms2d_charades_small.toml").resolved, recipe(name).resolved
    assert {key: one[key] for key in ("data", "post", "seed")} == {key: other[key] for key in ("data", "post", "seed")}
    assert {**one["evaluate"], "every": 0} == {**other["evaluate"], "every": 0}
    assert one["train"]["batch_size"] == other["train"]["batch_size"]


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("momentdiff_qvhighlights", set()),
        ("momentdiff_tacos", set()),
        ("momentdetr_qvhighlights", {"encoder", "train"}),
        ("diffusionvg_activitynet", {"target", "train"}),
    ],
)
def test_on_another_dataset_a_method_changes_what_its_source_changes(name: str, changed: set[str]):
    one, other = recipe(f"{name.split('_')[0]}_charades.toml"), recipe(f"{name}.toml")
    assert difference(one.resolved, other.resolved) == {"data", "post", "evaluate"} - kept(name) | changed


def kept(name: str) -> set[str]:
    """DiffusionVG rounds and scores both of its datasets alike."""
    return {"post", "evaluate"} if name.startswith("diffusionvg") else set()


@pytest.mark.parametrize(
    ("name", "given", "read"),
    [
        ("diffusionvmr_qvhighlights", 2816, 2818),
        ("diffusionvmr_charades", 2816, 2818),
        ("diffusionvmr_charades_vgg", 4096, 4098),
        ("diffusionvmr_tacos", 4096, 4098),
        ("momentdiff_charades", 2816, 2818),
        ("momentdiff_qvhighlights", 2816, 2818),
        ("momentdiff_tacos", 4096, 4098),
        ("momentdetr_charades", 2816, 2818),
        ("momentdetr_qvhighlights", 2816, 2818),
        ("diffusionvg_charades", 1024, 1024),
        ("diffusionvg_activitynet", 500, 500),
    ],
)
def test_a_network_reads_the_time_columns_of_its_source_once(name: str, given: int, read: int):
    """Moment-DETR (config.py) and MomentDiff: 2,816 numbers and 2 of "video_tef"; DiffusionVG: none more than given."""
    found = recipe(f"{name}.toml")
    with torch.device("meta"):
        method = assemble(found, Inputs(given + found.data.options.added_columns, text=512, saliency=True))
    video = method.encoder.get_submodule("video")
    assert next(layer for layer in video.modules() if isinstance(layer, nn.LayerNorm)).normalized_shape == (read,)


def test_word_vectors_named_by_qid_are_found_by_the_readmes_command(tmp_path: Path):
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"python -m framework check momentdetr_charades (.+?)\n\n", readme, re.DOTALL)
    overrides = [word for word in shlex.split(command.replace("\\\n", " ")) if word != "--set"]
    overrides = [word.replace("DIR", str(tmp_path)) for word in overrides]
    files = [tmp_path / word.partition("=")[2] for word in overrides if word.startswith(("data.train", "data.test"))]
    for first, path in zip((9, 12404), files, strict=True):
        write_queries(path, range(first, first + 2))
    findings = check_recipe(str(FOLDER / "momentdetr_charades.toml"), overrides)
    assert findings.problems == []
    assert any("2816 columns" in fact for fact in findings.facts)


def write_queries(path: Path, qids: range) -> None:
    """Lines in the form of Moment-DETR, features of 31 clips, and word vectors named by qid; all made up."""
    lines = [{"qid": qid, "query": "person sits down.", "vid": f"V{qid}", "duration": 30.96} for qid in qids]
    # As in the files that are passed around, a moment may end after its video.
    path.write_text("\n".join(json.dumps({**line, "relevant_windows": [[24.3, 31.4]]}) for line in lines))
    for qid in qids:
        save(path.parent / "slowfast_features" / f"V{qid}.npz", features=np.ones((31, 2304), np.float32))
        save(path.parent / "clip_features" / f"V{qid}.npz", features=np.ones((32, 512), np.float16))
        words = {"last_hidden_state": np.ones((5, 512), np.float16), "pooler_output": np.ones(512, np.float16)}
        save(path.parent / "clip_text_features" / f"qid{qid}.npz", **words)


def save(path: Path, **arrays: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    np.savez(path, **arrays)


def test_diffusionvg_on_activitynet_averages_each_video_once_and_warms_up_for_a_tenth_of_its_steps():
    found = recipe("diffusionvg_activitynet.toml")
    data, train = found.data.options, found.train
    assert (data.mode, data.resample, data.window) == ("sample", "mean", found.encoder.options.pool_clips)
    assert train.warmup == train.epochs * (37_417 // train.batch_size) // 10
    assert found.objectives[0].target.options.votes == "uniform"


@pytest.mark.parametrize("table", TABLES)
def test_an_ablation_of_diffusionvmr_brings_its_published_numbers_and_changes_little(table: str):
    rows = [name for name in RECIPES if table in name]
    assert len(rows) == {"table4": 1, "table5": 6, "table6": 2}[table]
    for name in rows:
        found, base = recipe(name), recipe("diffusionvmr_qvhighlights.toml")
        changed = {"table4": {"sweep", "target"}, "table5": {"weights"}, "table6": {"target"}}[table]
        assert difference(found.resolved, base.resolved) <= changed
        assert table.replace("table", "table ") in found.expected["source"]
        assert list(found.expected)[1:] == ["R1@0.5", "R1@0.7", "mAP"]


def test_the_full_row_of_table_5_is_the_model_itself():
    found, base = recipe("ablations/diffusionvmr_table5_full.toml"), recipe("diffusionvmr_qvhighlights.toml")
    assert difference(found.resolved, base.resolved) == set()
    assert found.expected["mAP"] == base.expected["mAP"] == 41.51


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        (
            "momentdiff_charades_small.toml",
            ["target.name=ms2d.iou_maps", "denoiser.name=diffusionvmr.cascade"],
            "works on slots of kind free, but target ms2d.iou_maps has cells",
        ),
        ("ms2d_charades_small.toml", ["target.name=spans"], "works on slots of kind cells, but target spans has free"),
    ],
)
def test_a_denoiser_with_the_wrong_target_is_refused_with_both_names_and_the_remedy(
    name: str, overrides: list[str], words: str
):
    with pytest.raises(RecipeError, match=words) as refused:
        built(recipe(name, *overrides))
    assert "Choose a denoiser for that target, or another target." in str(refused.value)
