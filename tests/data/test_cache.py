from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from framework.data.cache import VideoCache, unit_rows
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
    assert first.sources == (source,)
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


class Made(FeatureSource):
    """Arrays in memory."""

    def __init__(self, name: str, **arrays: NDArray[np.float32]) -> None:
        self.name, self.arrays = name, arrays

    def videos(self) -> frozenset[str]:
        return frozenset(self.arrays)

    def shape(self, video: str) -> tuple[int, int]:
        return self.arrays[video].shape[0], self.arrays[video].shape[1]

    def read(self, video: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        return self.arrays[video][start:stop]


def ones(rows: int, width: int = 2) -> NDArray[np.float32]:
    return np.ones((rows, width), dtype=np.float32)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 3)), min_size=1, max_size=3),
    st.integers(0, 9),
    st.none() | st.integers(0, 12),
    st.booleans(),
    st.sampled_from([0, 1]),
)
def test_sources_are_cut_to_the_shortest_scaled_each_by_itself_and_set_side_by_side(
    shapes: list[tuple[int, int]], start: int, stop: int | None, normalize: bool, cache_mb: int
) -> None:
    random = np.random.default_rng(len(shapes))
    arrays = [random.normal(size=shape).astype(np.float32) for shape in shapes]
    videos = VideoCache(
        *(Made(f"source{at}", v=array) for at, array in enumerate(arrays)), normalize=normalize, cache_mb=cache_mb
    )
    rows = min(length for length, _ in shapes)
    wanted = np.concatenate([(unit_rows(array) if normalize else array)[:rows] for array in arrays], axis=1)
    for _ in range(2):
        np.testing.assert_array_equal(videos.read("v", start, stop), wanted[start:stop])
    assert videos.shape("v") == wanted.shape
    assert videos.widths("v") == [width for _, width in shapes]


def test_a_row_of_two_sources_is_as_long_as_two_unit_vectors() -> None:
    slowfast, clip = Made("slowfast", v=100 * ones(3, 5)), Made("clip", v=ones(3, 2))
    read = VideoCache(slowfast, clip).read("v")
    np.testing.assert_allclose(np.linalg.norm(read, axis=1), np.sqrt(2), rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(read[:, :5], axis=1), 1, rtol=1e-6)


def test_the_source_that_lacks_a_video_is_named() -> None:
    slowfast, clip = Made("slowfast", a=ones(3), b=ones(3)), Made("clip", b=ones(3), c=ones(3))
    videos = VideoCache(slowfast, clip)
    assert (videos.videos(), videos.name) == (frozenset({"b"}), "slowfast + clip")
    assert videos.require(["b"]) == 4
    with pytest.raises(DataError) as caught:
        videos.require(["a", "b"])
    assert str(caught.value) == 'clip: 1 of 2 videos have no features: a; it holds videos such as "b"'
    with pytest.raises(Problems) as both:
        videos.require(["a", "b", "c"])
    assert [problem.split(":")[0] for problem in both.value.problems] == ["slowfast", "clip"]


def test_sources_without_a_video_in_common_are_refused_in_one_line() -> None:
    with pytest.raises(DataError, match='clip: 1 of 1 videos have no features: a; it holds videos such as "b"'):
        VideoCache(Made("slowfast", a=ones(3)), Made("clip", b=ones(3))).require(["a"])


@pytest.mark.parametrize(
    ("one", "other", "belong"), [(75, 75, True), (10, 8, True), (10, 7, False), (100, 90, True), (100, 89, False)]
)
def test_lengths_may_differ_by_two_rows_or_a_tenth(one: int, other: int, belong: bool) -> None:
    videos = VideoCache(
        Made("slowfast", same=ones(5), v=ones(one), w=ones(one)), Made("clip", same=ones(5), v=ones(other), w=ones(one))
    )
    if belong:
        assert videos.require(["same", "v", "w"]) == 4
        return
    with pytest.raises(DataError) as caught:
        videos.require(["same", "v", "w"])
    assert str(caught.value) == (
        "1 of 3 videos differ between the sources of [data] video by more than 2 rows and 10%, first "
        f'"v" with rows {one} in slowfast, {other} in clip; name sources of the same videos and the same clip length'
    )


def test_the_source_with_another_width_is_named() -> None:
    slowfast, clip = Made("slowfast", a=ones(3, 4), b=ones(3, 4)), Made("clip", a=ones(3, 2), b=ones(3, 3))
    with pytest.raises(DataError, match=r'^clip: video "b" has 3 columns, "a" has 2'):
        VideoCache(slowfast, clip).require(["a", "b"])


def test_names_that_differ_by_an_extension_come_with_the_remedy() -> None:
    videos = VideoCache(Made("tacos", **{"s30-d52.avi": ones(3), "s30-d53.avi": ones(3)}))
    with pytest.raises(DataError, match=r'such as "s30-d52\.avi"; tools/convert_features\.py --drop-extension makes'):
        videos.require(["s30-d52"])
    with pytest.raises(DataError, match=r'such as "s30-d52\.avi"$'):
        videos.require(["s30-d54"])
