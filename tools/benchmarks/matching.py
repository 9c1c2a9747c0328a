"""A set of spans against its moments: the loss of all rows and layers at once, against row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from benchmarks.pair import Pair
from framework.core.structures import Condition, Index, Prediction, Rows
from framework.moments import cxw_to_start_end, giou, start_end_to_cxw
from framework.targets import Spans, SpansOptions


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
