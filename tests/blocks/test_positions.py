"""Sinusoidal codes of places in a video."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.blocks import clip_code, sine_code


@settings(deadline=None, max_examples=30)
@given(fraction=st.floats(0, 1), pairs=st.integers(1, 8), temperature=st.sampled_from([1e4, 20.0]))
def test_a_code_is_a_sine_and_a_cosine_of_each_wavelength_in_turn(fraction: float, pairs: int, temperature: float):
    width = 2 * pairs
    angles = [2 * math.pi * fraction / temperature ** (2 * pair / width) for pair in range(pairs)]
    wanted = [wave(angle) for angle in angles for wave in (math.sin, math.cos)]
    found = sine_code(torch.tensor(fraction), width, temperature)
    torch.testing.assert_close(found, torch.tensor(wanted), rtol=0, atol=1e-5)


def test_fractions_of_any_shape_are_coded_along_a_new_last_dimension():
    fractions = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))
    found = sine_code(fractions, 6)
    assert found.shape == (2, 3, 4, 6)
    torch.testing.assert_close(found[1, 2, 3], sine_code(fractions[1, 2, 3], 6))


@settings(deadline=None, max_examples=20)
@given(clips=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_clip_i_of_n_has_the_code_of_the_fraction_at_which_it_ends(clips: list[int]):
    found = clip_code(torch.tensor(clips), max(clips), 6)
    for row, count in enumerate(clips):
        for clip in range(count):
            torch.testing.assert_close(found[row, clip], sine_code(torch.tensor((clip + 1) / count), 6))


def test_the_last_clip_of_every_video_has_the_same_code():
    clips = torch.tensor([3, 8, 1])
    found = clip_code(clips, 8, 6)[torch.arange(3), clips - 1]
    torch.testing.assert_close(found, sine_code(torch.ones(3), 6))


def test_more_padding_changes_no_code_and_a_video_without_clips_is_finite():
    clips = torch.tensor([3, 0])
    assert torch.equal(clip_code(clips, 8, 6)[:, :3], clip_code(clips, 3, 6))
    assert clip_code(clips, 8, 6).isfinite().all()
