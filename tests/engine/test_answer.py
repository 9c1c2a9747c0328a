"""Answering a whole split with stored weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import framework
from framework.data.predictions import read_predictions
from framework.engine.answer import answer_split
from framework.engine.data import open_dataset
from framework.engine.narrate import Narrator
from framework.engine.run import execute
from framework.engine.score import score_file
from framework.errors import DataError, Problems, RecipeError, UserError
from framework.recipe import load_recipe
from framework.registry import Registry
from tests.engine.conftest import TINY


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Path:
    from rich.console import Console

    folder = tmp_path_factory.mktemp("answer")
    (folder / "tiny.toml").write_text(TINY)
    recipe = load_recipe(folder / "tiny.toml", ["train.epochs=1"], registry)
    execute(recipe, registry, out=folder / "run", device="cpu", narrator=Narrator(Console(quiet=True)))
    return folder / "run"


def test_a_split_is_answered_as_the_run_answered_it(trained: Path, tmp_path: Path) -> None:
    found = answer_split(trained, "test", out=tmp_path / "again.jsonl", device="cpu")
    assert (found.dataset, found.queries, found.path) == ("synthetic", 24, tmp_path / "again.jsonl")
    assert found.path.read_bytes() == (trained / "predictions/test.jsonl").read_bytes()


def test_another_split_goes_into_the_run_folder_and_can_be_scored_there(trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(trained, copy)
    found = answer_split(copy, "val", device="cpu")
    assert found.path == copy / "predictions/val.jsonl"
    assert score_file(found.path).queries == 16
    with pytest.raises(DataError, match=r"val\.jsonl: is there already"):
        answer_split(copy, "val", device="cpu")


def test_other_data_may_be_asked_but_not_with_other_features(trained: Path, tmp_path: Path) -> None:
    more = answer_split(trained, "test", overrides=["data.test_queries=7"], out=tmp_path / "a.jsonl", device="cpu")
    assert more.queries == 7
    for override, words in {
        "data.width=25": "synthetic features 25 columns, trained on synthetic features 24",
        "data.positions=true": "positions = True, trained on False",
        "data.mode=sample": "mode = sample, trained on window",
        "data.text.punctuation=keep": "data.text.punctuation = keep, trained on strip",
        "data.text=glove": "data.text = glove, trained on learned",
        "data.clip_s=0.5": "clip_s = 0.5, trained on 0.64",
        "data.normalize=false": "normalize = False, trained on True",
    }.items():
        with pytest.raises(UserError, match=words):
            answer_split(trained, "test", overrides=[override], out=tmp_path / "b.jsonl", device="cpu")
    assert not (tmp_path / "b.jsonl").exists()


def test_what_is_trained_cannot_be_overridden(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"--set sampler\.steps=5: weights are trained"):
        answer_split(trained, "test", overrides=["sampler.steps=5"], out=tmp_path / "a.jsonl")
    with pytest.raises(UserError, match=r"data\.widht"):
        answer_split(trained, "test", overrides=["data.widht=24"], out=tmp_path / "a.jsonl")


def test_what_is_trained_cannot_be_overridden_for_one_video_either(trained: Path) -> None:
    for override in ("data.normalize=false", "data.clip_s=1.28", "data.positions=true", "data.text.min_count=2"):
        with pytest.raises(RecipeError, match=f"{override.removeprefix('data.').partition('=')[0]} = .*, trained on"):
            framework.load(trained, "cpu", [override])
    assert framework.load(trained, "cpu", ["data.root=elsewhere"]).recipe.data.options.root == "elsewhere"


def test_a_split_that_is_not_there_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'split "tests": synthetic has train, val, test\. Did you mean "test"'):
        answer_split(trained, "tests", out=tmp_path / "a.jsonl")


def test_files_that_are_not_there_are_named(trained: Path, tmp_path: Path) -> None:
    there = ["data.name=jsonl", f"data.root={tmp_path}", "data.video=features"]
    with pytest.raises(Problems) as caught:
        answer_split(trained, "test", overrides=there, out=tmp_path / "a.jsonl")
    assert [line.split(":")[0] for line in caught.value.problems] == [
        str(tmp_path / "test.jsonl"),
        str(tmp_path / "features"),
    ]


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.normalize=false"],
        ["data.mode=sample", "data.resample=mean", "data.positions=true"],
        ["data.mode=sample", "data.resample=linear", "data.normalize=false"],
    ],
    ids=["as extracted", "mean of bins and positions", "interpolated as extracted"],
)
def test_one_video_is_answered_as_its_split_was(overrides: list[str], tmp_path: Path, registry: Registry) -> None:
    from rich.console import Console

    (tmp_path / "tiny.toml").write_text(TINY)
    # Without noise, which is drawn from the id of a query, and one video has none.
    recipe = load_recipe(tmp_path / "tiny.toml", ["train.epochs=1", "sampler.name=one_step", *overrides], registry)
    execute(recipe, registry, out=tmp_path / "run", device="cpu", narrator=Narrator(Console(quiet=True)))
    answers = read_predictions(tmp_path / "run/predictions/test.jsonl")
    localizer, dataset = framework.load(tmp_path / "run", "cpu"), open_dataset(recipe.data)
    for query in dataset.queries("test")[:4]:
        index = localizer.index(dataset.features().read(query.video), duration=query.duration)
        found = [(each.start_s, each.end_s, each.score) for each in localizer.localize(index, query.text, top=5)]
        np.testing.assert_allclose(found, answers[query.id].windows[:5], atol=1e-4)
