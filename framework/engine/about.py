"""What a run says of itself: which weights it reports and why, its metrics, manifest, checkpoints and first lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

import framework
from framework.engine.assemble import Method
from framework.engine.data import Data
from framework.engine.environment import describe_environment
from framework.engine.evaluate import Evaluation
from framework.engine.folder import process
from framework.errors import RecipeError, nearest
from framework.metrics.metric import Metric
from framework.recipe import Recipe


@attrs.frozen
class Selection:
    """Which weights are reported. by: split and metric that choose the best one, None where the last is taken."""

    by: tuple[str, str] | None
    words: str


def choose_selection(recipe: Recipe, data: Data, metric: Metric) -> Selection:
    """Follow the recipe's train.select; ``auto`` chooses only where there is a validation split.

    Raises RecipeError where train.metric is none of the rule's.
    """
    wanted, validation = recipe.train.select, data.validation
    if wanted == "last":
        return Selection(None, "last checkpoint, as the recipe asks")
    if wanted == "auto" and validation is None:
        return Selection(None, "last checkpoint: the dataset has no validation split, so nothing was chosen")
    split, name = validation or data.reported, recipe.train.metric or metric.primary
    if name not in metric.names:
        raise RecipeError(
            f'{recipe.where("train")} metric = "{name}": {recipe.evaluate.metric.name} gives no such number.'
            f"{nearest(name, metric.names)} It gives {', '.join(metric.names)}."
        )
    warning = "; this is the split that is reported, so the number is optimistic" if split == data.reported else ""
    return Selection((split, name), f"best checkpoint by {name} on {split}{warning}")


@attrs.frozen(eq=False)
class About:
    """A run in words and in values that JSON can hold."""

    recipe: Recipe
    data: Data
    method: Method
    metric: Metric
    selection: Selection
    plugins: tuple[str, ...]

    @property
    def precision(self) -> str:
        """Type that networks compute in."""
        return str(self.method.precision).removeprefix("torch.")

    def metrics(self, checkpoint: str, found: Evaluation) -> dict[str, Any]:
        """metrics.json: every number with what it depends on."""
        sampler, expected = self.recipe.objectives[0].sampler, self.recipe.expected
        return {
            "recipe": self.recipe.name,
            "profile": self.recipe.profile,
            "split": self.data.reported,
            "rule": self.metric.rule,
            "seed": self.recipe.seed,
            "queries": len(found.answers),
            "sampler": _words(sampler.part.name, attrs.asdict(sampler.options)),
            "post": self.method.post.rule,
            "checkpoint": checkpoint,
            "selection": self._selected(checkpoint),
            "draws": self.recipe.evaluate.draws,
            "seconds": round(found.seconds, 3),
            "metrics": found.metrics,
            "expected": {name: value for name, value in expected.items() if name != "source"} or None,
            "expected_source": expected.get("source"),
        }

    def _selected(self, checkpoint: str) -> str:
        if checkpoint == "last" and self.selection.by is not None:
            return "last checkpoint: no evaluation during training chose one"
        return self.selection.words

    def manifest(self, status: str, started: str, seconds: float) -> dict[str, Any]:
        """manifest.json: under which conditions the run took place."""
        parts = self.method.modules.items()
        return {
            "framework": framework.__version__,
            **describe_environment(self.method.device),
            "precision": self.precision,
            "seed": self.recipe.seed,
            "profile": self.recipe.profile,
            "data": self.data.describe(),
            "plugins": list(self.plugins),
            "parameters": {name: sum(weight.numel() for weight in part.parameters()) for name, part in parts},
            "selection": self.selection.words,
            "command": sys.argv,
            "process": process(),
            "started": started,
            "seconds": round(seconds, 3),
            "status": status,
        }

    def checkpoint(self) -> dict[str, Any]:
        """What a checkpoint needs to build the method again and to refuse foreign features."""
        return {
            "recipe": self.recipe.to_toml(),
            "name": self.recipe.name,
            "profile": self.recipe.profile,
            "inputs": attrs.asdict(self.data.inputs),
            "data": self.data.describe(),
            "text": self.data.text.state(),
        }

    def introduction(self, verb: str) -> Iterator[str]:
        """The first lines of a run."""
        splits = ", ".join(f"{split} {len(found):,}" for split, found in self.data.queries.items())
        weights = sum(weight.numel() for weight in self.method.modules.parameters())
        yield f"{verb} {self.recipe.name} (profile {self.recipe.profile}, seed {self.recipe.seed})"
        yield f"  data      {self.recipe.data.dataset.part.name}: {splits} queries; features {self.data.features.name}"
        for split in self.data.queries:
            if split in self.data.dataset.splits and (left := self.data.dataset.dropped(split)):
                yield f"  left out  {len(left)} of {split} by the dataset's rule, first {left[0][0]}: {left[0][1]}"
        yield f"  method    {weights:,} weights on {self.method.device}, {self.precision}"
        yield f"  reported  {self.selection.words}"
        yield f"  rule      {self.metric.rule}; {self.method.post.rule}"
        for sweep in self.recipe.sweeps:
            yield f"  sweep     {sweep.name}: {len(sweep.values)} values of {sweep.key}, after training"

    def epoch(self, number: int, record: Mapping[str, Any]) -> str:
        """The line of one epoch."""
        scores = "  ".join(
            f"{split} " + " ".join(f"{name} {value:.2f}" for name, value in metrics.items())
            for split, metrics in record["metrics"].items()
        )
        of, loss = self.recipe.train.epochs, record["losses"]["total"]
        return f"epoch {number:>{len(str(of))}}/{of}  loss {loss:.5f}  {record['seconds']:.0f} s  {scores}".rstrip()


def _words(name: str, options: Mapping[str, Any]) -> str:
    return f"{name} ({', '.join(f'{key} {value}' for key, value in options.items())})" if options else name
