"""Time what this project does in batches against the obvious way to write it: a Markdown table, as ratios of one run.

    python tools/benchmark.py --threads 2
    python tools/benchmark.py matching roi_align --repeat 20 --json times.json

Both sides of a pair run in one process, by turns, and must give the same numbers first. Without a name, all are timed.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import attrs
import torch
from benchmarks.features import features
from benchmarks.matching import matching
from benchmarks.pair import Pair, Work
from benchmarks.roi_align import roi
from benchmarks.scoring import scoring

from framework.errors import UserError

TURN_S: Final = 0.1
BENCHMARKS: Final[dict[str, Callable[[], list[Pair]]]] = {
    "features": features,
    "matching": matching,
    "roi_align": roi,
    "scoring": scoring,
}


@attrs.frozen
class Timing:
    """Median seconds of both sides of a pair."""

    name: str
    case: str
    obvious_s: float
    ours_s: float

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.obvious_s / self.ours_s


class DifferentError(Exception):
    """Both sides of a pair give different numbers."""


def check(name: str, pair: Pair) -> None:
    """Run both sides once; raises DifferentError unless they give the same numbers."""
    wanted, found = pair.obvious(), pair.ours()
    if wanted.keys() != found.keys():
        raise DifferentError(f"{name}, {pair.case}: results {sorted(wanted)} against {sorted(found)}")
    for result, value in wanted.items():
        try:
            torch.testing.assert_close(torch.as_tensor(found[result]), torch.as_tensor(value), rtol=1e-4, atol=1e-5)
        except AssertionError as error:
            raise DifferentError(f"{name}, {pair.case}: {result}: {' '.join(str(error).split())}") from error


def measure(name: str, pair: Pair, repeat: int) -> Timing:
    """Time both sides of a pair by turns, so that whatever else the machine does hits both."""
    check(name, pair)
    turns = [(turn(pair.obvious), turn(pair.ours)) for _ in range(repeat)]
    return Timing(name, pair.case, *map(statistics.median, zip(*turns, strict=True)))


def turn(work: Work) -> float:
    """Seconds of one run, the mean of as many as a turn has room for: a single short one meets a cold cache."""
    begun, runs = time.perf_counter(), 0
    while (spent := time.perf_counter() - begun) < TURN_S:
        work()
        runs += 1
    return spent / runs


def machine() -> dict[str, str | int]:
    """What the times were measured on."""
    return {"cpu": _cpu(), "threads": torch.get_num_threads(), "torch": torch.__version__}


def _cpu() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--threads", type=int, help="threads that torch may use")
    parser.add_argument("--repeat", type=int, default=11, help="turns of each side, of which the median counts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the times there as well")
    try:
        report(parser.parse_args(arguments))
    except (UserError, DifferentError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1
    return 0


def report(options: argparse.Namespace) -> None:
    """Time the benchmarks that were asked for and print them; raises UserError for what cannot be timed."""
    for name in options.names:
        if name not in BENCHMARKS:
            raise UserError(f"NAME = {name}: no such benchmark; there are {', '.join(BENCHMARKS)}")
    for name in ("threads", "repeat"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise UserError(f"--{name} = {value}: must be at least 1")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    print(
        "{cpu}, {threads} threads, torch {torch}; median of {repeat} turns\n".format(**machine(), repeat=options.repeat)
    )
    print("| benchmark | case | obvious, ms | ours, ms | times faster |\n|---|---|---|---|---|", flush=True)
    timings = []
    for name in options.names or BENCHMARKS:
        for pair in BENCHMARKS[name]():
            found = measure(name, pair, options.repeat)
            numbers = f"{1e3 * found.obvious_s:.2f} | {1e3 * found.ours_s:.2f} | {found.ratio:.1f}"
            print(f"| {name} | {pair.case} | {numbers} |", flush=True)
            timings.append({**attrs.asdict(found), "ratio": found.ratio})
    if options.json is not None:
        options.json.write_text(
            json.dumps({**machine(), "repeat": options.repeat, "timings": timings}, indent=2) + "\n"
        )


if __name__ == "__main__":
    sys.exit(main())
