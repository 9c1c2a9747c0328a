from __future__ import annotations

import json
import shutil
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from safetensors import safe_open

import framework
from framework.core.structures import Batch
from framework.engine import run as engine_run
from framework.engine.interrupt import Interrupt
from framework.engine.narrate import Narrator
from framework.engine.run import RunResult, execute
from framework.engine.train import Trainer
from framework.errors import CheckpointError, UserError
from framework.recipe import Recipe, load_recipe
from framework.registry import Registry


def execute_in(folder: Path, recipe: Recipe, registry: Registry, narrator: Narrator, **given: object) -> RunResult:
    return execute(recipe, registry, out=folder, device="cpu", narrator=narrator, **given)  # type: ignore[arg-type]


def weights(path: Path) -> dict[str, torch.Tensor]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


@pytest.fixture
def finished(tmp_path: Path, recipe: Recipe, registry: Registry, narrator: Narrator) -> RunResult:
    return execute_in(tmp_path / "run", recipe, registry, narrator)


def test_a_run_folder_holds_everything_that_the_design_names(finished: RunResult) -> None:
    for name in ("recipe.toml", "manifest.json", "metrics.json", "history.jsonl", "examples.json", "log.txt"):
        assert (finished.folder / name).is_file(), name
    assert (finished.folder / "predictions/test.jsonl").is_file()
    assert (finished.folder / "checkpoints/last.safetensors").is_file()
    assert list(finished.folder.glob("events.out.tfevents.*"))
    metrics = json.loads((finished.folder / "metrics.json").read_text())
    assert metrics["metrics"] == finished.metrics
    assert set(metrics["metrics"]) == {"R1@0.5", "R1@0.7", "R5@0.5", "R5@0.7", "mIoU"}
    assert ">" in metrics["rule"]
    assert "0.49" in metrics["post"]
    assert json.loads((finished.folder / "manifest.json").read_text())["status"] == "finished"


def test_the_best_checkpoint_is_chosen_on_the_validation_split_and_says_so(finished: RunResult) -> None:
    metrics = json.loads((finished.folder / "metrics.json").read_text())
    assert metrics["checkpoint"] == "best"
    assert metrics["selection"] == "best checkpoint by R1@0.5 on val"
    history = [json.loads(line) for line in (finished.folder / "history.jsonl").read_text().splitlines()]
    assert [list(record["metrics"]) for record in history] == [["val"], ["val"]]


def test_the_same_seed_gives_the_same_weights_bit_for_bit(
    tmp_path: Path, recipe: Recipe, registry: Registry, narrator: Narrator, finished: RunResult
) -> None:
    again = execute_in(tmp_path / "again", recipe, registry, narrator)
    first, second = (weights(each.folder / "checkpoints/last.safetensors") for each in (finished, again))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert again.metrics == finished.metrics


@pytest.mark.parametrize("stop_at", [1, 3, 5])
def test_a_stopped_run_goes_on_exactly_where_it_was(
    stop_at: int,
    tmp_path: Path,
    recipe: Recipe,
    registry: Registry,
    narrator: Narrator,
    finished: RunResult,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = Trainer._step

    def stopping(self: Trainer, group: list[Batch]) -> dict[str, float]:
        seen = step(self, group)
        if self.progress.step == stop_at:
            interrupt.requested = True
        return seen

    interrupt = Interrupt()
    monkeypatch.setattr(engine_run, "Interrupt", lambda: interrupt)
    monkeypatch.setattr(Trainer, "_step", stopping)
    stopped = execute_in(tmp_path / "stopped", recipe, registry, narrator)
    assert not stopped.finished
    assert json.loads((stopped.folder / "manifest.json").read_text())["status"] == "interrupted"
    monkeypatch.undo()
    resumed = execute_in(tmp_path / "stopped", recipe, registry, narrator, resume=True)
    assert resumed.metrics == finished.metrics
    whole, parts = (weights(each.folder / "checkpoints/last.safetensors") for each in (finished, resumed))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)

    def losses(folder: Path) -> list[object]:
        return [json.loads(line)["losses"] for line in (folder / "history.jsonl").read_text().splitlines()]

    assert losses(resumed.folder) == losses(finished.folder)


def test_resuming_with_another_recipe_is_refused(
    tmp_path: Path, recipe_file: Path, recipe: Recipe, registry: Registry, narrator: Narrator
) -> None:
    folder = execute_in(
        tmp_path / "run", attrs.evolve(recipe, train=attrs.evolve(recipe.train, epochs=1)), registry, narrator
    ).folder
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"status": "interrupted"}))
    with pytest.raises(CheckpointError, match=r"another recipe"):
        execute_in(folder, recipe, registry, narrator, resume=True)


def test_resuming_on_other_data_is_refused(
    tmp_path: Path, recipe: Recipe, registry: Registry, narrator: Narrator
) -> None:
    folder = execute_in(tmp_path / "run", recipe, registry, narrator).folder
    manifest = json.loads((folder / "manifest.json").read_text())
    for key in ("fingerprint", "features", "text"):
        changed = {"status": "interrupted", "data": manifest["data"] | {key: "other"}}
        (folder / "manifest.json").write_text(json.dumps(manifest | changed))
        with pytest.raises(CheckpointError, match=f"the data have changed since this run began: {key}"):
            execute_in(folder, recipe, registry, narrator, resume=True)


def test_a_finished_run_is_neither_overwritten_nor_resumed(
    finished: RunResult, recipe: Recipe, registry: Registry, narrator: Narrator
) -> None:
    with pytest.raises(UserError, match="already holds a run"):
        execute_in(finished.folder, recipe, registry, narrator)
    with pytest.raises(UserError, match="is finished"):
        execute_in(finished.folder, recipe, registry, narrator, resume=True)


