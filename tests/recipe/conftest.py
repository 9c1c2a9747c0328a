"""A plugin with one small part of each kind, and recipes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from framework.core.options import above, at_least, every, odd, one_of, option
from framework.core.part import KINDS, Part
from framework.hookspecs import hookimpl
from framework.recipe import Recipe, load_recipe
from framework.registry import Registry

RECIPE = """
name = "small"
[data]
name = "tiny.films"
root = "data"
video = "i3d.hdf5"
text = "tiny.words"
[layout]
clips = 64
[encoder]
name = "tiny.encoder"
[target]
name = "tiny.maps"
[denoiser]
name = "tiny.conv"
kernel = 9
[sampler]
name = "tiny.gaussian"
[post]
name = "tiny.nms"
[evaluate]
rule = "tiny.rank"
"""


class Factory:
    """Build nothing."""


@attrs.frozen
class Nothing:
    """No options."""


@attrs.frozen
class FilmsOptions:
    subset: str = option("all", doc="which films", rule=one_of("all", "some"))


@attrs.frozen
class WordsOptions:
    width: int = option(300, doc="numbers a word", rule=at_least(1))


@attrs.frozen
class MapsOptions:
    clips: int = option(doc="clips of the map", rule=at_least(1), shared=True)
    scales: int = option(1, doc="maps", rule=at_least(1), shared=True)


@attrs.frozen
class Inner:
    decay: float = option(0.5, doc="decay")
    name: str = option("a", doc="a nested class may have a name")


@attrs.frozen
class ConvOptions:
    clips: int = option(16, doc="clips of the map", shared=True)
    kernel: int = option(17, doc="side of the square kernel, cells", rule=odd)
    layers: int = option(2, doc="layers", rule=at_least(1))
    dropout: float = option(0.0, doc="dropout")
    bias: bool = option(True, doc="bias")
    act: str = option("relu", doc="activation")
    dilations: tuple[int, ...] = option(attrs.Factory(lambda: (1, 2)), doc="dilations", rule=every(at_least(1)))
    betas: tuple[float, float] = option((0.9, 0.99), doc="decays")
    ranges: tuple[tuple[float, float], ...] = option((), doc="ranges")
    limit: float | None = option(None, doc="limit", rule=above(0))
    inner: Inner = option(Inner(), doc="inner")  # noqa: RUF009


@attrs.frozen
class OtherOptions:
    clips: int = option(16, doc="clips of the map", shared=True)
    depth: int = option(3, doc="depth")


@attrs.frozen
class SamplerOptions:
    steps: int = option(10, doc="steps", rule=at_least(1))


@attrs.frozen
class RankOptions:
    n: tuple[int, ...] = option((1, 5), doc="ranks")


class Tiny:
    """The plugin."""

    @hookimpl
    def register_parts(self) -> list[Part]:
        named = {
            "dataset": {"tiny.films": FilmsOptions, "tiny.made": Nothing},
            "text": {"tiny.words": WordsOptions, "tiny.ids": Nothing},
            "encoder": {"tiny.encoder": Nothing},
            "target": {"tiny.maps": MapsOptions, "tiny.spans": Nothing},
            "denoiser": {"tiny.conv": ConvOptions, "tiny.other": OtherOptions},
            "sampler": {"tiny.gaussian": SamplerOptions, "tiny.one_step": Nothing},
            "rows": {"own": Nothing, "tiny.pairs": Nothing},
            "post": {"tiny.nms": Nothing},
            "metric": {"tiny.rank": RankOptions, "tiny.didemo": Nothing},
        }
        assert tuple(named) == KINDS
        return [Part(kind, name, Factory, options) for kind in KINDS for name, options in named[kind].items()]


def tiny_registry() -> Registry:
    """Nothing but the plugin of this file, so that lists of what is installed can be pinned."""
    registry = Registry()
    registry.add("tiny", Tiny)
    assert not registry.failures
    return registry


@pytest.fixture(scope="session")
def registry() -> Registry:
    return tiny_registry()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, so that messages name files as a user would."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def load(folder: Path, registry: Registry) -> Callable[..., Recipe]:
    """Load a recipe from texts: the last is loaded, the others are there to inherit from, as base0.toml and so on."""

    def load(*texts: str, overrides: tuple[str, ...] = ()) -> Recipe:
        for number, text in enumerate(texts[:-1]):
            (folder / f"base{number}.toml").write_text(text, encoding="utf-8")
        (folder / "small.toml").write_text(texts[-1], encoding="utf-8")
        return load_recipe("small.toml", overrides, registry)

    return load


@pytest.fixture
def small() -> str:
    return RECIPE


@pytest.fixture
def several() -> str:
    """A recipe with two objectives."""
    head, _, _ = RECIPE.partition("[target]")
    return (
        head
        + """
[[objective]]
name = "moments"
target = { name = "tiny.maps" }
denoiser = { name = "tiny.conv", kernel = 5 }
sampler = { name = "tiny.gaussian", steps = 4 }
[[objective]]
name = "videos"
rows = "tiny.pairs"
target = { name = "tiny.spans" }
denoiser = "tiny.conv"
sampler = "tiny.one_step"
[post]
name = "tiny.nms"
[evaluate]
rule = "tiny.rank"
"""
    )
