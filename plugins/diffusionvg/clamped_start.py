"""The Gaussian process from the starting state of the released DiffusionVG."""

from __future__ import annotations

from torch import Tensor

from framework.core.noise import Noise
from framework.core.structures import Slots
from framework.moments import cxw_to_start_end
from framework.samplers import Gaussian, GaussianOptions


class ClampedStart(Gaussian):
    """``gaussian`` that begins where the released sampler of DiffusionVG begins (Liang et al. 2024).

    Its noise is clamped to [-1, 1], mapped to [0, 1] and converted from centre and width to start and end; those two
    then enter the network as if they were centre and width in signal units. At scale 2 and temperature 1 the first
    spans have centres of 0.562 +- 0.100 and widths of 0.687 +- 0.101 of the video, correlated by 0.60, where training
    at t = 1 shows 0.500 +- 0.240 for both and no correlation: the network never learns from such states. The published
    numbers were sampled so; use ``gaussian`` for anything else. The temperature applies before the noise is clamped.

    Raises ValueError where training is asked to see starting states: ``corrupt`` would give plain noise instead.
    """

    def __init__(self, options: GaussianOptions) -> None:
        super().__init__(options)
        for name in ("start_share", "start_first"):
            if value := getattr(options, name):
                raise ValueError(
                    f"{name} = {value:g}: training would be given plain noise, not the state that sampling starts "
                    f'from; set {name} to 0, or use name = "gaussian"'
                )

    def start(self, slots: Slots, channels: int, noise: Noise) -> tuple[Tensor, Tensor]:
        """Start and end of clamped noise (R, M, 2), to be read as signal, at the first timestep that is visited.

        Raises ValueError where a slot does not hold two numbers.
        """
        if channels != 2:
            raise ValueError(
                f"diffusionvg.clamped_start starts from spans, centre and width; the target has {channels} channels"
            )
        drawn, t = super().start(slots, channels, noise)
        spans_cxw = (drawn.clamp(-1, 1) + 1) / 2
        return cxw_to_start_end(spans_cxw) * slots.mask[..., None], t
