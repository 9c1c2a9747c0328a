"""Curves and heat maps."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import matplotlib
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.image import imread

from framework.report import read_run
from framework.report.plots import DASHES, LARGEST, NOT_FINITE, Plot, curves, heat_map
from framework.report.records import Epoch, RunRecord

MakeRun = Callable[..., Path]


def trained(record: RunRecord, losses: list[dict[str, float]]) -> RunRecord:
    """The record with another history: one epoch a dictionary of losses, never evaluated."""
    history = [Epoch(n, n, 1.0, 1e-3, values, {}) for n, values in enumerate(losses, start=1)]
    return attrs.evolve(record, history=tuple(history))


def drawn_lines(plot: Plot) -> list[list[float]]:
    """The heights of the points of each line, from the top of the drawing, read back from the SVG."""
    paths = re.findall(r'<path d="([^"]*)"[^>]*stroke: var\(--line-\d\)', plot.svg)
    lines = [[float(y) for y in re.findall(r"[ML] \S+ (\S+)", path)] for path in paths if "C" not in path]
    return [line for line in lines if line]


def pixels(uri: str) -> np.ndarray[Any, Any]:
    return imread(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,"))))


def test_there_is_a_curve_of_the_loss_of_the_rate_and_of_each_split(make_run: MakeRun) -> None:
    plots = curves(read_run(make_run()))
    assert [plot.title for plot in plots] == ["Loss", "Learning rate", "Metrics on test, percent"]
    assert [line.name for line in plots[0].legend] == ["total", "main/mse"]
    assert [line.last for line in plots[0].legend] == ["0.15", "0.125"]


def test_every_epoch_is_a_point_of_its_line_and_a_falling_loss_falls(make_run: MakeRun) -> None:
    total, mse = drawn_lines(curves(read_run(make_run()))[0])
    assert len(total) == len(mse) == 4
    assert total == sorted(total)
    assert all(higher < lower for higher, lower in zip(total, mse, strict=True))


def test_a_learning_rate_that_stays_is_not_drawn(make_run: MakeRun) -> None:
    record = trained(read_run(make_run()), [{"total": 1.0}, {"total": 0.9}])
    assert [plot.title for plot in curves(record)] == ["Loss"]


def test_a_run_without_training_has_no_curves(make_run: MakeRun) -> None:
    assert curves(read_run(make_run(epochs=[]))) == []


def test_a_loss_that_falls_far_is_drawn_on_a_logarithmic_scale(make_run: MakeRun) -> None:
    record = read_run(make_run())
    (near,) = curves(trained(record, [{"total": 1.0}, {"total": 0.5}]))
    (far,) = curves(trained(record, [{"total": 1.0}, {"total": 0.001}]))
    assert (near.note, far.note) == ("", "logarithmic scale")


def test_more_lines_than_a_plot_can_tell_apart_are_counted_not_hidden(make_run: MakeRun) -> None:
    losses = {f"term{n}": 1.0 + n for n in range(len(DASHES) + 3)}
    (plot,) = curves(trained(read_run(make_run()), [losses]))
    assert len(plot.legend) == len(DASHES)
    assert f"the first {len(DASHES)} of {len(DASHES) + 3}" in plot.note


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.floats(), min_size=1, max_size=4))
def test_any_loss_can_be_drawn_and_what_has_no_place_is_counted(
    make_run: MakeRun, parse: Callable[[str], Any], values: list[float]
) -> None:
    (plot,) = curves(trained(read_run(make_run()), [{"total": value} for value in values]))
    broken = sum(not math.isfinite(value) or abs(value) > LARGEST for value in values)
    assert parse(plot.svg).broken == []
    assert (f"left out: {broken} values" in plot.note) == (broken > 0)


def test_names_with_formula_signs_are_no_formulas(make_run: MakeRun) -> None:
    (plot,) = curves(trained(read_run(make_run()), [{"_$\\frac$": 1.0}]))
    assert plot.legend[0].name == "_$\\frac$"


def test_drawing_leaves_the_settings_of_matplotlib_as_they_were(make_run: MakeRun) -> None:
    before = dict(matplotlib.rcParams)
    curves(read_run(make_run()))
    assert dict(matplotlib.rcParams) == before


def test_a_heat_map_shows_starts_to_the_right_and_lengths_upwards() -> None:
    values = np.ma.MaskedArray(np.zeros((3, 2)))
    values[2, 0] = 1.0
    image = pixels(heat_map(values))
    assert image.shape == (2, 3, 4)
    bright = image[..., :3].sum(-1)
    assert np.unravel_index(bright.argmax(), bright.shape) == (1, 2)


def test_masked_cells_are_transparent_and_values_that_are_not_finite_stand_out() -> None:
    values = np.ma.MaskedArray([[0.2, math.nan], [math.inf, 0.2]], mask=[[False, False], [False, True]])
    image = pixels(heat_map(values))
    assert image[0, 1, 3] == 0
    np.testing.assert_allclose(image[0, 0], NOT_FINITE, atol=1 / 255)
    np.testing.assert_allclose(image[1, 1], NOT_FINITE, atol=1 / 255)
    assert image[1, 0, 3] == 1


def test_one_value_has_one_colour_in_every_map() -> None:
    low, high = np.ma.MaskedArray([[0.5, 0.1]]), np.ma.MaskedArray([[0.5, 7.0]])
    first, second = pixels(heat_map(low)), pixels(heat_map(high))
    np.testing.assert_array_equal(first[1, 0], second[1, 0])
    np.testing.assert_array_equal(second[0, 0], pixels(heat_map(np.ma.MaskedArray([[1.0]])))[0, 0])
