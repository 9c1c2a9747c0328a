"""Sweeps of a run: a plot and a table of each for the page, and the same plot as files of their own."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Final

import attrs
import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from framework.report.axis import Axis
from framework.report.plots import NO_METADATA, Plot, Points, drawable, line_plot
from framework.report.records import RunRecord, Sweep
from framework.report.tables import EMBEDDED, show

FOLDER: Final = "plots"
MARKERS: Final = "osD^vP*X"
MOST_TICKS: Final = 10
"""Values that each get a tick of their own; more would run into each other."""


@attrs.frozen
class SweepView:
    """One sweep as the page shows it. rows: the value, each metric and the time a query, in words."""

    name: str
    note: str
    plot: Plot | None
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def view(sweep: Sweep) -> SweepView:
    """Lay out one sweep."""
    metrics = _metrics(sweep)
    rows = tuple(
        (
            _words(point.value),
            *(show(point.metrics.get(name, math.nan)) for name in metrics),
            show(1000 * point.seconds_a_query, ".3g"),
        )
        for point in sweep.points
    )
    title = f"Metrics against {sweep.label}, percent"
    plot = line_plot(f"sweep-{sweep.name}", title, _series(sweep), _axis(sweep), linear=True)
    note = f"The same weights, split, seed and rule under other values of {sweep.key}; nothing was trained again."
    return SweepView(sweep.name, note, plot, (sweep.label, *metrics, "ms a query"), rows)


def write_plots(record: RunRecord) -> list[Path]:
    """Write ``plots/sweep_<name>.png`` and ``.svg`` into the run's folder and return their paths."""
    written = []
    for sweep in record.sweeps:
        for kind in ("png", "svg"):
            path = record.folder / FOLDER / f"sweep_{sweep.name}.{kind}"
            path.parent.mkdir(exist_ok=True)
            with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": sweep.name}):
                metadata = {"Software": "nlvl"} if kind == "png" else NO_METADATA
                _figure(record, sweep).savefig(path, format=kind, dpi=150, metadata=metadata)
            written.append(path)
    return written


def _figure(record: RunRecord, sweep: Sweep) -> Figure:
    """The plot as it stands alone: whoever meets it elsewhere must see what it was measured on."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for n, (name, points) in enumerate(_series(sweep).items()):
        x, y = np.array(points, dtype=np.float64).T
        y[[not drawable(each) for each in y]] = np.nan
        axes.plot(x, y, marker=MARKERS[n % len(MARKERS)], markersize=4.5, linewidth=1.5, label=name)
    _axis(sweep).draw(axes, "black")
    axes.set_ylabel("percent")
    axes.set_title(_title(record, sweep), fontsize=10, parse_math=False)
    axes.grid(visible=True, alpha=0.25)
    # Beside the lines: a curve of five metrics leaves no corner free.
    for words in axes.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1.01, 1.0)).get_texts():
        words.set_parse_math(False)
    return figure


def _title(record: RunRecord, sweep: Sweep) -> str:
    scores = record.scores
    measured = f"{scores.profile} profile, {scores.split} split, {scores.queries:,} queries, seed {scores.seed}"
    return "\n".join([f"{scores.recipe}: {sweep.label}", measured, *([EMBEDDED] if record.embedded else [])])


def _metrics(sweep: Sweep) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for point in sweep.points for name in point.metrics))


def _series(sweep: Sweep) -> dict[str, Points]:
    """Points by metric, from left to right; a metric that a point lacks is not finite there."""
    placed = sorted(zip(_places(sweep), sweep.points, strict=True), key=lambda entry: entry[0])
    return {name: [(x, point.metrics.get(name, math.nan)) for x, point in placed] for name in _metrics(sweep)}


def _places(sweep: Sweep) -> list[float]:
    """Where each point stands: at its value, or, where values are no numbers, at its number in the list."""
    values = [point.value for point in sweep.points]
    return [float(value) for value in values] if _numeric(sweep) else [float(n) for n in range(len(values))]


def _numeric(sweep: Sweep) -> bool:
    # In Python a bool is an int.
    return all(type(point.value) in (int, float) and drawable(point.value) for point in sweep.points)


def _axis(sweep: Sweep) -> Axis:
    places, words = _places(sweep), [_words(point.value) for point in sweep.points]
    log = sweep.log and _numeric(sweep) and min(places) > 0
    ticked = not _numeric(sweep) or (log and len(places) <= MOST_TICKS)
    whole = all(place.is_integer() for place in places)
    return Axis(sweep.label, log, tuple(zip(places, words, strict=True)) if ticked else (), whole)


def _words(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
