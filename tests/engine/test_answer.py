"""Answering a whole split with stored weights."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from framework.engine.answer import answer_split
from framework.engine.narrate import Narrator
from framework.engine.run import execute
from framework.engine.score import score_file
from framework.errors import DataError, RecipeError, UserError
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
        "data.clip_s=0.5": "clip_s = 0.5, trained on 0.64",
        "data.normalize=false": "normalize = False, trained on True",
    }.items():
        with pytest.raises(DataError, match=words):
            answer_split(trained, "test", overrides=[override], out=tmp_path / "b.jsonl", device="cpu")
    assert not (tmp_path / "b.jsonl").exists()


def test_what_is_trained_cannot_be_overridden(trained: Path, tmp_path: Path) -> None:
    for override in ("sampler.steps=5", "data.text=glove", "data.text.name = glove"):
        with pytest.raises(RecipeError, match=f"--set {re.escape(override)}: weights are trained"):
            answer_split(trained, "test", overrides=[override], out=tmp_path / "a.jsonl")
    with pytest.raises(UserError, match=r"data\.widht"):
        answer_split(trained, "test", overrides=["data.widht=24"], out=tmp_path / "a.jsonl")


def test_a_split_that_is_not_there_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match='split "ood": synthetic has train, val, test'):
        answer_split(trained, "ood", out=tmp_path / "a.jsonl")
