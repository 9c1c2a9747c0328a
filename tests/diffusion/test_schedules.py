from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.diffusion import SCHEDULES, schedule
from framework.errors import UserError


@settings(deadline=None, max_examples=30)
@given(name=st.sampled_from(sorted(SCHEDULES)), timesteps=st.integers(2, 1200))
def test_a_schedule_falls_strictly_between_one_and_zero(name: str, timesteps: int) -> None:
    alphas_cumprod = schedule(name, timesteps)
    assert alphas_cumprod.shape == (timesteps,)
    assert alphas_cumprod.dtype == torch.float64
    assert bool((alphas_cumprod.diff() < 0).all())
    assert 0 < float(alphas_cumprod[-1]) < float(alphas_cumprod[0]) < 1


# alphas_cumprod at 0, 499 and 999 for T = 1000, as diffusers 0.42 gives them to the digits printed.
@pytest.mark.parametrize(
    ("name", "first", "middle", "last"),
    [
        ("linear", 0.9999, 0.0786, 4.04e-5),
        ("scaled_linear", 0.9999, 0.3332, 7.33e-4),
        ("cosine", 0.999959, 0.49384, 2.43e-9),
    ],
)
def test_a_schedule_has_the_values_that_diffusers_gives(name: str, first: float, middle: float, last: float) -> None:
    found = schedule(name, 1000)[[0, 499, 999]].tolist()
    assert found == pytest.approx([first, middle, last], rel=2e-3)
    assert found[:2] == pytest.approx([first, middle], abs=5e-5)


def test_only_the_last_beta_of_the_cosine_schedule_is_capped() -> None:
    alphas_cumprod = schedule("cosine", 1000)
    betas = 1 - alphas_cumprod[1:] / alphas_cumprod[:-1]
    assert float(betas[-1]) == pytest.approx(0.999, abs=1e-12)
    assert float(betas[:-1].max()) < 0.999


def test_an_unknown_schedule_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match='Did you mean "cosine"'):
        schedule("cosin", 1000)


def test_a_schedule_of_one_timestep_is_refused() -> None:
    with pytest.raises(UserError, match="at least 2"):
        schedule("cosine", 1)
