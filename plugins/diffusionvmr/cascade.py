"""Denoising decoder of DiffusionVMR: layers that crop the video at noisy spans and refine them, one after the other."""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from framework.blocks import (
    SlotQueries,
    TimeEmbedding,
    layers_to_run,
    require_exit,
    require_spans,
    roi_align,
    xavier,
)
from framework.core.denoiser import Denoiser, Site
from framework.core.options import at_least, between, one_of, option
from framework.core.structures import Condition, Prediction, Slots
from framework.moments import cxw_to_start_end
from plugins.diffusionvmr.layer import CascadeLayer
from plugins.diffusionvmr.update import UPDATES


@attrs.frozen
class CascadeOptions:
    """Options of ``diffusionvmr.cascade``; its width is that of the encoder's "seq"."""

    layers: int = option(6, doc="denoising layers, each with weights of its own", rule=at_least(1))
    heads: int = option(8, doc="attention heads, a divisor of the width", rule=at_least(1))
    ffn: int = option(2048, doc="hidden width of the feed-forward networks", rule=at_least(1))
    dropout: float = option(0.0, doc="dropout in each layer", rule=between(0, 1))
    bins: int = option(7, doc="stretches that a proposal is cropped to", rule=at_least(1))
    samples: int = option(2, doc="points of the video that each stretch averages", rule=at_least(1))
    clamp_rois: bool = option(True, doc="crop what lies inside the video; without it the rest of a proposal is zeros")
    dynamic: int = option(64, doc="width between the two matrices of the dynamic interaction", rule=at_least(1))
    repool: bool = option(False, doc="start each layer from its own crop instead of the last layer's features")
    update: str = option("delta", doc="how a layer's answer becomes a span", rule=one_of(*UPDATES))
    min_width: float = option(1e-3, doc="least width of a span on entering a layer", rule=between(1e-6, 1))
    queries: int = option(0, doc="learned slot queries, which the one-step process needs; 0 for none", rule=at_least(0))
    exit_layer: int = option(0, doc="layer whose answer counts at inference, 0 for the last", rule=at_least(0))

    def check(self, site: Site) -> None:
        """Refuse what cannot work; raises ValueError."""
        require_exit(self.exit_layer, self.layers)
        require_spans("diffusionvmr.cascade", site.channels)


class Cascade(Denoiser):
    """Six layers that each crop the video at the spans of the one before (Zhao et al. 2023, section 3.4).

    Where the paper is silent this is DiffusionDet (Chen et al. 2022), the method it carries over: features are handed
    from layer to layer, gradients do not pass through spans, the time comes in after each layer's features. Equation 8
    can also be read as a fresh start in each layer: ``repool``. The paper's words say that a layer answers centre and
    width themselves (``update = "absolute"``) and also that each stage refines the last one's proposals, which is
    ``delta``, the default: otherwise the noisy span acts through the crop alone. 7 bins of 2 points are DiffusionDet's.
    """

    requires = frozenset({"seq", "clips"})
    accepts: ClassVar[frozenset[str]] = frozenset({"free"})
    heads = frozenset({"logit"})

    def __init__(self, options: CascadeOptions, site: Site) -> None:
        super().__init__()
        options.check(site)
        self.options, width = options, site.widths["seq"]
        self.time = TimeEmbedding(width, 4 * width, nn.GELU())
        self.queries = SlotQueries(options.queries, width, site.slots) if options.queries else None
        if self.queries is not None and options.update == "absolute":
            # Nothing but the crop reads the span then, and a crop has no gradient: the random offsets stay.
            self.queries.offset.requires_grad_(False)
        self.layers = nn.ModuleList(
            CascadeLayer(
                width,
                options.heads,
                options.ffn,
                options.dropout,
                4 * width,
                options.dynamic,
                options.bins,
                options.update,
            )
            for _ in range(options.layers)
        )
        xavier(self)

    def forward(
        self, x_t: Tensor, t: Tensor, cond: Condition, slots: Slots, previous: Prediction | None = None
    ) -> Prediction:
        time, features, answers = self.time(t), None, []
        spans, learned = (x_t, 0.0) if self.queries is None else self.queries(x_t)
        for layer in layers_to_run(self.layers, self.options.exit_layer, self.training):
            spans = self._entering(spans)
            crops = self._crop(cond, spans)
            if features is None:
                features = crops.mean(dim=2) + learned
            elif self.options.repool:
                features = crops.mean(dim=2)
            features, answer = layer(spans, features, crops, time, slots.mask)
            answers.append(answer)
            spans = answer.x0.detach()
        last: Prediction = attrs.evolve(answers[-1], aux=answers[:-1])
        return last

    def _entering(self, spans: Tensor) -> Tensor:
        """Bring spans (R, M, 2) into the range that noisy ones come in, and no narrower than ``min_width``.

        A delta cannot widen a span of no width. One layer of an untrained network can make a width 6,000 times as
        large, so that those of a few layers together would leave the range of floats; starting from at most 1, no
        answer is larger than that.
        """
        low = spans.new_tensor([0.0, self.options.min_width])
        return torch.minimum(torch.maximum(spans, low), torch.ones_like(low))

    def _crop(self, cond: Condition, spans: Tensor) -> Tensor:
        """Features (R, M, bins, D) of the video at spans (R, M, 2)."""
        options = self.options
        start_end = cxw_to_start_end(spans)
        return roi_align(
            cond.feats["seq"], cond.feats["clips"], start_end, options.bins, options.samples, options.clamp_rois
        )
