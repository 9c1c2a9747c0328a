"""One decoder layer: content and position of a proposal against those of each clip."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor, nn

from framework.blocks import AttentionLayer, FeedForward, attend, mlp


@attrs.frozen(eq=False)
class Memory:
    """What a layer knows of the clips. key: (R, T, 2 * width). value: (R, T, width). real: (R, T)."""

    key: Tensor
    value: Tensor
    real: Tensor


class SpanLayer(nn.Module):
    """Cross-attention to clips and a feed-forward network with PReLU, post-norm (Meng et al. 2021).

    Query and key are, head by head, content beside position, so that the two are compared apart. The first layer adds
    the position to the content as well.
    """

    def __init__(self, width: int, heads: int, ffn: int, dropout: float, self_attention: bool) -> None:
        super().__init__()
        self.heads, self.rate = heads, dropout
        self.mix = AttentionLayer(width, heads, dropout) if self_attention else None
        self.query, self.query_at = nn.Linear(width, width), nn.Linear(width, width)
        self.key, self.key_at = nn.Linear(width, width), mlp(width, width, width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout, self.norm = nn.Dropout(dropout), nn.LayerNorm(width)
        self.ffn = FeedForward(width, ffn, dropout, nn.PReLU())

    def read(self, seq: Tensor, code: Tensor, real: Tensor, first: bool) -> Memory:
        """Project clips (R, T, width) and the codes of their positions (R, T, width)."""
        content, position = self.key(seq), self.key_at(code)
        return Memory(self._beside(content + position if first else content, position), self.value(seq), real)

    def forward(self, content: Tensor, memory: Memory, sine: Tensor, at: Tensor, mask: Tensor, first: bool) -> Tensor:
        """Change content (R, M, width) of proposals, real where mask (R, M).

        sine: (R, M, width), code of each span, scaled. at: (R, M, width), the position that is added to the content.
        """
        if self.mix is not None:
            content = self.mix(content, content, mask, at, at)
        query = self._beside(self.query(content + at if first else content), self.query_at(sine))
        rate = self.rate if self.training else 0.0
        found = attend(query, memory.key, memory.value, self.heads, memory.real, rate)
        changed: Tensor = self.ffn(self.norm(content + self.dropout(self.out(found))))
        return changed

    def _beside(self, content: Tensor, position: Tensor) -> Tensor:
        """Both (R, S, width), head by head, as (R, S, 2 * width)."""
        split = [x.reshape(*x.shape[:-1], self.heads, -1) for x in (content, position)]
        return torch.cat(split, dim=-1).flatten(-2)
