"""Gated 2-D convolution with a large kernel."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GatedConv(nn.Module):
    """``relu(feature(x)) * sigmoid(gate(x))`` on a map, feature and gate in one convolution.

    gate: "single", one gate for all channels (MS-2D-TAN), or "channel", a gate each (Yu et al. 2019).

    The map is cleared outside the mask before it is convolved, at every layer: biases of one layer would otherwise
    reach real cells in the next, and a score would depend on how far its batch pads the video (MS-2D-TAN's own code
    clears only before the first). The weight lies channel last in memory, which the CPU library runs about twice as
    fast.
    """

    def __init__(self, width: int, kernel: int, gate: str = "single") -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"GatedConv needs an odd kernel, so that a map keeps its size; got {kernel}")
        gates = {"single": 1, "channel": width}[gate]
        self.split = (width, gates)
        conv = nn.Conv2d(width, width + gates, kernel, padding=kernel // 2)
        self.conv = conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Convolve x (R, N, A, D) along N and A; mask: (R, N, A)."""
        cleared = (x * mask[..., None]).permute(0, 3, 1, 2)
        feature, gate = self.conv(cleared).permute(0, 2, 3, 1).split(self.split, dim=-1)
        return torch.relu(feature) * torch.sigmoid(gate)
