"""Every hook of the framework: when it is called, where, and with what.

A plugin is a module (or object) with functions marked ``@hookimpl`` and named as below. A function may take fewer
arguments than its specification, but can be no wrapper, as each is called on its own. ``register_parts`` contributes
parts, which change results and are named in the recipe; every other hook observes, and what it returns never enters a
computation.

A plugin may say ``nlvl_interface = 1``, the version of this file that it was written for; a framework of another
version then refuses it by name. One that says nothing is taken at any version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import pluggy

from framework.core.part import Part

PROJECT: Final = "nlvl"
INTERFACE: Final = 1
"""Version of this file; it grows when a hook goes away or changes its arguments, not when one is added."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@attrs.frozen
class RunView:
    """What a hook may know of a run.

    name: of the recipe. folder: where the run writes; a hook may add files of its own. profile: "full" or "embedded".
    """

    name: str
    folder: Path
    profile: str
    seed: int


@hookspec
def register_parts() -> Sequence[Part]:  # type: ignore[empty-body]
    """Contribute parts.

    When: once, while the registry loads, before any recipe is read. Where: ``framework.registry.load_registry``.
    Returns the parts of the plugin; the names of all plugins together must differ within a kind.
    """


@hookspec
def run_started(run: RunView) -> None:
    """A run begins.

    When: once, after the recipe, data and parts were found to fit and the folder was made, before the first step; again
    when a run is resumed. Where: the main process.
    """


@hookspec
def after_train_step(run: RunView, step: int, losses: Mapping[str, float]) -> None:
    """The optimizer took a step.

    When: after each of its steps. Where: the main process. step: counted from 1 over the whole run. losses: mean of
    each term over the batch, by name, and their weighted sum as "total".
    """


@hookspec
def after_epoch(run: RunView, epoch: int, record: Mapping[str, Any]) -> None:
    """An epoch ended, with its evaluation if it had one.

    When: after each epoch. Where: the main process. epoch: counted from 1. record: the line that the run's history
    keeps (mean losses, learning rate, metrics if evaluated); a copy, so changing it changes nothing.
    """


@hookspec
def after_evaluation(run: RunView, split: str, metrics: Mapping[str, float], predictions: Path | None) -> None:
    """A split was evaluated.

    When: after each evaluation, during training and at its end. Where: the main process. split: its name. metrics:
    percent, by name. predictions: file in the QVHighlights submission form, one JSON object a line; None where an
    evaluation during training wrote none.
    """


@hookspec
def report_sections(run: RunView) -> Sequence[tuple[str, str]]:  # type: ignore[empty-body]
    """Add sections to the report of a run.

    When: while ``report.html`` is written, for a finished run. Where: the main process. Returns (title, HTML) pairs,
    shown as they are after the framework's own sections; displayed only.
    """


@hookspec
def run_finished(run: RunView, result: Mapping[str, Any]) -> None:
    """A run ended well.

    When: once, after ``metrics.json`` and the report were written. Where: the main process. result: the content of
    ``metrics.json``.
    """
