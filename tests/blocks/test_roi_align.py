"""Crops along time, against their definition one point at a time."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from framework.blocks import roi_align

Span = tuple[float, float]
spans = st.tuples(st.floats(-2, 3), st.floats(-2, 3))
"""Start and end: reversed, of no length and beside the video as well."""


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def places(span: Span, length: int, bins: int, samples: int) -> list[list[float]]:
    """Where each bin samples, in clips, the first clip's middle being 0."""
    start, width = span[0] * length - 0.5, (span[1] - span[0]) * length / bins
    return [[start + (p + (k + 0.5) / samples) * width for k in range(samples)] for p in range(bins)]


def point(clips: Tensor, at: float) -> Tensor:
    """Linear interpolation of clips (L, D); 0 more than a clip beyond the first or half a clip beyond the end."""
    if at < -1 or at > len(clips):
        return torch.zeros_like(clips[0])
    at = min(max(at, 0.0), len(clips) - 1.0)
    low = math.floor(at)
    return clips[low] * (low + 1 - at) + clips[min(low + 1, len(clips) - 1)] * (at - low)


def crop(clips: Tensor, span: Span, bins: int, samples: int) -> Tensor:
    """Crops (bins, D) of one span of one video (L, D)."""
    wanted = places(span, len(clips), bins, samples)
    return torch.stack([torch.stack([point(clips, at) for at in row]).mean(0) for row in wanted])


def of_one(clips: Tensor, span: Span, bins: int = 7, samples: int = 2, clamp: bool = False) -> Tensor:
    where = torch.tensor([[span]], dtype=torch.float64)
    return roi_align(clips[None], torch.tensor([len(clips)]), where, bins, samples, clamp)[0, 0]


@settings(deadline=None, max_examples=60)
@given(span=spans, length=st.integers(1, 9), bins=st.integers(1, 8), samples=st.integers(1, 3))
def test_a_crop_is_its_definition_point_by_point(span: Span, length: int, bins: int, samples: int):
    sampled = [at for row in places(span, length, bins, samples) for at in row]
    # At the very border rounding decides between a clip and nothing; the exact cases are below.
    assume(all(abs(at + 1) > 1e-9 and abs(at - length) > 1e-9 for at in sampled))
    clips = drawn(0, length, 3)
    torch.testing.assert_close(of_one(clips, span, bins, samples), crop(clips, span, bins, samples))


@settings(deadline=None, max_examples=30)
@given(span=spans, length=st.integers(1, 9))
def test_clamping_is_intersecting_the_span_with_the_video_first(span: Span, length: int):
    clips = drawn(0, length, 3)
    inside = (min(max(span[0], 0.0), 1.0), min(max(span[1], 0.0), 1.0))
    assert torch.equal(of_one(clips, span, clamp=True), of_one(clips, inside))


# Worked out by hand: clips 0, 1, 2, 3 at their middles 0.5, 1.5, 2.5, 3.5 of a video 4 long.
@pytest.mark.parametrize(
    ("span", "wanted"),
    [
        ((0.0, 1.0), [0.5, 2.5]),  # points at clips 0 and 1, 2 and 3
        ((0.25, 0.75), [1.0, 2.0]),  # 0.75 and 1.25, 1.75 and 2.25
        ((0.75, 0.25), [2.0, 1.0]),
        ((0.5, 0.5), [1.5, 1.5]),
        ((-0.5, 0.0), [0.0, 0.0]),
        ((1.0, 1.5), [1.5, 0.0]),  # 3.75 has the last clip, 4.25 nothing
    ],
)
def test_pinned_crops_of_a_ramp(span: Span, wanted: list[float]):
    ramp = torch.arange(4, dtype=torch.float64)[:, None]
    assert of_one(ramp, span, bins=2)[:, 0].tolist() == wanted


def test_a_point_counts_up_to_one_clip_before_the_first_middle_and_half_a_clip_past_the_end():
    ones = torch.ones(4, 1, dtype=torch.float64)
    # One point at u * 4 - 0.5: the first and the last that count, and one just beyond each.
    for place, wanted in ((-0.125, 1.0), (-0.126, 0.0), (1.125, 1.0), (1.126, 0.0)):
        assert of_one(ones, (place, place), bins=1, samples=1).item() == wanted


@settings(deadline=None, max_examples=20)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4), many=st.integers(1, 5))
def test_a_crop_depends_on_its_own_video_and_span_alone(lengths: list[int], many: int):
    counts, longest = torch.tensor(lengths), max(lengths)
    features, where = drawn(0, len(lengths), longest, 3), drawn(1, len(lengths), many, 2)
    features[torch.arange(longest) >= counts[:, None]] = 7.0
    together = roi_align(features, counts, where)
    for row, length in enumerate(lengths):
        for place in range(many):
            alone = roi_align(features[row, None, :length], counts[row, None], where[row, None, place, None])
            torch.testing.assert_close(together[row, place], alone[0, 0])


def test_features_get_the_gradient_and_spans_none():
    features, where = drawn(0, 2, 5, 3).requires_grad_(), drawn(1, 2, 4, 2).requires_grad_()
    lengths = torch.tensor([5, 3])
    roi_align(features, lengths, where).sum().backward()
    assert where.grad is None
    assert torch.autograd.gradcheck(lambda x: roi_align(x, lengths, where.detach()), features)


def test_the_type_is_that_of_the_features():
    for dtype in (torch.float32, torch.bfloat16):
        found = roi_align(drawn(0, 1, 5, 3).to(dtype), torch.tensor([5]), torch.tensor([[[0.1, 0.4]]]))
        assert found.dtype == dtype


@pytest.mark.parametrize("clamp", [False, True])
def test_spans_far_out_and_videos_without_clips_are_finite(clamp: bool):
    far = torch.tensor([[[-1e30, 1e30], [1e20, 1e20], [1.0, 0.0], [0.3, 0.3]]])
    for lengths in (torch.tensor([5]), torch.tensor([0])):
        assert roi_align(drawn(0, 1, 5, 3).float(), lengths, far, clamp=clamp).isfinite().all()


def test_spans_of_a_diverged_network_give_no_numbers_and_no_index_error() -> None:
    crops = roi_align(torch.ones(1, 4, 2), torch.tensor([4]), torch.full((1, 3, 2), torch.nan))
    assert torch.isnan(crops).all()
