from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.dataset import Query
from framework.data.options import DataOptions
from framework.data.sampling import Draw, crop_start, excerpt, middle_rows

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
