from __future__ import annotations

import pytest
import torch
from torch import Tensor

from framework.core.structures import Index, Prediction, Rows
from framework.moments import giou
from framework.targets import Spans, SpansOptions, truths
from framework.targets.set_loss import Layers, matching_cost
from framework.testing import tiny


def rows_of(*moments: list[tuple[float, float]]) -> Rows:
    ask = torch.arange(len(moments))
    made = [torch.tensor([(0.0, s, e, 1.0) for s, e in each]).reshape(-1, 4) for each in moments]
    return Rows(Index(ask, ask[:, None], ask), made)


def prediction(rows: int, proposals: int, layers: int = 1, seed: int = 0) -> Prediction:
    source = torch.Generator().manual_seed(seed)
    answers = [
        Prediction(
            torch.rand(rows, proposals, 2, generator=source).requires_grad_(),
            {"logit": torch.randn(rows, proposals, 2, generator=source).requires_grad_()},
        )
        for _ in range(layers)
    ]
    return Prediction(answers[-1].x0, answers[-1].heads, answers[:-1])


def loss_of(target: Spans, pred: Prediction, rows: Rows) -> dict[str, Tensor]:
    slots = target.slots(tiny.condition((), len(rows)), rows)
    return target.loss(pred, torch.zeros_like(pred.x0), slots, rows)


def overlap(a: Tensor, b: Tensor) -> float:
    """gIoU of two spans (centre, width), from the definition."""
    (a0, a1), (b0, b1) = ((float(x[0] - x[1] / 2), float(x[0] + x[1] / 2)) for x in (a, b))
    union = max(0.0, min(a1, b1) - max(a0, b0))
    both = (a1 - a0) + (b1 - b0) - union
    hull = max(a1, b1) - min(a0, b0)
    return union / both - (hull - both) / hull


def test_giou_is_the_published_oracle() -> None:
    found = giou(torch.tensor([[0.0, 0.2], [0.5, 1.0]]), torch.tensor([[0.0, 0.3], [0.0, 1.0]]))
    torch.testing.assert_close(found, torch.tensor([[0.6667, 0.2], [-0.2, 0.5]]), atol=1e-4, rtol=0)


def test_the_loss_is_that_of_a_plain_loop_over_rows_and_layers() -> None:
    target = Spans(SpansOptions(train_proposals=6, cost_class=1.0, cost_l1=10.0, cost_iou=2.0, background=0.1))
    rows, pred = rows_of([(0.1, 0.4)], [(0.2, 0.3), (0.5, 0.9)], []), prediction(3, 6, layers=3)
    found = loss_of(target, pred, rows)
    wanted = {name: torch.zeros(3) for name in ("class", "l1", "iou")}
    for answer in (*pred.aux, pred):
        for row, moments in enumerate(rows.moments):
            spans, share = answer.x0[row].detach(), answer.heads["logit"][row].detach().softmax(-1)
            gold = torch.stack([(moments[:, 1] + moments[:, 2]) / 2, moments[:, 2] - moments[:, 1]], -1)
            cost = torch.tensor(
                [
                    [-share[m, 0] + 10 * (spans[m] - g).abs().sum() - 2 * overlap(spans[m], g) for g in gold]
                    for m in range(6)
                ]
            ).reshape(6, -1)
            pairs = best_pairs(cost)
            chosen = {m for m, _ in pairs}
            terms = [-share[m, 0].log() if m in chosen else -0.1 * share[m, 1].log() for m in range(6)]
            wanted["class"][row] += torch.stack(terms).mean()
            for m, g in pairs:
                wanted["l1"][row] += (spans[m] - gold[g]).abs().mean() / len(pairs)
                wanted["iou"][row] += (1 - overlap(spans[m], gold[g])) / len(pairs)
    for name, value in wanted.items():
        torch.testing.assert_close(found[name].detach(), value, atol=1e-5, rtol=1e-5)


