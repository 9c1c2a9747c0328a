"""One step of DDPM."""

from __future__ import annotations

from torch import Tensor

from framework.diffusion.noising import along


def ddpm_step(
    x_t: Tensor, x0: Tensor, alpha_t: Tensor | float, alpha_next: Tensor | float, z: Tensor | None = None
) -> Tensor:
    """Draw from the posterior of a cleaner timestep (Ho et al. 2020, eq. 6 and 7), between any two timesteps.

    x_t, x0: (R, M, C) signal units. alpha_t, alpha_next: ``alphas_cumprod`` of the two ends, one number or (R,);
    alpha_next is 1 past the end, and x0 comes back. z: standard normal like x_t; None gives the posterior's mean.
    """
    now, after = along(alpha_t, x_t), along(alpha_next, x_t)
    beta = 1 - now / after
    clean = after.sqrt() * beta / (1 - now)
    noisy = (now / after).sqrt() * (1 - after) / (1 - now)
    mean = clean.to(x_t) * x0 + noisy.to(x_t) * x_t
    if z is None:
        return mean
    return mean + ((1 - after) / (1 - now) * beta).sqrt().to(x_t) * z
