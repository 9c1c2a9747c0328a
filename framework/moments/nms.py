"""Greedy non-maximum suppression in one dimension, a batch at once."""

from __future__ import annotations

import torch
from torch import Tensor

from framework.moments.iou import iou


def nms(
    spans: Tensor, scores: Tensor, threshold: float, top: int, mask: Tensor | None = None, group: Tensor | None = None
) -> Tensor:
    """Keep the best span, drop all that overlap it by more than ``threshold``, go on with the rest; at most ``top``.

    spans: (..., n, 2) start-end. scores, mask, group: (..., n); spans of different groups (videos) never drop each
    other. An IoU of exactly ``threshold`` is kept; equal scores go by the lower index. Returns indices of the kept
    spans, best first: (..., top) long filled up with -1 for a batch, (kept,) without filling for a single list.
    """
    order = scores.argsort(dim=-1, descending=True, stable=True)
    # float64, as the field's evaluators: grid moments lie on the knife edge of round thresholds.
    spans_sorted = spans.double().gather(-2, order[..., None].expand_as(spans))
    group_sorted = torch.zeros_like(order) if group is None else group.gather(-1, order)
    alive = torch.ones_like(order, dtype=torch.bool) if mask is None else mask.gather(-1, order)
    kept = order.new_full((*order.shape[:-1], top), -1)
    for place in range(min(top, order.shape[-1])):
        first = alive.byte().argmax(dim=-1, keepdim=True)
        kept[..., place] = torch.where(alive.gather(-1, first), order.gather(-1, first), -1).squeeze(-1)
        overlap = iou_with(spans_sorted, group_sorted, first)
        alive = (alive & (overlap <= threshold)).scatter(-1, first, False)
    return kept if spans.ndim > 2 else kept[kept >= 0]


def iou_with(spans: Tensor, group: Tensor, which: Tensor) -> Tensor:
    """IoU (..., n) of each span with span ``which`` (..., 1) of its list; 0 across groups."""
    chosen = spans.gather(-2, which[..., None].expand(*which.shape, 2))
    return iou(spans, chosen).squeeze(-1) * (group == group.gather(-1, which))
