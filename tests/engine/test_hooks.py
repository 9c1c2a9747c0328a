from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import framework.api
from framework.engine.run import execute
from framework.errors import PluginError
from framework.hookspecs import RunView, hookimpl
from framework.recipe import load_recipe
from framework.registry import load_registry


class Watcher:
    """A plugin that has every hook that observes, and tries to meddle."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    @hookimpl
    def run_started(self, run: RunView) -> None:
        self.calls.append(("run_started", run.name, run.profile, run.seed))

    @hookimpl
    def after_train_step(self, step: int, losses: Mapping[str, float]) -> None:
        self.calls.append(("after_train_step", step, set(losses)))
        losses["total"] = 0.0  # type: ignore[index]

    @hookimpl
    def after_epoch(self, epoch: int, record: Mapping[str, Any]) -> None:
        self.calls.append(("after_epoch", epoch, list(record["metrics"])))
        record["losses"].clear()

    @hookimpl
    def after_evaluation(self, split: str, metrics: Mapping[str, float], predictions: Path | None) -> None:
        self.calls.append(("after_evaluation", split, predictions is not None))
        metrics["R1@0.5"] = 100.0  # type: ignore[index]

    @hookimpl
    def run_finished(self, run: RunView, result: Mapping[str, Any]) -> None:
        self.calls.append(("run_finished", (run.folder / "report.html").exists(), result["split"]))

    @hookimpl
    def report_sections(self, run: RunView) -> Sequence[tuple[str, str]]:
        return [("Watched", f"<p>{len(self.calls)} calls in {run.name}</p>")]


def test_hooks_are_called_in_their_order_and_change_nothing(
    recipe_file, tmp_path, narrator, registry, monkeypatch
) -> None:
    watcher = Watcher()
    watched = load_registry({"watcher": watcher})
    assert not watched.failures
    monkeypatch.setattr(framework.api, "load_registry", lambda: watched)
    seen = framework.api.run(recipe_file, out=tmp_path / "watched", device="cpu")
    alone = execute(load_recipe(recipe_file, (), registry), registry, out=tmp_path / "alone", narrator=narrator)
    assert seen.metrics == alone.metrics
    first, second = (
        [json.loads(line)["losses"] for line in (each.folder / "history.jsonl").read_text().splitlines()]
        for each in (seen, alone)
    )
    assert first == second
    assert watcher.calls == [
        ("run_started", "tiny", "full", 3),
        *(("after_train_step", step, {"main/mse", "total"}) for step in (1, 2, 3)),
        ("after_evaluation", "val", False),
        ("after_epoch", 1, ["val"]),
        *(("after_train_step", step, {"main/mse", "total"}) for step in (4, 5, 6)),
        ("after_evaluation", "val", False),
        ("after_epoch", 2, ["val"]),
        ("after_evaluation", "test", True),
        ("run_finished", True, "test"),
    ]
    page = (seen.folder / "report.html").read_text()
    assert "Watched" in page
    assert "<p>12 calls in tiny</p>" in page


@pytest.mark.parametrize("hook", ["run_started", "after_epoch", "after_train_step", "after_evaluation"])
def test_an_exception_in_a_hook_names_the_plugin_and_the_run_can_be_resumed(
    hook, recipe_file, tmp_path, narrator, registry
) -> None:
    class Broken:
        @hookimpl
        def run_started(self) -> None:
            if hook == "run_started":
                raise KeyError("missing")

        @hookimpl
        def after_evaluation(self, split: str) -> None:
            if hook == "after_evaluation":
                raise KeyError("missing")

        @hookimpl
        def after_epoch(self, epoch: int) -> None:
            if hook == "after_epoch":
                raise KeyError("missing")

        @hookimpl
        def after_train_step(self, step: int) -> None:
            if hook == "after_train_step" and step == 2:
                raise KeyError("missing")

    broken = load_registry({"breaker": Broken()})
    recipe = load_recipe(recipe_file, (), registry)
    with pytest.raises(PluginError, match=rf'plugin "breaker".*{hook}.*KeyError'):
        execute(recipe, broken, out=tmp_path / "run", device="cpu", narrator=narrator)
    resumed = execute(recipe, registry, out=tmp_path / "run", device="cpu", narrator=narrator, resume=True)
    alone = execute(recipe, registry, out=tmp_path / "alone", device="cpu", narrator=narrator)
    assert resumed.metrics == alone.metrics
