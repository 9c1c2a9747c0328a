"""RoIAlign along time: all spans at once, against span by span."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from benchmarks.pair import Pair
from framework.blocks import roi_align
from framework.moments import cxw_to_start_end


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
