"""Denoiser of DiffusionVG: spans refined layer by layer, each from the clips that it covers."""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from framework.blocks import (
    AttentionLayer,
    FeedForward,
    ScaleShift,
    SlotQueries,
    TimeEmbedding,
    layers_to_run,
    mlp,
    require_exit,
    require_spans,
    xavier,
)
from framework.core.denoiser import Denoiser, Site
from framework.core.options import at_least, between, one_of, option
from framework.core.structures import Condition, Prediction, Slots
from framework.moments import cxw_to_start_end
from plugins.diffusionvg.crop import soft_crop


@attrs.frozen
class CascadeOptions:
    """Options of ``diffusionvg.cascade``, which is as wide as the encoder's "seq"."""

    layers: int = option(2, doc="layers, each with an answer; the Charades script has 4", rule=at_least(1))
    heads: int = option(8, doc='attention heads where interaction = "self", a divisor of the width', rule=at_least(1))
    ffn: int = option(1024, doc="hidden features of the feed-forward network", rule=at_least(1))
    dropout: float = option(0.1, doc="dropout in every layer", rule=between(0, 1))
    time_width: int = option(1024, doc="features of the embedded time", rule=at_least(1))
    interaction: str = option(
        "linear",
        doc="what a proposal reads: its own crop by a linear map (released), or the crops of its row by attention",
        rule=one_of("linear", "self"),
    )
    update: str = option(
        "sigmoid",
        doc="new width: sigmoid of the old one plus a change (released), or of its logit plus a change",
        rule=one_of("sigmoid", "logit"),
    )
    centre_weight: float = option(2.0, doc="a predicted change of the centre is divided by this", rule=at_least(1e-3))
    queries: int = option(0, doc="learned slot queries; 0 = none, as published", rule=at_least(0))
    exit_layer: int = option(0, doc="layer whose answer inference returns; 0 = the last", rule=at_least(0))


class CascadeDenoiser(Denoiser):
    """Soft crop of each span, a layer on it, a new span, and again (Liang et al. 2024, from the released code).

    The last layer's spans are the answer, the earlier ones its ``aux``; no gradient runs from a layer's answer through
    the spans it was given. There is no class: the target scores by voting. A centre may leave [0, 1], as there.

    What the released layer calls cross-attention is over sequences of one, so its softmax is 1 and its output a linear
    map of the crop: ``interaction = "linear"``. It also takes rows for proposals and proposals for rows, so that a
    prediction depends on the batch around it; that is not repeated. ``interaction = "self"`` is what attention could
    have meant: each proposal attends to the crops of all proposals of its row. Every network here starts from weights
    of its own; the released ones reset the random generator, and so start alike. A bound on the change of the width is
    left out: it guards an exponential that is no longer there.

    Raises ValueError for an odd width, heads that do not divide it, or an exit_layer beyond the last.
    """

    requires = frozenset({"seq", "clips"})
    accepts: ClassVar[frozenset[str]] = frozenset({"free"})

    def __init__(self, options: CascadeOptions, site: Site) -> None:
        super().__init__()
        width = site.widths["seq"]
        if width % 2:
            raise ValueError(f"the encoder's width = {width} must be even, half cosines and half sines of the time")
        require_exit(options.exit_layer, options.layers)
        require_spans("diffusionvg.cascade", site.channels)
        self.options = options
        # A bias would cancel in the softmax.
        self.score = nn.Linear(width, 1, bias=False)
        self.time = TimeEmbedding(width, options.time_width, nn.GELU())
        self.layers = nn.ModuleList(CascadeLayer(options, width) for _ in range(options.layers))
        xavier(self)
        self.queries = SlotQueries(options.queries, width, site.slots) if options.queries else None

    def forward(
        self, x_t: Tensor, t: Tensor, cond: Condition, slots: Slots, previous: Prediction | None = None
    ) -> Prediction:
        seq, clips = cond.feats["seq"], cond.feats["clips"]
        scores, time = self.score(seq)[..., 0], self.time(t)
        spans, query = (x_t, 0.0) if self.queries is None else self.queries(x_t)
        content, answers = None, []
        for layer in layers_to_run(self.layers, self.options.exit_layer, self.training):
            crop = soft_crop(seq, scores, clips, cxw_to_start_end(spans)) + query
            spans, content = layer(spans, crop, content, time, slots.mask)
            answers.append(Prediction(spans * slots.mask[..., None]))
            spans = spans.detach()
        return attrs.evolve(answers[-1], aux=tuple(answers[:-1]))


class CascadeLayer(nn.Module):
    """One layer of the cascade, with weights of its own."""

    def __init__(self, options: CascadeOptions, width: int) -> None:
        super().__init__()
        self.options = options
        self.place = mlp(2, width, width)
        self.interact = (
            AttentionLayer(width, options.heads, options.dropout)
            if options.interaction == "self"
            else OwnCrop(width, options.dropout)
        )
        self.ffn = FeedForward(width, options.ffn, options.dropout)
        self.modulate = ScaleShift(options.time_width, width)
        self.change = mlp(width, width, width, 2)

    def forward(
        self, spans_cxw: Tensor, crop: Tensor, content: Tensor | None, time: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Change spans_cxw (R, M, 2), fractions, and content (R, M, D), None in the first layer, where the crop is it.

        crop: (R, M, D), the clips of each span. time: (R, time_width). mask: (R, M), real proposals.
        """
        crop = crop + self.place(cxw_to_start_end(spans_cxw))
        content = self.ffn(self.interact(crop if content is None else content, crop, mask))
        centre, width = spans_cxw.unbind(-1)
        move, grow = self.change(self.modulate(content, time)).unbind(-1)
        # The released update adds to the width itself: a change of nothing makes 0.5 of width 0 and 0.73 of width 1.
        old = torch.logit(width, eps=1e-3) if self.options.update == "logit" else width
        return torch.stack([centre + move / self.options.centre_weight, torch.sigmoid(old + grow)], dim=-1), content


class OwnCrop(nn.Module):
    """``norm(content + dropout(W crop))``: attention over a sequence of one, called as ``AttentionLayer`` is."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.project, self.dropout, self.norm = nn.Linear(width, width), nn.Dropout(dropout), nn.LayerNorm(width)

    def forward(self, content: Tensor, crop: Tensor, mask: Tensor) -> Tensor:
        """Change content (R, M, D) by crop (R, M, D); no proposal sees another, so mask is not read."""
        normal: Tensor = self.norm(content + self.dropout(self.project(crop)))
        return normal
