from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from math import floor
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from framework.data.dataset import Query
from framework.data.options import DataOptions
from framework.data.positions import with_positions
from framework.data.sampling import (
    RESAMPLING,
    Draw,
    crop_start,
    excerpt,
    linear,
    mean,
    middle,
    middle_rows,
    prepared,
)

Clips = NDArray[np.float32]

WINDOW = DataOptions(clip_s=0.5, window=8)
QUERY = Query("q", "text", "v", 10.3, ((4.0, 5.0, 1.0),), "file:1")


def test_middle_rows_are_those_of_the_official_code(shared: Path) -> None:
    records = json.loads((shared / "golden/tan_temporal_sampling.json").read_text())["records"]
    assert len(records) == 22
    for record in records:
        assert middle_rows(record["num_clips"], record["num_samples"]).tolist() == record["rows"]


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 300), st.integers(1, 80))
def test_middle_rows_go_forward_inside_the_video(rows: int, samples: int) -> None:
    picked = middle_rows(rows, samples).tolist()
    assert len(picked) == samples
    assert picked == sorted(picked)
    assert picked[0] >= 0
    assert picked[-1] < rows


def test_as_many_samples_as_rows_take_each_row_once() -> None:
    assert middle_rows(64, 64).tolist() == list(range(64))


def test_every_crop_has_about_the_same_chance_the_last_one_too() -> None:
    counts = Counter(crop_start(12, 8, Draw(0, epoch, 7)) for epoch in range(1000))
    assert sorted(counts) == [0, 1, 2, 3, 4]
    # 200 are expected; 5 standard deviations are 63.
    assert all(137 < count < 263 for count in counts.values())


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(0, 1000), st.integers(0, 2**63 - 1), st.integers(1, 40))
def test_a_crop_is_a_function_of_its_draw(seed: int, epoch: int, key: int, rows: int) -> None:
    first, second = (excerpt(QUERY, rows, WINDOW, Draw(seed, epoch, key)) for _ in range(2))
    assert first == second
    assert first.stop - first.start == min(rows, 8)
    assert 0 <= first.start <= first.stop <= rows
    assert first.offset_s == first.start * 0.5
    assert first.extent_s == (first.stop - first.start) * 0.5


@pytest.mark.parametrize("change", [{"seed": 1}, {"epoch": 1}, {"key": 1}])
def test_seed_epoch_and_query_each_change_the_crops(change: dict[str, int]) -> None:
    draws = [Draw(0, 0, key) for key in range(2, 42)]
    moved = [attrs.evolve(draw, **{name: getattr(draw, name) + 100 for name in change}) for draw in draws]
    assert [crop_start(100, 8, draw) for draw in draws] != [crop_start(100, 8, draw) for draw in moved]


def test_evaluation_takes_the_whole_video_and_times_it_by_its_rows() -> None:
    found = excerpt(QUERY, 20, WINDOW)
    assert (found.start, found.stop, found.offset_s, found.extent_s) == (0, 20, 0.0, 10.0)
    assert found.duration == 10.3


def test_sample_mode_spreads_rows_over_the_annotated_duration() -> None:
    found = excerpt(QUERY, 20, attrs.evolve(WINDOW, mode="sample"), Draw(0, 0, 0))
    assert (found.start, found.stop, found.samples, found.extent_s) == (0, 20, 8, 10.3)


def mean_slowly(clips: Clips, samples: int) -> Clips:
    """The definition, bin by bin; the round of Python is half to even, and a fraction is exact."""
    rows = len(clips)
    out = []
    for place in range(samples):
        low, high = round(Fraction(place * rows, samples)), round(Fraction((place + 1) * rows, samples))
        centre = Fraction(2 * place + 1, 2 * samples) * rows
        out.append(clips[low:high].mean(axis=0) if low < high else clips[floor(centre)])
    return np.stack(out)


