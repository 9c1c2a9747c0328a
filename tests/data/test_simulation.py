"""The feature simulator: what it depends on, and that it does what its constants say."""

from __future__ import annotations

import subprocess
import sys

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.simulation import (
    Draws,
    Interval,
    Seen,
    SimulationConstants,
    class_embeddings,
    coloured,
    overlap,
    row_count,
    see,
    simulate,
)

CHARADES = SimulationConstants()
QUIET = attrs.evolve(CHARADES, noise=0.0, scene_strength=0.0, video_strength=0.0)
FAITHFUL = attrs.evolve(QUIET, jitter_s=0.0, invisible_share=0.0, confused_share=0.0)


@st.composite
def videos(draw: st.DrawFn) -> tuple[float, list[Interval]]:
    """A duration and labelled actions inside it or reaching beyond it."""
    duration = draw(st.floats(0.2, 60))
    ends = st.tuples(st.floats(0, 70), st.floats(0.1, 40), st.integers(0, 156))
    return duration, [
        Interval(label, start, start + length) for start, length, label in draw(st.lists(ends, max_size=8))
    ]


def actions(count: int, length: float = 10.0, label: int = 80) -> list[Interval]:
    return [Interval(label, 100.0, 100.0 + length)] * count


def seen(count: int, length: float = 10.0, label: int = 80) -> Seen:
    return see(actions(count, length, label), 1000.0, CHARADES, Draws("test", length, label))


@given(videos(), st.integers(1, 40), st.integers(-(2**40), 2**40))
@settings(deadline=None, max_examples=40)
def test_features_are_finite_and_never_negative_and_have_a_row_a_clip(
    video: tuple[float, list[Interval]], width: int, seed: int
) -> None:
    features = simulate("V", *video, "Kitchen", CHARADES, width, seed)
    assert features.shape == (row_count(video[0], 0.64), width)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert features.min() >= 0


@given(videos())
@settings(deadline=None, max_examples=20)
def test_features_do_not_depend_on_the_videos_made_before(video: tuple[float, list[Interval]]) -> None:
    alone = simulate("V", *video, "Kitchen", CHARADES, 8)
    simulate("another", 12.0, [Interval(3, 1.0, 5.0)], "Bedroom", CHARADES, 8)
    assert np.array_equal(simulate("V", *video, "Kitchen", CHARADES, 8), alone)


@pytest.mark.parametrize(("video", "scene", "seed"), [("W", "Kitchen", 0), ("V", "Bedroom", 0), ("V", "Kitchen", 1)])
def test_features_change_with_the_video_the_scene_and_the_seed(video: str, scene: str, seed: int) -> None:
    base = simulate("V", 10.0, [], "Kitchen", CHARADES, 8)
    assert not np.allclose(simulate(video, 10.0, [], scene, CHARADES, 8, seed), base)


