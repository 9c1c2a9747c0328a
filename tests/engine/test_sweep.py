"""The trained weights under other settings of inference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import framework
from framework.engine import checkpoint
from framework.engine import run as engine_run
from framework.engine.check import check_recipe
from framework.engine.data import open_data
from framework.engine.interrupt import Interrupt
from framework.engine.localizer import reported
from framework.engine.narrate import Narrator
from framework.engine.run import RunResult, execute
from framework.engine.sweep import Sweeper, score
from framework.errors import CheckpointError, Problems, UserError
from framework.recipe import load_recipe
from framework.registry import Registry

CPU = torch.device("cpu")
STEPS = '[[sweep]]\nname = "steps"\nkey = "sampler.steps"\nvalues = [1, 3, 2]\nlabel = "sampling steps"\n'
TOP = '[[sweep]]\nname = "top"\nkey = "post.top"\nvalues = [1, 5]\n'


def swept(path: Path, *sweeps: str) -> Path:
    path.write_text(path.read_text(encoding="utf-8") + "".join(sweeps), encoding="utf-8")
    return path


def ran(path: Path, folder: Path, registry: Registry, narrator: Narrator, **given: Any) -> RunResult:
    return execute(load_recipe(path, (), registry), registry, out=folder, device="cpu", narrator=narrator, **given)


def stored(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "sweeps.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def one_epoch(recipe_file: Path) -> Path:
    recipe_file.write_text(recipe_file.read_text().replace("epochs = 2", "epochs = 1"))
    return recipe_file


def test_each_point_is_what_an_evaluation_with_that_setting_gives(
    one_epoch: Path, tmp_path: Path, registry: Registry, narrator: Narrator
) -> None:
    result = ran(swept(one_epoch, STEPS, TOP), tmp_path / "run", registry, narrator)
    steps, top = stored(result.folder)
    assert (steps["name"], steps["key"], steps["label"], steps["log"]) == (
        "steps",
        "sampler.steps",
        "sampling steps",
        False,
    )
    assert ([point["value"] for point in steps["points"]], top["label"]) == ([1, 3, 2], "post.top")
    for sweep in (steps, top):
        for point in sweep["points"]:
            assert point["seconds_a_query"] > 0
            recipe = load_recipe(one_epoch, (f"{sweep['key']}={point['value']}",), registry)
            alone = score(recipe, open_data(recipe), reported(result.folder), CPU)
            assert point["metrics"] == alone.metrics
    assert steps["points"][1]["metrics"] == result.metrics
    assert top["points"][0]["metrics"]["R5@0.5"] == top["points"][0]["metrics"]["R1@0.5"]
    log = (result.folder / "log.txt").read_text(encoding="utf-8")
    assert "  sweep     steps: 3 values of sampler.steps, after training\n" in log
    assert log.count("\nsweep steps  sampler.steps = ") == 3
    assert load_recipe(result.folder / "recipe.toml", (), registry).sweeps == load_recipe(one_epoch).sweeps


def test_the_own_value_is_measured_once(
    one_epoch: Path, tmp_path: Path, registry: Registry, narrator: Narrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Path] = []
    load = checkpoint.load

    def counted(path: Path, device: torch.device | str = "cpu") -> Any:
        loaded.append(path)
        return load(path, device)

    monkeypatch.setattr(checkpoint, "load", counted)
    ran(swept(one_epoch, STEPS), tmp_path / "run", registry, narrator)
    # The final evaluation, which is the point at 3 steps too, and the other two points.
    assert len(loaded) == 3


def test_a_sweep_leaves_training_as_it_was(
    one_epoch: Path, tmp_path: Path, registry: Registry, narrator: Narrator
) -> None:
    without = ran(one_epoch, tmp_path / "without", registry, narrator)
    beside = ran(swept(one_epoch, STEPS), tmp_path / "beside", registry, narrator)
    assert beside.metrics == without.metrics
    first, second = (load_file(each.folder / "checkpoints/last.safetensors") for each in (without, beside))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not (without.folder / "sweeps.json").exists()


def test_a_run_stopped_while_sweeping_keeps_its_points_and_goes_on(
    one_epoch: Path, tmp_path: Path, registry: Registry, narrator: Narrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, interrupt, write = swept(one_epoch, STEPS, TOP), Interrupt(), Sweeper._write

    def stopping(self: Sweeper) -> None:
        write(self)
        interrupt.requested = True

    monkeypatch.setattr(engine_run, "Interrupt", lambda: interrupt)
    monkeypatch.setattr(Sweeper, "_write", stopping)
    stopped = ran(path, tmp_path / "run", registry, narrator)
    assert not stopped.finished
    assert json.loads((stopped.folder / "manifest.json").read_text())["status"] == "interrupted"
    (partial,) = stored(stopped.folder)
    assert [point["value"] for point in partial["points"]] == [1]
    history = (stopped.folder / "history.jsonl").read_text()
    monkeypatch.undo()
    resumed = ran(path, tmp_path / "run", registry, narrator, resume=True)
    assert resumed.finished
    assert (resumed.folder / "history.jsonl").read_text() == history
    steps, top = stored(resumed.folder)
    assert steps["points"][0] == partial["points"][0]
    assert [[point["value"] for point in sweep["points"]] for sweep in (steps, top)] == [[1, 3, 2], [1, 5]]
    whole = ran(path, tmp_path / "whole", registry, narrator)
    assert [[point["metrics"] for point in sweep["points"]] for sweep in stored(whole.folder)] == [
        [point["metrics"] for point in sweep["points"]] for sweep in (steps, top)
    ]


def test_values_that_need_other_weights_are_refused_before_training(
    recipe_file: Path, tmp_path: Path, registry: Registry, narrator: Narrator
) -> None:
    width = '[[sweep]]\nname = "width"\nkey = "denoiser.map_width"\nvalues = [8, 12]\n'
    layers = '[[sweep]]\nname = "layers"\nkey = "encoder.lstm_layers"\nvalues = [2]\n'
    with pytest.raises(Problems) as error:
        ran(swept(recipe_file, width, layers, STEPS), tmp_path / "run", registry, narrator)
    narrow, deep = error.value.problems
    assert narrow.startswith(
        f"{recipe_file} [sweep.width] denoiser.map_width = 12: a sweep is for settings of inference"
    )
    assert "is of shape (16, 12), and of shape (16, 8) in the recipe. Train a recipe of its own" in narrow
    assert deep.startswith(
        f"{recipe_file} [sweep.layers] encoder.lstm_layers = 2: a sweep is for settings of inference"
    )
    assert "and absent in the recipe" in deep
    assert not (tmp_path / "run").exists()


def test_values_that_contradict_other_options_are_refused_before_training(
    recipe_file: Path, tmp_path: Path, registry: Registry, narrator: Narrator
) -> None:
    path = swept(recipe_file, STEPS.replace("[1, 3, 2]", "[1, 5000]"))
    with pytest.raises(
        Problems, match=r"^\S+ \[sweep\.steps\] sampler\.steps = 5000: \S+ \[sampler\] gaussian: .*5000"
    ):
        ran(path, tmp_path / "run", registry, narrator)


def test_a_check_finds_what_a_run_would_refuse_and_names_what_it_would_do(recipe_file: Path) -> None:
    found = check_recipe(str(swept(recipe_file, STEPS)))
    assert found.problems == []
    assert "sweep steps: 3 values of sampler.steps" in found.facts
    (problem,) = check_recipe(str(recipe_file), ["sweep.steps.key=denoiser.map_width"]).problems[:1]
    assert "a sweep is for settings of inference, but this one changes the weights" in problem


def test_a_number_of_proposals_that_training_never_saw_is_swept(
    spans_file: Path, tmp_path: Path, toys: Registry, narrator: Narrator
) -> None:
    table = '[[sweep]]\nname = "proposals"\nkey = "target.proposals"\nvalues = [1, 4, 30]\nlog = true\n'
    result = ran(swept(spans_file, table), tmp_path / "run", toys, narrator)
    (sweep,) = stored(result.folder)
    few, own, _ = (point["metrics"] for point in sweep["points"])
    assert own == result.metrics
    assert few["R1@0.5"] == few["R5@0.5"]


def test_a_value_that_memory_does_not_hold_is_one_line_and_the_run_goes_on_without_it(
    spans_file: Path, tmp_path: Path, toys: Registry, narrator: Narrator
) -> None:
    table = '[[sweep]]\nname = "a"\nkey = "target.proposals"\nvalues = [2, 1000000000000]\n'
    path, folder = swept(spans_file, table), tmp_path / "run"
    with pytest.raises(UserError) as error:
        ran(path, folder, toys, narrator)
    assert str(error.value) == (
        f"{path} [sweep.a] target.proposals = 1000000000000: memory does not hold that. The run is trained and scored: "
        f"drop the value, or all sweeps by --set sweep=[], and go on with it by --resume --out {folder}."
    )
    assert json.loads((folder / "manifest.json").read_text())["status"] == "interrupted"
    weights, metrics = ((folder / name).read_bytes() for name in ("checkpoints/last.safetensors", "metrics.json"))
    path.write_text(path.read_text().replace("1000000000000", "3"))
    assert ran(path, folder, toys, narrator, resume=True).finished
    (sweep,) = stored(folder)
    assert [point["value"] for point in sweep["points"]] == [2, 3]
    assert (folder / "checkpoints/last.safetensors").read_bytes() == weights
    assert json.loads((folder / "metrics.json").read_text())["metrics"] == json.loads(metrics)["metrics"]


def test_sweeps_of_an_unfinished_run_may_change_and_points_are_known_by_name_key_and_value(
    one_epoch: Path, tmp_path: Path, registry: Registry, narrator: Narrator
) -> None:
    plain, folder = one_epoch.read_text(), tmp_path / "run"

    def again(*sweeps: str) -> list[dict[str, Any]]:
        one_epoch.write_text(plain + "".join(sweeps))
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(manifest | {"status": "interrupted"}))
        assert ran(one_epoch, folder, registry, narrator, resume=True).finished
        return stored(folder)

    ran(swept(one_epoch, STEPS), folder, registry, narrator)
    (before,) = stored(folder)
    more, added = again(STEPS.replace("[1, 3, 2]", "[4, 2, 1]"), TOP)
    assert [point["value"] for point in more["points"]] == [4, 2, 1]
    assert more["points"][1:] == [before["points"][2], before["points"][0]]
    assert [point["value"] for point in added["points"]] == [1, 5]
    (other,) = again(TOP.replace('"top"', '"steps"', 1))
    assert (other["key"], other["points"][0]["metrics"]) == ("post.top", added["points"][0]["metrics"])
    assert again() == []
    with pytest.raises(CheckpointError, match="another recipe"):
        again("[expected]\nmIoU = 3.0\n")


def test_a_sweep_that_changes_nothing_says_so(
    one_epoch: Path, tmp_path: Path, registry: Registry, narrator: Narrator
) -> None:
    still = '[[sweep]]\nname = "{}"\nkey = "sampler.{}"\nvalues = {}\n'
    sweeps = still.format("own", "own_predictions", [0.0, 0.5]), still.format("steps", "steps", [1, 3])
    folder = ran(swept(one_epoch, *sweeps), tmp_path / "run", registry, narrator).folder
    log = (folder / "log.txt").read_text()
    assert log.count("all values gave the same numbers") == 1
    said = "\nsweep own  all values gave the same numbers; inference may not read sampler.own_predictions\n"
    assert said in log


def test_damaged_points_are_refused_in_one_line(
    one_epoch: Path, tmp_path: Path, registry: Registry, narrator: Narrator
) -> None:
    path = swept(one_epoch, STEPS)
    folder = ran(path, tmp_path / "run", registry, narrator).folder
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"status": "interrupted"}))
    for text in ("[{", "[3]", '{"a": 1}', '[{"name": "steps", "points": [{}]}]'):
        (folder / "sweeps.json").write_text(text)
        with pytest.raises(CheckpointError, match=r"sweeps\.json: cannot be read .* Remove it, and its sweeps are"):
            ran(path, folder, registry, narrator, resume=True)


def test_the_curves_of_an_embedded_run_are_drawn_and_say_what_they_are(one_epoch: Path, tmp_path: Path) -> None:
    path = swept(one_epoch, STEPS, "[[embedded.sweep]]\nname = 'fewer'\nkey = 'sampler.steps'\nvalues = [1, 2]\n")
    folder = framework.run(path, out=tmp_path / "run", profile="embedded", device="cpu").folder
    assert sorted(drawn.name for drawn in (folder / "plots").iterdir()) == ["sweep_fewer.png", "sweep_fewer.svg"]
    svg = (folder / "plots/sweep_fewer.svg").read_text(encoding="utf-8")
    assert "tiny: sampler.steps" in svg
    assert "embedded profile, test split, 24 queries" in svg
    assert "not a result on the dataset" in svg
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<h3>fewer</h3>" in page
