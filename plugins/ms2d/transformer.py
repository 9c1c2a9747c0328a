"""Transformer denoiser of IoU maps: the variants that the paper compares with convolution (table 3)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from framework.blocks import TimeEmbedding
from framework.core.denoiser import Denoiser, Site
from framework.core.options import at_least, one_of, option
from framework.core.structures import Condition, Prediction, Slots
from plugins.ms2d.attention import CellPositions, Layer
from plugins.ms2d.fusion import BesideFusion, ConcatFusion
from plugins.ms2d.layout import Layout
from plugins.ms2d.network import NetworkOptions


@attrs.frozen
class TransformerOptions(NetworkOptions, Layout):
    """Options of ``ms2d.transformer``."""

    width: int = option(512, doc="features a token", rule=at_least(1))
    layers: int = option(8, doc="layers", rule=at_least(1))
    heads: int = option(8, doc="attention heads, a divisor of width", rule=at_least(1))
    ffn: int = option(1024, doc="hidden width of the feed-forward network", rule=at_least(1))
    condition: str = option(
        "cross",
        doc="fused features as further keys, scale by scale (cross) or all scales in one (cross_all), or as channels",
        rule=one_of("cross", "cross_all", "concat"),
    )

    def check(self) -> None:
        """Refuse combinations that cannot work; raises ValueError."""
        if self.width % (2 * self.heads):
            raise ValueError(f"width = {self.width} must be a multiple of 2 * heads = {2 * self.heads}")


class TransformerDenoiser(Denoiser):
    """Cells as tokens (Zhang et al., sections 3.3.2 and 4.3.1).

    ``cross``: queries H, keys and values [H; F] along the tokens, a decoder a scale. ``cross_all``: the same in one
    sequence of all scales with one decoder, the table's "single-scale". ``concat``: self-attention over [H; F] along
    the channels, a decoder a scale. Depth, heads, widths and codes of the cells are not in the paper; the defaults are
    those of MotionDiffuse, which it adopts.
    """

    requires = frozenset({"cells"})
    accepts: ClassVar[frozenset[str]] = frozenset({"cells"})

    def __init__(self, options: TransformerOptions, site: Site) -> None:
        super().__init__()
        options.check()
        self.options, self.reads_previous = options, options.previous
        self.time = TimeEmbedding(options.width, options.time_width)
        self.positions = CellPositions(options.clips, options.scales, options.anchors, options.width)
        decoders = 1 if options.condition == "cross_all" else options.scales
        self.decoders = nn.ModuleList(TransformerDecoder(options, site) for _ in range(decoders))

    def forward(
        self, x_t: Tensor, t: Tensor, cond: Condition, slots: Slots, previous: Prediction | None = None
    ) -> Prediction:
        noisy = self.options.read(x_t, previous)
        time, codes = self.time(t), self.positions(slots.shapes)
        sizes = slots.sizes if len(self.decoders) > 1 else [slots.mask.shape[1]]
        parts = zip(
            self.decoders,
            noisy.split(sizes, dim=1),
            cond.feats["cells"].split(sizes, dim=1),
            codes.split(sizes),
            slots.mask.split(sizes, dim=1),
            strict=True,
        )
        outputs = [
            decoder(y, cond.once(decoder, partial(decoder.fusion.condition, cells)), code, time, mask)
            for decoder, y, cells, code, mask in parts
        ]
        return self.options.answer(torch.cat(outputs, dim=1), slots)


class TransformerDecoder(nn.Module):
    """The network of one sequence of cells."""

    def __init__(self, options: TransformerOptions, site: Site) -> None:
        super().__init__()
        channels, cells, width = options.channels(site.channels), site.widths["cells"], options.width
        self.cross = options.condition != "concat"
        self.fusion = (
            BesideFusion(channels, cells, width) if self.cross else ConcatFusion(channels, width, cells, width)
        )
        self.layers = nn.ModuleList(
            Layer(width, options.heads, options.ffn, options.time_width, options.dropout, self.cross)
            for _ in range(options.layers)
        )
        self.out = nn.Linear(width, site.channels)

    def forward(self, y: Tensor, condition: Tensor, code: Tensor, time: Tensor, mask: Tensor) -> Tensor:
        """Noisy cells y (R, T, C), the fusion's ``condition`` (R, T, D), codes (T, D), mask (R, T)."""
        h = self.fusion(y, condition) + code
        for layer in self.layers:
            h = layer(h, condition + code if self.cross else None, time, mask)
        return self.out(h)
