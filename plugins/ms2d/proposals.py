"""Features of every candidate moment, by convolutions stacked over clips (MS-2D-TAN, Zhang et al. 2021, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ProposalStack(nn.Module):
    """One map of features a scale; column a of map k holds moments of (a + 1) * 2^k clips.

    Each layer makes the moments of one more length from those of the length before. Map k > 0 goes on from the longest
    moments of map k - 1, halving the rows, and copies its shorter half: even rows and odd columns of map k - 1 are the
    same moments.
    """

    def __init__(self, width: int, scales: int, anchors: int, norm: str) -> None:
        super().__init__()
        self.scales = nn.ModuleList()
        for scale in range(scales):
            first = (1, 1) if scale == 0 else (3, 2)
            sizes = [first] + [(2, 1)] * (anchors // (2 if scale else 1) - 1)
            self.scales.append(nn.ModuleList(ProposalLayer(width, kernel, stride, norm) for kernel, stride in sizes))

    def forward(self, x: Tensor, clips: Tensor) -> list[Tensor]:
        """Features (V, D, N), clips (V,) of them real, N >= anchors * 2^(K-1), to K maps (V, N_k, A, D)."""
        maps: list[Tensor] = []
        for scale, layers in enumerate(self.scales):
            rows, columns = x.shape[-1] if scale == 0 else maps[-1].shape[1] // 2, []
            copied = maps[-1][:, : 2 * rows : 2, 1::2] if scale else x.new_zeros(x.shape[0], rows, 0, x.shape[1])
            for anchor, layer in enumerate(layers, start=copied.shape[2]):
                x = layer(x, (clips >> scale) - anchor)
                columns.append(nn.functional.pad(x, (0, rows - x.shape[-1])).transpose(1, 2))
            maps.append(torch.cat([copied, torch.stack(columns, dim=2)], dim=2))
        return maps


class ProposalLayer(nn.Module):
    """Convolution over clips, batch normalisation, tanh, and zeros where a moment leaves its video."""

    def __init__(self, width: int, kernel: int, stride: int, norm: str) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, kernel, stride)
        self.norm = ClipBatchNorm(width, masked=norm == "masked")

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """Convolve x (V, D, L); of the L' results of video v the first real[v] (V,) lie inside it."""
        x = self.conv(x)
        mask = torch.arange(x.shape[-1], device=x.device) < real[:, None]
        return torch.tanh(self.norm(x, mask)) * mask[:, None]


class ClipBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of (V, D, L), over real positions only where ``masked``.

    The authors' statistics include padding; so do ours by default. A channel with a single value, as in the last layer
    for a batch of one video, has no statistics of its own and takes the running ones, where PyTorch refuses.
    """

    def __init__(self, width: int, masked: bool) -> None:
        super().__init__(width)
        self.masked = masked

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Normalise x (V, D, L), real where mask (V, L)."""
        if not self.training or (int(mask.sum()) if self.masked else mask.numel()) < 2:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        if not self.masked:
            return super().forward(x)
        last = x.transpose(1, 2)
        normal = super().forward(last[mask])
        return torch.zeros_like(last, dtype=normal.dtype).masked_scatter(mask[..., None], normal).transpose(1, 2)
