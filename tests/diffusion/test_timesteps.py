from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.diffusion import SPACINGS, timestep_pairs
from framework.errors import UserError

DIVISORS = [1, 2, 4, 5, 8, 10, 20, 50]


@st.composite
def grids(draw: st.DrawFn) -> tuple[int, int, str]:
    timesteps = draw(st.integers(2, 1000))
    spacing = draw(st.sampled_from(sorted(SPACINGS)))
    return timesteps, draw(st.integers(1 if spacing in ("trailing", "peer") else 2, timesteps)), spacing


def visited(timesteps: int, steps: int, spacing: str) -> list[int]:
    return [t for t, _ in timestep_pairs(timesteps, steps, spacing)]


@settings(deadline=None, max_examples=200)
@given(grids())
def test_pairs_form_one_falling_chain_that_ends_at_the_clean_value(grid: tuple[int, int, str]) -> None:
    timesteps, steps, spacing = grid
    pairs = timestep_pairs(timesteps, steps, spacing)
    assert len(pairs) == steps
    assert pairs[-1][1] == -1
    assert all(after == following for (_, after), (following, _) in pairwise(pairs))
    assert all(timesteps > t > after for t, after in pairs)


@settings(deadline=None, max_examples=100)
@given(grids())
def test_every_grid_but_leading_starts_at_pure_noise(grid: tuple[int, int, str]) -> None:
    timesteps, steps, spacing = grid
    if spacing != "leading":
        assert visited(timesteps, steps, spacing)[0] == timesteps - 1


@pytest.mark.parametrize("steps", DIVISORS)
def test_peer_and_trailing_agree_where_the_steps_divide_the_schedule(steps: int) -> None:
    assert visited(1000, steps, "peer") == visited(1000, steps, "trailing")


# The grids of diffusers 0.42 and of DiffusionDet's loop at T = 1000.
@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        ("trailing", [999, 666, 332]),
        ("peer", [999, 665, 332]),
        ("leading", [666, 333, 0]),
        ("linspace", [999, 500, 0]),
        ("trailing", [999, 799, 599, 399, 199]),
        ("leading", [800, 600, 400, 200, 0]),
        ("linspace", [999, 749, 500, 250, 0]),
        ("linspace", [999, 666, 333, 0]),
        ("trailing", [999]),
        ("peer", [999]),
    ],
)
def test_a_grid_is_the_one_that_the_peers_walk(spacing: str, expected: list[int]) -> None:
    assert visited(1000, len(expected), spacing) == expected


@pytest.mark.parametrize("spacing", ["leading", "linspace"])
def test_one_step_from_the_clean_end_is_refused_with_the_remedy(spacing: str) -> None:
    with pytest.raises(UserError, match=r"pure noise to the network as t = 0.*trailing"):
        timestep_pairs(1000, 1, spacing)


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_more_steps_than_the_schedule_has_are_refused(steps: int) -> None:
    with pytest.raises(UserError, match=rf"steps = {steps}: must be between 1 and timesteps = 1000"):
        timestep_pairs(1000, steps)


def test_an_unknown_spacing_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match='Did you mean "trailing"'):
        timestep_pairs(1000, 10, "trailin")
