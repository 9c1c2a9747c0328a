"""Transformer layer over the cells of a map, stylized by the time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framework.blocks import Stylization


class Attention(nn.Module):
    """Multi-head softmax attention of H over [H; F] along the tokens, or over H alone.

    One layer does the work of self- and cross-attention (Zhang et al., section 3.3.2); MotionDiffuse has one of each,
    and by default with linear attention.
    """

    def __init__(self, width: int, heads: int, dropout: float, cross: bool) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm = nn.LayerNorm(width)
        self.norm_condition = nn.LayerNorm(width) if cross else None
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)

    def forward(self, h: Tensor, condition: Tensor | None, mask: Tensor) -> Tensor:
        """Attend from h (R, T, D) to h and, where given, condition (R, T, D); both are real where mask (R, T)."""
        source = normal = self.norm(h)
        # A map without a real cell attends to all of its padding: a softmax over nothing is not a number.
        keys = mask | ~mask.any(dim=1, keepdim=True)
        if self.norm_condition is not None:
            source, keys = torch.cat([normal, self.norm_condition(condition)], dim=1), keys.repeat(1, 2)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(normal), *self.key_value(source).chunk(2, dim=-1))
        )
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, keys[:, None, None], dropout)
        return attended.transpose(1, 2).flatten(2)


class Layer(nn.Module):
    """Attention and feed-forward network, each stylized in a residual branch (MotionDiffuse, with one attention)."""

    def __init__(self, width: int, heads: int, ffn: int, time_width: int, dropout: float, cross: bool) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout, cross)
        self.style_attention = Stylization(width, time_width, None, dropout)
        self.ffn = nn.Sequential(nn.Linear(width, ffn), nn.GELU(), nn.Dropout(dropout), nn.Linear(ffn, width))
        self.style_ffn = Stylization(width, time_width, None, dropout)

    def forward(self, h: Tensor, condition: Tensor | None, time: Tensor, mask: Tensor) -> Tensor:
        """Change h (R, T, D); shapes as in ``Attention``, time (R, time_width)."""
        h = h + self.style_attention(self.attention(h, condition, mask), time, mask)
        return h + self.style_ffn(self.ffn(h), time, mask)


class CellPositions(nn.Module):
    """Learned code of each cell: one of its row and one of its column, of its own scale.

    The paper names none. Rows past the training window share the code of the window's last row: interpolation would
    give a cell another code whenever a longer video is in the batch.
    """

    def __init__(self, clips: int, scales: int, anchors: int, width: int) -> None:
        super().__init__()
        self.rows = nn.ParameterList(nn.Parameter(torch.randn(clips >> k, width) * 0.02) for k in range(scales))
        self.columns = nn.ParameterList(nn.Parameter(torch.randn(anchors, width) * 0.02) for _ in range(scales))

    def forward(self, shapes: tuple[tuple[int, ...], ...]) -> Tensor:
        """Codes (M, width) of the cells of maps of the given shapes."""
        codes = []
        for rows, columns, (height, _) in zip(self.rows, self.columns, shapes, strict=True):
            row = torch.arange(height, device=rows.device).clamp(max=len(rows) - 1)
            codes.append((rows[row][:, None] + columns[None]).flatten(0, 1))
        return torch.cat(codes)
