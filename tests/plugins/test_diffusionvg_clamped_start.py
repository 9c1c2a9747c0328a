"""The process whose starting noise is that of the released DiffusionVG."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from framework.core.noise import KeyedNoise
from framework.core.space import Space
from framework.core.structures import Slots
from framework.moments import start_end_to_cxw
from framework.samplers import Gaussian, GaussianOptions
from framework.testing import check_sampler
from framework.testing.toys import ToySpans, ToySpansOptions
from plugins.diffusionvg.clamped_start import ClampedStart

TARGET = ToySpans(ToySpansOptions())
ROWS = 2000


def slots_of(rows: int, count: int = 5) -> Slots:
    mask = torch.ones(rows, count, dtype=torch.bool)
    return Slots(mask, torch.zeros_like(mask, dtype=torch.long), None, ((count,),))


def started(sampler: Gaussian, rows: int = ROWS) -> Tensor:
    """First spans that a network of scale 2 sees, in natural units, by the keys of many queries."""
    x, _ = sampler.start(slots_of(rows), 2, KeyedNoise(0, torch.arange(rows)))
    return Space((0.0, 0.0), (1.0, 1.0), scale=2.0, clip=True).natural(x).flatten(0, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 1, "eta": 1.0},
        {"steps": 5, "eta": 1.0, "spacing": "peer"},
        {"steps": 3, "temperature": 0.5, "solver": "ddpm"},
        {"steps": 4, "solver": "dpmpp_2m", "self_condition": 0.5},
    ],
)
def test_the_laws_of_samplers_hold(options: dict[str, object]) -> None:
    check_sampler(ClampedStart(GaussianOptions(**options)), target=TARGET, examples=5)  # type: ignore[arg-type]


def test_the_first_spans_are_distributed_as_those_of_the_released_code() -> None:
    spans = started(ClampedStart(GaussianOptions()))
    # Measured on the released code: 0.562 +- 0.100, 0.687 +- 0.101, correlation 0.60.
    torch.testing.assert_close(spans.mean(0), torch.tensor([0.5625, 0.6875]), rtol=0, atol=0.004)
    torch.testing.assert_close(spans.std(0), torch.tensor([0.100, 0.100]), rtol=0, atol=0.003)
    assert float(torch.corrcoef(spans.T)[0, 1]) == pytest.approx(0.60, abs=0.02)


def test_the_gaussian_process_starts_elsewhere() -> None:
    spans = started(Gaussian(GaussianOptions()))
    torch.testing.assert_close(spans.mean(0), torch.tensor([0.5, 0.5]), rtol=0, atol=0.01)
    torch.testing.assert_close(spans.std(0), torch.tensor([0.240, 0.240]), rtol=0, atol=0.005)
    assert float(torch.corrcoef(spans.T)[0, 1]) == pytest.approx(0, abs=0.03)


def test_the_state_is_the_start_and_end_of_clamped_noise() -> None:
    slots, key = slots_of(50), torch.arange(50)
    x, t = ClampedStart(GaussianOptions()).start(slots, 2, KeyedNoise(0, key))
    noise = KeyedNoise(0, key).normal(slots, 2)
    torch.testing.assert_close(start_end_to_cxw(x), (noise.clamp(-1, 1) + 1) / 2)
    assert t.tolist() == [1.0] * 50


def test_a_temperature_of_zero_starts_every_slot_in_the_middle() -> None:
    x, _ = ClampedStart(GaussianOptions(temperature=0.0)).start(slots_of(2), 2, KeyedNoise(0, torch.arange(2)))
    assert torch.equal(x, torch.tensor([0.25, 0.75]).expand(2, 5, 2))


def test_later_draws_are_those_of_the_gaussian_process() -> None:
    """Only the start differs: with the same noise both processes corrupt alike and walk alike from one state."""
    ours, theirs = (kind(GaussianOptions(steps=3, eta=1.0)) for kind in (ClampedStart, Gaussian))
    left, right = KeyedNoise(0, torch.arange(4)), KeyedNoise(0, torch.arange(4))
    slots, x0 = slots_of(4), torch.rand(4, 5, 2)
    ours.start(slots, 2, left)
    theirs.start(slots, 2, right)
    assert all(
        torch.equal(a, b) for a, b in zip(ours.corrupt(x0, slots, left), theirs.corrupt(x0, slots, right), strict=True)
    )


def test_padding_starts_at_zero() -> None:
    slots = slots_of(1)
    mask = torch.arange(5)[None] < 3
    x, _ = ClampedStart(GaussianOptions()).start(
        Slots(mask, slots.place, None, slots.shapes), 2, KeyedNoise(0, torch.arange(1))
    )
    assert not x[~mask].any()
    assert x[mask].all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_target_that_is_not_of_spans_is_refused(channels: int) -> None:
    with pytest.raises(ValueError, match=f"the target has {channels} channels"):
        ClampedStart(GaussianOptions()).start(slots_of(1), channels, KeyedNoise(0, torch.arange(1)))


@pytest.mark.parametrize("name", ["start_share", "start_first"])
def test_training_on_starting_states_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} = 0.5.*set {name} to 0"):
        ClampedStart(GaussianOptions(**{name: 0.5}))
