"""Denoiser of MomentDiff: noisy spans ask the clips, each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Final, cast

import attrs
import torch
from torch import Tensor, nn

from framework.blocks import (
    SlotQueries,
    clip_code,
    layers_to_run,
    mlp,
    require_exit,
    require_spans,
    sine_code,
    sinusoids,
    xavier,
)
from framework.core.denoiser import Denoiser, Site
from framework.core.options import at_least, between, option
from framework.core.structures import Condition, Prediction, Slots
from framework.targets import real_clips
from plugins.momentdiff.layer import Memory, SpanLayer

EDGE: Final = 1e-3
"""A centre or width is kept this far from 0 and 1, as the authors' round trip through the logit keeps it."""


@attrs.frozen
class DecoderOptions:
    """Options of ``momentdiff.decoder``; its width is that of the encoder's "seq"."""

    layers: int = option(2, doc="layers, each with an answer", rule=at_least(1))
    heads: int = option(8, doc="attention heads, a divisor of the width", rule=at_least(1))
    ffn: int = option(1024, doc="hidden width of the feed-forward network", rule=at_least(1))
    dropout: float = option(0.1, doc="dropout in the layers", rule=between(0, 1))
    time_gain: float = option(0.1, doc="factor on the sinusoids of the time", rule=at_least(0))
    self_attention: bool = option(False, doc="let the proposals of a row see each other")
    queries: int = option(0, doc="learned slot queries, which a one-step twin needs; 0: none", rule=at_least(0))
    exit_layer: int = option(0, doc="layer whose answer counts at inference; 0: the last", rule=at_least(0))

    def check(self, width: int, channels: int) -> None:
        """Refuse combinations that cannot work with features of ``width``; raises ValueError."""
        require_spans("momentdiff.decoder", channels)
        if width % self.heads:
            raise ValueError(f"heads = {self.heads} must divide the encoder's width = {width}")
        if width % 4:
            raise ValueError(f"the encoder's width = {width} must be a multiple of 4: sines and cosines of two numbers")
        require_exit(self.exit_layer, self.layers)


class SpanDecoder(Denoiser):
    """Cross-attention of spans to clips with conditional positions (Li et al. 2023; Meng et al. 2021).

    A proposal's content is a linear map of its noisy span plus the sinusoids of the time; its position is a sine code
    of centre and width, scaled from layer 2 on by a network of the content. All layers read the noisy span and answer
    through the same norm and heads, so spans are not refined from layer to layer. Proposals do not see each other: the
    released code builds self-attention and never calls it, which ``self_attention`` does. Differences from that code:
    a linear map straight after another is merged into it, and the sinusoids are those of the framework.
    """

    requires = frozenset({"seq", "clips"})
    accepts: ClassVar[frozenset[str]] = frozenset({"free"})
    heads = frozenset({"logit"})

    def __init__(self, options: DecoderOptions, site: Site) -> None:
        super().__init__()
        self.options, self.width = options, site.widths["seq"]
        options.check(width := self.width, site.channels)
        self.content = nn.Linear(2, width)
        self.point = nn.Linear(width, width)
        self.scale = mlp(width, width, width) if options.layers > 1 else None
        self.layers = nn.ModuleList(
            SpanLayer(width, options.heads, options.ffn, options.dropout, options.self_attention)
            for _ in range(options.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.span, self.foreground = nn.Linear(width, 2), nn.Linear(width, 2)
        xavier(self)
        self.queries = SlotQueries(options.queries, width, site.slots) if options.queries else None

    def forward(
        self, x_t: Tensor, t: Tensor, cond: Condition, slots: Slots, previous: Prediction | None = None
    ) -> Prediction:
        """Answer x0 (R, M, 2), centre and width in [0, 1], and "logit" (R, M, 2), index 0 = foreground."""
        spans, content = self._start(x_t, t)
        sine = span_code(spans, self.width)
        at = self.point(sine)
        layers = cast(Sequence[SpanLayer], layers_to_run(self.layers, self.options.exit_layer, self.training))
        answers: list[Prediction] = []
        for layer, memory in zip(layers, self._memory(cond, layers), strict=True):
            scaled = sine * self.scale(content) if answers and self.scale is not None else sine
            content = layer(content, memory, scaled, at, slots.mask, first=not answers)
            answers.append(self._answer(content, slots))
        return attrs.evolve(answers[-1], aux=answers[:-1])

    def _start(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Noisy spans, moved by the queries where there are any, and their content (R, M, width)."""
        feature: Tensor | float = 0.0
        spans = x_t.clamp(EDGE, 1 - EDGE)
        if self.queries is not None:
            spans, feature = self.queries(spans)
        time = self.options.time_gain * sinusoids(t, self.width)
        return spans, self.content(spans) + time[:, None] + feature

    def _answer(self, content: Tensor, slots: Slots) -> Prediction:
        normal = self.norm(content)
        # In half precision a fraction of a long video would be off by clips.
        spans = torch.sigmoid(self.span(normal).float())
        return Prediction(spans * slots.mask[..., None], {"logit": self.foreground(normal)})

    def _memory(self, cond: Condition, layers: Sequence[SpanLayer]) -> list[Memory]:
        """What the proposals ask in each layer."""
        return [cond.once(layer, partial(self._read, cond, layer, first=not n)) for n, layer in enumerate(layers)]

    def _read(self, cond: Condition, layer: SpanLayer, first: bool) -> Memory:
        seq, clips = cond.feats["seq"], cond.feats["clips"]
        code, real = clip_code(clips, seq.shape[1], self.width), real_clips(clips, seq.shape[1])
        return layer.read(seq, code, real, first)


def span_code(spans: Tensor, width: int) -> Tensor:
    """Code spans (R, M, 2) as (R, M, width): the centre in the first half, the width in the second."""
    return sine_code(spans, width // 2).flatten(-2)