def test_a_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path, recipe: Recipe, registry: Registry, narrator: Narrator
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write there"):
        execute_in(tmp_path / "file" / "run", recipe, registry, narrator)


def test_a_truncated_checkpoint_is_refused_in_one_line(finished: RunResult, tmp_path: Path) -> None:
    path = finished.folder / "checkpoints/last.safetensors"
    for size in (0, 4, 100, path.stat().st_size - 1):
        short = tmp_path / f"short{size}.safetensors"
        short.write_bytes(path.read_bytes()[:size])
        with pytest.raises(CheckpointError, match="truncated or not a checkpoint"):
            framework.load(short)


def test_a_loaded_run_localizes_inside_the_video(finished: RunResult) -> None:
    localizer = framework.load(finished.folder, device="cpu")
    clips = np.abs(np.random.default_rng(0).normal(size=(30, 24))).astype(np.float32)
    video = localizer.index(clips, clip_s=0.64)
    moments = localizer.localize(video, "a person opens a door", top=3)
    assert len(moments) <= 3
    assert all(0 <= moment.start_s <= moment.end_s <= video.duration for moment in moments)
    scores = [moment.score for moment in moments]
    assert scores == sorted(scores, reverse=True)
    together = localizer.localize(video, ["a person opens a door", "another"], top=3)[0]
    assert [attrs.astuple(moment) for moment in together] == [
        pytest.approx(attrs.astuple(moment), abs=1e-5) for moment in moments
    ]


def test_a_checkpoint_loads_from_a_folder_that_moved(finished: RunResult, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(finished.folder, moved)
    assert framework.load(moved / "checkpoints" / "best.safetensors", device="cpu").spec.widths == (24,)


def test_moving_average_and_accumulation_train_and_resume(
    tmp_path: Path, recipe_file: Path, registry: Registry, narrator: Narrator
) -> None:
    chosen = load_recipe(recipe_file, ["train.ema=0.9", "train.accumulate=2", "train.warmup=2"], registry)
    result = execute_in(tmp_path / "run", chosen, registry, narrator)
    last = weights(result.folder / "checkpoints/last.safetensors")
    resume = weights(result.folder / "checkpoints/resume.safetensors")
    name = next(name for name in last if name.endswith("project.weight"))
    assert torch.equal(last[name], resume[f"average/{name}"])
    assert not torch.equal(last[name], resume[f"weights/{name}"])
    steps = [json.loads(line)["step"] for line in (result.folder / "history.jsonl").read_text().splitlines()]
    assert steps == [2, 4]


def test_training_stops_early_once_patience_runs_out(
    tmp_path: Path, recipe_file: Path, registry: Registry, narrator: Narrator
) -> None:
    chosen = load_recipe(recipe_file, ["train.epochs=40", "train.patience=2", "train.optimizer.lr=1e-12"], registry)
    result = execute_in(tmp_path / "run", chosen, registry, narrator)
    lines = (result.folder / "history.jsonl").read_text().splitlines()
    values = [json.loads(line)["metrics"]["val"]["R1@0.5"] for line in lines]
    assert len(values) < 40
    assert values.index(max(values)) == len(values) - 3


def test_a_diverging_run_stops_with_one_line(
    tmp_path: Path, recipe_file: Path, registry: Registry, narrator: Narrator
) -> None:
    chosen = load_recipe(recipe_file, ["train.optimizer.lr=1e30", "train.clip=0.0"], registry)
    with pytest.raises(UserError, match=r"the loss became (nan|inf)"):
        execute_in(tmp_path / "run", chosen, registry, narrator)


@pytest.mark.parametrize(
    ("overrides", "checkpoint", "selection"),
    [
        (["train.epochs=0"], "last", "last checkpoint: no evaluation during training chose one"),
        (["evaluate.every=0"], "best", "best checkpoint by R1@0.5 on val"),
        (["train.select=last"], "last", "last checkpoint, as the recipe asks"),
        (["data.holdout=0.2", "train.metric=mIoU"], "best", "best checkpoint by mIoU on held_out"),
    ],
)
def test_the_reported_checkpoint_and_why(
    overrides: list[str],
    checkpoint: str,
    selection: str,
    tmp_path: Path,
    recipe_file: Path,
    registry: Registry,
    narrator: Narrator,
) -> None:
    chosen = load_recipe(recipe_file, overrides, registry)
    folder = execute_in(tmp_path / "run", chosen, registry, narrator).folder
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["checkpoint"], metrics["selection"]) == (checkpoint, selection)


def test_half_precision_trains_beside_float32_and_is_named(
    tmp_path: Path, recipe_file: Path, registry: Registry, narrator: Narrator, finished: RunResult
) -> None:
    chosen = load_recipe(recipe_file, ["train.precision=bf16"], registry)
    folder = execute_in(tmp_path / "half", chosen, registry, narrator).folder
    assert json.loads((folder / "manifest.json").read_text())["precision"] == "bfloat16"
    half, full = (
        json.loads((each / "history.jsonl").read_text().splitlines()[-1]) for each in (folder, finished.folder)
    )
    assert half["losses"]["total"] == pytest.approx(full["losses"]["total"], rel=0.05)
    assert half["losses"] != full["losses"]
    with pytest.raises(UserError, match="needs CUDA"):
        execute_in(tmp_path / "no", load_recipe(recipe_file, ["train.precision=fp16"], registry), registry, narrator)
