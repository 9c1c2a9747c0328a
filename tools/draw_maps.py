"""Draw the maps of one example of a run: the truth, then the prediction after each sampling step, one row a scale.

    python tools/draw_maps.py RUN OUT.png [--example N] [--steps N]

Reads the run folder alone; no model is loaded.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from framework.errors import DataError, UserError
from framework.report import RunRecord, read_run


def draw(record: RunRecord, number: int, steps: int) -> Figure:
    """Draw example ``number`` with ``steps`` of its sampling steps, spread evenly, the last one among them."""
    if not 0 <= number < len(record.examples) or not record.examples[number].scales:
        raise DataError(f"{record.folder}: example {number} has no maps; there are {len(record.examples)} examples")
    example = record.examples[number]
    walked = len(example.scales[0].steps)
    shown = sorted({round((place + 1) * walked / min(steps, walked)) - 1 for place in range(min(steps, walked))})
    figure = Figure(figsize=(1.5 * (len(shown) + 1) + 0.6, 1.6 * len(example.scales) + 1.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(example.scales), len(shown) + 1, squeeze=False)
    for place, (row, scale) in enumerate(zip(axes, example.scales, strict=True)):
        grids = [scale.truth, *(scale.steps[step] for step in shown)]
        titles = ["truth", *(f"step {step + 1} of {walked}" for step in shown)]
        for axis, grid, title in zip(row, grids, titles, strict=True):
            axis.imshow(grid.T, origin="lower", aspect="auto", vmin=0, vmax=1, cmap="viridis", interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_title("" if place else title, fontsize=9)
        row[0].set_ylabel(f"x{scale.stride}\nlength", fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("start", fontsize=8)
    stamp = " (embedded synthetic data)" if record.embedded else ""
    figure.suptitle(f"“{example.query.strip()}”  {record.scores.recipe}{stamp}", fontsize=9)
    return figure


def main() -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--example", type=int, default=0)
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    try:
        draw(read_run(options.run), options.example, options.steps).savefig(options.out, dpi=110)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
