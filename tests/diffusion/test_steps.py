"""Single steps: what they share, and the walks they make, against values worked out by independent code."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framework.diffusion import add_noise, ddim_step, ddpm_step, dpmpp_2m_step, schedule, timestep_pairs

COSINE = schedule("cosine", 1000)
ONE = torch.ones((), dtype=torch.float64)
START = torch.tensor([-1.5, -0.3, 0.2, 1.1], dtype=torch.float64)
Step = Callable[[int, Tensor, Tensor, Tensor, Tensor], Tensor]


def alpha(t: int) -> Tensor:
    return ONE if t < 0 else COSINE[t]


def toy_network(x: Tensor, t: int) -> Tensor:
    return 0.5 * torch.tanh(x) + 0.1 * math.cos(t / 300)


def alternating(k: int) -> Tensor:
    return (-1) ** k * torch.tensor([0.3, -0.7, 1.2, -0.1], dtype=torch.float64)


def walk(steps: int, step: Step) -> Tensor:
    x = START
    for k, (t, t_next) in enumerate(timestep_pairs(1000, steps)):
        x = step(k, x, toy_network(x, t), alpha(t), alpha(t_next))
    return x


def multistep_walk(steps: int) -> Tensor:
    x, last = START, (None, None)
    for t, t_next in timestep_pairs(1000, steps):
        x0 = toy_network(x, t)
        x = dpmpp_2m_step(x, x0, alpha(t), alpha(t_next), *last)
        last = (x0, alpha(t))
    return x


# x_T = START, cosine, T = 1000, trailing, toy_network, no clamping, float64. The first two columns were reproduced by
# diffusers 0.42 to 2e-7 for S = 2, 5 and 10; the third uses the noise of ``alternating``.
DDIM = {
    1: [-0.550804504, -0.243886684, 0.000457282, 0.302019133],
    2: [-0.45750289, -0.19268109, 0.06158534, 0.37046491],
    4: [-0.32170276, -0.08665225, 0.12474160, 0.38543898],
    5: [-0.28299434, -0.05732959, 0.13827712, 0.37868980],
    10: [-0.17453453, 0.01615364, 0.16507165, 0.34587244],
}
MULTISTEP = {
    1: DDIM[1],
    2: DDIM[2],
    4: [-0.31726157, -0.07931921, 0.13163361, 0.38917078],
    5: [-0.27483691, -0.04429287, 0.14876031, 0.38328269],
    10: [-0.15864216, 0.03499533, 0.17525905, 0.34571204],
}
ANCESTRAL = {
    1: DDIM[1],
    2: [-0.09522338, -0.30153707, 0.33735295, 0.06086231],
    4: [0.05704022, -0.06128137, 0.20288775, 0.05595635],
    5: [0.04550624, 0.08062311, 0.03484640, 0.08516825],
    10: [0.13758354, 0.09481912, 0.17820783, 0.12420886],
}


@pytest.mark.parametrize("steps", sorted(DDIM))
def test_ddim_walks_to_the_golden_values(steps: int) -> None:
    found = walk(steps, lambda k, x, x0, now, after: ddim_step(x, x0, now, after))
    assert found.tolist() == pytest.approx(DDIM[steps], abs=1e-7)


@pytest.mark.parametrize("steps", sorted(MULTISTEP))
def test_dpm_solver_walks_to_the_golden_values(steps: int) -> None:
    assert multistep_walk(steps).tolist() == pytest.approx(MULTISTEP[steps], abs=1e-7)


@pytest.mark.parametrize("steps", sorted(ANCESTRAL))
def test_ddpm_walks_to_the_golden_values(steps: int) -> None:
    found = walk(steps, lambda k, x, x0, now, after: ddpm_step(x, x0, now, after, alternating(k)))
    assert found.tolist() == pytest.approx(ANCESTRAL[steps], abs=1e-7)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 7, 10, 100])
def test_ddim_at_eta_one_is_ddpm(steps: int) -> None:
    ddim = walk(steps, lambda k, x, x0, now, after: ddim_step(x, x0, now, after, 1.0, alternating(k)))
    ddpm = walk(steps, lambda k, x, x0, now, after: ddpm_step(x, x0, now, after, alternating(k)))
    assert torch.allclose(ddim, ddpm, rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 2])
def test_dpm_solver_is_ddim_while_it_has_no_middle_step(steps: int) -> None:
    ddim = walk(steps, lambda k, x, x0, now, after: ddim_step(x, x0, now, after))
    assert torch.allclose(multistep_walk(steps), ddim, rtol=0, atol=1e-14)


def test_ddim_at_eta_one_stays_finite_in_float32_where_the_textbook_radical_turns_negative() -> None:
    for steps in range(1, 101):
        (t, t_next), *_ = timestep_pairs(1000, steps)
        x, z = torch.tensor([-1.5, 1.1]), torch.tensor([0.3, -0.7])
        single = ddim_step(x, 0.1 * x, alpha(t), alpha(t_next), 1.0, z)
        double = ddim_step(x.double(), 0.1 * x.double(), alpha(t), alpha(t_next), 1.0, z.double())
        assert single.dtype == torch.float32
        assert torch.allclose(single.double(), double, rtol=0, atol=1e-6), f"{steps} steps"


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 998), st.sampled_from([0.0, 1e-18, 1e-16]))
def test_ddim_at_eta_one_stays_finite_on_a_schedule_that_ends_in_pure_noise(t_next: int, last: float) -> None:
    x, x0, z = torch.tensor([[1.5], [0.2], [-0.7]], dtype=torch.float64)
    ddim = ddim_step(x, x0, last, COSINE[t_next], 1.0, z)
    assert torch.allclose(ddim, ddpm_step(x, x0, last, COSINE[t_next], z), rtol=0, atol=1e-12)


# Coefficient of x0 in one step at eta = 0: as eq. 5 of the MS-2D diffusion paper is printed, and as it must be.
@pytest.mark.parametrize(
    ("t", "t_next", "printed", "true"),
    [(999, 899, 0.155, 0.155), (499, 399, -0.183, 0.218), (199, 99, -1.99, 0.488), (99, 0, -4.90, 0.962)],
)
def test_ddim_is_the_step_that_equation_5_means_and_not_the_one_it_prints(
    t: int, t_next: int, printed: float, true: float
) -> None:
    a, b = float(alpha(t)), float(alpha(t_next))
    as_printed = math.sqrt(b) - math.sqrt(a) / math.sqrt(1 - a)
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    assert as_printed == pytest.approx(printed, abs=6e-3)
    assert float(ddim_step(zero, one, alpha(t), alpha(t_next))) == pytest.approx(true, abs=6e-4)


@st.composite
def intervals(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    t = draw(st.integers(1, 999))
    table = schedule(draw(st.sampled_from(["cosine", "linear", "scaled_linear"])), 1000)
    t_next = draw(st.integers(-1, t - 1))
    return table[t], ONE if t_next < 0 else table[t_next]


@settings(deadline=None, max_examples=100)
@given(intervals(), st.integers(0, 2**31))
def test_a_deterministic_step_with_the_true_x0_stays_on_its_noising_path(
    interval: tuple[Tensor, Tensor], seed: int
) -> None:
    now, after = interval
    x0, noise = torch.randn(2, 3, 5, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x_t = add_noise(x0, noise, now)
    expected = add_noise(x0, noise, after)
    assert torch.allclose(ddim_step(x_t, x0, now, after), expected, atol=1e-7)
    assert torch.allclose(dpmpp_2m_step(x_t, x0, now, after), expected, atol=1e-7)
    assert torch.allclose(dpmpp_2m_step(x_t, x0, now, after, x0, now / 2), expected, atol=1e-7)


@settings(deadline=None, max_examples=60)
@given(intervals(), st.floats(0, 1))
def test_a_noisy_step_has_the_variance_of_the_level_it_arrives_at(interval: tuple[Tensor, Tensor], eta: float) -> None:
    now, after = interval
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    old = ddim_step((1 - now).sqrt() * one, zero, now, after, eta, zero)
    new = ddim_step(zero, zero, now, after, eta, one)
    assert float(old**2 + new**2) == pytest.approx(float(1 - after), abs=1e-12)
    old = ddpm_step((1 - now).sqrt() * one, zero, now, after, zero)
    new = ddpm_step(zero, zero, now, after, one)
    assert float(old**2 + new**2) == pytest.approx(float(1 - after), abs=1e-12)


@pytest.mark.parametrize("step", [ddim_step, ddpm_step, dpmpp_2m_step])
def test_every_step_past_the_end_lands_on_x0(step: Callable[..., Tensor]) -> None:
    x_t, x0 = torch.randn(2, 3, 4, 1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(step(x_t, x0, COSINE[99], 1.0), x0)
    assert torch.equal(dpmpp_2m_step(x_t, x0, COSINE[99], 1.0, x_t, COSINE[199]), x0)
    assert torch.equal(ddim_step(x_t, x0, COSINE[99], 1.0, eta=1.0), x0)


def test_each_row_may_be_at_its_own_level() -> None:
    x_t, x0, z = torch.randn(3, 3, 4, 2, generator=torch.Generator().manual_seed(0))
    now, after, before = COSINE[[999, 500, 20]], COSINE[[500, 20, 3]], COSINE[[999, 999, 500]] / 2
    for row in range(3):
        alone = (x_t[row], x0[row], now[row], after[row])
        assert torch.allclose(ddim_step(x_t, x0, now, after, 0.5, z)[row], ddim_step(*alone, 0.5, z[row]))
        assert torch.allclose(ddpm_step(x_t, x0, now, after, z)[row], ddpm_step(*alone, z[row]))
        both = dpmpp_2m_step(x_t, x0, now, after, z, before)[row]
        assert torch.allclose(both, dpmpp_2m_step(*alone, z[row], before[row]))
        assert torch.allclose(add_noise(x0, z, now)[row], add_noise(x0[row], z[row], now[row]))


def test_ddim_refuses_an_eta_out_of_range_and_a_missing_draw() -> None:
    x = torch.zeros(1, 1, 1)
    with pytest.raises(ValueError, match=r"eta = 1\.5: DDIM is defined between 0"):
        ddim_step(x, x, COSINE[9], COSINE[3], 1.5, x)
    with pytest.raises(ValueError, match="pass z, or eta = 0"):
        ddim_step(x, x, COSINE[9], COSINE[3], 1.0)
