"""Which timesteps a sampler visits, as explicit pairs of this one and the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from framework.errors import UserError, nearest


def timestep_pairs(timesteps: int, steps: int, spacing: str = "trailing") -> list[tuple[int, int]]:
    """Return ``steps`` pairs (t, t_next), t falling, t_next = -1 at the end, where the clean value is reached.

    The next timestep is named, never derived as t - T // S: off the divisors of T that skips the last stretch.
    spacing: "trailing", "peer", "leading" or "linspace". Raises UserError where the grid cannot be walked.
    """
    if spacing not in SPACINGS:
        raise UserError(
            f'spacing = "{spacing}": no such grid.{nearest(spacing, SPACINGS)} Known: {", ".join(SPACINGS)}.'
        )
    if not 1 <= steps <= timesteps:
        raise UserError(f"steps = {steps}: must be between 1 and timesteps = {timesteps}, the length of the schedule.")
    if steps == 1 and spacing in ("leading", "linspace"):
        raise UserError(
            f'spacing = "{spacing}" with steps = 1 would hand pure noise to the network as t = 0, the clean end; '
            'use spacing = "trailing", or at least 2 steps.'
        )
    visited = SPACINGS[spacing](timesteps, steps)
    return list(zip(visited, [*visited[1:], -1], strict=True))


def trailing(timesteps: int, steps: int) -> list[int]:
    """From T - 1 down in steps of T / S, rounded (Lin et al. 2024, table 2): the grid that one-step models need."""
    return [round(timesteps * left / steps) - 1 for left in range(steps, 0, -1)]


def peer(timesteps: int, steps: int) -> list[int]:
    """As ``trailing``, truncated (DiffusionDet and the span methods after it); the two agree where S divides T."""
    return [timesteps * left // steps - 1 for left in range(steps, 0, -1)]


def leading(timesteps: int, steps: int) -> list[int]:
    """Multiples of T // S down to 0 (Song et al. 2021): the first call is not at T - 1."""
    return [left * (timesteps // steps) for left in range(steps - 1, -1, -1)]


def linspace(timesteps: int, steps: int) -> list[int]:
    """From T - 1 to 0, both visited, rounded."""
    return [round((timesteps - 1) * left / (steps - 1)) for left in range(steps - 1, -1, -1)]


SPACINGS: Final[dict[str, Callable[[int, int], list[int]]]] = {
    "trailing": trailing,
    "peer": peer,
    "leading": leading,
    "linspace": linspace,
}
