from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.data.cache import VideoCache
from framework.data.clip_length import clip_length_report, whole_clips
from framework.data.dataset import Query
from framework.data.features import open_features
from framework.data.store_writing import plan_store, write_store
from framework.errors import DataError


def test_features_that_fit_give_no_warning(folder: Path, queries: list[Query]) -> None:
    report = clip_length_report(queries, open_features(folder), 0.5)
    assert (report.videos, report.warnings, report.measured_s) == (6, (), 0.5)
    report.require()


def test_a_single_video_that_is_off_is_a_warning(folder: Path, queries: list[Query]) -> None:
    off = [attrs.evolve(query, duration=14.0) if query.video == "f" else query for query in queries]
    report = clip_length_report(off, open_features(folder), 0.5)
    assert len(report.warnings) == 1
    assert 'video "f" has 20 rows x 0.5 s = 10.00 s, annotated are 14.00 s' in report.warnings[0]
    report.require()


def test_one_row_more_or_less_is_allowed_in_a_short_video(folder: Path, queries: list[Query]) -> None:
    near = [attrs.evolve(query, duration=query.duration + 0.4) for query in queries if query.video == "a"]
    assert clip_length_report(near, open_features(folder), 0.5).warnings == ()


def test_a_clip_length_that_most_videos_contradict_is_refused_with_the_measured_one(
    folder: Path, queries: list[Query]
) -> None:
    with pytest.raises(DataError, match=r"clip_s = 1: 6 of 6 videos .* duration / rows is 0\.5 s\. Set clip_s"):
        clip_length_report(queries, open_features(folder), 1.0).require()


def test_what_a_store_states_outweighs_what_is_measured(folder: Path, queries: list[Query], tmp_path: Path) -> None:
    stores = {}
    for name, clip_s in {"half": 0.5, "two": 2.0, "silent": None}.items():
        write_store(plan_store(open_features(folder), "npy", clip_s=clip_s), tmp_path / name)
        stores[name] = open_features(tmp_path / name)
    assert clip_length_report(queries, stores["silent"], 0.5).stated == ()
    for features in (stores["half"], stores["silent"], VideoCache(stores["silent"], stores["half"])):
        clip_length_report(queries, features, 0.5).require()
    for features in (stores["two"], VideoCache(stores["half"], stores["two"])):
        with pytest.raises(DataError, match=r"clip_s = 0\.5: .*two says that its rows last 2 s\. Set clip_s to that"):
            clip_length_report(queries, features, 0.5).require()


@given(st.integers(0, 500), st.integers(1, 40))
def test_a_video_of_so_many_clips_holds_so_many(clips: int, tenths: int) -> None:
    clip_s = tenths / 10
    assert whole_clips(clips * tenths / 10, clip_s) == clips
    assert whole_clips((clips + 0.9) * clip_s, clip_s) == clips
