"""One run: from a recipe to a folder with weights, predictions and metrics."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import attrs
import torch

import framework
from framework.data.predictions import write_predictions
from framework.engine import checkpoint
from framework.engine.announce import announce
from framework.engine.assemble import Method, assemble
from framework.engine.boards import Boards
from framework.engine.data import Data, missing, open_data
from framework.engine.environment import choose_device, choose_precision, describe_environment
from framework.engine.evaluate import Evaluation, Settings, evaluate
from framework.engine.folder import new_folder, read_manifest, unfinished_folder, write_json, writing
from framework.engine.interrupt import Interrupt
from framework.engine.narrate import Narrator
from framework.engine.seeding import seed_everything
from framework.engine.train import Trainer, Watch
from framework.errors import CheckpointError, Problems
from framework.hookspecs import RunView
from framework.metrics.metric import Metric
from framework.recipe import Recipe
from framework.registry import Registry

EXAMPLES = 8


@attrs.frozen
class RunResult:
    """What a run gave. metrics: percent, by name; empty where it was interrupted, and the folder can be resumed."""

    metrics: dict[str, float]
    folder: Path
    profile: str
    finished: bool


def settle_profile(recipe: Recipe, profile: str, registry: Registry, narrator: Narrator) -> Recipe:
    """Decide between the dataset and the embedded overlay, and say which and why.

    profile: "full" refuses where files are missing, "embedded" takes the overlay in any case, "auto" falls back to it.
    """
    lacking = [] if profile == "embedded" else missing(recipe.data)
    if not lacking and profile != "embedded":
        return recipe
    if profile == "full":
        raise Problems(lacking)
    for line in lacking:
        narrator.say(f"not found: {line}", style="yellow")
    small = recipe.with_embedded(registry)
    narrator.say(
        f"PROFILE embedded: {small.name} runs as a small instance on the data that the project makes itself "
        f"({small.data.dataset.part.name}). Its numbers are not results on {recipe.data.dataset.part.name}.",
        style="bold yellow",
    )
    return small


def execute(
    recipe: Recipe,
    registry: Registry,
    *,
    out: Path | None = None,
    profile: str = "auto",
    device: str = "auto",
    resume: bool = False,
    narrator: Narrator | None = None,
) -> RunResult:
    """Train and evaluate a recipe; everything is written to the run folder that the result names."""
    narrator = narrator or Narrator()
    place = choose_device(device)
    recipe = settle_profile(recipe, profile, registry, narrator)
    precision = choose_precision(recipe.train.precision, place)
    data = open_data(recipe)
    generator = seed_everything(recipe.seed, place)
    method = assemble(recipe, data.inputs)
    method.modules.to(place)
    method.precision = precision
    folder = unfinished_folder(recipe.name, out) if resume else new_folder(recipe.name, out)
    with writing(folder):
        run = Run(recipe, registry, data, method, folder, narrator, generator)
        return run.go(resume)


class Run:
    """The parts of one run and what it tells whom."""

    def __init__(
        self,
        recipe: Recipe,
        registry: Registry,
        data: Data,
        method: Method,
        folder: Path,
        narrator: Narrator,
        generator: torch.Generator,
    ) -> None:
        self.recipe, self.registry, self.data, self.method = recipe, registry, data, method
        self.folder, self.narrator, self.generator = folder, narrator, generator
        chosen = recipe.evaluate.metric
        self.metric: Metric = chosen.part.factory(chosen.options)
        self.view = RunView(recipe.name, folder, recipe.profile, recipe.seed)
        self.began = time.perf_counter()
        self.started = datetime.now(timezone.utc).isoformat(timespec="seconds")

    # -- what decides which weights are reported ------------------------------------------------------------------

    @property
    def select(self) -> tuple[str, str] | None:
        """Split and metric that choose the best checkpoint; None where nothing may be chosen."""
        wanted, validation = self.recipe.train.select, self.data.validation
        name = self.recipe.train.metric or self.metric.primary
        if wanted == "last" or (wanted == "auto" and validation is None):
            return None
        return validation or self.data.test, name

    @property
    def selection(self) -> str:
        """The sentence that states on which split the reported checkpoint was chosen."""
        if self.select is not None:
            split, name = self.select
            warning = (
                "; this is the split that is reported, so the number is optimistic" if split == self.data.test else ""
            )
            return f"best checkpoint by {name} on {split}{warning}"
        if self.data.validation is None:
            return "last checkpoint: the dataset has no validation split, so nothing was chosen"
        return "last checkpoint, as the recipe asks"

    # -- the run --------------------------------------------------------------------------------------------------

    def go(self, resume: bool) -> RunResult:
        """Train, evaluate, write."""
        boards = Boards(self.folder)
        trainer = self._trainer(boards)
        if resume:
            self._take_up(trainer)
        self.narrator.log_to(self.folder)
        self._introduce(resume)
        self._write_manifest("running")
        (self.folder / "recipe.toml").write_text(self.recipe.to_toml(), encoding="utf-8")
        announce(self.registry, "run_started", run=self.view)
        bar = self.narrator.bar(trainer.steps, trainer.progress.step, self.recipe.name)
        with Interrupt() as interrupt, bar as self.bar:
            done = trainer.fit(interrupt)
        if not done:
            self._write_manifest("interrupted")
            self.narrator.say(
                f"Stopped. Go on with: python -m framework run {self.recipe.source} --resume --out {self.folder}"
            )
            return RunResult({}, self.folder, self.recipe.profile, finished=False)
        result = self._report_weights(boards)
        boards.close()
        return result

    def _trainer(self, boards: Boards) -> Trainer:
        train = self.data.dataset.train

        def step(number: int, seen: Mapping[str, float]) -> None:
            self.bar.step(number, f"{self.recipe.name}  loss {seen['total']:.4f}")
            boards.step(number, seen)
            announce(self.registry, "after_train_step", run=self.view, step=number, losses=dict(seen))

        def epoch(number: int, record: Mapping[str, Any]) -> None:
            boards.epoch(number, record)
            self._say_epoch(number, record)
            announce(self.registry, "after_epoch", run=self.view, epoch=number, record=dict(record))

        return Trainer(
            self.method,
            self.data.loader(train, training=True),
            self.recipe.train,
            self.recipe.evaluate.every,
            self.folder,
            self.generator,
            Watch(self._evaluate_epoch, step, epoch, self._describe),
            self.select,
        )

    def _take_up(self, trainer: Trainer) -> None:
        stored = self.folder / "recipe.toml"
        if stored.exists() and stored.read_text(encoding="utf-8") != self.recipe.to_toml():
            raise CheckpointError(
                f"{stored}: this run was begun with another recipe than {self.recipe.source} with its overrides. "
                "Resume with the same recipe, profile and --set, or begin a new run."
            )
        trainer.resume()
        before = read_manifest(self.folder)
        self.started = str(before.get("started", self.started))
        self.began -= float(before.get("seconds", 0.0))

    def _evaluate_epoch(self) -> dict[str, dict[str, float]]:
        """Evaluate on the validation split, or, where there is none, on the test split for the curve alone."""
        split = self.data.validation or self.data.test
        found = self.evaluate(split, examples=0)
        announce(
            self.registry, "after_evaluation", run=self.view, split=split, metrics=dict(found.metrics), predictions=None
        )
        return {split: found.metrics}

    def evaluate(self, split: str, examples: int) -> Evaluation:
        """Answer and score one split with the weights as they are."""
        settings = Settings(self.recipe.seed, self.recipe.evaluate.draws, examples)
        loader = self.data.loader(split, training=False)
        return evaluate(self.method, self.method.objectives[0], loader, self.metric, settings, self.data.truths(split))

    def _report_weights(self, boards: Boards) -> RunResult:
        """Evaluate the reported checkpoint on the test split and write what a reader of the run needs."""
        name = "last" if self.select is None else "best"
        path = self.folder / "checkpoints" / f"{name}.safetensors"
        tensors, _ = checkpoint.load(path, self.method.device)
        checkpoint.restore(self.method.modules, tensors, path)
        found = self.evaluate(self.data.test, EXAMPLES)
        predictions = self.folder / "predictions" / f"{self.data.test}.jsonl"
        write_predictions(predictions, self.data.queries[self.data.test], found.answers)
        boards.pictures(found.examples)
        write_json(self.folder / "examples.json", found.examples)
        write_json(self.folder / "metrics.json", self._metrics(name, found))
        self._write_manifest("finished")
        announce(
            self.registry,
            "after_evaluation",
            run=self.view,
            split=self.data.test,
            metrics=dict(found.metrics),
            predictions=predictions,
        )
        return RunResult(found.metrics, self.folder, self.recipe.profile, finished=True)

    @property
    def _precision(self) -> str:
        return str(self.method.precision).removeprefix("torch.")

    # -- what is written and said ---------------------------------------------------------------------------------

    def _metrics(self, name: str, found: Evaluation) -> dict[str, Any]:
        sampler, expected = self.recipe.objectives[0].sampler, self.recipe.expected
        return {
            "recipe": self.recipe.name,
            "profile": self.recipe.profile,
            "split": self.data.test,
            "rule": self.metric.rule,
            "seed": self.recipe.seed,
            "queries": len(found.answers),
            "sampler": _words(sampler.part.name, attrs.asdict(sampler.options)),
            "post": self.method.post.rule,
            "checkpoint": name,
            "selection": self.selection,
            "draws": self.recipe.evaluate.draws,
            "seconds": round(found.seconds, 3),
            "metrics": found.metrics,
            "expected": {name: value for name, value in expected.items() if name != "source"} or None,
            "expected_source": expected.get("source"),
        }

    def _describe(self) -> dict[str, Any]:
        """What each checkpoint says of itself: enough to build the method again and to refuse foreign features."""
        inputs = attrs.asdict(self.data.inputs)
        return {
            "recipe": self.recipe.to_toml(),
            "name": self.recipe.name,
            "profile": self.recipe.profile,
            "inputs": inputs,
            "data": self.data.describe(),
            "text": self.data.text.state(),
        }

    def _write_manifest(self, status: str) -> None:
        sizes = {
            name: sum(weight.numel() for weight in module.parameters()) for name, module in self.method.modules.items()
        }
        write_json(
            self.folder / "manifest.json",
            {
                "framework": framework.__version__,
                **describe_environment(self.method.device),
                "precision": self._precision,
                "seed": self.recipe.seed,
                "profile": self.recipe.profile,
                "data": self.data.describe(),
                "plugins": list(self.registry.plugins),
                "parameters": sizes,
                "selection": self.selection,
                "command": sys.argv,
                "started": self.started,
                "seconds": round(time.perf_counter() - self.began, 3),
                "status": status,
            },
        )

    def _introduce(self, resume: bool) -> None:
        splits = ", ".join(f"{split} {len(found):,}" for split, found in self.data.queries.items())
        weights = sum(weight.numel() for weight in self.method.modules.parameters())
        say = self.narrator.say
        verb = "Resuming" if resume else "Running"
        say(f"{verb} {self.recipe.name} (profile {self.recipe.profile}, seed {self.recipe.seed})")
        say(f"  data      {self.recipe.data.dataset.part.name}: {splits} queries; features {self.data.features.name}")
        for split in self.data.queries:
            if split in self.data.dataset.splits and (left := self.data.dataset.dropped(split)):
                say(f"  left out  {len(left)} of {split} by the dataset's rule, first {left[0][0]}: {left[0][1]}")
        say(f"  method    {weights:,} weights on {self.method.device}, {self._precision}")
        say(f"  reported  {self.selection}")
        say(f"  rule      {self.metric.rule}; {self.method.post.rule}")
        say(f"  folder    {self.folder}")

    def _say_epoch(self, number: int, record: Mapping[str, Any]) -> None:
        scores = "  ".join(
            f"{split} " + " ".join(f"{name} {value:.2f}" for name, value in metrics.items())
            for split, metrics in record["metrics"].items()
        )
        of = self.recipe.train.epochs
        loss, seconds = record["losses"]["total"], record["seconds"]
        line = f"epoch {number:>{len(str(of))}}/{of}  loss {loss:.5f}  {seconds:.0f} s  {scores}"
        self.narrator.say(line.rstrip())


def _words(name: str, options: Mapping[str, Any]) -> str:
    return f"{name} ({', '.join(f'{key} {value}' for key, value in options.items())})" if options else name
