"""Attention and feed-forward sublayers of post-norm Transformers, as the DETR family builds them."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor, dropout: float = 0.0) -> Tensor:
    """Multi-head softmax attention of projected tensors.

    query: (R, T, heads * d). key: (R, S, heads * d). value: (R, S, heads * e). mask: (R, S), True where a key is real.
    Returns (R, T, heads * e). A row without a real key attends to its padding: a softmax over nothing is not a number.
    """
    query, key, value = (_by_head(x, heads) for x in (query, key, value))
    keys = mask | ~mask.any(dim=1, keepdim=True)
    attended = F.scaled_dot_product_attention(query, key, value, keys[:, None, None], dropout)
    return attended.transpose(1, 2).flatten(2)


def _by_head(x: Tensor, heads: int) -> Tensor:
    return x.reshape(*x.shape[:-1], heads, -1).transpose(1, 2)


class AttentionLayer(nn.Module):
    """``norm(x + dropout(attention))``, post-norm; positions are added to queries and keys, never to values."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"heads = {heads} must divide width = {width}")
        self.heads, self.rate = heads, dropout
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout, self.norm = nn.Dropout(dropout), nn.LayerNorm(width)

    def forward(
        self,
        x: Tensor,
        source: Tensor,
        mask: Tensor,
        x_at: Tensor | float = 0.0,
        source_at: Tensor | float = 0.0,
    ) -> Tensor:
        """Let x (R, T, D) attend to source (R, S, D), real where mask (R, S); x itself for self-attention.

        x_at, source_at: codes of the positions of both, broadcast to them.
        """
        query, key, value = self.query(x + x_at), self.key(source + source_at), self.value(source)
        attended = attend(query, key, value, self.heads, mask, self.rate if self.training else 0.0)
        normal: Tensor = self.norm(x + self.dropout(self.out(attended)))
        return normal


class FeedForward(nn.Module):
    """``norm(x + dropout(W2 dropout(act(W1 x))))``, post-norm."""

    def __init__(self, width: int, hidden: int, dropout: float = 0.0, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.activation = nn.ReLU() if activation is None else activation
        self.dropout, self.norm = nn.Dropout(dropout), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Change each vector of x (R, T, D) by itself."""
        changed = self.out(self.dropout(self.activation(self.hidden(x))))
        normal: Tensor = self.norm(x + self.dropout(changed))
        return normal


class TransformerLayer(nn.Module):
    """Attention to a source, or of a sequence to itself, and a feed-forward network, post-norm."""

    def __init__(
        self, width: int, heads: int, hidden: int, dropout: float = 0.0, activation: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.attention = AttentionLayer(width, heads, dropout)
        self.ffn = FeedForward(width, hidden, dropout, activation)

    def forward(
        self,
        x: Tensor,
        source: Tensor,
        mask: Tensor,
        x_at: Tensor | float = 0.0,
        source_at: Tensor | float = 0.0,
    ) -> Tensor:
        """Change x (R, T, D); arguments as in ``AttentionLayer``."""
        changed: Tensor = self.ffn(self.attention(x, source, mask, x_at, source_at))
        return changed


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers from each width to the next, ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def project_inputs(inputs: int, width: int, dropout: float, layers: int = 2) -> nn.Sequential:
    """``layers`` times LayerNorm, dropout, linear, with ReLU between: how Moment-DETR takes features in (Lei 2021)."""
    blocks: list[nn.Module] = []
    for layer in range(layers):
        given = width if layer else inputs
        blocks += [nn.LayerNorm(given), nn.Dropout(dropout), nn.Linear(given, width), nn.ReLU()]
    return nn.Sequential(*blocks[:-1])


def with_endpoints(x: Tensor, mask: Tensor) -> Tensor:
    """Append to each clip of x (V, T, D), real where mask (V, T), where it starts and ends, as fractions: (V, T, D+2).

    Real clips come first. Padding gets zeros.
    """
    lengths = mask.sum(dim=1, keepdim=True).clamp(min=1)
    start = torch.arange(x.shape[1], device=x.device) / lengths
    ends = torch.stack([start, start + 1 / lengths], dim=-1).to(x)
    return torch.cat([x, ends * mask[..., None]], dim=-1)
