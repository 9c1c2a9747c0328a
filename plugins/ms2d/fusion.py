"""How the noisy map and the fused features become one map of features."""

from __future__ import annotations

from torch import Tensor, nn


class ConcatFusion(nn.Module):
    """``W [H; F] + b`` with ``H = FC(Y_t)``, as ``W_h H + (W_f F + b)``: the second term is the same at every step."""

    def __init__(self, channels: int, map_width: int, cells: int, width: int) -> None:
        super().__init__()
        self.value = nn.Linear(channels, map_width)
        self.from_value = nn.Linear(map_width, width, bias=False)
        self.condition = nn.Linear(cells, width)

    def forward(self, y: Tensor, condition: Tensor) -> Tensor:
        """Noisy map y (R, N, A, C) and ``self.condition`` of the fused features (R, N, A, width)."""
        return self.from_value(self.value(y)) + condition


class MultiplyFusion(nn.Module):
    """``W (H * F) + b`` with ``H = FC(Y_t)`` of the width of F."""

    def __init__(self, channels: int, cells: int, width: int) -> None:
        super().__init__()
        self.value = nn.Linear(channels, cells)
        self.condition = nn.Identity()
        self.out = nn.Linear(cells, width)

    def forward(self, y: Tensor, condition: Tensor) -> Tensor:
        """Noisy map y (R, N, A, C) and fused features (R, N, A, cells)."""
        return self.out(self.value(y) * condition)


class BesideFusion(nn.Module):
    """``H = FC(Y_t)`` alone; the fused features become tokens of the same width, for attention to join the two."""

    def __init__(self, channels: int, cells: int, width: int) -> None:
        super().__init__()
        self.value = nn.Linear(channels, width)
        self.condition = nn.Linear(cells, width)

    def forward(self, y: Tensor, condition: Tensor) -> Tensor:
        """Noisy values y (R, T, C) to tokens (R, T, width); ``condition`` is not read here."""
        return self.value(y)


class NoFusion(nn.Module):
    """The fused features alone: neither the noisy map nor, without stylization, the time reaches the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.condition = nn.Identity()

    def forward(self, y: Tensor, condition: Tensor) -> Tensor:
        """Return ``condition``; y is not read."""
        return condition
