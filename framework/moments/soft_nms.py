"""Soft-NMS (Bodla et al. 2017) in one dimension, a batch at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from framework.errors import UserError
from framework.moments.nms import iou_with

Decay = Callable[[Tensor], Tensor]
"""The factor by which an overlap with a better span lowers a score."""


def gaussian_decay(sigma: float) -> Decay:
    """Continuous penalty exp(-IoU^2 / sigma) for every overlap."""
    return lambda overlap: torch.exp(-(overlap**2) / sigma)


def linear_decay(threshold: float) -> Decay:
    """Penalty 1 - IoU for an overlap of ``threshold`` or more."""
    return lambda overlap: torch.where(overlap >= threshold, 1 - overlap, 1.0)


def soft_nms(
    spans: Tensor, scores: Tensor, decay: Decay, top: int, mask: Tensor | None = None, group: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Take the best span, lower the scores of all that overlap it, go on with the best of the rest; ``top`` in all.

    Arguments as ``nms``. Returns the indices and the lowered scores, best first: (..., top) filled up with -1 and 0 for
    a batch, without filling for a single list. Raises UserError for scores below 0, which a factor would raise.
    """
    real = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask
    if not bool(((scores >= 0) | ~real).all()):
        raise UserError("soft-NMS multiplies scores, so each must be at least 0; use nms for scores of either sign")
    group = torch.zeros_like(scores, dtype=torch.long) if group is None else group
    current = scores.double().masked_fill(~real, -torch.inf)
    kept = torch.full((*scores.shape[:-1], top), -1, device=scores.device)
    lowered = scores.new_zeros(kept.shape)
    for place in range(min(top, scores.shape[-1])):
        value, best = current.max(dim=-1, keepdim=True)
        found = value >= 0
        kept[..., place] = torch.where(found, best, -1).squeeze(-1)
        lowered[..., place] = torch.where(found, value, 0).squeeze(-1).to(scores)
        factor = decay(iou_with(spans.double(), group, best))
        # Where the factor is 0, -inf of a span that is gone would become NaN.
        current = torch.where(current >= 0, current * factor, -torch.inf).scatter(-1, best, -torch.inf)
    return (kept, lowered) if spans.ndim > 2 else (kept[kept >= 0], lowered[kept >= 0])
