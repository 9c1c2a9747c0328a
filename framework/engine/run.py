"""One run: from a recipe to a folder with weights, predictions and metrics."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import attrs
import tomli
import torch

from framework.data.predictions import write_predictions
from framework.engine import checkpoint
from framework.engine.about import About, choose_selection
from framework.engine.announce import FINISHED, announce
from framework.engine.assemble import Method, assemble
from framework.engine.boards import Boards
from framework.engine.data import Data, missing, open_data
from framework.engine.environment import choose_device, choose_precision
from framework.engine.evaluate import Evaluation, Settings, evaluate, require_numbers, shallow
from framework.engine.folder import new_folder, read_manifest, unfinished_folder, write_json, writing
from framework.engine.interrupt import Interrupt
from framework.engine.narrate import Narrator
from framework.engine.seeding import seed_everything
from framework.engine.sweep import Sweeper, require_inference
from framework.engine.train import Trainer, Watch
from framework.errors import CheckpointError, Problems, UserError
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

    profile: "full" refuses where files are missing, "embedded" takes the overlay in any case, "auto" falls back to it
    unless --set said where the files are.
    """
    lacking = [] if profile == "embedded" else missing(recipe)
    if not lacking and profile != "embedded":
        return recipe
    pointed = any(recipe.tree.origin(("data", key)).file == "--set" for key in ("root", "video"))
    if profile == "full" or (lacking and pointed):
        # Whoever says where the files are wants those files: a typo must not train on other data all night.
        raise Problems(lacking)
    for line in lacking:
        narrator.say(line, style="yellow")
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
    require_numbers(data)
    generator = seed_everything(recipe.seed, place)
    method = assemble(recipe, data.inputs)
    require_inference(recipe, method, data.inputs, registry)
    method.modules.to(place)
    method.precision = precision
    folder = unfinished_folder(recipe.name, out) if resume else new_folder(recipe.name, out)
    with writing(folder):
        return Run(recipe, registry, data, method, folder, narrator, generator).go(resume)


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
        selection = choose_selection(recipe, data, self.metric)
        self.about = About(recipe, data, method, self.metric, selection, registry.plugins)
        self.view = RunView(recipe.name, folder, recipe.profile, recipe.seed)
        self.began = time.perf_counter()
        self.started = datetime.now(timezone.utc).isoformat(timespec="seconds")

    def go(self, resume: bool) -> RunResult:
        """Train, evaluate, write."""
        boards = Boards(self.folder)
        trainer = self._trainer(boards)
        if resume:
            self._take_up(trainer)
        self.narrator.log_to(self.folder)
        for line in self.about.introduction("Resuming" if resume else "Running"):
            self.narrator.say(line)
        self.narrator.say(f"  folder    {self.folder}")
        self._write_manifest("running")
        (self.folder / "recipe.toml").write_text(self.recipe.to_toml(), encoding="utf-8")
        (self.folder / "history.jsonl").touch()
        if not resume:
            trainer.save_resumable()
        announce(self.registry, "run_started", run=self.view)
        bar = self.narrator.bar(trainer.steps, trainer.progress.step, self.recipe.name)
        with Interrupt() as interrupt, bar as self.bar:
            done = trainer.fit(interrupt)
        if not done:
            return self._stop()
        result = self._report_weights("last" if trainer.progress.best is None else "best", boards)
        boards.close()
        return result

    def _stop(self) -> RunResult:
        self._write_manifest("interrupted")
        again = f"python -m framework run {self.recipe.source} --resume --out {self.folder}"
        self.narrator.say(f"Stopped. Go on, with the same --set and --profile, by: {again}")
        return RunResult({}, self.folder, self.recipe.profile, finished=False)

    def _trainer(self, boards: Boards) -> Trainer:
        train = self.data.dataset.train

        def step(number: int, seen: Mapping[str, float]) -> None:
            self.bar.step(number, f"{self.recipe.name}  loss {seen['total']:.4f}")
            boards.step(number, seen)
            announce(self.registry, "after_train_step", run=self.view, step=number, losses=seen)

        def epoch(number: int, record: Mapping[str, Any]) -> None:
            boards.epoch(number, record)
            self.narrator.say(self.about.epoch(number, record))
            for split, found in record["metrics"].items():
                announce(self.registry, "after_evaluation", run=self.view, split=split, metrics=found, predictions=None)
            announce(self.registry, "after_epoch", run=self.view, epoch=number, record=record)

        return Trainer(
            self.method,
            self.data.loader(train, training=True),
            self.recipe.train,
            self.recipe.evaluate.every,
            self.folder,
            self.generator,
            Watch(self._evaluate_epoch, step, epoch, self.about.checkpoint),
            self.about.selection.by,
        )

    def _take_up(self, trainer: Trainer) -> None:
        stored = self.folder / "recipe.toml"
        if stored.exists() and not self._begun_with(stored):
            raise CheckpointError(
                f"{stored}: this run was begun with another recipe than {self.recipe.source} with its overrides. "
                "Resume with the same recipe, profile and --set, or begin a new run."
            )
        before = read_manifest(self.folder)
        self._require_same_data(before)
        trainer.resume()
        self.started = str(before.get("started", self.started))
        self.began -= float(before.get("seconds", 0.0))

    def _require_same_data(self, before: Mapping[str, Any]) -> None:
        """Refuse to go on with annotations or features that are not those of the beginning."""
        now, then = (dict(_flat(value)) for value in (self.data.describe(), before.get("data", {})))
        # Rounded as the machine that trained rounds; the digest says whether the numbers are the same.
        wrong = [name for name, value in now.items() if then.get(name) != value and "lengths" not in name]
        if wrong:
            raise CheckpointError(
                f"{self.folder}: the data have changed since this run began: {wrong[0]} was {then.get(wrong[0])} and "
                f"is {now[wrong[0]]}. Put them back, or begin a new run."
            )

    def _begun_with(self, stored: Path) -> bool:
        """Whether a stored recipe computes what this one does; sweeps do not enter training and may differ."""
        with checkpoint.described(stored):
            before, now = (tomli.loads(text) for text in (stored.read_text(encoding="utf-8"), self.recipe.to_toml()))
        return before | {"sweep": None} == now | {"sweep": None}

    def _evaluate_epoch(self) -> dict[str, dict[str, float]]:
        """Evaluate on the validation split, or, where there is none, on the reported split for the curve alone."""
        split = self.data.validation or self.data.reported
        return {split: self._evaluate(split, examples=0).metrics}

    def _evaluate(self, split: str, examples: int) -> Evaluation:
        settings = Settings(self.recipe.seed, self.recipe.evaluate.draws, examples)
        loader = self.data.loader(split, training=False)
        truths, rated = self.data.truths(split), self.data.rated(split)
        return evaluate(self.method, self.method.objectives[0], loader, self.metric, settings, truths, rated)

    def _report_weights(self, name: str, boards: Boards) -> RunResult:
        """Evaluate the reported checkpoint on the reported split, sweep, and write what a reader of the run needs."""
        path, split = self.folder / "checkpoints" / f"{name}.safetensors", self.data.reported
        tensors, _ = checkpoint.load(path, self.method.device)
        checkpoint.restore(self.method.modules, tensors, path)
        found = self._evaluate(split, EXAMPLES)
        predictions = self.folder / "predictions" / f"{split}.jsonl"
        write_predictions(predictions, self.data.queries[split], found.answers, found.saliency)
        if line := shallow(found.answers, self.metric):
            self.narrator.say(f"warning: {line}", style="yellow")
        boards.pictures(found.examples)
        write_json(self.folder / "examples.json", found.examples)
        write_json(self.folder / "metrics.json", self.about.metrics(name, found))
        sweeper = Sweeper(self.recipe, self.registry, self.data, self.folder, self.narrator.say)
        try:
            with Interrupt() as interrupt:
                if not sweeper.go(path, self.method.device, found, interrupt):
                    return self._stop()
        except UserError:
            self._write_manifest("interrupted")
            raise
        self._write_manifest("finished")
        announce(
            self.registry,
            "after_evaluation",
            FINISHED,
            run=self.view,
            split=split,
            metrics=found.metrics,
            predictions=predictions,
        )
        return RunResult(found.metrics, self.folder, self.recipe.profile, finished=True)

    def _write_manifest(self, status: str) -> None:
        seconds = time.perf_counter() - self.began
        write_json(self.folder / "manifest.json", self.about.manifest(status, self.started, seconds))


def _flat(value: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """The entries of nested objects by their places, ``features.clip_s``; lists are entries, as JSON has them."""
    for name, entry in json.loads(json.dumps(value)).items():
        if isinstance(entry, dict):
            yield from _flat(entry, f"{place}{name}.")
        else:
            yield f"{place}{name}", entry
