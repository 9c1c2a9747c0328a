"""Greedy NMS as a part."""

from __future__ import annotations

import attrs
import torch

from framework.core.options import at_least, between, option
from framework.core.post import PostProcessor
from framework.core.structures import Candidates
from framework.moments.nms import nms
from framework.post.rounding import rounded, rounding, stated
from framework.post.select import select


@attrs.frozen
class NmsOptions:
    """Greedy NMS."""

    threshold: float = option(0.49, doc="IoU with a better moment above which one is dropped", rule=between(0, 1))
    top: int = option(5, doc="moments kept a query", rule=at_least(1))
    round_s: float = rounding()


class Nms(PostProcessor):
    """Drop each moment that overlaps a better one of the same video by more than a threshold."""

    def __init__(self, options: NmsOptions) -> None:
        self.options = options
        self.rule = stated(options.round_s) + (
            f"NMS {options.threshold:g}: a moment is dropped if its IoU with a better kept one is > "
            f"{options.threshold:g}; first {options.top} kept"
        )

    def __call__(self, candidates: Candidates) -> Candidates:
        candidates = rounded(candidates, self.options.round_s)
        spans = torch.stack([candidates.start, candidates.end], dim=-1)
        top = min(self.options.top, spans.shape[1])
        kept = nms(spans, candidates.score, self.options.threshold, top, candidates.mask, candidates.place)
        return select(candidates, kept)
