"""Noise schedules: how much of the clean value is left at each timestep."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from framework.errors import UserError, nearest


def schedule(name: str, timesteps: int) -> Tensor:
    """Return ``alphas_cumprod``, (T,) float64, falling from nearly 1 to nearly 0.

    name: "cosine", "linear" or "scaled_linear". timesteps: T, at least 2. Raises UserError for anything else.
    """
    if name not in SCHEDULES:
        raise UserError(
            f'schedule = "{name}": no such noise schedule.{nearest(name, SCHEDULES)} Known: {", ".join(SCHEDULES)}.'
        )
    if timesteps < 2:
        raise UserError(f"timesteps = {timesteps}: a schedule needs at least 2, one clean and one noisy.")
    return torch.cumprod(1 - SCHEDULES[name](timesteps), dim=0)


def linear_betas(timesteps: int) -> Tensor:
    """Betas from 1e-4 to 0.02 in equal steps (Ho et al. 2020, section 4).

    The ends were chosen for T = 1000 and are kept at any T, as the paper prints them; a much shorter schedule therefore
    ends well above pure noise. The cosine schedule does not depend on T in this way.
    """
    return torch.linspace(1e-4, 0.02, timesteps, dtype=torch.float64)


def scaled_linear_betas(timesteps: int) -> Tensor:
    """Betas whose square roots rise in equal steps between the ends of the linear schedule (Rombach et al. 2022)."""
    return torch.linspace(1e-4**0.5, 0.02**0.5, timesteps, dtype=torch.float64) ** 2


def cosine_betas(timesteps: int) -> Tensor:
    """Betas of a squared-cosine ``alphas_cumprod`` (Nichol and Dhariwal 2021, eq. 17), capped at 0.999."""
    level = torch.arange(timesteps + 1, dtype=torch.float64) / timesteps
    kept = torch.cos((level + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - kept[1:] / kept[:-1]).clamp(max=0.999)


SCHEDULES: Final[dict[str, Callable[[int], Tensor]]] = {
    "cosine": cosine_betas,
    "linear": linear_betas,
    "scaled_linear": scaled_linear_betas,
}
