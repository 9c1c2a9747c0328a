"""Tabulate finished runs as Markdown: mean and standard deviation over seeds, and differences seed by seed.

    python tools/tabulate_runs.py RUN [RUN ...] [--reference RECIPE]

Reads the run folders alone. Runs of one recipe are grouped. Refuses runs that differ in data, split, rule or profile.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

sys.path.insert(0, str(Path(__file__).parents[1]))

from framework.errors import DataError, UserError
from framework.report import RunRecord, read_run


def tabulate(records: list[RunRecord], reference: str | None) -> list[str]:
    """Lines of one table of metrics and, with a ``reference`` recipe, one of differences to it at equal seeds."""
    _require_comparable(records)
    groups: dict[str, dict[int, RunRecord]] = defaultdict(dict)
    for record in records:
        groups[record.scores.recipe][record.manifest.seed] = record
    names = list(records[0].scores.metrics)
    lines = [f"| recipe | seeds | {' | '.join(names)} | weights | epochs | minutes |", "|---" * (len(names) + 5) + "|"]
    for recipe, runs in groups.items():
        cells = [_spread([run.scores.metrics[name] for run in runs.values()]) for name in names]
        weights = sum(next(iter(runs.values())).manifest.parameters.values())
        minutes = mean(sum(epoch.seconds for epoch in run.history) for run in runs.values()) / 60
        seeds = ", ".join(map(str, sorted(runs)))
        epochs = "/".join(sorted({str(len(run.history)) for run in runs.values()}))
        lines.append(f"| `{recipe}` | {seeds} | {' | '.join(cells)} | {weights:,} | {epochs} | {minutes:.0f} |")
    if reference is None:
        return lines
    if reference not in groups:
        raise DataError(f"--reference {reference}: no such recipe among the runs, which are of {', '.join(groups)}")
    lines += ["", f"| minus `{reference}` | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for recipe, runs in groups.items():
        common = sorted(set(runs) & set(groups[reference]))
        if recipe != reference and common:
            lines.append(f"| `{recipe}` | {' | '.join(_differences(runs, groups[reference], common, names))} |")
    return lines


def _differences(
    runs: dict[int, RunRecord], others: dict[int, RunRecord], seeds: list[int], names: list[str]
) -> list[str]:
    def of(name: str) -> list[float]:
        return [runs[seed].scores.metrics[name] - others[seed].scores.metrics[name] for seed in seeds]

    return [f"{_spread(of(name), sign=True)} ({', '.join(f'{value:+.1f}' for value in of(name))})" for name in names]


def _spread(values: list[float], *, sign: bool = False) -> str:
    shown = f"{mean(values):+.2f}" if sign else f"{mean(values):.2f}"
    return shown + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def _require_comparable(records: list[RunRecord]) -> None:
    first = records[0]
    for record in records[1:]:
        for what, own, other in (
            ("data", first.manifest.data.fingerprint, record.manifest.data.fingerprint),
            ("features", first.manifest.data.features, record.manifest.data.features),
            ("split", first.scores.split, record.scores.split),
            ("rule", first.scores.rule, record.scores.rule),
            ("profile", first.manifest.profile, record.manifest.profile),
        ):
            if own != other:
                raise DataError(
                    f"{record.folder}: {what} is {other}, but {own} in {first.folder}; leave one of them out"
                )


def main() -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--reference", help="recipe that the others are compared with, seed by seed")
    options = parser.parse_args()
    try:
        print("\n".join(tabulate([read_run(run) for run in options.runs], options.reference)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
