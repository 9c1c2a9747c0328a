"""Every hook is documented, and a plugin that has it is called with what the documentation says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from framework import hookspecs
from framework.core.part import Part
from framework.engine.announce import announce
from framework.hookspecs import RunView, hookimpl
from framework.registry import HOOKS, Registry

RUN = RunView(name="small", folder=Path("runs/small/1"), profile="embedded", seed=3)

CALLS: dict[str, dict[str, Any]] = {
    "register_parts": {},
    "run_started": {"run": RUN},
    "after_train_step": {"run": RUN, "step": 1, "losses": {"mse": 0.5, "total": 0.5}},
    "after_epoch": {"run": RUN, "epoch": 1, "record": {"epoch": 1, "metrics": {}}},
    "after_evaluation": {"run": RUN, "split": "test", "metrics": {"mIoU": 41.0}, "predictions": None},
    "report_sections": {"run": RUN},
    "run_finished": {"run": RUN, "result": {"metrics": {"mIoU": 41.0}}},
}


class Listener:
    """Has every hook and remembers its calls."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []

    @hookimpl
    def register_parts(self) -> list[Part]:
        self.heard.append(("register_parts", {}))
        return []

    @hookimpl
    def run_started(self, run: RunView) -> None:
        self.heard.append(("run_started", {"run": run}))

    @hookimpl
    def after_train_step(self, run: RunView, step: int, losses: Mapping[str, float]) -> None:
        self.heard.append(("after_train_step", {"run": run, "step": step, "losses": losses}))

    @hookimpl
    def after_epoch(self, run: RunView, epoch: int, record: Mapping[str, Any]) -> None:
        self.heard.append(("after_epoch", {"run": run, "epoch": epoch, "record": record}))

    @hookimpl
    def after_evaluation(
        self, run: RunView, split: str, metrics: Mapping[str, float], predictions: Path | None
    ) -> None:
        given = {"run": run, "split": split, "metrics": metrics, "predictions": predictions}
        self.heard.append(("after_evaluation", given))

    @hookimpl
    def report_sections(self, run: RunView) -> list[tuple[str, str]]:
        self.heard.append(("report_sections", {"run": run}))
        return [("Title", "<p>text</p>")]

    @hookimpl
    def run_finished(self, run: RunView, result: Mapping[str, Any]) -> None:
        self.heard.append(("run_finished", {"run": run, "result": result}))


@pytest.fixture
def listener() -> tuple[Listener, Registry]:
    registry, plugin = Registry(), Listener()
    registry.add("listener", lambda: plugin)
    assert registry.failures == ()
    assert plugin.heard == [("register_parts", {})]
    plugin.heard.clear()
    return plugin, registry


def test_this_file_knows_every_hook() -> None:
    assert tuple(CALLS) == HOOKS


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_says_when_and_where_it_is_called_and_with_what(name: str) -> None:
    words = " ".join(getattr(hookspecs, name).__doc__.split())
    assert "When: " in words
    assert "Where: " in words
    for argument in set(CALLS[name]) - {"run"}:
        assert f"{argument}: " in words


@pytest.mark.parametrize("name", HOOKS)
def test_a_plugin_hears_every_hook_with_its_arguments(listener: tuple[Listener, Registry], name: str) -> None:
    plugin, registry = listener
    announce(registry, name, **CALLS[name])
    assert plugin.heard == [(name, CALLS[name])]


def test_report_sections_come_back_one_list_a_plugin(listener: tuple[Listener, Registry]) -> None:
    _, registry = listener
    assert announce(registry, "report_sections", run=RUN) == [[("Title", "<p>text</p>")]]


class Observer:
    """Takes fewer arguments than the specification."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    @hookimpl
    def after_train_step(self, step: int) -> str:
        self.steps.append(step)
        return "unheeded"


def test_a_hook_may_take_fewer_arguments_and_a_plugin_may_have_no_parts() -> None:
    registry, plugin = Registry(), Observer()
    registry.add("observer", lambda: plugin)
    announce(registry, "after_train_step", **CALLS["after_train_step"])
    assert (registry.failures, registry.parts(), plugin.steps) == ((), (), [1])


def test_a_hook_cannot_change_what_it_is_told_of_a_run() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        RUN.seed = 1  # type: ignore[misc]


def test_the_interface_has_a_version() -> None:
    assert hookspecs.INTERFACE == 1
