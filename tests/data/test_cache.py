from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from framework.data.cache import VideoCache
from framework.data.dataset import FeatureSource
from framework.data.features import open_features
from framework.data.options import DataOptions
from framework.errors import DataError, Problems

Arrays = dict[str, NDArray[np.float32]]


def test_rows_have_length_one_and_a_zero_row_stays_zero(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.array([[3.0, 4.0], [0.0, 0.0], [1e-20, 0.0]]))
    read = VideoCache(open_features(tmp_path)).read("v")
    np.testing.assert_allclose(read[0], [0.6, 0.8], rtol=1e-6)
    assert read[1].tolist() == [0.0, 0.0]
    # The norm is at least 1e-12, as in MS-2D-TAN.
    assert read[2, 0] == pytest.approx(1e-8, rel=1e-5)


@pytest.mark.parametrize("cache_mb", [0, 1])
def test_the_numbers_do_not_depend_on_the_budget(cache_mb: int, folder: Path, clips: Arrays) -> None:
    videos = VideoCache(open_features(folder), normalize=False, cache_mb=cache_mb)
    for _ in range(2):
        np.testing.assert_array_equal(videos.read("b", 2, 5), clips["b"][2:5])
        np.testing.assert_array_equal(videos.read("b"), clips["b"])


def test_a_kept_video_is_not_read_from_the_disk_again(tmp_path: Path) -> None:
    np.save(tmp_path / "small.npy", np.ones((4, 4)))
    np.save(tmp_path / "large.npy", np.ones((2**15, 16)))
    videos = VideoCache(open_features(tmp_path), cache_mb=1)
    for name in ("small", "large"):
        videos.read(name, 0, 2)
        (tmp_path / f"{name}.npy").unlink()
    assert len(videos.read("small")) == 4
    with pytest.raises(DataError, match='video "large" cannot be read'):
        videos.read("large")


def test_a_kept_video_cannot_be_changed_by_accident(folder: Path) -> None:
    read = VideoCache(open_features(folder)).read("a")
    with pytest.raises(ValueError, match="read-only"):
        read[0] = 0


def test_a_cache_in_front_of_a_cache_is_that_cache(folder: Path) -> None:
    source = open_features(folder)
    first = VideoCache.over(source, DataOptions())
    assert isinstance(source, FeatureSource)
    assert first.source is source
    assert VideoCache.over(first, DataOptions()) is first


def test_absent_videos_are_counted_and_the_first_are_named(folder: Path) -> None:
    with pytest.raises(
        DataError, match=r'4 of 5 videos have no features: w, x, y, \.\.\.; it holds videos such as "a"'
    ):
        VideoCache(open_features(folder)).require(["a", "z", "y", "x", "w"])


def test_the_first_video_of_another_width_is_named(tmp_path: Path) -> None:
    for name, width in {"a": 4, "b": 4, "c": 5, "d": 6}.items():
        np.save(tmp_path / f"{name}.npy", np.ones((2, width)))
    videos = VideoCache(open_features(tmp_path))
    assert videos.require(["a", "b"]) == 4
    with pytest.raises(DataError, match='video "c" has 5 columns, "a" has 4; all videos must have the same features'):
        videos.require(["d", "c", "b", "a"])


def test_all_broken_videos_are_named_at_once(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones(3))
    np.save(tmp_path / "b.npy", np.ones((2, 3)))
    np.save(tmp_path / "c.npy", np.ones((0, 3)))
    with pytest.raises(Problems) as caught:
        VideoCache(open_features(tmp_path)).require("abc")
    assert ['"a"' in caught.value.problems[0], '"c"' in caught.value.problems[1]] == [True, True]
    assert len(caught.value.problems) == 2
