"""Factors on the learning rate over a training."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.engine.optimize import rate
from framework.recipe import TrainOptions


def rates(steps: int, options: TrainOptions) -> list[float]:
    return [rate(step, steps, options) for step in range(steps)]


@pytest.mark.parametrize(
    ("drop", "wanted"),
    [(0.4, [1] * 4 + [0.1] * 4 + [0.01] * 2), (0.5, [1] * 5 + [0.1] * 5), (0.8, [1] * 8 + [0.1] * 2), (1.0, [1] * 10)],
)
def test_steps_fall_to_a_tenth_each_time_another_share_of_training_is_done(drop: float, wanted: list[float]) -> None:
    assert rates(10, TrainOptions(schedule="step", drop=drop)) == pytest.approx(wanted)


def test_half_a_cosine_goes_from_one_to_nothing() -> None:
    found = rates(4, TrainOptions(schedule="cosine"))
    assert found == pytest.approx([1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5])
    assert rate(4, 4, TrainOptions(schedule="cosine")) == 0


@pytest.mark.parametrize(
    ("schedule", "after"), [("constant", [1] * 6), ("step", [1] * 1 + [0.1] * 5), ("cosine", [1, 0.9330127, 0.75])]
)
def test_warm_up_rises_by_equal_steps_and_the_schedule_follows(schedule: str, after: list[float]) -> None:
    found = rates(10, TrainOptions(schedule=schedule, warmup=4))
    assert found[:4] == [0.25, 0.5, 0.75, 1.0]
    assert found[4 : 4 + len(after)] == pytest.approx(after)


@given(st.sampled_from(["constant", "cosine", "step"]), st.integers(1, 40), st.integers(0, 50), st.floats(0.05, 2))
@settings(deadline=None, max_examples=50)
def test_a_rate_is_a_share_and_never_rises_after_warm_up(schedule: str, steps: int, warmup: int, drop: float) -> None:
    found = rates(steps, TrainOptions(schedule=schedule, warmup=warmup, drop=drop))
    assert all(0 < each <= 1 for each in found)
    assert found[warmup:] == sorted(found[warmup:], reverse=True)