def best_pairs(cost: Tensor) -> list[tuple[int, int]]:
    """Cheapest assignment of at most two truths."""
    if cost.shape[1] == 0:
        return []
    if cost.shape[1] == 1:
        return [(int(cost[:, 0].argmin()), 0)]
    pairs = [(a, b) for a in range(6) for b in range(6) if a != b]
    first, second = min(pairs, key=lambda pair: float(cost[pair[0], 0] + cost[pair[1], 1]))
    return [(first, 0), (second, 1)]


def test_without_auxiliary_layers_only_the_last_answer_counts() -> None:
    pred, rows = prediction(2, 4, layers=3), rows_of([(0.1, 0.4)], [(0.3, 0.9)])
    options = {"train_proposals": 4}
    alone = loss_of(Spans(SpansOptions(**options)), Prediction(pred.x0, pred.heads), rows)
    last = loss_of(Spans(SpansOptions(**options, auxiliary=False)), pred, rows)
    every = loss_of(Spans(SpansOptions(**options)), pred, rows)
    for name in alone:
        torch.testing.assert_close(last[name], alone[name])
        assert (every[name] > alone[name]).all()


def test_the_mean_over_the_batch_weighs_a_query_by_its_moments() -> None:
    pred = prediction(2, 5)
    rows = rows_of([(0.1, 0.4)], [(0.1, 0.2), (0.3, 0.5), (0.6, 0.9)])
    by_row, by_batch = (
        loss_of(Spans(SpansOptions(train_proposals=5, mean=mean)), pred, rows)["l1"] for mean in ("row", "batch")
    )
    # Two pairs a row on average: the single one counts half, three count one and a half times.
    torch.testing.assert_close(by_batch, by_row * torch.tensor([0.5, 1.5]))


def test_plain_iou_has_no_gradient_between_disjoint_spans_and_generalized_iou_has() -> None:
    gradients = {}
    for kind in ("iou", "giou"):
        x0 = torch.tensor([[[0.2, 0.1]]], requires_grad=True)
        pred = Prediction(x0, {"logit": torch.zeros(1, 1, 2)})
        term = loss_of(Spans(SpansOptions(train_proposals=1, iou=kind)), pred, rows_of([(0.6, 0.9)]))["iou"]
        (gradients[kind],) = torch.autograd.grad(term.sum(), x0)
    assert not gradients["iou"].any()
    assert gradients["giou"].any()


def test_the_weights_of_the_cost_decide_who_is_matched() -> None:
    spans = torch.tensor([[[0.5, 0.2], [0.3, 0.6]]])
    pred = Prediction(spans, {"logit": torch.tensor([[[0.0, 3.0], [3.0, 0.0]]])})
    truth, _ = truths(rows_of([(0.4, 0.6)]))
    layers = Layers.of(pred, auxiliary=True)
    near = matching_cost(layers, truth, class_weight=0.0, l1_weight=10.0, iou_weight=2.0)
    sure = matching_cost(layers, truth, class_weight=50.0, l1_weight=10.0, iou_weight=2.0)
    assert near[0, :, 0].argmin() == 0
    assert sure[0, :, 0].argmin() == 1


@pytest.mark.parametrize("moment", [(-0.5, 0.2), (0.8, 1.7), (-0.2, 1.2)])
def test_a_moment_that_a_window_cut_is_what_can_be_seen_of_it(moment: tuple[float, float]) -> None:
    spans, known = truths(rows_of([moment]))
    start, end = max(moment[0], 0.0), min(moment[1], 1.0)
    torch.testing.assert_close(spans[0, 0], torch.tensor([(start + end) / 2, end - start]))
    assert known.all()


def test_a_moment_outside_the_window_is_none() -> None:
    spans, known = truths(rows_of([(1.1, 1.5), (0.2, 0.4)], [(-0.5, 0.0)]))
    assert known.tolist() == [[False, True], [False, False]]
    torch.testing.assert_close(spans[0, 1], torch.tensor([0.3, 0.2]))
