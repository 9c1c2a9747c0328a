"""Every dataset trains a few steps on features in a format of the field, and what it predicts is scored by its rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from framework.cli import main
from tests.datasets.conftest import Folder, as_grouped_hdf5, as_hdf5, as_npy, as_npz, random_features
from tests.datasets.recipes import write
from tests.datasets.sound import convert

SPANS = """
[encoder]
name = "diffusionvmr.joint"
width = 16
layers = 1
heads = 2
ffn = 16
saliency = "labels"
endpoints = false
[target]
name = "spans"
proposals = 4
train_proposals = 4
[denoiser]
name = "diffusionvmr.cascade"
layers = 1
heads = 2
ffn = 16
dynamic = 4
[sampler]
name = "gaussian"
steps = 1
"""

Make = Callable[[str], Folder]


def trained(recipe: Path, split: str) -> dict[str, float]:
    """Metrics of a run, after its predictions, scored from their file, gave the very same."""
    assert main(["check", str(recipe)]) == 0
    out = recipe.parent / "run"
    assert main(["run", str(recipe), "--out", str(out), "--device", "cpu", "--profile", "full"]) == 0
    found = json.loads((out / "metrics.json").read_text())
    assert (found["profile"], found["split"]) == ("full", split)
    scored = recipe.parent / "scored.json"
    assert main(["eval", str(out / "predictions" / f"{split}.jsonl"), "--json", str(scored)]) == 0
    assert json.loads(scored.read_text())["metrics"] == found["metrics"]
    metrics: dict[str, float] = found["metrics"]
    return metrics


def test_charades_sta_on_an_hdf5_file(folder_of: Make) -> None:
    folder = folder_of("charades_sta")
    as_hdf5(folder.path / "i3d.hdf5", random_features(folder.queries, 0.64))
    recipe = write(
        folder, 'video = "i3d.hdf5"\nclip_s = 0.64\nwindow = 64', 'rule = "rank"\nsplit = "test"', (16, 2, 4, 4)
    )
    assert "R5@0.7" in trained(recipe, "test")


def test_tacos_on_a_folder_of_npy_files(folder_of: Make) -> None:
    folder = folder_of("tacos")
    as_npy(folder.path / "c3d", random_features(folder.queries, 2.0))
    data = 'video = "c3d"\nclip_s = 2.0\nwindow = 16\ntext = { name = "learned", punctuation = "split" }'
    recipe = write(folder, data, 'rule = "rank"\nm = [0.1, 0.3, 0.5]\nsplit = "test"', (16, 2, 4, 1))
    assert "R5@0.1" in trained(recipe, "test")


def test_activitynet_captions_on_an_hdf5_file_of_groups(folder_of: Make) -> None:
    folder = folder_of("activitynet")
    as_grouped_hdf5(folder.path / "c3d.hdf5", random_features(folder.queries, 0.5))
    data = 'video = "c3d.hdf5"\nmode = "sample"\nresample = "mean"\nwindow = 16'
    recipe = write(folder, data, 'rule = "rank_ge"\nsplit = "test"', (16, 2, 4, 1))
    assert "R1@0.5" in trained(recipe, "test")


def test_didemo_on_one_row_a_chunk(folder_of: Make) -> None:
    folder = folder_of("didemo")
    as_hdf5(folder.path / "average_fc7.h5", random_features(folder.queries, 5.0, rows=6))
    data = 'video = "average_fc7.h5"\nclip_s = 5.0\nwindow = 6'
    post = 'name = "top"\ntop = 21'
    recipe = write(folder, data, 'rule = "didemo"\nsplit = "test"', (6, 1, 6, 1), post)
    assert set(trained(recipe, "test")) == {"R1", "R5", "mIoU"}


def test_qvhighlights_on_npz_files_of_two_extractors_and_of_words(folder_of: Make) -> None:
    folder = folder_of("qvhighlights")
    as_npz(folder.path / "slowfast", random_features(folder.queries, 2.0, width=8))
    as_npz(folder.path / "clip", random_features(folder.queries, 2.0, width=4))
    rng = np.random.default_rng(1)
    words = {f"qid{query.id}": rng.normal(size=(5, 6)).astype(np.float16) for query in folder.queries}
    as_npz(folder.path / "clip_text", words, "last_hidden_state")
    data = (
        'video = ["slowfast", "clip"]\nclip_s = 2.0\nwindow = 75\npositions = true\n'
        'text = { name = "features", file = "clip_text" }'
    )
    recipe = write(folder, data, 'rule = "qvhighlights"\nsplit = "val"', (75, 1, 4, 1), 'name = "top"\ntop = 10')
    head, _, tail = recipe.read_text().partition("[layout]")
    recipe.write_text(head + SPANS + "[post]" + tail.partition("[post]")[2])
    metrics = trained(recipe, "val")
    assert {"R1@0.5", "mAP", "HL-VeryGood-mAP", "HL-Fair-Hit1"} <= set(metrics)


def test_json_lines_with_a_split_of_their_own_on_a_converted_store(folder_of: Make) -> None:
    folder = folder_of("jsonl")
    (folder.path / "test.jsonl").rename(folder.path / "test_ood.jsonl")
    as_npz(folder.path / "arrays", random_features(folder.queries, 2.0), "arr")
    store = folder.path / "store"
    assert convert(folder.path / "arrays", store).status == 0
    data = 'video = "store"\nmode = "sample"\nresample = "linear"\nwindow = 16\npositions = true'
    data += '\nothers = ["test_ood.jsonl"]'
    recipe = write(folder, data, 'rule = "average_precision"\nsplit = "test_ood"', (16, 2, 4, 1))
    assert trained(recipe, "test_ood")
