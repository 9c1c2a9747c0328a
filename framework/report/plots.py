"""Curves as inline SVG and maps as inline PNG, drawn on figures of their own: pyplot's global state stays untouched."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

import attrs
import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave

from framework.report.axis import EPOCHS, Axis
from framework.report.records import Grid, RunRecord
from framework.report.tables import show

DASHES: Final = ((1, 0), (6, 2), (2, 2), (6, 2, 2, 2), (10, 3), (1, 3))
"""Dash pattern of each line of a plot in points, so that lines differ without colour; their number bounds a plot."""

# Colours that the style sheet replaces, so that a plot follows the page from light to dark.
INK: Final = "#010203"
LINES: Final = tuple(f"#0102{10 + n}" for n in range(len(DASHES)))
# A diverged loss can be finite and still beyond what ticks can be computed for; zero to the eye has an end too.
LARGEST: Final = 1e30
SMALLEST: Final = 1e-30
NOT_FINITE: Final = (0.86, 0.0, 0.31, 1.0)
NO_METADATA: Final = dict.fromkeys(("Date", "Creator", "Format", "Type"))
"""Of an SVG: with a date in it, the same plot would never be written twice alike."""

Points = Sequence[tuple[float, float]]


@attrs.frozen
class Line:
    """One entry of a legend. index: which of the page's line colours. dash: pattern for SVG.

    last: its last value, empty where the line does not lead up to it.
    """

    name: str
    index: int
    dash: str
    last: str


@attrs.frozen
class Plot:
    """A drawing and the words around it. svg: one element, safe to put into a page as it is."""

    title: str
    svg: Markup
    legend: tuple[Line, ...]
    note: str


def curves(record: RunRecord) -> list[Plot]:
    """Loss, learning rate where it changes, and the metrics of each split, against the epoch."""
    history = record.history
    rates = [(float(epoch.epoch), epoch.lr) for epoch in history]
    plots = [line_plot("loss", "Loss", _series([(epoch.epoch, epoch.losses) for epoch in history]))]
    if len({rate for _, rate in rates}) > 1:
        plots.append(line_plot("lr", "Learning rate", {"learning rate": rates}))
    for n, split in enumerate(dict.fromkeys(split for epoch in history for split in epoch.metrics)):
        points = [(epoch.epoch, epoch.metrics[split]) for epoch in history if split in epoch.metrics]
        plots.append(line_plot(f"metric{n}", f"Metrics on {split}, percent", _series(points)))
    return [plot for plot in plots if plot is not None]


def heat_map(values: Grid) -> str:
    """One pixel a cell as a PNG in a data URI, starts to the right and lengths upwards.

    values: (N, A). Colours span 0 to 1 and values outside take the colour of the end; a masked cell is transparent, a
    cell whose value is not finite red.
    """
    image = values.T[::-1]
    mask, data = np.ma.getmaskarray(image), image.data
    colours = matplotlib.colormaps["viridis"](np.clip(np.nan_to_num(data), 0, 1))
    colours[~np.isfinite(data)] = NOT_FINITE
    colours[mask] = 0
    buffer = io.BytesIO()
    imsave(buffer, colours, format="png", metadata={"Software": "nlvl"})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _series(rows: Sequence[tuple[int, Mapping[str, float]]]) -> dict[str, Points]:
    """Turn (epoch, values by name) into points by name, total first, as it is what training minimises."""
    names = sorted(dict.fromkeys(name for _, values in rows for name in values), key=lambda name: name != "total")
    return {name: [(float(epoch), values[name]) for epoch, values in rows if name in values] for name in names}


def line_plot(
    name: str, title: str, series: Mapping[str, Points], axis: Axis = EPOCHS, *, linear: bool = False
) -> Plot | None:
    """Draw a few lines; None where there is nothing to draw.

    name: makes ids of the page's elements differ. linear: never a logarithmic vertical axis, and no last value.
    """
    drawn = dict(list(series.items())[: len(DASHES)])
    if not drawn:
        return None
    values = [y for points in drawn.values() for _, y in points]
    finite = [y for y in values if drawable(y)]
    lowest, highest = min(finite, default=0.0), max(finite, default=0.0)
    log = not linear and lowest > SMALLEST and highest > 20 * lowest
    notes = (
        [f"the first {len(drawn)} of {len(series)}; the others are in the files"] if len(drawn) < len(series) else []
    )
    notes += ["logarithmic scale"] if log else []
    left_out = len(values) - len(finite)
    notes += [f"left out: {left_out} values that are not finite or beyond {LARGEST:g}"] if left_out else []
    legend = tuple(
        Line(label, n, " ".join(map(str, DASHES[n])) if n else "", "" if linear else show(points[-1][1], ".4g"))
        for n, (label, points) in enumerate(drawn.items())
    )
    return Plot(title, _draw(name, list(drawn.values()), axis, log), legend, "; ".join(notes))


def drawable(value: float) -> bool:
    """Whether a value has a place in a plot."""
    return math.isfinite(value) and abs(value) <= LARGEST


def _draw(name: str, lines: Sequence[Points], axis: Axis, log: bool) -> Markup:
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure = Figure(figsize=(4.8, 2.7), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for n, points in enumerate(lines):
            x, y = np.array(points, dtype=np.float64).T
            y[[not drawable(each) for each in y]] = np.nan
            y[np.abs(y) < SMALLEST] = 0
            axes.plot(x, y, color=LINES[n], dashes=DASHES[n], marker="o", markersize=2.5, linewidth=1.5)
        axis.draw(axes, INK)
        axes.set_yscale("log" if log else "linear")
        axes.tick_params(which="both", colors=INK)
        axes.grid(visible=True, color=INK, alpha=0.15)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["bottom", "left"]].set_color(INK)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata=NO_METADATA)
    return _inline(name, drawn.getvalue())


def _inline(name: str, svg: str) -> Markup:
    """Make a stand-alone SVG fit to stand in a page beside others, in the page's own colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    # Two figures name their elements alike, but an id may stand once a page.
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    for n, colour in enumerate(LINES):
        svg = svg.replace(colour, f"var(--line-{n})")
    svg = svg.replace(INK, "currentColor").replace("<svg ", '<svg aria-hidden="true" ', 1)
    return Markup(svg)
