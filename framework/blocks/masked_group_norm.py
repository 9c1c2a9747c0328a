"""Group normalisation whose statistics leave padding out."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MaskedGroupNorm(nn.Module):
    """GroupNorm (Wu and He 2018) over the real cells of each row, channel last.

    Statistics over padding as well would let the longest video of a batch change the prediction of every other.
    """

    def __init__(self, groups: int, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        if width % groups:
            raise ValueError(f"MaskedGroupNorm needs groups that divide the width; got {groups} groups for {width}")
        self.groups, self.eps = groups, eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, mask: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """Normalise x (R, ..., D) by the cells where mask (R, ...) is True.

        scale, shift: (R, D) or None; the result is ``norm(x) * (1 + scale) + shift``. They are folded into the affine
        part, which saves two passes over the map. Cells outside the mask come out finite and mean nothing.
        """
        # Sums over a thousand cells lose too much in half precision, which autocast would otherwise choose for them.
        with torch.autocast(x.device.type, enabled=False):
            centred, variance = self._statistics(x.flatten(1, -2).float(), mask.flatten(1)[:, None].float())
        gain = torch.rsqrt(variance + self.eps) * self.weight
        bias = self.bias.expand_as(gain)
        if scale is not None:
            gain, bias = gain * (1 + scale), bias * (1 + scale)
        if shift is not None:
            bias = bias + shift
        return torch.addcmul(bias[:, None], centred, gain[:, None]).reshape(x.shape).to(x.dtype)

    def _statistics(self, cells: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Cells (R, M, D) less their group's mean, and its variance (R, D); real: (R, 1, M), 1 or 0."""
        count = real.sum(dim=-1).clamp(min=1)
        centred = cells - self._by_group(torch.bmm(real, cells)[:, 0] / count)[:, None]
        return centred, self._by_group(torch.bmm(real, centred.square())[:, 0] / count)

    def _by_group(self, channels: Tensor) -> Tensor:
        """Average (R, D) over each group and hand every channel its group's mean."""
        means = channels.reshape(len(channels), self.groups, -1).mean(dim=-1, keepdim=True)
        return means.expand(-1, -1, channels.shape[-1] // self.groups).flatten(1)
