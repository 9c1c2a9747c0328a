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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import attrs
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from framework.blocks import roi_align
from framework.core.structures import Condition, Index, Prediction, Rows
from framework.errors import UserError
from framework.moments import cxw_to_start_end, giou, start_end_to_cxw
from framework.targets import Spans, SpansOptions

Work = Callable[[], Mapping[str, Tensor]]
TURN_S: Final = 0.1


@attrs.frozen(eq=False)
class Pair:
    """One line of the table: the same work done twice. Each side returns all its results by name, gradients too."""

    case: str
    obvious: Work
    ours: Work


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
            torch.testing.assert_close(found[result], value, rtol=1e-4, atol=1e-5)
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


def matching(rows: int = 32, proposals: int = 100, moments: int = 5) -> list[Pair]:
    """Loss of a set of spans with bipartite matching, forward and backward."""
    what = f"{rows} x {proposals} proposals x {moments} moments"
    apart, close = (_asked(rows, moments, spread) for spread in (1.0, 0.02))
    return [
        _matched(f"{what}, 1 layer", apart, proposals, 1),
        _matched(f"{what}, 6 layers", apart, proposals, 6),
        # Then they want the same proposals, and no shortcut past the assignment is left.
        _matched(f"{what} close together, 6 layers", close, proposals, 6),
    ]


def _asked(rows: int, moments: int, spread: float) -> Rows:
    """Rows of as many moments each, all within ``spread`` of one another."""
    source = torch.Generator().manual_seed(0)
    ends = (
        torch.rand(rows, 1, 2, generator=source) * (1 - spread)
        + torch.rand(rows, moments, 2, generator=source) * spread
    )
    start, end = ends.sort(dim=-1).values.unbind(-1)
    every, first = torch.arange(rows), torch.zeros_like(start)
    return Rows(Index(every, every[:, None], every), list(torch.stack([first, start, end, first + 1], dim=-1)))


def _matched(case: str, asked: Rows, proposals: int, layers: int) -> Pair:
    """Loss of random spans and logits, and its gradients."""
    source = torch.Generator().manual_seed(1)
    spans, logit = (torch.rand(layers, len(asked), proposals, 2, generator=source) for _ in range(2))
    target = Spans(SpansOptions(train_proposals=proposals))
    slots = target.slots(Condition({}, len(asked)), asked)

    def run(loss: Callable[[Prediction], Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
        leaves = spans.clone().requires_grad_(), logit.clone().requires_grad_()
        answers = [Prediction(x0, {"logit": of}) for x0, of in zip(*leaves, strict=True)]
        terms = loss(attrs.evolve(answers[-1], aux=answers[:-1]))
        total = torch.stack([value.mean() for value in terms.values()]).sum()
        return {**terms, **dict(zip(("of spans", "of logits"), torch.autograd.grad(total, leaves), strict=True))}

    return Pair(
        case,
        lambda: run(lambda pred: loss_by_row(pred, asked, target.options)),
        lambda: run(lambda pred: target.loss(pred, spans[-1], slots, asked)),
    )


def loss_by_row(pred: Prediction, rows: Rows, options: SpansOptions) -> dict[str, Tensor]:
    """The loss of the span target written row by row: cost, assignment and losses of each row of each layer."""
    truths = [start_end_to_cxw(moments[:, 1:3]) for moments in rows.moments]
    layers = []
    for answer in (*pred.aux, pred):
        of_rows = zip(answer.x0, answer.heads["logit"], truths, strict=True)
        layers.append(torch.stack([_of_row(*row, options) for row in of_rows]))
    return dict(zip(("class", "l1", "iou"), torch.stack(layers).sum(dim=0).unbind(dim=1), strict=True))


def _of_row(spans: Tensor, logit: Tensor, truth: Tensor, options: SpansOptions) -> Tensor:
    """Class, L1 and overlap loss, (3,), of one row's proposals (M, 2) and logits (M, 2) against its truths (G, 2)."""
    with torch.no_grad():
        cost = (
            options.cost_l1 * torch.cdist(spans, truth, p=1)
            - options.cost_iou * giou(cxw_to_start_end(spans), cxw_to_start_end(truth))
            - options.cost_class * logit.softmax(dim=-1)[:, :1]
        )
        proposals, order = map(torch.as_tensor, linear_sum_assignment(cost.numpy()))
    matched, wanted = spans[proposals], truth[order]
    label = torch.ones(len(spans), dtype=torch.long)
    label[proposals] = 0
    weight = torch.tensor([1.0, options.background])
    overlap = giou(cxw_to_start_end(matched), cxw_to_start_end(wanted)).diagonal()
    return torch.stack(
        [
            F.cross_entropy(logit, label, weight, reduction="none").mean(),
            (matched - wanted).abs().mean(),
            (1 - overlap).mean(),
        ]
    )


def roi(rows: int = 32, spans: int = 100, clips: int = 75, width: int = 256) -> list[Pair]:
    """RoIAlign along time, forward and backward."""
    source = torch.Generator().manual_seed(0)
    features = torch.randn(rows, clips, width, generator=source).requires_grad_()
    lengths = torch.randint(clips // 2, clips + 1, (rows,), generator=source)
    where = cxw_to_start_end(torch.rand(rows, spans, 2, generator=source))
    pull = torch.randn(rows, spans, 7, width, generator=source)

    def run(align: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Mapping[str, Tensor]:
        crops = align(features, lengths, where)
        (gradient,) = torch.autograd.grad(crops, features, pull)
        return {"crops": crops, "gradient": gradient}

    return [
        Pair(
            f"{rows} x {spans} spans, {clips} clips, width {width}",
            lambda: run(align_by_span),
            lambda: run(roi_align),
        )
    ]


def align_by_span(features: Tensor, lengths: Tensor, spans: Tensor, bins: int = 7, samples: int = 2) -> Tensor:
    """RoIAlign written span by span; arguments and result as ``framework.blocks.roi_align``."""
    place = (torch.arange(bins * samples) + 0.5) / (bins * samples)
    crops = []
    for video, length, own in zip(features, lengths.tolist(), spans * lengths[:, None, None], strict=True):
        for start, end in own.tolist():
            at = start - 0.5 + place * (end - start)
            inside = (at >= -1) & (at <= length)
            at = at.clamp(0, length - 1)
            low = at.long()
            high, share = (low + 1).clamp(max=length - 1), (at - low)[:, None]
            points = (video[low] * (1 - share) + video[high] * share) * inside[:, None]
            crops.append(points.reshape(bins, samples, -1).mean(dim=1))
    return torch.stack(crops).reshape(*spans.shape[:2], bins, -1)


BENCHMARKS: Final[dict[str, Callable[[], list[Pair]]]] = {"matching": matching, "roi_align": roi}


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
