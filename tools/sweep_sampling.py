"""Score a trained run again under other sampling settings, without training: a Markdown table.

    python tools/sweep_sampling.py RUN --set sampler.steps=1 --set 'sampler.steps=10 sampler.temperature=1.0'

Each --set is one row of the table and may hold several overrides. The weights are those that the run reports.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from framework.engine import checkpoint
from framework.engine.assemble import assemble
from framework.engine.data import Data, open_data
from framework.engine.environment import choose_device
from framework.engine.evaluate import Settings, evaluate
from framework.engine.localizer import reported
from framework.errors import UserError
from framework.recipe import Recipe, load_recipe
from framework.registry import load_registry


def score(recipe: Recipe, data: Data, weights: Path) -> dict[str, float]:
    """Metrics of ``weights`` on the recipe's test split under the recipe's own process."""
    method = assemble(recipe, data.inputs)
    tensors, _ = checkpoint.load(weights)
    checkpoint.restore(method.modules, tensors, weights)
    method.modules.to(choose_device("auto"))
    metric = recipe.evaluate.metric.part.factory(recipe.evaluate.metric.options)
    settings = Settings(recipe.seed, recipe.evaluate.draws)
    loader, truths = data.loader(data.test, training=False), data.truths(data.test)
    return evaluate(method, method.objectives[0], loader, metric, settings, truths).metrics


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
            found = score(load_recipe(stored, row.split(), registry), data, reported(options.run))
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
