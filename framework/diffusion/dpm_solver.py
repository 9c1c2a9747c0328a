"""One step of DPM-Solver++ (2M)."""

from __future__ import annotations

import torch
from torch import Tensor

from framework.diffusion.noising import along


def dpmpp_2m_step(
    x_t: Tensor,
    x0: Tensor,
    alpha_t: Tensor | float,
    alpha_next: Tensor | float,
    x0_last: Tensor | None = None,
    alpha_last: Tensor | float | None = None,
) -> Tensor:
    """Take one deterministic multistep step (Lu et al. 2022, algorithm 2).

    x_t, x0: (R, M, C) signal units. alpha_t, alpha_next: ``alphas_cumprod`` of the two ends, one number or (R,).
    x0_last, alpha_last: what was predicted one step earlier, and at which level; without them the step is of first
    order, which is DDIM with eta = 0. So is the last step (alpha_next = 1), where the second order is unbounded.
    """
    now, after = along(alpha_t, x_t), along(alpha_next, x_t)
    noisy = ((1 - after) / (1 - now)).sqrt()
    clean = after.sqrt() - noisy * now.sqrt()
    step = clean.to(x_t) * x0 + noisy.to(x_t) * x_t
    if x0_last is None or alpha_last is None:
        return step
    before = along(alpha_last, x_t)
    ahead, behind = _log_snr(after) - _log_snr(now), _log_snr(now) - _log_snr(before)
    bend = torch.where(after < 1, clean * ahead / (2 * behind), torch.zeros_like(clean))
    return step + bend.to(x_t) * (x0 - x0_last)


def _log_snr(alpha: Tensor) -> Tensor:
    """Half the logarithm of the signal-to-noise ratio: the time in which the solver is uniform."""
    return 0.5 * (alpha.log() - torch.log1p(-alpha))
