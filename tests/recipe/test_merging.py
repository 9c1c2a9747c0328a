"""How files, overlay and overrides become one recipe."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import attrs
import pytest

from framework.errors import Problems
from framework.recipe import Recipe, find_recipe, load_recipe
from framework.registry import Registry

Load = Callable[..., Recipe]


def heir(text: str = "") -> str:
    return f'name = "heir"\nbase = "base0.toml"\n{text}'


def test_a_recipe_is_resolved_to_parts_with_options_of_their_own_class(load: Load, small: str) -> None:
    recipe = load(small)
    (objective,) = recipe.objectives
    assert objective.name == "main"
    assert objective.rows.part.name == "own"
    assert objective.target.part.name == "tiny.maps"
    assert isinstance(objective.target.options, objective.target.part.options)
    assert (objective.denoiser.options.kernel, objective.denoiser.options.layers) == (9, 2)
    assert (recipe.data.dataset.part.name, recipe.data.text.options.width) == ("tiny.films", 300)
    assert (recipe.data.options.root, recipe.data.options.window) == ("data", 64)
    assert (recipe.evaluate.metric.options.n, recipe.evaluate.every, recipe.evaluate.draws) == ((1, 5), 1, 1)
    assert (recipe.train.epochs, recipe.train.optimizer.name) == (100, "adam")
    assert (recipe.seed, recipe.profile, recipe.source) == (0, "full", Path("small.toml"))
    assert recipe.where("denoiser") == "small.toml [denoiser]"


def test_a_layout_value_reaches_every_part_that_shares_it(load: Load, small: str) -> None:
    (objective,) = load(small).objectives
    assert (objective.target.options.clips, objective.denoiser.options.clips) == (64, 64)


def test_a_shared_option_may_be_repeated_with_the_same_value_only(load: Load, small: str) -> None:
    assert load(small, overrides=("target.clips=64",)) == load(small)
    with pytest.raises(Problems, match=r"says otherwise"):
        load(small, overrides=("target.clips=64.0",))


def test_tables_merge_with_those_inherited_and_values_replace(load: Load, small: str) -> None:
    recipe = load(small, heir("[denoiser]\nlayers = 4\ndilations = [8]\n"))
    options = recipe.objectives[0].denoiser.options
    assert (recipe.name, options.kernel, options.layers, options.dilations) == ("heir", 9, 4, (8,))


def test_inheritance_goes_through_several_files_and_folders(folder: Path, registry: Registry, small: str) -> None:
    (folder / "deep").mkdir()
    (folder / "small.toml").write_text(small)
    (folder / "deep" / "middle.toml").write_text('base = "../small.toml"\nseed = 1\n[denoiser]\nkernel = 3')
    (folder / "last.toml").write_text('name = "last"\nbase = "deep/middle.toml"\n[denoiser]\nkernel = 5')
    recipe = load_recipe("last.toml", (), registry)
    assert (recipe.seed, recipe.objectives[0].denoiser.options.kernel) == (1, 5)


def test_another_part_drops_the_options_of_the_one_it_replaces(load: Load, small: str) -> None:
    recipe = load(small, heir('[denoiser]\nname = "tiny.other"\ndepth = 4\n[evaluate]\nrule = "tiny.didemo"\n'))
    assert recipe.objectives[0].denoiser.options.depth == 4
    assert load(small, overrides=("denoiser=tiny.other", "denoiser.depth=4")).objectives == recipe.objectives


def test_another_dataset_keeps_how_files_are_read_and_drops_files_and_options_of_the_old_one(
    load: Load, small: str
) -> None:
    base = small.replace('root = "data"', 'root = "data"\nsubset = "some"\nwindow = 32')
    recipe = load(base, heir('data = "tiny.made"'))
    assert recipe.data.dataset.part.name == "tiny.made"
    options = recipe.data.options
    assert (options.window, recipe.data.text.part.name) == (32, "tiny.words")
    assert (options.root, options.video) == (".", None)


def test_another_rule_keeps_what_every_evaluation_has(load: Load, small: str) -> None:
    base = small.replace('rule = "tiny.rank"', 'rule = "tiny.rank"\nn = [1]\ndraws = 3')
    recipe = load(base, heir('[evaluate]\nrule = "tiny.didemo"'))
    assert (recipe.evaluate.metric.part.name, recipe.evaluate.draws) == ("tiny.didemo", 3)


def test_the_name_and_the_expected_numbers_are_not_inherited(load: Load, small: str) -> None:
    base = small + "[expected]\nmIoU = 42.0\n"
    assert load(base).expected == {"mIoU": 42.0}
    assert load(base, heir()).expected == {}
    with pytest.raises(Problems, match=r"^small\.toml: name is missing .*; it is not inherited\)"):
        load(base, 'base = "base0.toml"')


def test_the_order_of_overrides_does_not_matter(load: Load, small: str) -> None:
    overrides = ("sampler.name=tiny.gaussian", "sampler.steps=3", "denoiser.depth=7", "denoiser=tiny.other")
    assert len({load(small, overrides=order).to_toml() for order in permutations(overrides)}) == 1


def test_override_values_are_toml_and_bare_words_are_text(load: Load, small: str) -> None:
    recipe = load(
        small,
        overrides=(
            "data.root=/films and more/2024-01-01",
            "train.optimizer={name = 'adamw', lr = 1e-3}",
            "denoiser.betas=[0, 0.5]",
            "denoiser.bias=false",
            "data.video=a\nb = 1",
            "denoiser.act=",
        ),
    )
    options = recipe.objectives[0].denoiser.options
    assert recipe.data.options.root == "/films and more/2024-01-01"
    assert (recipe.train.optimizer.name, recipe.train.optimizer.lr) == ("adamw", 1e-3)
    assert (options.betas, options.bias, options.act) == ((0.0, 0.5), False, "")
    assert recipe.data.options.video == "a\nb = 1"


def test_none_stands_for_no_value_where_that_is_allowed(load: Load, small: str) -> None:
    recipe = load(small, overrides=("data.video=none", "denoiser.limit=2"))
    assert recipe.data.options.video is None
    assert recipe.objectives[0].denoiser.options.limit == 2.0
    with pytest.raises(Problems, match='kernel = "none": must be a whole number'):
        load(small, overrides=("denoiser.kernel=none",))


def test_the_twin_of_a_recipe_differs_in_its_sampler_alone(load: Load, small: str) -> None:
    recipe, twin = load(small, overrides=("sampler.steps=3",)), load(small, overrides=("sampler=tiny.one_step",))
    (objective,), (other,) = recipe.objectives, twin.objectives
    assert other.sampler.part.name == "tiny.one_step"
    assert attrs.evolve(twin, objectives=(attrs.evolve(other, sampler=objective.sampler),)) == recipe


def test_the_overlay_gives_a_small_instance_and_leaves_the_recipe_alone(
    load: Load, small: str, registry: Registry
) -> None:
    text = small + "[embedded]\ndata.name = 'tiny.made'\nlayout.clips = 8\n[embedded.denoiser]\nkernel = 3\n"
    recipe = load(text + "[expected]\nmIoU = 42.0\n")
    assert attrs.evolve(recipe, expected={}) == load(small)
    embedded = recipe.with_embedded(registry)
    assert (embedded.profile, embedded.name, embedded.expected) == ("embedded", "small", {})
    assert embedded.data.dataset.part.name == "tiny.made"
    assert embedded.objectives[0].denoiser.options.kernel == 3
    assert embedded.objectives[0].target.options.clips == 8
    assert embedded.with_embedded(registry) is embedded


def test_an_overlay_that_is_wrong_is_found_before_it_is_needed(load: Load, small: str) -> None:
    with pytest.raises(Problems, match=r"^small\.toml \[embedded\.target\] scales = 0: must be at least 1"):
        load(small + "[embedded]\ntarget.scales = 0")


def test_overrides_win_over_the_overlay(load: Load, small: str, registry: Registry) -> None:
    text = small + "[embedded]\ndenoiser.kernel = 3\nseed = 1\n"
    recipe = load(text, overrides=("denoiser.kernel=5", "embedded.denoiser.layers=1"))
    embedded = recipe.with_embedded(registry).objectives[0].denoiser.options
    assert (recipe.objectives[0].denoiser.options.layers, embedded.kernel, embedded.layers) == (2, 5, 1)
    assert recipe.with_embedded(registry).seed == 1


MADE = "[embedded]\ndata.name = 'tiny.made'\ndata.text = 'tiny.ids'\n"


@pytest.mark.parametrize(
    "overrides",
    [
        ("data.root=films", "data.video=c3d.hdf5"),
        ("data.subset=some",),
        ("data={name='tiny.films', root='films', subset='some'}",),
        ("data=tiny.films", "data.video=c3d.hdf5"),
        ("data.text.width=8",),
        ("data.text=tiny.words", "data.text.width=8"),
    ],
)
def test_what_is_said_of_a_dataset_stays_with_it_where_the_overlay_replaces_it(
    load: Load, small: str, registry: Registry, overrides: tuple[str, ...]
) -> None:
    plain, recipe = load(small + MADE), load(small + MADE, overrides=overrides)
    assert recipe != plain
    assert recipe.with_embedded(registry) == plain.with_embedded(registry)


def test_what_is_said_of_how_files_are_read_holds_for_every_dataset(load: Load, small: str, registry: Registry) -> None:
    overrides = ("data.root=films", "data.window=16", "denoiser.kernel=5", "train.epochs=2")
    recipe = load(small + MADE, overrides=overrides).with_embedded(registry)
    assert (recipe.data.options.root, recipe.data.options.window) == (".", 16)
    assert (recipe.objectives[0].denoiser.options.kernel, recipe.train.epochs) == (5, 2)


def test_overrides_of_the_overlay_itself_name_its_files(load: Load, small: str, registry: Registry) -> None:
    for overrides in (("embedded.data.video=made.hdf5",), ("embedded={data={video='made.hdf5'}}",)):
        recipe = load(small + MADE, overrides=(*overrides, "data.video=c3d.hdf5"))
        assert recipe.data.options.video == "c3d.hdf5"
        assert recipe.with_embedded(registry).data.options.video == "made.hdf5"


def test_an_overlay_that_keeps_dataset_or_text_takes_what_is_said_of_them(
    load: Load, small: str, registry: Registry
) -> None:
    overrides = ("data.video=c3d.hdf5", "data.text.width=8")
    kept = load(small + "[embedded]\ndata.name = 'tiny.films'\n", overrides=overrides).with_embedded(registry)
    assert (kept.data.options.video, kept.data.text.options.width) == ("c3d.hdf5", 8)
    other = load(small + "[embedded]\ndata.name = 'tiny.made'\n", overrides=overrides).with_embedded(registry)
    assert (other.data.options.video, other.data.text.options.width) == (None, 8)


def test_overlays_are_inherited_and_merge(load: Load, small: str, registry: Registry) -> None:
    base = small + "[embedded]\ndata.name = 'tiny.made'\ndenoiser.kernel = 3\n"
    recipe = load(base, heir("[embedded]\ndenoiser.layers = 1\n")).with_embedded(registry)
    options = recipe.objectives[0].denoiser.options
    assert (recipe.data.dataset.part.name, options.kernel, options.layers) == ("tiny.made", 3, 1)


def test_another_part_drops_what_the_inherited_overlay_says_of_the_old_one(
    load: Load, small: str, registry: Registry
) -> None:
    base = small + "[embedded]\ndata.name = 'tiny.made'\ndenoiser.kernel = 3\n"
    own = "[embedded]\ndenoiser.depth = 1\n[data]\nname = 'tiny.made'\n[denoiser]\nname = 'tiny.other'\ndepth = 9\n"
    recipe = load(base, heir(own))
    assert recipe.objectives[0].denoiser.options.depth == 9
    embedded = recipe.with_embedded(registry)
    assert (embedded.objectives[0].denoiser.options.depth, embedded.data.dataset.part.name) == (1, "tiny.made")


def test_several_objectives_share_one_encoder(load: Load, several: str) -> None:
    moments, videos = load(several).objectives
    assert (moments.name, moments.rows.part.name, moments.denoiser.options.kernel) == ("moments", "own", 5)
    assert (videos.name, videos.rows.part.name, videos.denoiser.options.kernel) == ("videos", "tiny.pairs", 17)


def test_objectives_merge_by_name(load: Load, several: str, registry: Registry) -> None:
    text = heir('[[objective]]\nname = "moments"\nsampler = { steps = 2 }\n')
    text += '[[embedded.objective]]\nname = "videos"\ndenoiser = { kernel = 3 }\n'
    recipe = load(
        several, text, overrides=("objective.videos.denoiser.layers=1", "embedded.objective.moments.sampler.steps=1")
    )
    moments, videos = recipe.objectives
    assert (moments.sampler.options.steps, moments.denoiser.options.kernel) == (2, 5)
    assert videos.denoiser.options.layers == 1
    moments, videos = recipe.with_embedded(registry).objectives
    assert (moments.sampler.options.steps, videos.denoiser.options.kernel) == (1, 3)


def test_objectives_replace_the_single_one_that_is_inherited(load: Load, small: str, several: str) -> None:
    _, _, objectives = several.partition("[[objective]]")
    recipe = load(small, heir("[[objective]]" + objectives))
    assert [objective.name for objective in recipe.objectives] == ["moments", "videos"]


def test_recipes_are_found_by_name_in_the_working_folder(folder: Path) -> None:
    (folder / "recipes" / "deep").mkdir(parents=True)
    (folder / "recipes" / "deep" / "found.toml").touch()
    assert find_recipe("found") == Path("recipes/deep/found.toml")
