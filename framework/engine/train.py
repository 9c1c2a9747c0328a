"""Training: epochs, checkpoints, early stop; a run that is stopped goes on exactly where it was."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from framework.core.noise import GeneratorNoise
from framework.core.structures import Batch
from framework.data.loader import Loader
from framework.engine import checkpoint
from framework.engine.assemble import Method
from framework.engine.folder import resumable
from framework.engine.interrupt import Interrupt
from framework.engine.loss import losses, total
from framework.engine.optimize import MovingAverage, optimizer_of, rate
from framework.engine.seeding import restore_states, states
from framework.errors import CheckpointError, PluginError, UserError
from framework.recipe import TrainOptions


@attrs.define
class Progress:
    """Where training stands; everything here goes into the resumable checkpoint.

    epoch, batch: finished epochs, and finished batches of the one begun. step: optimizer steps. sums, seconds: of the
    epoch begun. best: value and epoch of the best evaluation. stale: evaluations since then.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    sums: dict[str, float] = attrs.field(factory=dict)
    seconds: float = 0.0
    best: float | None = None
    best_epoch: int = 0
    stale: int = 0
    stopped: bool = False


@attrs.frozen(eq=False)
class Watch:
    """What training reports to, without knowing who listens.

    evaluate: metrics by split of the current weights, or {}; the first value of the result under ``metric`` selects.
    step, epoch: called after each optimizer step and epoch. describe: what each checkpoint says of itself.
    """

    evaluate: Callable[[], dict[str, dict[str, float]]]
    step: Callable[[int, Mapping[str, float]], None]
    epoch: Callable[[int, Mapping[str, Any]], None]
    describe: Callable[[], dict[str, Any]]


