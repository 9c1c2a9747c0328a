"""Embedding of the diffusion time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

UNITS = 1000
"""Time is a fraction; its sinusoids were designed for indices up to about a thousand."""


class TimeEmbedding(nn.Module):
    """Sinusoids of the time, then a two-layer network (MotionDiffuse, Zhang et al. 2022).

    width: numbers of the sinusoidal code, even. time_width: numbers of the result. activation: between the layers,
    SiLU by default; DiffusionDet (Chen et al. 2022) has GELU. Its sinusoids
    come first, its cosines second, and its longest wavelength is reached exactly: nothing to the layer that reads them.
    """

    def __init__(self, width: int, time_width: int, activation: nn.Module | None = None) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"TimeEmbedding needs an even width; got {width}")
        self.width = width
        self.mlp = nn.Sequential(
            nn.Linear(width, time_width), activation or nn.SiLU(), nn.Linear(time_width, time_width)
        )

    def forward(self, t: Tensor) -> Tensor:
        """Embed t (R,), fractions in [0, 1], as (R, time_width)."""
        embedded: Tensor = self.mlp(sinusoids(t, self.width))
        return embedded


def sinusoids(t: Tensor, width: int) -> Tensor:
    """Code t (R,), fractions in [0, 1], as (R, width): cosines first, wavelengths from 2 pi to 1e4 * 2 pi indices."""
    half = width // 2
    frequency = torch.exp(torch.arange(half, device=t.device) * (-math.log(1e4) / half))
    angle = t.float()[:, None] * UNITS * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=-1)
