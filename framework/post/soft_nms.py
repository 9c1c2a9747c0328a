"""Gaussian Soft-NMS as a part."""

from __future__ import annotations

import attrs
import torch

from framework.core.options import above, at_least, option
from framework.core.post import PostProcessor
from framework.core.structures import Candidates
from framework.moments.soft_nms import gaussian_decay, soft_nms
from framework.post.rounding import rounded, rounding, stated
from framework.post.select import select


@attrs.frozen
class SoftNmsOptions:
    """Gaussian Soft-NMS."""

    sigma: float = option(0.5, doc="width of the penalty; a smaller one lowers overlapping moments more", rule=above(0))
    top: int = option(5, doc="moments kept a query", rule=at_least(1))
    round_s: float = rounding()


class SoftNms(PostProcessor):
    """Lower the score of each moment that overlaps a better one of the same video, and rank again."""

    def __init__(self, options: SoftNmsOptions) -> None:
        self.options = options
        self.rule = stated(options.round_s) + (
            f"Soft-NMS {options.sigma:g}: a score falls by exp(-IoU^2 / {options.sigma:g}) for each better kept "
            f"moment; first {options.top} kept"
        )

    def __call__(self, candidates: Candidates) -> Candidates:
        candidates = rounded(candidates, self.options.round_s)
        spans = torch.stack([candidates.start, candidates.end], dim=-1)
        decay, top = gaussian_decay(self.options.sigma), min(self.options.top, spans.shape[1])
        kept, score = soft_nms(spans, candidates.score, decay, top, candidates.mask, candidates.place)
        return select(candidates, kept, score)
