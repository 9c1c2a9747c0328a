"""Decoder of Moment-DETR as a denoiser that ignores what it is given to denoise."""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framework.blocks import (
    AttentionLayer,
    FeedForward,
    clip_code,
    layers_to_run,
    mlp,
    require_exit,
    require_queries,
    require_spans,
    xavier,
)
from framework.core.denoiser import Denoiser, Site
from framework.core.options import at_least, between, option
from framework.core.structures import Condition, Prediction, Slots
from framework.targets import real_clips


@attrs.frozen
class DecoderOptions:
    """Options of ``momentdetr.decoder``; its width is that of the encoder's "seq"."""

    layers: int = option(2, doc="layers, each with an answer", rule=at_least(1))
    heads: int = option(8, doc="attention heads, a divisor of the width", rule=at_least(1))
    ffn: int = option(1024, doc="hidden width of the feed-forward network", rule=at_least(1))
    dropout: float = option(0.1, doc="dropout in the layers", rule=between(0, 1))
    queries: int = option(10, doc="learned slot queries, one for each proposal of the target", rule=at_least(1))
    words: bool = option(True, doc="attend to the words as well as to the clips")
    exit_layer: int = option(0, doc="layer whose answer counts at inference; 0: the last", rule=at_least(0))

    def check(self, site: Site) -> None:
        """Refuse combinations that cannot work, here or at ``site``; raises ValueError."""
        if site.widths["seq"] % 2:
            raise ValueError(f"the encoder's width = {site.widths['seq']} must be even, half sines and half cosines")
        require_exit(self.exit_layer, self.layers)
        require_spans("momentdetr.decoder", site.channels)
        require_queries(self.queries, site.slots)


class QueryDecoder(Denoiser):
    """Learned queries attend to each other and to the video (Lei et al. 2021, after Carion et al. 2020).

    It reads neither x_t nor t: that is what makes a method discriminative. Use it with the process ``one_step``, under
    which nothing is lost; under another process every step gives the same answer. Slot m has the m-th query. Words have
    no position, as in the authors' code, whose decoder attends to clips and words alike.
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"free"})
    heads = frozenset({"logit"})

    def __init__(self, options: DecoderOptions, site: Site) -> None:
        super().__init__()
        options.check(site)
        self.options, width = options, site.widths["seq"]
        self.requires = frozenset({"seq", "clips", "words", "spoken"} if options.words else {"seq", "clips"})
        self.layers = nn.ModuleList(
            QueryLayer(width, options.heads, options.ffn, options.dropout) for _ in range(options.layers)
        )
        xavier(self)
        self.norm = nn.LayerNorm(width)
        self.queries = nn.Parameter(torch.randn(options.queries, width))
        self.span, self.foreground = mlp(width, width, width, 2), nn.Linear(width, 2)

    def forward(
        self, x_t: Tensor, t: Tensor, cond: Condition, slots: Slots, previous: Prediction | None = None
    ) -> Prediction:
        """Answer x0 (R, M, 2), centre and width in [0, 1], and "logit" (R, M, 2), index 0 = foreground."""
        rows, count = slots.mask.shape
        memory, real, at = self._memory(cond)
        query = self.queries[:count].expand(rows, -1, -1)
        content = torch.zeros_like(query)
        answers: list[Prediction] = []
        for layer in layers_to_run(self.layers, self.options.exit_layer, self.training):
            content = layer(content, query, slots.mask, memory, at, real)
            answers.append(self._answer(self.norm(content), slots))
        return attrs.evolve(answers[-1], aux=answers[:-1])

    def _memory(self, cond: Condition) -> tuple[Tensor, Tensor, Tensor]:
        """Clips and words (R, S, width), which of them are real, and the codes of their positions."""
        seq, clips = cond.feats["seq"], cond.feats["clips"]
        real, at = real_clips(clips, seq.shape[1]), clip_code(clips, *seq.shape[1:])
        if not self.options.words:
            return seq, real, at
        words = cond.feats["words"]
        heard = real_clips(cond.feats["spoken"], words.shape[1])
        both = torch.cat([seq, words.to(seq)], dim=1)
        return both, torch.cat([real, heard], dim=1), F.pad(at, (0, 0, 0, words.shape[1]))

    def _answer(self, normal: Tensor, slots: Slots) -> Prediction:
        # In half precision a fraction of a long video would be off by clips.
        spans = torch.sigmoid(self.span(normal).float())
        return Prediction(spans * slots.mask[..., None], {"logit": self.foreground(normal)})


class QueryLayer(nn.Module):
    """Self-attention among queries, cross-attention to the memory and a feed-forward network, post-norm."""

    def __init__(self, width: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.mix, self.cross = AttentionLayer(width, heads, dropout), AttentionLayer(width, heads, dropout)
        self.ffn = FeedForward(width, ffn, dropout)

    def forward(self, content: Tensor, query: Tensor, mask: Tensor, memory: Tensor, at: Tensor, real: Tensor) -> Tensor:
        """Change content (R, M, D) of slots with queries (R, M, D), real where mask (R, M).

        memory: (R, S, D) at positions ``at`` (R, S, D), real where ``real`` (R, S).
        """
        content = self.mix(content, content, mask, query, query)
        changed: Tensor = self.ffn(self.cross(content, memory, real, query, at))
        return changed
