"""One step of DDIM."""

from __future__ import annotations

from torch import Tensor

from framework.diffusion.noising import along


def ddim_step(
    x_t: Tensor,
    x0: Tensor,
    alpha_t: Tensor | float,
    alpha_next: Tensor | float,
    eta: float = 0.0,
    z: Tensor | None = None,
) -> Tensor:
    """Step from t to a cleaner timestep (Song et al. 2021, eq. 12 with the sigma of eq. 16).

    x_t, x0: (R, M, C) signal units, x0 as predicted and clamped. alpha_t, alpha_next: ``alphas_cumprod`` of the two
    ends, one number or (R,); alpha_next is 1 past the end, and x0 comes back. eta: 0 deterministic to 1 ancestral.
    z: standard normal like x_t, needed where eta > 0 and alpha_next < 1. Raises ValueError where it is missing or eta
    is outside [0, 1].

    The share of the old noise is sqrt(1 - alpha_next - sigma^2). At eta = 1 that difference is 2e-8 of two numbers near
    0.1 and comes out negative in float32; it is written here as a sum of terms that are never negative.
    The MS-2D diffusion paper prints this step (its eq. 5) with sigma outside the radical and the radical on one of the
    two fractions only, which diverges near t = 0; the step above is the one meant.
    """
    now, after = along(alpha_t, x_t), along(alpha_next, x_t)
    if not 0 <= eta <= 1:
        raise ValueError(f"eta = {eta}: DDIM is defined between 0 (deterministic) and 1 (ancestral)")
    if z is None and eta > 0 and bool((after < 1).any()):
        raise ValueError(f"eta = {eta} adds noise to this step: pass z, or eta = 0")
    kept = (1 - eta**2) * (1 - after) + eta**2 * (1 - after) ** 2 * now / (after * (1 - now))
    old_noise = (kept / (1 - now)).sqrt()
    clean = after.sqrt() - old_noise * now.sqrt()
    step = clean.to(x_t) * x0 + old_noise.to(x_t) * x_t
    if z is None or eta == 0:
        return step
    sigma = eta * ((1 - after) / (1 - now) * (1 - now / after)).sqrt()
    return step + sigma.to(x_t) * z
