"""Run folders: what is read, and what is said of a folder that is none or was cut off."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from framework.errors import DataError
from framework.report import print_summary, read_run, write_report
from framework.report.plots import curves

MakeRun = Callable[..., Path]
MANDATORY = ("recipe.toml", "manifest.json", "metrics.json")


def complaint(folder: Path) -> str:
    """The one line that a damaged folder is refused with."""
    with pytest.raises(DataError) as refused:
        read_run(folder)
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_a_record_holds_what_the_run_wrote(make_run: MakeRun) -> None:
    record = read_run(make_run())
    assert record.scores.metrics == {"R1@0.5": 59.25, "R1@0.7": 41.5, "mIoU": 51.0}
    assert record.manifest.data.splits == {"train": 12404, "test": 3720}
    assert [epoch.epoch for epoch in record.history] == [1, 2, 3, 4]
    assert record.history[1].metrics == {"test": {"R1@0.5": 22.0}}
    assert 'name = "ms2d.iou_maps"' in record.recipe
    assert (record.embedded, read_run(make_run("embedded")).embedded) == (False, True)


def test_maps_keep_their_shape_their_mask_and_their_times(make_run: MakeRun) -> None:
    (scale,) = read_run(make_run()).examples[0].scales
    assert [step.shape for step in scale.steps] == [(4, 2), (4, 2)]
    assert np.ma.getmaskarray(scale.steps[1]).nonzero() == (3, 1)
    assert scale.steps[1][1, 0] == 0.7
    assert scale.span_s(1, 0) == (2.5, 5.0)
    assert scale.span_s(0, 1) == (0.0, 5.0)


def test_a_metric_that_is_null_or_nan_is_nan_and_nested_metrics_are_flattened(make_run: MakeRun) -> None:
    found = {"mIoU": None, "R1@0.5": math.nan, "MR-mAP": {"0.5": 54.5, "average": 30.5}}
    metrics = read_run(make_run(scored={"metrics": found})).scores.metrics
    assert math.isnan(metrics["mIoU"])
    assert math.isnan(metrics["R1@0.5"])
    assert (metrics["MR-mAP/0.5"], metrics["MR-mAP/average"]) == (54.5, 30.5)


def test_examples_are_optional(make_run: MakeRun) -> None:
    folder = make_run()
    (folder / "examples.json").unlink()
    assert read_run(folder).examples == ()


@pytest.mark.parametrize("missing", [True, False])
def test_a_run_of_no_epochs_has_no_history_and_still_its_numbers(make_run: MakeRun, missing: bool) -> None:
    folder = make_run(epochs=[])
    if missing:
        (folder / "history.jsonl").unlink()
    record = read_run(folder)
    assert record.history == ()
    assert curves(record) == []
    console = Console(file=io.StringIO(), record=True, width=120)
    print_summary(record, console)
    assert "59.25" in console.export_text()
    assert "59.25" in write_report(folder).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", MANDATORY)
def test_a_missing_mandatory_file_is_named(make_run: MakeRun, name: str) -> None:
    folder = make_run()
    (folder / name).unlink()
    assert name in complaint(folder)


def test_a_folder_that_is_no_run_is_refused_with_the_run_below_it(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run()
    assert f"below it is {folder}" in complaint(tmp_path / "runs")
    assert "is no folder" in complaint(tmp_path / "nowhere")


def test_an_unfinished_run_says_how_to_finish_it(make_run: MakeRun) -> None:
    folder = make_run(said={"status": "interrupted"})
    assert read_run(folder).manifest.status == "interrupted"
    (folder / "metrics.json").unlink()
    assert f"--resume --out {folder}" in complaint(folder)


@pytest.mark.parametrize("name", ["manifest.json", "metrics.json", "examples.json"])
def test_a_json_file_cut_off_anywhere_is_refused_by_name(make_run: MakeRun, name: str) -> None:
    folder = make_run()
    content = (folder / name).read_text()
    for length in range(0, len(content), 23):
        (folder / name).write_text(content[:length])
        assert name in complaint(folder)


def test_a_broken_line_of_the_history_is_named_by_its_number(make_run: MakeRun) -> None:
    folder = make_run()
    history = folder / "history.jsonl"
    history.write_text(history.read_text()[:-5])
    assert "history.jsonl: line 4 is not complete JSON" in complaint(folder)
    history.write_text('{"epoch": 1, "step": "ten"}\n')
    assert 'line 1.step = "ten" must be a whole number' in complaint(folder)


@pytest.mark.parametrize("name", ["manifest.json", "metrics.json"])
def test_a_value_of_the_wrong_type_or_none_is_named_by_its_key(make_run: MakeRun, name: str) -> None:
    folder = make_run()
    content = json.loads((folder / name).read_text())
    for key in content:
        (folder / name).write_text(json.dumps({**content, key: True}))
        assert f"{key} = true must be" in complaint(folder)
        (folder / name).write_text(json.dumps({other: value for other, value in content.items() if other != key}))
        assert f"{key} is missing" in complaint(folder)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"shape": [4, 3]}, r"[0].scales[0].truth"),
        ({"shape": [4]}, "[0].scales[0].shape = [4] must be [starts, lengths]"),
        ({"steps": [[0.5] * 7]}, "must hold 4 x 2 values, one a cell of its shape; it holds 7"),
        ({"unit_s": 0}, "[0].scales[0].unit_s = 0 must be a finite number above 0"),
        ({"stride": 0}, "[0].scales[0].stride = 0 must be a whole number of 1 or more"),
    ],
)
def test_a_map_that_does_not_fit_its_shape_is_refused(make_run: MakeRun, change: dict[str, object], rule: str) -> None:
    folder = make_run()
    examples = json.loads((folder / "examples.json").read_text())
    examples[0]["scales"][0].update(change)
    assert rule in complaint(make_run(examples=examples))


def test_a_moment_without_a_score_is_refused(make_run: MakeRun) -> None:
    examples = json.loads((make_run() / "examples.json").read_text())
    examples[0]["moments"] = [[0.0, 1.0]]
    assert "moments = [[0.0, 1.0]] must hold rows of [start, end, score]" in complaint(make_run(examples=examples))


def test_files_that_disagree_about_the_profile_are_refused(make_run: MakeRun) -> None:
    assert 'is "full" but manifest.json says "embedded"' in complaint(make_run(said={"profile": "embedded"}))
