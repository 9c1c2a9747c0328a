"""RoIAlign along time: features of many spans at once, cut out with sub-clip accuracy."""

from __future__ import annotations

import torch
from torch import Tensor


def roi_align(
    features: Tensor, lengths: Tensor, spans: Tensor, bins: int = 7, samples: int = 2, clamp: bool = False
) -> Tensor:
    """Cut each span out of its row's features as ``bins`` averages of ``samples`` interpolated points each.

    features: (R, L, D), clip i at [i, i + 1). lengths: (R,) real clips, which fraction 1 means. spans: (R, N, 2) start
    and end as fractions; of no length or reversed is legal. clamp: intersect spans with the video first, as noisy ones
    overhang it. Returns (R, N, bins, D). Equal to RoIAlign (He et al. 2017) on a map of one row with half-pixel
    alignment, samples more than half a clip beyond the border being 0. Spans get no gradient, as there.

    Each bin is a weighted sum of clips, so all spans of a row are one matrix product. Real clips come first.
    """
    weights = _weights(spans.detach(), lengths, features.shape[1], bins, samples, clamp)
    return torch.bmm(weights.to(features), features).reshape(*spans.shape[:2], bins, -1)


def _weights(spans: Tensor, lengths: Tensor, length: int, bins: int, samples: int, clamp: bool) -> Tensor:
    """Weight of each clip in each bin, (R, N * bins, length)."""
    wide = spans.clamp(0, 1) if clamp else spans
    real = lengths.to(wide).clamp(min=1)[:, None, None]
    start, end = (wide * real).unbind(-1)
    place = (torch.arange(bins * samples, device=spans.device, dtype=real.dtype) + 0.5) / (bins * samples)
    at = start[..., None] - 0.5 + place * (end - start)[..., None]
    inside = (at >= -1) & (at <= real)
    at = torch.minimum(at.clamp(min=0), real - 1)
    low = at.floor()
    share = at - low
    # Spans of a network that has diverged are no numbers, and no index either: the weights below stay none.
    low_index = low.long().clamp(min=0, max=length - 1)
    # At the last clip the share is 0, so the clamped neighbour counts for nothing.
    high_index = (low_index + 1).clamp(max=length - 1)
    weights = at.new_zeros(*spans.shape[:2], bins, length)
    # On CUDA the sums of a bin's few weights may differ in their last bits from run to run; nothing learns from them.
    for index, weight in ((low_index, 1 - share), (high_index, share)):
        each = (weight * inside / samples).reshape(*spans.shape[:2], bins, samples)
        weights.scatter_add_(3, index.reshape(each.shape), each)
    return weights.flatten(1, 2)
