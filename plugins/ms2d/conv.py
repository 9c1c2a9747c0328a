"""Convolutional denoiser of IoU maps, one decoder a scale."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import attrs
from torch import Tensor, nn

from framework.blocks import GatedConv, Stylization, TimeEmbedding
from framework.core.denoiser import Denoiser, Site
from framework.core.options import at_least, odd, one_of, option
from framework.core.structures import Condition, Prediction, Slots
from plugins.ms2d.fusion import ConcatFusion, MultiplyFusion, NoFusion
from plugins.ms2d.layout import Scales
from plugins.ms2d.network import NetworkOptions


@attrs.frozen
class ConvOptions(NetworkOptions, Scales):
    """Options of ``ms2d.conv``."""

    width: int = option(512, doc="features a cell", rule=at_least(1))
    map_width: int = option(64, doc="features that the noisy value of a cell is projected to", rule=at_least(1))
    layers: int = option(2, doc="gated convolutions a scale", rule=at_least(1))
    kernel: int = option(17, doc="side of the square kernel, cells", rule=odd)
    gate: str = option("single", doc="one gate for all channels or one each", rule=one_of("single", "channel"))
    condition: str = option(
        "concat", doc="how the noisy map meets the fused features", rule=one_of("concat", "multiply")
    )
    stylize_fusion: bool = option(True, doc="let the time in after the fusion layer")
    stylize_conv: bool = option(True, doc="let the time in after each convolution")
    residual: bool = option(True, doc="add each convolution to its input instead of replacing it")
    groups: int = option(32, doc="groups of the normalisation, a divisor of width", rule=at_least(1))
    use_map: bool = option(True, doc="read the noisy map; without it and the time, the network is MS-2D-TAN's")

    def check(self, cells: int) -> None:
        """Refuse combinations that cannot work with fused features of width ``cells``; raises ValueError."""
        if self.stylized and self.width % self.groups:
            raise ValueError(f"groups = {self.groups} must divide width = {self.width}")
        if self.stylized and self.width % 2:
            raise ValueError(f"width = {self.width} must be even, half cosines and half sines of the time")
        if self.stylize_conv and not self.residual:
            raise ValueError("stylize_conv starts as zero and needs residual = true; set one or the other")
        if self.condition == "multiply" and self.map_width != cells:
            raise ValueError(f'condition = "multiply" needs map_width = {cells}, the width of the fused features')
        if not self.use_map:
            self._check_blind(cells)

    def _check_blind(self, cells: int) -> None:
        if self.stylized or self.previous:
            raise ValueError(
                "use_map = false leaves no diffusion: set stylize_fusion, stylize_conv and previous = false"
            )
        if self.width != cells:
            raise ValueError(
                f"use_map = false has no fusion layer and needs width = {cells}, that of the fused features"
            )

    @property
    def stylized(self) -> bool:
        """Whether the time enters anywhere."""
        return self.stylize_fusion or self.stylize_conv


class ConvDenoiser(Denoiser):
    """Stacked gated convolutions with large kernels over [noisy map; fused features] (Zhang et al., section 3.3.2).

    On each scale: ``H = FC(Y_t)``, ``Z = W [H; F]``, ``Z += Sty(Z)``, for every layer ``Z += Sty(GatedConv(Z))``, then
    one linear layer. Decoders of the scales share the embedding of the time and nothing else. The paper gives neither
    the widths nor the wiring of the residuals; a stylization block starts as zero and therefore sits in a residual
    branch. ``multiply`` stands for the paper's "several" multiplicative forms, of which it describes none: here
    ``Z = W (H * F)``. With ``use_map = false`` and no residual this is the map module and head of MS-2D-TAN, weight for
    weight, except that padding is cleared before every convolution.
    """

    requires = frozenset({"cells"})
    accepts: ClassVar[frozenset[str]] = frozenset({"cells"})

    def __init__(self, options: ConvOptions, site: Site) -> None:
        super().__init__()
        options.check(site.widths["cells"])
        self.options, self.reads_previous = options, options.previous
        self.time = TimeEmbedding(options.width, options.time_width) if options.stylized else None
        self.decoders = nn.ModuleList(ConvDecoder(options, site) for _ in range(options.scales))

    def forward(
        self, x_t: Tensor, t: Tensor, cond: Condition, slots: Slots, previous: Prediction | None = None
    ) -> Prediction:
        noisy = self.options.read(x_t, previous)
        time = self.time(t) if self.time is not None else None
        parts = zip(
            self.decoders,
            slots.split(noisy),
            slots.split(cond.feats["cells"]),
            slots.split(slots.mask),
            strict=True,
        )
        outputs = [
            decoder(y, cond.once(decoder, partial(decoder.fusion.condition, cells)), time, mask)
            for decoder, y, cells, mask in parts
        ]
        return self.options.answer(slots.merge(outputs), slots)


class ConvDecoder(nn.Module):
    """The network of one scale."""

    def __init__(self, options: ConvOptions, site: Site) -> None:
        super().__init__()
        self.residual = options.residual
        self.fusion = _fusion(options, site)

        def stylization(wanted: bool) -> Stylization | None:
            return Stylization(options.width, options.time_width, options.groups, options.dropout) if wanted else None

        self.start = stylization(options.stylize_fusion)
        self.layers = nn.ModuleList(
            GatedConv(options.width, options.kernel, options.gate) for _ in range(options.layers)
        )
        self.styles = nn.ModuleList(filter(None, (stylization(options.stylize_conv) for _ in range(options.layers))))
        self.out = nn.Linear(options.width, site.channels)

    def forward(self, y: Tensor, condition: Tensor, time: Tensor | None, mask: Tensor) -> Tensor:
        """Noisy map y (R, N, A, C), the fusion's ``condition`` (R, N, A, D), mask (R, N, A)."""
        z = self.fusion(y, condition)
        if self.start is not None:
            z = z + self.start(z, time, mask)
        for place, conv in enumerate(self.layers):
            branch = conv(z, mask)
            if self.styles:
                branch = self.styles[place](branch, time, mask)
            z = z + branch if self.residual else branch
        return self.out(z)


def _fusion(options: ConvOptions, site: Site) -> nn.Module:
    channels, cells = options.channels(site.channels), site.widths["cells"]
    if not options.use_map:
        return NoFusion()
    if options.condition == "multiply":
        return MultiplyFusion(channels, cells, options.width)
    return ConcatFusion(channels, options.map_width, cells, options.width)
