"""What ``parts NAME`` is made of."""

from __future__ import annotations

import attrs
import pytest

from framework.core.options import above, at_least, between, every, odd, one_of, option
from framework.core.part import Part
from framework.errors import PluginError
from framework.recipe import OptionView, describe
from framework.registry import Registry, load_registry


def test_each_option_is_described_in_words(registry: Registry) -> None:
    views = {view.name: view for view in describe(registry.part("denoiser", "tiny.conv", "test"))}
    assert list(views)[:3] == ["clips", "kernel", "layers"]
    assert views["kernel"] == OptionView(
        "kernel", "a whole number", "17", "side of the square kernel, cells", "must be an odd positive number", False
    )
    assert views["limit"].type == 'a number or "none"'
    assert views["limit"].default == '"none"'
    assert views["inner.decay"].default == "0.5"
    assert views["clips"].shared
    target = describe(registry.part("target", "tiny.maps", "test"))
    assert target[0].default is None


@attrs.frozen
class Ruled:
    a: int = option(1, doc="a", rule=at_least(1))
    b: float = option(1.0, doc="b", rule=above(0))
    c: float = option(1.0, doc="c", rule=between(0, 1))
    d: str = option("x", doc="d", rule=one_of("x", "y"))
    e: int = option(1, doc="e", rule=odd)
    f: tuple[int, ...] = option((1,), doc="f", rule=every(at_least(1)))
    g: int = option(
        1, doc="g", rule=lambda value: None if value & (value - 1) == 0 and value else "must be a power of 2"
    )
    h: str = option("x", doc="h", rule=lambda value: None if value.strip() else "must not be blank")


def test_rules_state_themselves() -> None:
    assert [view.rule for view in describe(Part("target", "x.y", Ruled, Ruled))] == [
        "must be at least 1",
        "must be more than 0",
        "must be between 0 and 1",
        "must be one of x, y",
        "must be an odd positive number",
        "each must be at least 1",
        "must be a power of 2",
        "must not be blank",
    ]


@attrs.frozen
class Unholdable:
    a: bytes = option(b"", doc="a")


def test_a_type_that_a_recipe_cannot_hold_is_refused() -> None:
    with pytest.raises(
        PluginError, match=r"a recipe cannot hold this type; use int, float, bool, str, tuple, None or attrs"
    ):
        describe(Part("target", "x.y", Unholdable, Unholdable))


def test_every_installed_part_can_be_described() -> None:
    for part in load_registry().parts():
        assert all(view.doc and view.type for view in describe(part)), part.name
