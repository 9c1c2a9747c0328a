"""Modulation of features by the diffusion time, as detection heads have it."""

from __future__ import annotations

from torch import Tensor, nn


class ScaleShift(nn.Module):
    """``x * (1 + g) + h`` with ``(g, h) = W silu(time)`` (Chen et al. 2022, DiffusionDet).

    Without normalisation or a silent start, unlike ``Stylization``.
    """

    def __init__(self, time_width: int, width: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.SiLU(), nn.Linear(time_width, 2 * width))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Change x (R, M, D) by the embedded time (R, time_width)."""
        gain, shift = self.project(time)[:, None].chunk(2, dim=-1)
        changed: Tensor = x * (1 + gain) + shift
        return changed
