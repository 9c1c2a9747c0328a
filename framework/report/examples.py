"""Examples of a run in the form that the page draws: bars on a time line, and maps with their best cells."""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np

from framework.report.plots import heat_map
from framework.report.records import Example, Grid, Scale
from framework.report.tables import show

TOP: Final = 5
LANE: Final = 3
"""Height of one of the spans that lie below each other in a strip, pixels."""


@attrs.frozen
class Bar:
    """One moment on a time line. left, width: percent of the video. kind: truth or moment."""

    kind: str
    label: str
    left: float
    width: float
    span: str
    score: str


@attrs.frozen
class Box:
    """A cell of a map, percent of the map's sides; ``bottom`` is the shortest length."""

    left: float
    bottom: float
    width: float
    height: float


@attrs.frozen
class Map:
    """One heat map. image: a data URI. peak: its best cell in words."""

    image: str
    peak: str


@attrs.frozen
class ScaleView:
    """The maps of one scale. steps: one a sampling step. best: the cell closest to the truth, None where none is."""

    title: str
    start_s: float
    length_s: float
    truth: Map | None
    steps: tuple[Map, ...]
    best: Box | None


@attrs.frozen
class Strip:
    """The spans after one sampling step on a time line, the best on top. best: the place of that one, in words."""

    label: str
    height: int
    truths: tuple[Bar, ...]
    spans: tuple[Bar, ...]
    best: str
    score: str


@attrs.frozen
class ExampleView:
    """One example. steps: sampling steps shown as maps, 0 where the target has none. strips: those of spans."""

    example: Example
    bars: tuple[Bar, ...]
    scales: tuple[ScaleView, ...]
    steps: int
    strips: tuple[Strip, ...]


def view(example: Example) -> ExampleView:
    """Lay out one example."""
    scales = tuple(_scale(n, scale) for n, scale in enumerate(example.scales))
    steps = max((len(scale.steps) for scale in scales), default=0)
    strips = tuple(_strip(example, n) for n in range(len(example.steps)))
    return ExampleView(example, _bars(example), scales, steps, strips)


def _strip(example: Example, step: int) -> Strip:
    spans = tuple(
        _bar("moment", "", start, end, show(score, ".3f"), example.duration)
        for start, end, score in example.steps[step]
    )
    most = max(len(each) for each in example.steps)
    best, score = (spans[0].span, spans[0].score) if spans else ("none", "")
    return Strip(f"step {step + 1}", LANE * max(most, 1), _truths(example), spans, best, score)


def _truths(example: Example) -> tuple[Bar, ...]:
    return tuple(_bar("truth", "truth", start, end, "", example.duration) for start, end in example.truth)


def _bars(example: Example) -> tuple[Bar, ...]:
    found = [
        ("moment", f"top {n}", start, end, show(score, ".3f"))
        for n, (start, end, score) in enumerate(example.moments[:TOP], start=1)
    ]
    return _truths(example) + tuple(_bar(*each, example.duration) for each in found)


def _bar(kind: str, label: str, start: float, end: float, score: str, duration: float) -> Bar:
    # An annotation may leave the video and a diverged run may write NaN: the bar stays inside, its words are exact.
    left, right = (100 * min(max(np.nan_to_num(at) / duration, 0.0), 1.0) for at in (start, end))
    return Bar(kind, label, left, max(right - left, 0.0), f"{show(start, '.1f')} to {show(end, '.1f')} s", score)


def _scale(number: int, scale: Scale) -> ScaleView:
    starts, lengths = scale.shape
    unit = scale.stride * scale.unit_s
    best = _best(scale.truth) if scale.truth is not None else None
    box = None
    if scale.truth is not None and best is not None and scale.truth[best] > 0:
        box = Box(100 * best[0] / starts, 100 * best[1] / lengths, 100 / starts, 100 / lengths)
    return ScaleView(
        title=f"Scale {number + 1}: {starts} starts, {lengths} lengths, {show(unit, '.3g')} s a cell",
        start_s=starts * unit,
        length_s=lengths * unit,
        truth=None if scale.truth is None else Map(heat_map(scale.truth), _peak(scale, scale.truth)),
        steps=tuple(Map(heat_map(step), _peak(scale, step)) for step in scale.steps),
        best=box,
    )


def _best(grid: Grid) -> tuple[int, int] | None:
    """The cell with the largest value, None where no cell has a finite one."""
    values = np.where(np.ma.getmaskarray(grid) | ~np.isfinite(grid.data), -np.inf, grid.data)
    n, a = np.unravel_index(int(values.argmax()), values.shape)
    return (int(n), int(a)) if np.isfinite(values[n, a]) else None


def _peak(scale: Scale, grid: Grid) -> str:
    broken = int((~np.isfinite(grid.data) & ~np.ma.getmaskarray(grid)).sum())
    suffix = f"; {broken} cells are not finite" if broken else ""
    best = _best(grid)
    if best is None:
        return f"no cell has a value{suffix}"
    start, end = scale.span_s(*best)
    return f"best cell {grid[best]:.2f} at {start:.1f} to {end:.1f} s{suffix}"
