"""Temporal IoU and generalized IoU of start-end spans."""

from __future__ import annotations

import torch
from torch import Tensor


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of every span of ``a`` with every span of ``b``.

    a: (..., n, 2), b: (..., m, 2), start-end in one unit, leading dimensions broadcast. Returns (..., n, m) in [0, 1].
    A span of no length, or one whose end precedes its start, has IoU 0 with everything, itself included.
    """
    return giou(a, b).clamp(min=0)


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalized IoU (Rezatofighi et al. 2019, algorithm 1) of every span of ``a`` with every span of ``b``.

    Shapes as ``iou``; returns (..., n, m), in [-1, 1] unless a span is reversed. On a line the definition
    IoU - (hull - union) / hull shortens to a signed overlap over the hull: overlapping spans fill their hull, and the
    gap between disjoint ones is the rest of it.
    """
    return giou_of_ends(a[..., :, None, 0], a[..., :, None, 1], b[..., None, :, 0], b[..., None, :, 1])


def giou_of_ends(start_a: Tensor, end_a: Tensor, start_b: Tensor, end_b: Tensor) -> Tensor:
    """Generalized IoU of spans given by their ends, element by element; shapes broadcast."""
    overlap = torch.minimum(end_a, end_b) - torch.maximum(start_a, start_b)
    hull = torch.maximum(end_a, end_b) - torch.minimum(start_a, start_b)
    # Two spans of no length at one point have no hull; dividing by 1 keeps value and gradient finite.
    return overlap / torch.where(hull > 0, hull, torch.ones_like(hull))
