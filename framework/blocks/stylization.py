"""Stylization: how the diffusion time enters a layer."""

from __future__ import annotations

from torch import Tensor, nn

from framework.blocks.masked_group_norm import MaskedGroupNorm


class Stylization(nn.Module):
    """Scale and shift a normalised input by the time, then project it (Zhang et al., MS-2D diffusion, eq. 6).

    Two departures from the equation as printed, both as in MotionDiffuse, where the block comes from. The scale is
    ``1 + lambda_w``: a projection starts near zero, so ``lambda_w`` alone would wipe out the features. The last layer
    starts at zero, so the branch is silent at first; the caller adds the residual. The equation's MLP is an activation
    (named in the text only), dropout and that one layer.

    groups: groups of a ``MaskedGroupNorm`` (convolutional models), or None for LayerNorm (Transformers).
    """

    def __init__(self, width: int, time_width: int, groups: int | None, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if groups is None else MaskedGroupNorm(groups, width)
        self.project = nn.Sequential(nn.SiLU(), nn.Linear(time_width, 2 * width))
        self.out = nn.Sequential(nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, width))
        for parameter in self.out[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, time: Tensor, mask: Tensor) -> Tensor:
        """Stylize x (R, ..., D), real where mask (R, ...), by the embedded time (R, time_width)."""
        scale, shift = self.project(time).chunk(2, dim=-1)
        if isinstance(self.norm, MaskedGroupNorm):
            styled = self.norm(x, mask, scale, shift)
        else:
            row = (x.shape[0],) + (1,) * (x.dim() - 2) + (-1,)
            styled = self.norm(x) * (1 + scale.reshape(row)) + shift.reshape(row)
        branch: Tensor = self.out(styled)
        return branch
