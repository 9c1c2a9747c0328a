"""Curves of sweeps: in the page, and as files that say by themselves what was measured."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.image import imread

from framework.errors import DataError
from framework.report import read_run, write_report
from framework.report.sweeps import view, write_plots

MakeRun = Callable[..., Path]
Parse = Callable[[str], Any]
HOSTILE = "</h3><script>alert(1)</script> $\\frac{ & {{ 7 * 7 }}"


def sweep(values: list[Any], **said: Any) -> dict[str, Any]:
    points = [
        {"value": value, "metrics": {"R1@0.5": 50.0 + n, "mIoU": 40.0 - n}, "seconds_a_query": 0.0015}
        for n, value in enumerate(values)
    ]
    named = {"name": "proposals", "key": "target.proposals", "label": "proposals at inference", "log": False}
    return {**named, "points": points, **said}


def heights(svg: str) -> list[list[float]]:
    """Heights of the points of each line, from the top of the drawing, read back from an SVG of the page."""
    paths = re.findall(r'<path d="([^"]*)"[^>]*stroke: var\(--line-\d\)', svg)
    lines = [[float(y) for y in re.findall(r"[ML] \S+ (\S+)", path)] for path in paths if "C" not in path]
    return [line for line in lines if line]


def test_the_plots_are_files_that_name_recipe_profile_split_and_queries(make_run: MakeRun) -> None:
    folder = make_run(sweeps=[sweep([1, 10]), sweep(["a", "b"], name="words")])
    write_report(folder)
    assert sorted(path.name for path in (folder / "plots").iterdir()) == [
        "sweep_proposals.png",
        "sweep_proposals.svg",
        "sweep_words.png",
        "sweep_words.svg",
    ]
    svg = (folder / "plots/sweep_proposals.svg").read_text(encoding="utf-8")
    for stated in (
        "ms2d_charades: proposals at inference",
        "full profile, test split, 3,720 queries",
        "R1@0.5",
        "mIoU",
    ):
        assert stated in svg
    assert "embedded" not in svg
    image = imread(folder / "plots/sweep_proposals.png")
    assert min(image.shape[:2]) > 400
    assert image[..., :3].min() < 0.5


def test_plots_of_the_embedded_profile_say_so_in_their_title(make_run: MakeRun) -> None:
    folder = make_run("embedded", sweeps=[sweep([1, 10])])
    write_report(folder)
    svg = (folder / "plots/sweep_proposals.svg").read_text(encoding="utf-8")
    assert "embedded profile, test split" in svg
    assert "not a result on the dataset" in svg


def test_plots_are_the_same_when_written_again_and_leave_matplotlib_alone(make_run: MakeRun) -> None:
    record, before = read_run(make_run(sweeps=[sweep([1, 10])])), dict(matplotlib.rcParams)
    first = [path.read_bytes() for path in write_plots(record)]
    assert [path.read_bytes() for path in write_plots(record)] == first
    assert dict(matplotlib.rcParams) == before


def test_the_page_shows_the_curve_and_the_table_of_each_sweep(make_run: MakeRun, parse: Parse) -> None:
    folder = make_run(sweeps=[sweep([5, 1, 10]), sweep([True, False], name="flag", label="a flag")])
    parsed = parse(write_report(folder).read_text(encoding="utf-8"))
    assert parsed.broken == []
    assert "#sweeps" in parsed.values("href")
    ids = parsed.values("id")
    assert len(ids) == len(set(ids))
    tables = [region["aria-label"] for region in parsed.all("div", "scroll")]
    assert tables == ["Table of scores", "Table of sweep proposals", "Table of sweep flag"]
    for stated in ("Metrics against proposals at inference, percent", "51.00", "ms a query", "1.5", "true", "a flag"):
        assert stated in parsed.text
    without = parse(write_report(make_run(sweeps=[])).read_text(encoding="utf-8"))
    assert "#sweeps" not in without.values("href")


def test_points_stand_from_left_to_right_and_rows_as_they_are_listed(make_run: MakeRun) -> None:
    (found,) = read_run(make_run(sweeps=[sweep([5, 1, 10])])).sweeps
    shown = view(found)
    assert [row[0] for row in shown.rows] == ["5", "1", "10"]
    assert shown.columns == ("proposals at inference", "R1@0.5", "mIoU", "ms a query")
    assert shown.plot is not None
    rank, miou = heights(shown.plot.svg)
    # In the order 1, 5, 10 the first metric is 51, 50, 52 and the second 39, 40, 38; the drawing counts downwards.
    assert rank[1] > rank[0] > rank[2]
    assert miou[1] < miou[0] < miou[2]


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize(
    "values", [[1, 5, 100], ["ddim", "ddpm"], [True, False], [[1], [1, 2]], [0, 1.5], [1, "all"], [3]]
)
def test_values_of_any_type_are_drawn(make_run: MakeRun, values: list[Any], log: bool) -> None:
    record = read_run(make_run(sweeps=[sweep(values, log=log)]))
    shown = view(record.sweeps[0])
    assert shown.plot is not None
    assert all(len(line) == len(values) for line in heights(shown.plot.svg))
    svg = write_plots(record)[1].read_text(encoding="utf-8")
    if log or not all(type(value) in (int, float) for value in values):
        fixed = [value if isinstance(value, str) else json.dumps(value) for value in values]
        assert values == [0, 1.5] or all(f">{word}<" in svg for word in fixed)


@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(), min_size=1, max_size=3))
def test_any_value_of_a_metric_can_be_drawn_and_is_told(make_run: MakeRun, scores: list[float]) -> None:
    points = [{"value": n, "metrics": {"mIoU": score}, "seconds_a_query": 1.0} for n, score in enumerate(scores)]
    record = read_run(make_run(sweeps=[sweep([], points=points)]))
    write_plots(record)
    told = [row[1] for row in view(record.sweeps[0]).rows]
    assert [word == "n/a" for word in told] == [not math.isfinite(score) for score in scores]


def test_hostile_words_make_no_element_and_no_formula(make_run: MakeRun, parse: Parse) -> None:
    points = [{"value": HOSTILE, "metrics": {HOSTILE: 1.0}, "seconds_a_query": 1.0}]
    folder = make_run(sweeps=[sweep([], label=HOSTILE, key=HOSTILE, points=points)], scored={"recipe": HOSTILE})
    parsed = parse(write_report(folder).read_text(encoding="utf-8"))
    assert len(parsed.all("script")) == 1
    assert parsed.broken == []
    assert parsed.text.count(HOSTILE) >= 6
    assert "<script" not in (folder / "plots/sweep_proposals.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ({"name": "../escape"}, "must be letters, digits, underscores and hyphens"),
        ({"log": 1}, "must be true or false"),
        ({"points": []}, "must hold a point at least"),
        ({"points": [{"value": 1, "metrics": {}}]}, r"points\[0\].seconds_a_query is missing"),
    ],
)
def test_a_damaged_sweep_is_named(make_run: MakeRun, said: dict[str, Any], rule: str) -> None:
    with pytest.raises(DataError, match=rule):
        read_run(make_run(sweeps=[sweep([1], **said)]))
