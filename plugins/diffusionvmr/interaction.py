"""Dynamic interaction: a proposal's own two matrices filter what it has cropped from the video."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DynamicInteraction(nn.Module):
    """``relu(norm(W flatten(relu(norm(relu(norm(r A)) B)))))``, A and B the proposal's own (Sun et al. 2021).

    One linear layer makes A (width, dynamic) and B (dynamic, width) of each proposal. It holds most weights of the
    decoder: 33.6 million a layer at width 512 and dynamic 64.
    """

    def __init__(self, width: int, dynamic: int, bins: int) -> None:
        super().__init__()
        self.shape = (width, dynamic)
        self.generate = nn.Linear(width, 2 * width * dynamic)
        self.norm_in, self.norm_out = nn.LayerNorm(dynamic), nn.LayerNorm(width)
        self.out = nn.Linear(bins * width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor, crops: Tensor) -> Tensor:
        """Filter crops (R, M, bins, D) by features (R, M, D); returns (R, M, D)."""
        # All proposals of all rows in two batched products; each has matrices of its own.
        first, second = self.generate(features).flatten(0, 1).chunk(2, dim=-1)
        x = torch.bmm(crops.flatten(0, 1), first.reshape(-1, *self.shape))
        x = torch.bmm(torch.relu(self.norm_in(x)), second.reshape(-1, *self.shape[::-1]))
        x = torch.relu(self.norm_out(x)).flatten(1)
        return torch.relu(self.norm(self.out(x))).reshape(features.shape)
