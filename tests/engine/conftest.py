"""A recipe small enough to train in seconds, on the embedded data."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import attrs
import pytest
import torch
from torch import Tensor, nn

from framework.core.denoiser import Denoiser, Site
from framework.core.part import Part
from framework.core.structures import Condition, Prediction, Slots
from framework.engine.narrate import Narrator
from framework.hookspecs import hookimpl
from framework.recipe import Recipe, load_recipe
from framework.registry import Registry, load_registry
from framework.testing.toys import ToyEncoder, ToyNetworkOptions, ToySpans, ToySpansOptions

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
split = "test"
batch_size = 8
"""


SPANS = """
name = "spans"
seed = 3
[data]
name = "synthetic"
train_queries = 32
val_queries = 8
test_queries = 16
width = 24
clip_s = 0.64
window = 64
[encoder]
name = "toys.encoder"
[target]
name = "toys.spans"
[denoiser]
name = "toys.spans"
[sampler]
name = "gaussian"
steps = 3
[post]
name = "top"
[train]
epochs = 1
batch_size = 16
[evaluate]
rule = "rank"
split = "test"
batch_size = 8
"""


@attrs.frozen
class NoOptions:
    """None."""


class ToySpanDenoiser(Denoiser):
    """Each noisy span by itself, beside the mean of the clips: a span and whether it is one."""

    requires = frozenset({"frames"})
    accepts: ClassVar[frozenset[str]] = frozenset({"free"})

    def __init__(self, options: NoOptions, site: Site) -> None:
        super().__init__()
        self.net = nn.Linear(site.widths["frames"] + site.channels + 1, site.channels + 1)

    def forward(
        self, x_t: Tensor, t: Tensor, cond: Condition, slots: Slots, previous: Prediction | None = None
    ) -> Prediction:
        mean = cond.feats["frames"].sum(1) / cond.feats["clips"][:, None]
        given = torch.cat([mean, t[:, None]], dim=-1)[:, None].expand(-1, x_t.shape[1], -1)
        found = self.net(torch.cat([x_t, given], dim=-1))
        return Prediction(found[..., :-1].sigmoid(), {"logit": found[..., -1]})


class Toys:
    """The plugin of a target whose slots are free."""

    @hookimpl
    def register_parts(self) -> list[Part]:
        return [
            Part("encoder", "toys.encoder", ToyEncoder, ToyNetworkOptions),
            Part("target", "toys.spans", ToySpans, ToySpansOptions),
            Part("denoiser", "toys.spans", ToySpanDenoiser, NoOptions),
        ]


@pytest.fixture(scope="session")
def toys() -> Registry:
    """The registry with the parts of this file."""
    found = load_registry({"toys": Toys()})
    assert not found.failures
    return found


@pytest.fixture
def spans_file(tmp_path: Path) -> Path:
    """A recipe of free spans."""
    path = tmp_path / "spans.toml"
    path.write_text(SPANS, encoding="utf-8")
    return path


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
