"""What is written can be read again; nothing is coerced on the way."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any

import pytest
import tomli
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from framework.recipe import Recipe, load_recipe, parse_recipe, write_toml
from framework.recipe.values import Mismatch, convert, plain
from framework.registry import Registry

short = hypothesis_settings(deadline=None, max_examples=60)

scalars = (
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text() | st.dates() | st.times()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)
tables = st.dictionaries(st.text(), values, max_size=5)


@short
@given(tables)
def test_written_tables_read_back_equal(table: dict[str, Any]) -> None:
    assert tomli.loads(write_toml(table)) == table


def test_lists_of_tables_are_written_as_a_person_writes_them() -> None:
    table = {"objective": [{"name": "a", "target": {"name": "x"}}, {"name": "b"}], "seed": 1}
    assert write_toml(table) == (
        'seed = 1\n\n[[objective]]\nname = "a"\n\n[objective.target]\nname = "x"\n\n[[objective]]\nname = "b"\n'
    )


def test_toml_refuses_what_it_cannot_hold() -> None:
    with pytest.raises(TypeError, match="TOML cannot hold None"):
        write_toml({"a": None})


def test_a_moment_in_time_is_written_whole() -> None:
    moment = datetime.datetime(2024, 5, 17, 12, 30, tzinfo=datetime.timezone.utc)
    assert tomli.loads(write_toml({"expected": {"measured": moment}})) == {"expected": {"measured": moment}}


HINTS: list[Any] = [
    int,
    float,
    bool,
    str,
    int | None,
    tuple[int, ...],
    tuple[float, float],
    tuple[tuple[str, ...], ...],
]


@short
@given(st.sampled_from(HINTS), scalars | st.lists(scalars, max_size=2) | st.just("none") | st.just([1, 2]))
def test_conversion_changes_no_value_and_no_type_but_whole_to_fraction(hint: Any, value: Any) -> None:
    try:
        found = convert(value, hint)
    except Mismatch:
        return
    assert plain(found) == value
    if hint in (int, float, bool, str):
        assert type(found) is hint
        assert type(value) is hint or (hint is float and type(value) is int)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("3", int),
        (True, int),
        (3.0, int),
        (1, bool),
        (3, str),
        (math.nan, float),
        (2**53 + 1, float),
        (10**400, float),
        (True, float),
        ((1,), tuple[int, ...]),
    ],
)
def test_conversion_refuses_every_near_miss(value: Any, hint: Any) -> None:
    with pytest.raises(Mismatch):
        convert(value, hint)


def _leaves(table: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    return [
        leaf
        for key, value in table.items()
        for leaf in (_leaves(value, (*path, key)) if isinstance(value, dict) else [((*path, key), value)])
    ]


options = st.fixed_dictionaries(
    {},
    optional={
        "kernel": st.integers(0, 99).map(lambda half: 2 * half + 1),
        "dropout": st.floats(allow_nan=False) | st.integers(-9, 9),
        "act": st.text(),
        "dilations": st.lists(st.integers(1, 9), min_size=1, max_size=3),
        "ranges": st.lists(st.lists(st.floats(allow_nan=False), min_size=2, max_size=2), max_size=2),
        "limit": st.just("none") | st.floats(0.1, 9.0),
        "inner": st.fixed_dictionaries({}, optional={"decay": st.floats(0, 1), "name": st.text()}),
    },
)


numbers = st.dictionaries(st.text().filter(lambda name: name != "source"), st.floats(allow_nan=False), max_size=3)
published = st.builds(dict.__or__, numbers, st.fixed_dictionaries({}, optional={"source": st.text()}))


@short
@given(options, st.integers(0, 2**63 - 1), st.dictionaries(st.text(), st.floats(0, 9), max_size=2), published)
def test_a_resolved_recipe_reads_back_equal(
    registry: Registry, conv: dict[str, Any], seed: int, weights: dict[str, float], expected: dict[str, Any]
) -> None:
    table = {
        "name": "small",
        "seed": seed,
        "data": {"name": "tiny.films", "text": "tiny.ids"},
        "layout": {"clips": 32, "scales": 2},
        "encoder": "tiny.encoder",
        "target": "tiny.maps",
        "denoiser": {"name": "tiny.conv", **conv},
        "sampler": {"name": "tiny.gaussian"},
        "post": "tiny.nms",
        "evaluate": {"rule": "tiny.rank", "n": [1]},
        "weights": weights,
        "expected": expected,
    }
    recipe = parse_recipe(write_toml(table), Path("small.toml"), registry)
    again = parse_recipe(recipe.to_toml(), Path("again.toml"), registry)
    assert again == recipe
    assert again.to_toml() == recipe.to_toml()


def test_several_objectives_and_the_embedded_profile_read_back_equal(
    folder: Path, registry: Registry, several: str
) -> None:
    (folder / "several.toml").write_text(several + "[embedded]\nlayout.clips = 8\n")
    recipe = load_recipe("several.toml", ("data.video=none",), registry)
    embedded = recipe.with_embedded(registry)
    for each in (recipe, embedded):
        assert parse_recipe(each.to_toml(), Path("again.toml"), registry) == each
    assert embedded != recipe
    assert tomli.loads(embedded.to_toml())["profile"] == "embedded"


def test_every_resolved_value_may_be_set_and_setting_it_to_itself_changes_nothing(
    folder: Path, registry: Registry, small: str
) -> None:
    (folder / "small.toml").write_text(small)
    recipe = load_recipe("small.toml", (), registry)
    leaves = _leaves({key: value for key, value in recipe.resolved.items() if key != "profile"})
    assert len(leaves) > 40
    overrides = [f"{'.'.join(path)}={write_toml({'v': value}).partition(' = ')[2].strip()}" for path, value in leaves]
    assert load_recipe("small.toml", overrides, registry) == recipe


def test_a_resolved_recipe_states_every_default_and_shared_values_once(
    folder: Path, registry: Registry, small: str
) -> None:
    (folder / "small.toml").write_text(small)
    resolved = load_recipe("small.toml", (), registry).resolved
    assert resolved["target"] == {"name": "tiny.maps", "scales": 1}
    assert resolved["denoiser"]["limit"] == "none"
    assert resolved["layout"] == {"clips": 64}
    assert resolved["train"]["optimizer"] == {"name": "adam", "lr": 1e-4, "weight_decay": 0.0, "betas": [0.9, 0.999]}


def test_recipes_are_equal_by_what_they_compute(folder: Path, registry: Registry, small: str) -> None:
    def read(name: str, text: str) -> Recipe:
        (folder / name).write_text(text)
        return load_recipe(folder / name, (), registry)

    assert read("a.toml", small) == read("b.toml", small + "[train]\nepochs = 100\n")
    assert read("a.toml", small) != read("b.toml", small + "[train]\nepochs = 99\n")
