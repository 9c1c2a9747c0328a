"""The two crops of DiffusionVG: clips averaged to a fixed number, and the soft crop of a span."""

from __future__ import annotations

import torch
from torch import Tensor


def average_to(x: Tensor, mask: Tensor, bins: int) -> Tensor:
    """Average the clips of each video into ``bins`` equal stretches: x (V, T, D), mask (V, T) to (V, bins, D).

    Bin i holds the clips from round(i n / bins) up to round((i + 1) n / bins), n real clips a video; a bin without any,
    as in every video of fewer clips than bins, takes the clip that its middle lies in. The released code cuts the last
    bin one clip short, so the end of a longer video is never seen; here it is. Real clips come first.
    """
    real = mask.sum(dim=1).clamp(min=1)[:, None]
    edge = torch.arange(bins + 1, device=x.device)
    # Integers, for a fraction of one clip must not round differently on another machine.
    edges = (2 * edge * real + bins) // (2 * bins)
    first, last = edges[:, :-1], edges[:, 1:]
    middle = (2 * edge[:-1] + 1) * real // (2 * bins)
    empty = first == last
    first, last = torch.where(empty, middle, first), torch.where(empty, middle + 1, last)
    inside = _inside(first, last, x.shape[1]).to(x.dtype)
    return torch.bmm(inside / inside.sum(dim=-1, keepdim=True), x)


def soft_crop(features: Tensor, scores: Tensor, clips: Tensor, spans: Tensor) -> Tensor:
    """Sum the clips inside each span, weighted by the softmax of their scores there (Liang et al. 2024).

    features: (R, L, D). scores: (R, L). clips: (R,) real ones, which come first. spans: (R, M, 2) start and end as
    fractions of the video. Returns (R, M, D).

    A span holds the clips from int(start n) up to int(end n), n real clips; one that holds none, whether short,
    reversed or outside the video, takes the one that it starts in, or the nearest. The released code bounds the end by
    n - 1, so the last clip is left out of every longer span; here it is not. Spans get no gradient, as there.
    """
    real = clips.clamp(min=1)[:, None]
    first, last = (spans.detach() * real[..., None]).long().unbind(-1)
    first = first.clamp(min=0).minimum(real - 1)
    last = last.minimum(real).maximum(first + 1)
    within = scores[:, None].masked_fill(~_inside(first, last, scores.shape[1]), -torch.inf)
    return torch.bmm(within.softmax(dim=-1).to(features), features)


def _inside(first: Tensor, last: Tensor, length: int) -> Tensor:
    """Clips from first (R, M) up to last (R, M), as a mask (R, M, length)."""
    place = torch.arange(length, device=first.device)
    return (place >= first[..., None]) & (place < last[..., None])
