from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.core.space import Space

UNIT = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    lo = draw(st.lists(st.floats(-5, 5), min_size=1, max_size=3))
    hi = [a + draw(st.floats(0.1, 20)) for a in lo]
    return Space(tuple(lo), tuple(hi), draw(st.floats(0.5, 3)), signed=draw(st.booleans()), clip=draw(st.booleans()))


@settings(deadline=None, max_examples=60)
@given(spaces(), UNIT)
def test_natural_undoes_signal_in_every_space(space: Space, unit: list[float]) -> None:
    lo, hi = torch.tensor(space.lo), torch.tensor(space.hi)
    y = lo + torch.tensor(unit)[None, :, None] * (hi - lo)
    signal = space.signal(y)
    assert signal.shape == y.shape == (1, len(unit), space.channels)
    assert torch.allclose(space.natural(signal), y, atol=1e-4)
    assert bool((signal >= space.low - 1e-5).all())
    assert bool((signal <= space.scale + 1e-5).all())


@settings(deadline=None, max_examples=30)
@given(spaces())
def test_the_ends_of_the_natural_range_are_the_ends_of_the_signal(space: Space) -> None:
    assert torch.allclose(space.signal(torch.tensor(space.lo)), torch.full((space.channels,), space.low), atol=1e-5)
    assert torch.allclose(space.signal(torch.tensor(space.hi)), torch.full((space.channels,), space.scale), atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(spaces(), st.floats(-100, 100))
def test_a_clamped_signal_is_inside_and_an_inside_signal_is_not_moved(space: Space, value: float) -> None:
    signal = torch.full((space.channels,), value)
    clamped = space.clamp(signal)
    assert bool((clamped >= space.low).all())
    assert bool((clamped <= space.scale).all())
    assert torch.equal(space.clamp(clamped), clamped)


def test_only_a_clipping_space_clamps_a_noisy_signal_on_its_way_to_a_denoiser() -> None:
    noisy = torch.tensor([[[-9.0, 9.0]]])
    spans = Space((0.0, 0.0), (1.0, 1.0), scale=2.0, clip=True)
    assert spans.natural(noisy).tolist() == [[[0.0, 1.0]]]
    assert Space((0.0, 0.0), (1.0, 1.0), scale=2.0).natural(noisy).tolist() == [[[-1.75, 2.75]]]


def test_an_unsigned_space_leaves_an_iou_as_it_is() -> None:
    iou = torch.tensor([[[0.0], [0.3], [1.0]]])
    assert torch.equal(Space(signed=False).signal(iou), iou)
    assert torch.allclose(Space(signed=False).clamp(iou - 0.5), torch.tensor([[[0.0], [0.0], [0.5]]]))


def test_units_of_one_channel_do_not_touch_another() -> None:
    points = Space((0.0, 0.0, 0.0), (1.0, 16.0, 4.0))
    assert points.signal(torch.tensor([[[0.5, 8.0, 4.0]]])).tolist() == [[[0.0, 0.0, 1.0]]]


def test_a_space_keeps_the_dtype_it_is_given() -> None:
    y = torch.rand(1, 2, 1, dtype=torch.float64)
    assert Space().natural(Space().signal(y)).dtype == torch.float64


@pytest.mark.parametrize(("lo", "hi"), [((0.0,), (0.0,)), ((1.0,), (0.0,)), ((0.0, 0.0), (1.0,))])
def test_a_space_without_a_range_is_refused(lo: tuple[float, ...], hi: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="lo < hi"):
        Space(lo, hi)


def test_a_space_without_a_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="scale > 0"):
        Space(scale=0.0)
