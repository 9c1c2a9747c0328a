"""What every recipe owes a reader: split, features, the rule of its dataset, and numbers that can be compared."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

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

SLOWFAST_FIRST: Final = ("slowfast_features", "clip_features")
CLIP_FIRST: Final = ("clip_features", "slowfast_features")
SIMULATED: Final = ("charades_sim_256.hdf5",)
READS: Final = {
    # Files, seconds a row, rows of length 1 or as they come, time columns.
    # MS-2D-TAN: its loaders normalise and know no time columns; seconds by its extraction, on DiDeMo by the chunks.
    "ms2d_charades": (("i3d.hdf5",), 0.64, True, 0),
    "ms2d_didemo": (("average_fc7.h5",), 5.0, True, 0),
    "ms2d_tacos": (("tacos_c3d_fc6_nonoverlap.hdf5",), 1.0, True, 0),
    "ms2d_tacos_long": (("tacos_c3d_fc6_nonoverlap.hdf5",), 1.0, True, 0),
    "ms2d_activitynet": (("activitynet_c3d_fc6_stride_1s.hdf5",), 1.0, True, 0),
    "ms2d_qvhighlights": (SLOWFAST_FIRST, 2.0, True, 0),
    # Moment-DETR, start_end_dataset.py: SlowFast first, each source normalised, ctx_mode video_tef; DiffusionVMR alike.
    "momentdetr_charades": (SLOWFAST_FIRST, 1.0, True, 2),
    "momentdetr_qvhighlights": (SLOWFAST_FIRST, 2.0, True, 2),
    "diffusionvmr_charades": (SLOWFAST_FIRST, 1.0, True, 2),
    "diffusionvmr_charades_vgg": (("vgg_features",), 1 / 6, True, 2),
    "diffusionvmr_qvhighlights": (SLOWFAST_FIRST, 2.0, True, 2),
    # MomentDiff, train_charades_sf.sh: v_feat_dirs CLIP, SlowFast; clip_length 1; ctx_mode video_tef.
    "momentdiff_charades": (CLIP_FIRST, 1.0, True, 2),
    "momentdiff_qvhighlights": (CLIP_FIRST, 2.0, True, 2),
    # TALL's C3D on TACoS: the seconds are not published.
    "diffusionvmr_tacos": (("tall_c3d_features.hdf5",), 1.0, True, 2),
    "momentdiff_tacos": (("tall_c3d_features.hdf5",), 1.0, True, 2),
    # DiffusionVG, dataset.py: read as float and averaged, neither normalised nor with time columns; config.py: 0.5 s.
    "diffusionvg_charades": (("i3d.hdf5",), 0.64, False, 0),
    "diffusionvg_activitynet": (("activitynet_c3d_features",), 0.5, False, 0),
    # Small ones: what docs/results measured.
    "ms2d_charades_small": (SIMULATED, 0.64, True, 0),
    "momentdetr_charades_small": (SIMULATED, 0.64, True, 2),
    "diffusionvmr_charades_small": (SIMULATED, 0.64, True, 2),
    "momentdiff_charades_small": (SIMULATED, 0.64, True, 2),
    "diffusionvg_charades_small": (SIMULATED, 0.64, True, 0),
}
UNPUBLISHED: Final = ("diffusionvmr_tacos", "momentdiff_tacos", "diffusionvg_activitynet")
"""Recipes of features whose seconds a row are not known."""


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
def test_a_recipe_reads_features_as_its_source_does(name: str):
    found = recipe(name)
    data, encoder = found.data.options, found.encoder.options
    times = 2 * data.positions + 2 * getattr(encoder, "endpoints", False)
    sources, clip_s, normalize, columns = reads(name)
    assert (data.sources, data.normalize, times) == (sources, normalize, columns)
    assert data.clip_s == pytest.approx(clip_s, abs=1e-6)


def reads(name: str) -> tuple[tuple[str, ...], float, bool, int]:
    """What stands in the table for a recipe, or for the one that it changes in other respects alone."""
    stem = Path(name).stem.replace("ms2dtan_", "ms2d_")
    if stem in READS:
        return READS[stem]
    (base,) = re.findall(r'^base = "(?:\.\./)?(.+)"$', (FOLDER / name).read_text(encoding="utf-8"), re.MULTILINE)
    return reads(base)


@pytest.mark.parametrize("stem", UNPUBLISHED)
def test_where_seconds_a_row_are_not_published_rows_are_spread_over_the_video_and_recipe_and_readme_say_so(stem: str):
    text = (FOLDER / f"{stem}.toml").read_text(encoding="utf-8")
    assert "not published" in text
    assert "\nclip_s = " in text
    assert recipe(f"{stem}.toml").data.options.mode == "sample"
    (row,) = [line for line in README.splitlines() if line.startswith(f"| `{stem}` |")]
    assert "seconds a row not published" in row or "| the same |" in row


@pytest.mark.parametrize("name", RECIPES)
def test_the_last_weights_are_reported_where_there_is_no_validation_split_and_the_best_elsewhere(name: str):
    found = recipe(name)
    validation = found.data.dataset.part.factory.validation
    assert found.train.select in (("auto", "best") if validation else ("auto",))
    assert "the last one on Charades-STA; the best on val elsewhere" in README


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