class Trainer:
    """Trains a method in a run folder.

    ``select`` names the (split, metric) that the best checkpoint is chosen by, None where none may be.
    """

    def __init__(
        self,
        method: Method,
        loader: Loader,
        options: TrainOptions,
        every: int,
        folder: Path,
        generator: torch.Generator,
        watch: Watch,
        select: tuple[str, str] | None,
    ) -> None:
        self.method, self.loader, self.options, self.every = method, loader, options, every
        self.folder, self.generator, self.watch, self.select = folder, generator, watch, select
        self.modules = method.modules
        self.optimizer = optimizer_of(options.optimizer, self.modules)
        self.average = MovingAverage(self.modules, options.ema)
        # Only float16 can underflow; elsewhere the scaler is off and passes values through.
        self.scaler = torch.amp.GradScaler(method.device.type, enabled=method.precision == torch.float16)
        self.progress = Progress()
        self.noise = GeneratorNoise(generator)
        self.steps_an_epoch = math.ceil(len(loader) / options.accumulate)

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole training."""
        return self.steps_an_epoch * self.options.epochs

    def fit(self, interrupt: Interrupt) -> bool:
        """Train to the end; False where the user stopped it. The folder can be resumed after every epoch and stop."""
        self.modules.train()
        if not self.options.epochs:
            self._save("last")
        while self.progress.epoch < self.options.epochs and not self.progress.stopped:
            self.method.at(self.progress.epoch / self.options.epochs)
            try:
                whole = self._epoch(interrupt)
            except PluginError:
                self.save_resumable()
                raise
            if not whole:
                self.save_resumable()
                return False
            self._finish_epoch()
        return True

    def _epoch(self, interrupt: Interrupt) -> bool:
        """Go through the rest of the epoch; False where the user asked to stop."""
        began = time.perf_counter()
        done = self.progress.seconds
        for group in _groups(self.loader.batches(self.progress.epoch, self.progress.batch), self.options.accumulate):
            seen = self._step(group)
            self.progress.batch += len(group)
            self.progress.seconds = done + time.perf_counter() - began
            self.watch.step(self.progress.step, seen)
            if interrupt.requested:
                return False
        return True

    def _step(self, group: list[Batch]) -> dict[str, float]:
        progress = self.progress
        factor = rate(progress.step, self.steps, self.options)
        for settings in self.optimizer.param_groups:
            settings["lr"] = self.options.optimizer.lr * factor
        seen: dict[str, float] = {}
        for batch in group:
            terms = losses(self.method, batch.to(self.method.device), self.noise)
            loss = total(terms, self.method) / len(group)
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            for name, term in {**terms, "total": loss * len(group)}.items():
                seen[name] = seen.get(name, 0.0) + float(term.detach()) / len(group)
        self._update(seen)
        progress.step += 1
        for name, value in seen.items():
            progress.sums[name] = progress.sums.get(name, 0.0) + value
        return seen

    def _update(self, seen: Mapping[str, float]) -> None:
        if not math.isfinite(seen["total"]):
            raise UserError(
                f"{self.folder}: the loss became {seen['total']} at step {self.progress.step + 1}. Begin a new run "
                'with a lower train.optimizer.lr, with train.clip, or with train.precision = "float32".'
            )
        self.scaler.unscale_(self.optimizer)
        if self.options.clip:
            torch.nn.utils.clip_grad_norm_(self.modules.parameters(), self.options.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update()

    def _finish_epoch(self) -> None:
        progress = self.progress
        progress.epoch += 1
        record: dict[str, Any] = {
            "epoch": progress.epoch,
            "step": progress.step,
            "seconds": round(progress.seconds, 3),
            "lr": self.optimizer.param_groups[0]["lr"],
            "losses": {name: value / self.steps_an_epoch for name, value in progress.sums.items()},
            "metrics": {},
        }
        with self.average.applied():
            if self._due():
                record["metrics"] = self.watch.evaluate()
                self._choose(record["metrics"])
            self._save("last")
        progress.batch, progress.sums, progress.seconds = 0, {}, 0.0
        self.append_history(record)
        self.save_resumable()
        self.watch.epoch(progress.epoch, record)

    def _due(self) -> bool:
        """Whether this epoch is evaluated: each ``every``-th, and the last one if anything is to be seen or chosen."""
        last = self.progress.epoch == self.options.epochs
        if not self.every:
            return last and self.select is not None
        return last or self.progress.epoch % self.every == 0

    def _choose(self, metrics: Mapping[str, Mapping[str, float]]) -> None:
        """Keep the weights if they are the best so far; ask for a stop if none were for too long."""
        if self.select is None:
            return
        split, name = self.select
        progress, value = self.progress, metrics[split][name]
        if progress.best is None or value > progress.best:
            progress.best, progress.best_epoch, progress.stale = value, progress.epoch, 0
            self._save("best")
            return
        progress.stale += 1
        progress.stopped = bool(self.options.patience) and progress.stale >= self.options.patience

    def _save(self, name: str) -> None:
        path = self.folder / "checkpoints" / f"{name}.safetensors"
        meta = {"epoch": self.progress.epoch, "step": self.progress.step, **self.watch.describe()}
        checkpoint.save(path, self.modules.state_dict(), meta)

    def append_history(self, record: Mapping[str, Any]) -> None:
        """Add one line to history.jsonl."""
        with (self.folder / "history.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def save_resumable(self) -> None:
        """Write everything that the rest of the training depends on."""
        optimizer, groups = checkpoint.pack_optimizer(self.optimizer)
        tensors = {
            **{f"weights/{name}": value for name, value in self.modules.state_dict().items()},
            **{f"average/{name}": value for name, value in self.average.state.items()},
            **{f"optimizer/{name}": value for name, value in optimizer.items()},
            **{f"generator/{name}": value for name, value in states(self.generator).items()},
        }
        meta = {
            "progress": attrs.asdict(self.progress),
            "groups": groups,
            "scaler": self.scaler.state_dict(),
            "device": self.method.device.type,
            "precision": str(self.method.precision),
            **self.watch.describe(),
        }
        checkpoint.save(resumable(self.folder), tensors, meta)

    def resume(self) -> None:
        """Take up the training that ``folder`` holds; history beyond the checkpoint is dropped."""
        path = resumable(self.folder)
        tensors, meta = checkpoint.load(path)
        for name, own in (("device", self.method.device.type), ("precision", str(self.method.precision))):
            if meta.get(name) != own:
                raise CheckpointError(
                    f"{path}: the run was begun with {name} {meta.get(name)}, this is {own}, so it would not be the "
                    "same run. Resume with the --device that it was begun with."
                )
        with checkpoint.described(path):
            self._take_up(tensors, meta, path)

    def _take_up(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any], path: Path) -> None:
        checkpoint.restore(self.modules, _under(tensors, "weights/"), path)
        self.average.state = {name: value.to(self.method.device) for name, value in _under(tensors, "average/").items()}
        checkpoint.unpack_optimizer(self.optimizer, _under(tensors, "optimizer/"), meta["groups"])
        restore_states(self.generator, _under(tensors, "generator/"))
        self.scaler.load_state_dict(meta["scaler"])
        self.progress = Progress(**meta["progress"])
        history = self.folder / "history.jsonl"
        lines = history.read_text(encoding="utf-8").splitlines() if history.exists() else []
        kept = [line for line in lines if json.loads(line)["epoch"] <= self.progress.epoch]
        history.write_text("".join(line + "\n" for line in kept), encoding="utf-8")


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def _groups(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """Batches in groups of ``size``, the last one shorter where they do not divide."""
    group: list[Batch] = []
    for batch in batches:
        group.append(batch)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
