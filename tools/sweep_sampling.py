"""Score a trained run again under other sampling settings, without training: a Markdown table.

    python tools/sweep_sampling.py RUN --set sampler.steps=1 --set 'sampler.steps=10 sampler.temperature=1.0'

Each --set is one row of the table and may hold several overrides. The weights are those that the run reports. A recipe
that should draw such curves itself has a [[sweep]] table.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from framework.engine.data import open_data
from framework.engine.environment import choose_device
from framework.engine.localizer import reported
from framework.engine.sweep import score
from framework.errors import UserError
from framework.recipe import load_recipe
from framework.registry import load_registry


def main() -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--set", dest="rows", action="append", default=[], metavar="'KEY=VALUE ...'")
    options = parser.parse_args()
    try:
        registry, stored = load_registry(), options.run / "recipe.toml"
        data = open_data(load_recipe(stored, (), registry))
        head = True
        for row in options.rows or [""]:
            recipe = load_recipe(stored, row.split(), registry)
            found = score(recipe, data, reported(options.run), choose_device("auto")).metrics
            if head:
                print(f"| setting | {' | '.join(found)} |\n{'|---' * (len(found) + 1)}|")
            head = False
            print(f"| {row or 'as trained'} | {' | '.join(f'{value:.2f}' for value in found.values())} |", flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
