"""The forward process, and the one way in which a level of noise is laid along a tensor."""

from __future__ import annotations

import torch
from torch import Tensor


def add_noise(x0: Tensor, noise: Tensor, alpha: Tensor | float) -> Tensor:
    """Return x_t = sqrt(alpha) x0 + sqrt(1 - alpha) noise (Ho et al. 2020, eq. 4).

    x0, noise: (R, M, C) signal units. alpha: ``alphas_cumprod`` of t, one number or (R,).
    """
    level = along(alpha, x0)
    return level.sqrt().to(x0) * x0 + (1 - level).sqrt().to(x0) * noise


def along(alpha: Tensor | float, x: Tensor) -> Tensor:
    """Lay ``alpha``, one number or one a row, along the leading dimensions of ``x``, in float64.

    The table's last cosine entry is 2e-9: coefficients are worked out in float64 and cast to ``x`` at the very end.
    """
    level = torch.as_tensor(alpha, dtype=torch.float64)
    return level.reshape(*level.shape, *[1] * (x.dim() - level.dim()))