def linear_slowly(clips: Clips, samples: int) -> Clips:
    """The definition: row r stands for the time r + 1/2."""
    times = np.arange(len(clips)) + 0.5
    at = [(place + 0.5) * len(clips) / samples for place in range(samples)]
    return np.stack([np.interp(at, times, column) for column in clips.T], axis=1).astype(np.float32)


def random_clips(rows: int, width: int = 3) -> Clips:
    return np.random.default_rng(rows).normal(size=(rows, width)).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 150), st.integers(1, 70))
def test_resampling_is_what_its_definition_says(rows: int, samples: int) -> None:
    clips = random_clips(rows)
    np.testing.assert_array_equal(middle(clips, samples), clips[middle_rows(rows, samples)])
    np.testing.assert_allclose(mean(clips, samples), mean_slowly(clips, samples), atol=1e-5)
    np.testing.assert_allclose(linear(clips, samples), linear_slowly(clips, samples), atol=1e-5)
    for resample in RESAMPLING.values():
        assert (resample(clips, samples).shape, resample(clips, samples).dtype) == ((samples, 3), np.float32)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 60), st.integers(1, 60))
def test_linear_resampling_is_torch_s_interpolation_with_corners_not_aligned(rows: int, samples: int) -> None:
    clips = random_clips(rows)
    wanted = F.interpolate(torch.from_numpy(clips.T)[None], samples, mode="linear", align_corners=False)[0].T
    np.testing.assert_allclose(linear(clips, samples), wanted.numpy(), atol=1e-4)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 100), st.integers(1, 60))
def test_bins_of_means_hold_every_row_once_where_there_are_as_many_as_samples(extra: int, samples: int) -> None:
    rows = samples + extra - 1
    counts = 1 / mean(np.eye(rows, dtype=np.float32), samples).max(axis=1)
    assert round(float(counts.sum())) == rows


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 30), st.integers(1, 60), st.sampled_from(sorted(RESAMPLING)))
def test_as_many_samples_as_rows_change_nothing_and_a_constant_stays_one(rows: int, samples: int, name: str) -> None:
    clips = random_clips(rows)
    np.testing.assert_allclose(RESAMPLING[name](clips, rows), clips, atol=1e-6)
    same = np.repeat(clips[:1], rows, axis=0)
    np.testing.assert_allclose(RESAMPLING[name](same, samples), np.repeat(clips[:1], samples, axis=0), atol=1e-6)


def test_a_video_of_few_rows_repeats_the_nearest_in_bins_of_means() -> None:
    clips = np.array([[0.0], [1.0], [2.0]], dtype=np.float32)
    # Borders round(3 i / 8): 0 0 1 1 2 2 2 3 3. The centre of the empty bin 2 is 15 / 16, still in row 0.
    assert mean(clips, 8)[:, 0].tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert mean(clips[:1], 3)[:, 0].tolist() == [0, 0, 0]


def test_known_means_and_interpolations() -> None:
    clips = np.arange(5, dtype=np.float32)[:, None]
    # round(2.5) is 2.
    assert mean(clips, 2)[:, 0].tolist() == [0.5, 3]
    assert linear(clips, 2)[:, 0].tolist() == [0.75, 3.25]
    assert linear(clips, 10)[:, 0].tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.sampled_from(["window", "sample"]), st.sampled_from(sorted(RESAMPLING)), st.booleans())
def test_prepared_rows_are_resampled_first_and_placed_last(rows: int, mode: str, name: str, positions: bool) -> None:
    data = DataOptions(mode=mode, clip_s=0.5, window=8, resample=name, positions=positions)
    entry = excerpt(QUERY, rows, data)
    clips = random_clips(rows)
    made = prepared(clips, entry, data)
    wanted = RESAMPLING[name](clips, 8) if mode == "sample" else clips
    np.testing.assert_array_equal(made[:, :3], wanted)
    assert made.shape[1] == 3 + data.added_columns == (5 if positions else 3)
    if positions:
        np.testing.assert_array_equal(made, with_positions(wanted))
    elif mode == "window":
        assert made is clips