def test_another_process_makes_the_same_features() -> None:
    code = (
        "from framework.data.simulation import *;"
        "x = simulate('V', 9.0, [Interval(5, 2.0, 6.0)], 'Kitchen', SimulationConstants(), 4); print(x.tobytes().hex())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = simulate("V", 9.0, [Interval(5, 2.0, 6.0)], "Kitchen", CHARADES, 4)
    assert other.stdout.strip() == here.tobytes().hex()


def test_features_keep_their_values_from_release_to_release() -> None:
    """Values of simulator version 1; when they change, so must the version in ``SIMULATOR``."""
    features = simulate("3MSZA", 30.96, [Interval(104, 24.3, 30.4)], "Bedroom", CHARADES, 4)
    assert features.shape == (48, 4)
    assert features[[0, 20, 42]] == pytest.approx(np.array(PINNED), abs=1e-5)


PINNED = [
    [0.0, 0.0, 0.408727, 0.982874],
    [0.626391, 0.0, 1.961627, 0.0],
    [0.0, 1.913337, 0.0, 0.557254],
]


def test_draws_are_those_of_their_keys() -> None:
    assert np.array_equal(Draws("a", 1).uniform(3, 5), Draws("a", 1).uniform(3, 5))
    assert not np.array_equal(Draws("a", 1).uniform(5), Draws("a1").uniform(5))
    assert not np.array_equal(Draws("a", "b").uniform(5), Draws("ab").uniform(5))


def test_draws_are_uniform_and_normal() -> None:
    uniform, normal = Draws("u").uniform(40000), Draws("n").normal(40000)
    assert (uniform >= 0).all()
    assert (uniform < 1).all()
    assert np.histogram(uniform, 10, (0, 1))[0] / 40000 == pytest.approx(0.1, abs=0.006)
    assert (normal.mean(), normal.std()) == pytest.approx((0, 1), abs=0.02)
    assert (np.abs(normal) < 1.96).mean() == pytest.approx(0.95, abs=0.005)
    assert {Draws("i", n).integer(3) for n in range(50)} == {0, 1, 2}


@given(st.floats(0.01, 300), st.sampled_from([0.5, 0.64, 1.0]))
@settings(deadline=None, max_examples=100)
def test_rows_are_whole_clips_and_at_least_one(duration: float, clip_s: float) -> None:
    count = row_count(duration, clip_s)
    assert count == 1 or count * clip_s <= duration + 1e-6
    assert (count + 1) * clip_s > duration


def test_a_duration_of_whole_clips_loses_none_to_rounding() -> None:
    assert [row_count(count * 0.64, 0.64) for count in range(1, 200)] == list(range(1, 200))


def test_an_action_whose_ends_are_exact_fills_the_fields_that_it_covers() -> None:
    found = Seen(np.array([0]), np.array([6.4]), np.array([12.8]), np.ones(1))
    share = overlap(found, 32.0, 50, CHARADES)[:, 0]
    assert share[12:18] == pytest.approx(1.0)  # fields of rows 12 to 17 lie inside: centre 1.28 s from both ends
    assert (share[:8] == 0).all()
    assert (share[22:] == 0).all()
    assert share[9:11] == pytest.approx([0.375, 0.625])  # centres 6.08 and 6.72 s: fields end at 7.36 and 8.0 s


def test_an_action_of_the_whole_video_fills_every_field_at_the_ends_too() -> None:
    found = Seen(np.array([0]), np.array([0.0]), np.array([10.0]), np.ones(1))
    assert overlap(found, 10.0, 15, CHARADES) == pytest.approx(1.0)


@pytest.mark.parametrize(("length", "deviation"), [(1.0, 0.2), (2.0, 0.4), (10.0, 0.6)])
def test_ends_are_off_by_the_smaller_of_both_deviations_and_never_beyond_the_limit(
    length: float, deviation: float
) -> None:
    found = seen(8000, length)
    for error in (found.start - 100, found.end - 100 - length):
        assert np.abs(error).max() <= 2.4 * deviation + 1e-9
        assert error.mean() == pytest.approx(0, abs=deviation * 0.05)
        assert error.std() == pytest.approx(deviation, rel=0.05)
    assert (found.start < found.end).all()


def test_ends_stay_inside_the_video() -> None:
    found = see([Interval(1, 0.0, 12.0)] * 200, 10.0, CHARADES, Draws("inside"))
    assert found.start.min() == 0
    assert found.end.max() == 10


def test_a_share_of_the_actions_is_hardly_visible_and_others_are_confused_with_a_near_class() -> None:
    found = seen(8000)
    invisible, distance = found.gain < 1, np.abs(found.label - 80)
    assert invisible.mean() == pytest.approx(0.15, abs=0.012)
    assert set(found.gain[invisible]) == {0.1}
    assert (distance > 0).mean() == pytest.approx(0.15, abs=0.012)
    assert not (invisible & (distance > 0)).any()
    offsets, counts = np.unique((found.label - 80)[distance > 0], return_counts=True)
    assert offsets.tolist() == [-3, -2, -1, 1, 2, 3]
    assert counts / counts.sum() == pytest.approx(1 / 6, abs=0.04)


@pytest.mark.parametrize("label", [0, 1, 155, 156])
def test_confusion_at_the_ends_of_the_list_stays_a_class_and_is_never_none(label: int) -> None:
    found = seen(2000, label=label)
    distance = np.abs(found.label - label)
    assert found.label.min() >= 0
    assert found.label.max() < 157
    assert (distance > 0).mean() == pytest.approx(0.15, abs=0.03)
    assert distance.max() == 3


def test_neighbouring_classes_are_alike_and_far_ones_are_not() -> None:
    embeddings = class_embeddings(attrs.evolve(CHARADES, embedding=4096), 0)
    correlation = np.corrcoef(embeddings)
    for apart in range(4):
        assert np.diag(correlation, apart) == pytest.approx(0.5**apart, abs=0.08)
    assert embeddings.std(axis=1) == pytest.approx(1, abs=0.05)


def test_noise_has_unit_variance_and_the_stated_correlation_from_row_to_row() -> None:
    noise = coloured(Draws("noise"), 4000, CHARADES)
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert noise[0].std() == pytest.approx(1, abs=0.3)
    assert (noise[1:] * noise[:-1]).mean() == pytest.approx(0.7, abs=0.02)
    assert (noise[3:] * noise[:-3]).mean() == pytest.approx(0.343, abs=0.02)


def test_without_noise_and_background_only_the_rows_near_an_action_are_not_zero() -> None:
    features = simulate("V", 32.0, [Interval(7, 6.4, 12.8)], "Kitchen", FAITHFUL, 16)
    assert (features[8:22] > 0).any(axis=1).all()
    assert not features[:8].any()
    assert not features[22:].any()


def test_the_same_action_looks_the_same_in_two_videos() -> None:
    here = simulate("V", 32.0, [Interval(7, 6.4, 12.8)], "Kitchen", FAITHFUL, 16)
    there = simulate("W", 32.0, [Interval(7, 12.8, 19.2)], "Bedroom", FAITHFUL, 16)
    assert here[8:22] == pytest.approx(there[18:32], abs=1e-5)


def test_videos_of_one_scene_share_their_background() -> None:
    background = attrs.evolve(FAITHFUL, scene_strength=1.0)
    here, there = (simulate(video, 5.0, [], "Kitchen", background, 16) for video in "VW")
    assert np.array_equal(here, there)
    assert (here == here[0]).all()
    assert not np.array_equal(here, simulate("V", 5.0, [], "Bedroom", background, 16))


@pytest.mark.parametrize(
    ("interval", "message"),
    [(Interval(157, 0, 1), "0 to 156"), (Interval(-1, 0, 1), "0 to 156"), (Interval(3, 2, 2), "must end after")],
)
def test_a_label_that_is_no_class_and_an_empty_action_are_refused(interval: Interval, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate("V", 10.0, [interval], "Kitchen", CHARADES)
