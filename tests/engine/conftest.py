"""A recipe small enough to train in seconds, on the embedded data."""

from __future__ import annotations

from pathlib import Path

import pytest

from framework.engine.narrate import Narrator
from framework.recipe import Recipe, load_recipe
from framework.registry import Registry, load_registry

TINY = """
name = "tiny"
seed = 3
[data]
name = "synthetic"
train_queries = 48
val_queries = 16
test_queries = 24
width = 24
clip_s = 0.64
window = 64
text = "learned"
[layout]
clips = 16
scales = 2
anchors = 4
[encoder]
name = "ms2d.tan"
width = 16
lstm_layers = 1
word_width = 12
pool = 4
[target]
name = "ms2d.iou_maps"
[denoiser]
name = "ms2d.conv"
width = 16
map_width = 8
kernel = 3
groups = 4
time_width = 32
[sampler]
name = "gaussian"
steps = 3
[post]
name = "nms"
[train]
epochs = 2
batch_size = 16
optimizer = { name = "adam", lr = 1e-3 }
schedule = "cosine"
clip = 5.0
[evaluate]
rule = "rank"
batch_size = 8
"""


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load_registry()


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.fixture
def recipe(recipe_file: Path, registry: Registry) -> Recipe:
    return load_recipe(recipe_file, (), registry)


@pytest.fixture
def narrator() -> Narrator:
    from rich.console import Console

    return Narrator(Console(quiet=True))
