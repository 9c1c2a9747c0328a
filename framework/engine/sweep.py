"""Sweeps: the reported weights scored again under other settings of inference, without training."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import torch

from framework.core.encoder import Inputs
from framework.engine import checkpoint
from framework.engine.assemble import Method, assemble
from framework.engine.data import Data
from framework.engine.evaluate import Evaluation, Settings, evaluate
from framework.engine.folder import write_json
from framework.engine.interrupt import Interrupt
from framework.errors import CheckpointError, Problems, UserError
from framework.recipe import Recipe, Sweep, vary
from framework.recipe.toml import write_value
from framework.registry import Registry


def score(recipe: Recipe, data: Data, weights: Path, device: torch.device) -> Evaluation:
    """Answer the reported split of ``data`` with stored weights under the settings of ``recipe``, and score it.

    Raises CheckpointError where the recipe wants other weights.
    """
    method = _assembled(recipe, data.inputs)
    tensors, _ = checkpoint.load(weights, device)
    checkpoint.restore(method.modules, tensors, weights)
    method.modules.to(device)
    chosen = recipe.evaluate.metric
    loader = attrs.evolve(data, recipe=recipe).loader(data.reported, training=False)
    settings = Settings(recipe.seed, recipe.evaluate.draws)
    metric = chosen.part.factory(chosen.options)
    return evaluate(
        method, method.objectives[0], loader, metric, settings, data.truths(data.reported), data.rated(data.reported)
    )


def require_inference(recipe: Recipe, method: Method, inputs: Inputs, registry: Registry) -> None:
    """Refuse sweeps that ask for other weights than ``method`` has, or for parts that do not fit, before training.

    Raises Problems with one line for each such value.
    """
    own, problems = _shapes(method), []
    for sweep in recipe.sweeps:
        for value in sweep.values:
            place = f"{recipe.where(f'sweep.{sweep.name}')} {sweep.key} = {write_value(value)}"
            try:
                other = _shapes(_assembled(vary(recipe, sweep, value, registry), inputs))
            except UserError as error:
                problems.append(f"{place}: {error}")
                continue
            if difference := _difference(own, other):
                problems.append(
                    f"{place}: a sweep is for settings of inference, but this one changes the weights: {difference}. "
                    "Train a recipe of its own for each value instead."
                )
    if problems:
        raise Problems(problems)


def _assembled(recipe: Recipe, inputs: Inputs) -> Method:
    """Build a method whose weights are replaced or only looked at; training must not notice that they were drawn."""
    with torch.random.fork_rng(devices=[]):
        return assemble(recipe, inputs)


def _shapes(method: Method) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in method.modules.state_dict().items()}


def _difference(own: dict[str, tuple[int, ...]], other: dict[str, tuple[int, ...]]) -> str | None:
    """The first difference between two sets of weights in words, None where there is none."""
    for name in sorted(own.keys() | other.keys()):
        if own.get(name) != other.get(name):
            words = [f"of shape {shapes[name]}" if name in shapes else "absent" for shapes in (own, other)]
            return f"{name} is {words[1]}, and {words[0]} in the recipe"
    return None


class Sweeper:
    """Scores every point of a run's sweeps; ``sweeps.json`` is written after each, so that a stop loses one at most.

    Points of an earlier start are kept where a sweep of that name is still over that key and has that value.
    """

    def __init__(
        self, recipe: Recipe, registry: Registry, data: Data, folder: Path, say: Callable[[str], None]
    ) -> None:
        self.recipe, self.registry, self.data, self.say = recipe, registry, data, say
        self.path = folder / "sweeps.json"
        self.done = _read(self.path)

    def go(self, weights: Path, device: torch.device, own: Evaluation, interrupt: Interrupt) -> bool:
        """Score what is not done yet; False where the user stopped it. ``own``: the recipe's own settings, measured."""
        if self.done:
            self._write()
        for sweep in self.recipe.sweeps:
            points = self.done.setdefault((sweep.name, sweep.key), {})
            for value in sweep.values:
                if write_value(value) in points:
                    continue
                if interrupt.requested:
                    return False
                varied = vary(self.recipe, sweep, value, self.registry)
                same = varied == attrs.evolve(self.recipe, sweeps=())
                with self._room(sweep, value):
                    found = own if same else score(varied, self.data, weights, device)
                points[write_value(value)] = _point(value, found)
                self._write()
                self.say(_line(sweep, points[write_value(value)]))
            self._doubt(sweep)
        return True

    @contextmanager
    def _room(self, sweep: Sweep, value: Any) -> Iterator[None]:
        """Turn a value that memory does not hold into one line: the run itself is trained and scored."""
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if not _lacks_memory(error):
                raise
            raise UserError(
                f"{self.recipe.where(f'sweep.{sweep.name}')} {sweep.key} = {write_value(value)}: memory does not hold "
                f"that. The run is trained and scored: drop the value, or all sweeps by --set sweep=[], and go on with "
                f"it by --resume --out {self.path.parent}."
            ) from error

    def _doubt(self, sweep: Sweep) -> None:
        points = self._points(sweep)
        if len(points) > 1 and all(point["metrics"] == points[0]["metrics"] for point in points):
            self.say(f"sweep {sweep.name}  all values gave the same numbers; inference may not read {sweep.key}")

    def _points(self, sweep: Sweep) -> list[dict[str, Any]]:
        """What is scored of a sweep, in the order of its values."""
        done = self.done.get((sweep.name, sweep.key), {})
        return [done[text] for text in map(write_value, sweep.values) if text in done]

    def _write(self) -> None:
        described = [
            {"name": sweep.name, "key": sweep.key, "label": sweep.label, "log": sweep.log, "points": points}
            for sweep in self.recipe.sweeps
            if (points := self._points(sweep))
        ]
        write_json(self.path, described)


def _lacks_memory(error: Exception) -> bool:
    """Whether an error says that memory was asked for that is not there; torch has no class of its own for a CPU."""
    words = ("not enough memory", "allocate memory", "overflow")
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(each in str(error) for each in words)


def _point(value: Any, found: Evaluation) -> dict[str, Any]:
    each = found.seconds / len(found.answers)
    return {"value": value, "metrics": found.metrics, "seconds_a_query": round(each, 6)}


def _line(sweep: Sweep, point: dict[str, Any]) -> str:
    scores = " ".join(f"{name} {score:.2f}" for name, score in point["metrics"].items())
    return f"sweep {sweep.name}  {sweep.key} = {write_value(point['value'])}  {scores}  {_per_query(point)}"


def _per_query(point: dict[str, Any]) -> str:
    return f"{1000 * point['seconds_a_query']:.2f} ms a query"


def _read(path: Path) -> dict[tuple[str, str], dict[str, dict[str, Any]]]:
    """Points that a stopped run has scored already: by name and key of their sweep, then by their value as text."""
    if not path.exists():
        return {}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return {
            (sweep["name"], sweep["key"]): {write_value(point["value"]): dict(point) for point in sweep["points"]}
            for sweep in stored
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error}). Remove it, and its sweeps are scored again."
        ) from error
