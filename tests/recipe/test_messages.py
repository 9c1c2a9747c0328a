"""What a user reads when a recipe is wrong; these lines are pinned word for word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from framework.errors import Problems, RecipeError
from framework.recipe import Recipe, find_recipe, load_recipe, parse_recipe
from framework.registry import Registry

Load = Callable[..., Recipe]

WRONG_VALUES = [
    (
        "denoiser.kernle=9",
        '--set denoiser.kernle = 9: tiny.conv has no such option. Did you mean "kernel"? '
        "Options: act, betas, bias, clips, dilations, dropout, inner, kernel, layers, limit, ranges.",
    ),
    (
        "denoiser.kernel=8",
        "--set denoiser.kernel = 8: must be an odd positive number (side of the square kernel, cells). "
        "The default is 17.",
    ),
    (
        'denoiser.kernel="7"',
        '--set denoiser.kernel = "7": must be a whole number (side of the square kernel, cells). Write kernel = 7.',
    ),
    ("denoiser.layers=2.0", "--set denoiser.layers = 2.0: must be a whole number (layers). The default is 2."),
    ("denoiser.layers=true", "--set denoiser.layers = true: must be a whole number (layers). The default is 2."),
    ("denoiser.bias=1", "--set denoiser.bias = 1: must be true or false (bias). The default is true."),
    ("denoiser.act=3", '--set denoiser.act = 3: must be text in quotes (activation). Write act = "3".'),
    (
        "denoiser.dilations=4",
        "--set denoiser.dilations = 4: must be a list of whole numbers (dilations). Write dilations = [4].",
    ),
    (
        "denoiser.dilations=[0]",
        "--set denoiser.dilations = [0]: each must be at least 1 (dilations). The default is [1, 2].",
    ),
    (
        "denoiser.betas=[0.9]",
        "--set denoiser.betas = [0.9]: must be a list of 2 numbers (decays). The default is [0.9, 0.99].",
    ),
    (
        "denoiser.ranges=[1.0]",
        "--set denoiser.ranges = [1.0]: must be a list of lists of 2 numbers (ranges). The default is [].",
    ),
    ("denoiser.limit=x", '--set denoiser.limit = "x": must be a number or "none" (limit). The default is "none".'),
    ("denoiser.dropout=nan", "--set denoiser.dropout = nan: must be a number (dropout). The default is 0.0."),
    ("denoiser.inner=1", "--set denoiser.inner = 1: must be a table. Write [denoiser.inner] and its keys below it."),
    (
        "denoiser.inner.dekay=1",
        '--set denoiser.inner.dekay = 1: [denoiser.inner] has no such option. Did you mean "decay"? '
        "Options: decay, name.",
    ),
    (
        "target.name=tiny.map",
        '--set target.name = "tiny.map": no such target. Did you mean "tiny.maps"? Installed: tiny.maps, tiny.spans.',
    ),
    (
        "target=tiny.conv",
        '--set target.name = "tiny.conv": no such target. "tiny.conv" is a denoiser. Installed: tiny.maps, tiny.spans.',
    ),
    ("target.name=3", "--set target.name = 3: must be text in quotes, the name of a target."),
    (
        "data.text=words",
        '--set data.text.name = "words": no such text. Did you mean "tiny.words"? Installed: tiny.ids, tiny.words.',
    ),
    ("evaluate.rule=rnk", '--set evaluate.rule = "rnk": no such metric. Installed: tiny.didemo, tiny.rank.'),
    (
        "data.clip_s=0",
        "--set data.clip_s = 0: must be more than 0 "
        "(seconds between two feature rows; in the mode `sample` only `predict` counts by it). The default is 0.64.",
    ),
    (
        "train.optimizer.name=sgd",
        '--set train.optimizer.name = "sgd": must be one of adam, adamw (adam, or adamw with decoupled weight decay). '
        'The default is "adam".',
    ),
    (
        "weights.mse=-1",
        "--set weights.mse = -1: must be a number, at least 0 (factor of a loss term). The default is 1.0.",
    ),
    (
        "seed=-1",
        "--set seed = -1: must be between 0 and 9223372036854775807 (seed of weights, order and noise). "
        "The default is 0.",
    ),
    (
        "seed=9223372036854775808",
        "--set seed = 9223372036854775808: must be between 0 and 9223372036854775807 "
        "(seed of weights, order and noise). The default is 0.",
    ),
    (
        "expected.mIoU=high",
        '--set expected.mIoU = "high": must be a number. [expected] has numbers by metric, and their source.',
    ),
    (
        "expected.source=3",
        "--set expected.source = 3: must be text in quotes. [expected] has numbers by metric, and their source.",
    ),
    (
        "layout.clisp=3",
        '--set layout.clisp = 3: no part of this recipe reads it. Did you mean "clips"? '
        "Options that parts share: clips, scales.",
    ),
    (
        "denoiser.clips=32",
        "--set denoiser.clips = 32: small.toml [layout] clips = 64 says otherwise. Write it in [layout] alone.",
    ),
    ("layout.clips=0", "--set layout.clips = 0: must be at least 1 (clips of the map)."),
]


@pytest.mark.parametrize(("override", "message"), WRONG_VALUES, ids=[override for override, _ in WRONG_VALUES])
def test_a_wrong_value_is_answered_in_one_line(load: Load, small: str, override: str, message: str) -> None:
    with pytest.raises(Problems) as error:
        load(small, overrides=(override,))
    assert str(error.value) == message


def test_messages_name_the_file_and_table_of_a_value(load: Load, small: str) -> None:
    with pytest.raises(Problems) as error:
        load(small.replace("kernel = 9", "kernel = 8"))
    assert str(error.value).startswith("small.toml [denoiser] kernel = 8: must be an odd positive number")
    with pytest.raises(Problems) as error:
        load(small.replace("tiny.maps", "spnas"))
    assert str(error.value) == ('small.toml [target] name = "spnas": no such target. Installed: tiny.maps, tiny.spans.')


def test_messages_name_the_file_that_a_value_is_inherited_from(load: Load, small: str) -> None:
    with pytest.raises(Problems) as error:
        load(small.replace("kernel = 9", "kernel = 8"), 'name = "heir"\nbase = "base0.toml"\n[denoiser]\nlayers = 0')
    assert [line.partition(":")[0] for line in error.value.problems] == [
        "base0.toml [denoiser] kernel = 8",
        "small.toml [denoiser] layers = 0",
    ]


def test_messages_name_the_overlay_for_what_is_wrong_in_it(load: Load, small: str) -> None:
    with pytest.raises(Problems) as error:
        load(small + "[embedded]\ndenoiser.kernel = 8\nname = 'x'\n")
    assert [line.partition(": ")[0] for line in error.value.problems] == [
        'small.toml [embedded] name = "x"',
        "small.toml [embedded.denoiser] kernel = 8",
    ]


def test_all_mistakes_are_reported_at_once_and_each_once(load: Load, small: str) -> None:
    wrong = small.replace("kernel = 9", "kernle = 9").replace("tiny.maps", "spnas").replace('"tiny.rank"', "3")
    with pytest.raises(Problems) as error:
        load("seed = 0.5\n" + wrong + "[denoizer]\nkernel = 3\n[embedded]\ndata.name = 'tiny.made'\n")
    assert [line.split(": ")[0] for line in error.value.problems] == [
        "small.toml [denoizer]",
        "small.toml seed = 0.5",
        'small.toml [target] name = "spnas"',
        "small.toml [denoiser] kernle = 9",
        "small.toml [evaluate] rule = 3",
    ]


def test_missing_tables_names_and_options_are_named_with_what_to_write(load: Load) -> None:
    with pytest.raises(Problems) as error:
        load('[data]\ntext = "tiny.words"\n[target]\nname = "tiny.maps"\n')
    assert error.value.problems == [
        "small.toml: name is missing (name of the recipe and of the folder of its runs; it is not inherited). "
        "Write name = text in quotes.",
        "small.toml [data]: name is missing. Write name = and one of: tiny.films, tiny.made.",
        "small.toml [encoder]: name is missing. Write name = and one of: tiny.encoder.",
        "small.toml [target]: clips is missing (clips of the map). Write clips = a whole number here or in [layout].",
        "small.toml [denoiser]: name is missing. Write name = and one of: tiny.conv, tiny.other.",
        "small.toml [sampler]: name is missing. Write name = and one of: tiny.gaussian, tiny.one_step.",
        "small.toml [post]: name is missing. Write name = and one of: tiny.nms.",
        "small.toml [evaluate]: rule is missing. Write rule = and one of: tiny.didemo, tiny.rank.",
    ]


def test_an_unknown_table_is_answered_with_the_nearest(load: Load, small: str) -> None:
    with pytest.raises(
        Problems, match=r'^--set denoizer\.kernel = 9: a recipe has no such key\. Did you mean "denoiser"\?'
    ):
        load(small, overrides=("denoizer.kernel=9",))


def test_syntax_errors_name_the_line(folder: Path, registry: Registry) -> None:
    (folder / "bad.toml").write_text('name = "bad"\n[data]\nname = charades\n')
    with pytest.raises(RecipeError, match=r"^bad\.toml:3: not TOML: .*\. Mend that line; text needs quotes\.$"):
        load_recipe("bad.toml", (), registry)
    (folder / "bad.toml").write_text('name = "bad')
    with pytest.raises(RecipeError, match=r"^bad\.toml \(at its end\): not TOML: "):
        load_recipe("bad.toml", (), registry)
    (folder / "bad.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(RecipeError, match=r"^bad\.toml: not UTF-8 text \(invalid start byte\)\. Save it as UTF-8\.$"):
        load_recipe("bad.toml", (), registry)


def test_recipes_that_inherit_in_a_circle_are_refused(folder: Path, registry: Registry) -> None:
    (folder / "a.toml").write_text('base = "b.toml"')
    (folder / "b.toml").write_text('base = "a.toml"')
    with pytest.raises(RecipeError) as error:
        load_recipe("a.toml", (), registry)
    assert str(error.value) == (
        "b.toml base: recipes inherit in a circle: a.toml -> b.toml -> a.toml. Remove one base."
    )


def test_a_base_that_is_not_there_is_named_with_who_asked(folder: Path, registry: Registry) -> None:
    (folder / "a.toml").write_text('base = "gone.toml"')
    with pytest.raises(RecipeError) as error:
        load_recipe("a.toml", (), registry)
    assert (
        str(error.value)
        == 'gone.toml: cannot be read (No such file or directory). a.toml base = "gone.toml" asks for it.'
    )
    (folder / "a.toml").write_text("base = 3")
    with pytest.raises(RecipeError, match=r"^a\.toml base = 3: must be text in quotes, the path of a recipe\.$"):
        load_recipe("a.toml", (), registry)


def test_a_recipe_that_is_not_there_is_answered_with_the_nearest(folder: Path) -> None:
    (folder / "recipes").mkdir()
    (folder / "recipes" / "charades_zz.toml").touch()
    with pytest.raises(
        RecipeError, match=r'^"charades_z": no such recipe\. Did you mean "charades_zz"\? Recipes: .*charades_zz'
    ):
        find_recipe("charades_z")
    with pytest.raises(
        RecipeError, match=r"^x/charades\.toml: no such file\. Recipes that need no path: .*charades_zz"
    ):
        find_recipe("x/charades.toml")


def test_two_recipes_of_one_name_are_not_chosen_between(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / "recipes" / name).mkdir(parents=True)
        (folder / "recipes" / name / "twice.toml").touch()
    with pytest.raises(RecipeError) as error:
        find_recipe("twice")
    assert str(error.value) == (
        "twice: several recipes have that name. Give a path: recipes/a/twice.toml, recipes/b/twice.toml."
    )


@pytest.mark.parametrize("override", ["kernel", "=3", "denoiser..kernel=3", ".=1"])
def test_a_malformed_override_is_answered_with_an_example(load: Load, small: str, override: str) -> None:
    with pytest.raises(RecipeError) as error:
        load(small, overrides=(override,))
    assert str(error.value) == f"--set {override}: must be KEY=VALUE, as in --set denoiser.kernel=9."


def test_objectives_need_a_name_each(load: Load, small: str) -> None:
    with pytest.raises(RecipeError, match=r"^small\.toml \[\[objective\]\]: every objective needs a name\."):
        load(small + "[[objective]]\nrows = 'own'\n")
    with pytest.raises(
        RecipeError, match=r'^small\.toml \[\[objective\]\] name = "a": two objectives have that name\.'
    ):
        load(small + "[[objective]]\nname = 'a'\n[[objective]]\nname = 'a'\n")
    with pytest.raises(
        RecipeError,
        match=r"^small\.toml \[objective\]: several objectives are tables of their own\. Write \[\[objective\]\]",
    ):
        load(small + "[objective.a]\nrows = 'own'\n")


@pytest.mark.parametrize("name", ["a.b", "a b", "\u00e4"])
def test_an_objective_whose_name_could_not_name_weights_is_refused(load: Load, several: str, name: str) -> None:
    with pytest.raises(Problems) as error:
        load(several.replace('name = "videos"', f'name = "{name}"'))
    assert str(error.value) == (
        f'small.toml [objective.{name}]: the name "{name}" must be letters, digits, underscores and hyphens. '
        "Rename the objective."
    )


def test_a_table_beside_several_objectives_is_told_where_it_belongs(load: Load, several: str) -> None:
    with pytest.raises(Problems) as error:
        load(several, overrides=("sampler.steps=3",))
    assert str(error.value) == (
        "--set sampler.steps = 3: the recipe has several objectives, so this belongs to one of them: "
        "objective.NAME.sampler with NAME one of moments, videos."
    )
    with pytest.raises(RecipeError) as wrong:
        load(several, overrides=("objective.moment.sampler.steps=3",))
    assert str(wrong.value) == (
        '--set objective.moment.sampler.steps=3: no objective "moment". Did you mean "moments"? '
        "Objectives: moments, videos."
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("profile=embedded", "the profile decides more than a key can. Use --profile."),
        ("embedded.seed=1", "small.toml has no [embedded] overlay. Write one, or leave embedded. out."),
        (
            "objective.main.sampler.steps=1",
            'no objective "main". Objectives: only the unnamed one; leave objective.NAME. out.',
        ),
    ],
)
def test_an_override_changes_tables_and_makes_none(load: Load, small: str, override: str, message: str) -> None:
    with pytest.raises(RecipeError) as error:
        load(small, overrides=(override,))
    assert str(error.value) == f"--set {override}: {message}"


def test_a_recipe_without_an_overlay_refuses_the_embedded_profile(load: Load, small: str) -> None:
    with pytest.raises(RecipeError) as error:
        load(small).with_embedded()
    assert str(error.value) == (
        "small.toml: there is no [embedded] overlay. Point to the dataset by --set data.root=FOLDER, "
        "or write the overlay, a small instance that needs no files."
    )


def test_a_checkpoint_is_named_for_what_is_wrong_in_its_recipe(load: Load, small: str, registry: Registry) -> None:
    text = load(small).to_toml().replace("kernel = 9", "kernel = 8")
    with pytest.raises(Problems, match=r"^best\.safetensors \[denoiser\] kernel = 8: must be an odd positive number"):
        parse_recipe(text, Path("best.safetensors"), registry)
