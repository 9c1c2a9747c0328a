"""Sweeps in a recipe: what they may be over, how they are merged, what is said of wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import tomli
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from framework.errors import Problems, RecipeError
from framework.recipe import Recipe, Sweep, parse_recipe, vary, write_toml
from framework.registry import Registry

Load = Callable[..., Recipe]

STEPS = '[[sweep]]\nname = "steps"\nkey = "sampler.steps"\nvalues = [1, 5, 50]\nlabel = "sampling steps"\nlog = true\n'
ACTS = '[[sweep]]\nname = "acts"\nkey = "denoiser.act"\nvalues = ["relu", "none"]\n'
HEIR = 'name = "small"\nbase = "base0.toml"\n'


def names(recipe: Recipe) -> list[str]:
    return [sweep.name for sweep in recipe.sweeps]


def problems(load: Load, *texts: str, overrides: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(Problems) as error:
        load(*texts, overrides=overrides)
    return error.value.problems


def test_a_sweep_has_a_name_a_key_and_values_and_its_label_is_the_key_by_default(load: Load, small: str) -> None:
    assert load(small + STEPS + ACTS).sweeps == (
        Sweep("steps", "sampler.steps", (1, 5, 50), "sampling steps", True),
        Sweep("acts", "denoiser.act", ("relu", "none"), "denoiser.act", False),
    )
    assert load(small).sweeps == ()


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "sampler.steps": st.integers(1, 10**6),
    "denoiser.dropout": st.floats(allow_nan=False),
    "denoiser.bias": st.booleans(),
    "denoiser.act": st.text(),
    "denoiser.dilations": st.lists(st.integers(1, 9), min_size=1, max_size=3),
    "denoiser.limit": st.just("none") | st.floats(0.1, 9.0),
    "denoiser.inner.decay": st.floats(0, 1),
    "sampler": st.just("tiny.one_step"),
    "denoiser.name": st.just("tiny.other"),
    "layout.clips": st.integers(1, 99),
    "evaluate.draws": st.integers(1, 9),
}


@hypothesis_settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(VALUES)).flatmap(lambda key: st.tuples(st.just(key), VALUES[key])))
def test_a_value_makes_the_recipe_that_setting_it_makes(registry: Registry, given: tuple[str, Any]) -> None:
    key, value = given
    table = tomli.loads(SMALL)
    swept = {"sweep": [{"name": "a", "key": key, "values": [value]}]}
    recipe = parse_recipe(write_toml(table | swept), Path("small.toml"), registry)
    again = parse_recipe(recipe.to_toml(), Path("again.toml"), registry)
    assert again == recipe
    assert again.to_toml() == recipe.to_toml()
    (sweep,) = recipe.sweeps
    assert sweep.values == (value,)
    varied = vary(recipe, sweep, value, registry)
    assert varied == parse_recipe(write_toml(_with(table, key.split("."), value)), Path("set.toml"), registry)


SMALL = """
name = "small"
data = { name = "tiny.films", text = "tiny.words" }
layout = { clips = 64 }
encoder = "tiny.encoder"
target = "tiny.maps"
denoiser = { name = "tiny.conv" }
sampler = { name = "tiny.gaussian" }
post = "tiny.nms"
evaluate = { rule = "tiny.rank" }
"""


def _with(table: dict[str, Any], keys: list[str], value: Any) -> dict[str, Any]:
    inner = _with(table.get(keys[0], {}), keys[1:], value) if keys[1:] else value
    return {**table, keys[0]: inner}


def test_the_value_of_the_recipe_itself_makes_the_recipe_itself(load: Load, small: str, registry: Registry) -> None:
    recipe = load(small + "[[sweep]]\nname = 'kernel'\nkey = 'denoiser.kernel'\nvalues = [9, 11]\n")
    (sweep,) = recipe.sweeps
    alone = attrs.evolve(recipe, sweeps=())
    assert [vary(recipe, sweep, value, registry) == alone for value in sweep.values] == [True, False]


def test_a_list_of_sweeps_replaces_the_inherited_one_and_the_overlay_may_have_its_own(
    load: Load, small: str, registry: Registry
) -> None:
    assert names(load(small + STEPS, HEIR)) == ["steps"]
    assert names(load(small + STEPS, HEIR + ACTS)) == ["acts"]
    assert names(load(small + STEPS, HEIR + "sweep = []\n")) == []
    embedded = "[embedded]\nlayout.clips = 8\n"
    assert names(load(small + STEPS + embedded).with_embedded(registry)) == ["steps"]
    recipe = load(small + STEPS + embedded + ACTS.replace("[[", "[[embedded."))
    assert (names(recipe), names(recipe.with_embedded(registry))) == (["steps"], ["acts"])


def test_overrides_reach_a_sweep_by_its_name_and_replace_all_by_a_list(load: Load, small: str) -> None:
    recipe = load(small + STEPS + ACTS, overrides=("sweep.steps.values=[2, 4]",))
    assert [sweep.values for sweep in recipe.sweeps] == [(2, 4), ("relu", "none")]
    assert load(small + STEPS + ACTS, overrides=("sweep=[]",)).sweeps == ()
    with pytest.raises(RecipeError, match=r'no sweep "step"\. Did you mean "steps"\? Sweeps: steps\.$'):
        load(small + STEPS, overrides=("sweep.step.values=[1]",))


def test_an_override_of_a_sweep_that_the_overlay_replaces_stays_with_it(
    load: Load, small: str, registry: Registry
) -> None:
    text = small + STEPS + ACTS.replace("[[", "[[embedded.")
    recipe = load(text, overrides=("sweep.steps.values=[2]", 'embedded.sweep.acts.values=["gelu"]'))
    assert [sweep.values for sweep in recipe.sweeps] == [(2,)]
    assert [sweep.values for sweep in recipe.with_embedded(registry).sweeps] == [("gelu",)]


WRONG = [
    (
        'key = "sampler.stesp"\nvalues = [1, 2]',
        'small.toml [sweep.a]: [sampler] stesp = 1: tiny.gaussian has no such option. Did you mean "steps"? '
        "Options: steps.",
    ),
    (
        'key = "smapler.steps"\nvalues = [1]',
        'small.toml [sweep.a]: [smapler]: a recipe has no such key. Did you mean "sampler"? Keys: ',
    ),
    (
        'key = "sampler"\nvalues = ["tiny.gausian"]',
        'small.toml [sweep.a]: [sampler] name = "tiny.gausian": no such sampler. Did you mean "tiny.gaussian"? '
        "Installed: tiny.gaussian, tiny.one_step.",
    ),
    (
        'key = "target.clips"\nvalues = [8]',
        "small.toml [sweep.a]: [target] clips = 8: small.toml [layout] clips = 64 says otherwise. "
        "Write it in [layout] alone.",
    ),
    (
        'key = "train.epochs"\nvalues = [1]',
        'small.toml [sweep.a] key = "train.epochs": a sweep scores the trained weights again, on the same data by the '
        "same rule, so it cannot change train. Name a setting of inference, such as sampler.steps.",
    ),
    (
        'key = "evaluate.rule"\nvalues = ["tiny.didemo"]',
        'small.toml [sweep.a] key = "evaluate.rule": a sweep scores the trained weights again, on the same data by the '
        "same rule, so it cannot change evaluate but for draws. "
        "Name a setting of inference, such as sampler.steps.",
    ),
    (
        'key = "sampler..steps"\nvalues = [1]',
        'small.toml [sweep.a] key = "sampler..steps": must be a key of the recipe, as in sampler.steps.',
    ),
    ('key = "sampler.steps"', "small.toml [sweep.a]: values is missing. Write values = a list, such as [1, 10]."),
    ("values = [1]", "small.toml [sweep.a]: key is missing (key of the recipe, as --set takes it). Write key = "),
    (
        'key = "sampler.steps"\nvalues = 3',
        "small.toml [sweep.a] values = 3: must be a list of one value at least.",
    ),
    (
        'key = "sampler.steps"\nvalues = [1, 2, 1]',
        "small.toml [sweep.a] values = [1, 2, 1]: no value may stand there twice.",
    ),
    (
        'key = "evaluate.batch_size"\nvalues = [1, 2]',
        'small.toml [sweep.a] key = "evaluate.batch_size": a sweep scores the trained weights again, on the same data ',
    ),
    (
        'key = "denoiser.dropout"\nvalues = [0, 0.5, 0.0]',
        "small.toml [sweep.a] values = [0, 0.5, 0.0]: no value may stand there twice.",
    ),
    (
        'key = "sampler"\nvalues = [3]',
        "small.toml [sweep.a]: sampler = 3: must be text in quotes, the name of a part; its options have keys of their "
        "own, sampler.OPTION.",
    ),
    (
        'key = "objective"\nvalues = ["a"]',
        'small.toml [sweep.a] key = "objective": must be a key of the recipe, as in sampler.steps.',
    ),
    (
        'key = "sampler"\nvalues = [{ steps = 1 }]',
        "small.toml [sweep.a] values = [{steps = 1}]: "
        "each must be a number, a text, true or false, or a list of those.",
    ),
    (
        'key = "denoiser.act"\nvalues = ["a"]\nlog = true',
        "small.toml [sweep.a] log = true: a logarithmic axis needs numbers above 0. Leave log out.",
    ),
    (
        'key = "sampler.steps"\nvalues = [1]\nlables = "x"',
        'small.toml [sweep.a] lables = "x": a sweep has no such option. Did you mean "label"? '
        "Options: key, label, log, values.",
    ),
]


@pytest.mark.parametrize(("table", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_wrong_sweep_is_answered_in_one_line(load: Load, small: str, table: str, message: str) -> None:
    (found,) = problems(load, small + f'[[sweep]]\nname = "a"\n{table}\n')
    assert found.startswith(message)


@pytest.mark.parametrize("key", ["name", "seed", "profile", "data.window", "train.clip", "embedded.seed", "sweep"])
def test_what_is_settled_before_inference_is_never_swept(load: Load, small: str, key: str) -> None:
    (found,) = problems(load, small + f'[[sweep]]\nname = "a"\nkey = "{key}"\nvalues = [1]\n')
    assert f"so it cannot change {key.partition('.')[0]}. " in found


def test_each_value_of_each_sweep_is_checked_in_the_overlay_too(load: Load, small: str) -> None:
    more = "[[sweep]]\nname = 'b'\nkey = 'denoiser.kernel'\nvalues = [2, 3, 4, 'x']\n"
    embedded = "[[embedded.sweep]]\nname = 'c'\nkey = 'sampler.steps'\nvalues = [0]\n"
    assert [line.partition(": must")[0] for line in problems(load, small + STEPS + more + embedded)] == [
        "small.toml [sweep.b]: [denoiser] kernel = 2",
        "small.toml [sweep.b]: [denoiser] kernel = 4",
        'small.toml [sweep.b]: [denoiser] kernel = "x"',
        "small.toml [embedded.sweep.c]: [sampler] steps = 0",
    ]


def test_a_sweep_reaches_into_one_of_several_objectives(load: Load, several: str, registry: Registry) -> None:
    text = "[[sweep]]\nname = 'a'\nkey = 'objective.{}.sampler.steps'\nvalues = [7]\n"
    recipe = load(several + text.format("moments"))
    assert vary(recipe, recipe.sweeps[0], 7, registry).objectives[0].sampler.options.steps == 7
    (found,) = problems(load, several + text.format("moment"))
    assert found == 'small.toml [sweep.a]: no objective "moment". Did you mean "moments"? Objectives: moments, videos.'


def test_only_the_first_objective_is_swept_as_no_other_answers(load: Load, several: str) -> None:
    (found,) = problems(load, several + "[[sweep]]\nname = 'a'\nkey = 'objective.videos.target.clips'\nvalues = [7]\n")
    assert found == (
        'small.toml [sweep.a] key = "objective.videos.target.clips": inference asks the first objective, "moments", '
        "alone. Name a key of objective.moments."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--set sampler=1", "--set sampler=1: sampler = 1: must be text in quotes, the name of a part; "),
        (
            "--set data.text=true",
            "--set data.text=true: data.text = true: must be text in quotes, the name of a part; ",
        ),
        ("--set objective=1", "--set objective=1: an objective is no value. Name a key of one, as in objective.NAME."),
    ],
)
def test_an_override_of_a_whole_part_by_a_number_is_told_where_it_stands(
    load: Load, small: str, text: str, message: str
) -> None:
    with pytest.raises(RecipeError) as error:
        load(small, overrides=(text.removeprefix("--set "),))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sweep]\nkey = 'sampler.steps'\n", "[sweep]: several sweeps are tables of their own. Write [[sweep]] above"),
        ("[[sweep]]\nkey = 'sampler.steps'\n", "[[sweep]]: every sweep needs a name. Write name = in each."),
        (STEPS + STEPS, '[[sweep]] name = "steps": two sweeps have that name. Rename one.'),
    ],
)
def test_sweeps_are_a_list_of_tables_with_names_of_their_own(load: Load, small: str, text: str, message: str) -> None:
    with pytest.raises(RecipeError) as error:
        load(small + text)
    assert str(error.value).startswith(f"small.toml {message}")


def test_a_name_that_could_not_name_a_file_is_refused(load: Load, small: str) -> None:
    (found,) = problems(load, small + STEPS.replace('"steps"', '"a/b"'))
    assert found == (
        'small.toml [sweep.a/b]: the name "a/b" must be letters, digits, underscores and hyphens. Rename the sweep.'
    )
