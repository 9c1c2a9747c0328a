"""Rounding of starts and ends before moments are selected."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.core.post import PostProcessor
from framework.core.structures import Candidates
from framework.post import Nms, NmsOptions, SoftNms, SoftNmsOptions, Top, TopOptions

Make = Callable[[float], PostProcessor]
PARTS: dict[str, Make] = {
    "nms": lambda round_s: Nms(NmsOptions(threshold=1.0, top=20, round_s=round_s)),
    "soft_nms": lambda round_s: SoftNms(SoftNmsOptions(top=20, round_s=round_s)),
    "top": lambda round_s: Top(TopOptions(top=20, round_s=round_s)),
}
each = pytest.mark.parametrize("make", PARTS.values(), ids=PARTS.keys())
spans = st.lists(st.tuples(st.floats(0, 300, width=32), st.floats(0, 150, width=32)), min_size=1, max_size=8)


def candidates(pairs: list[tuple[float, float]]) -> Candidates:
    """One row of (start, length) in seconds, best first."""
    start, length = torch.tensor(pairs, dtype=torch.float32).T[:, None]
    score = torch.linspace(1, 0.5, len(pairs))[None]
    mask = torch.ones_like(score, dtype=torch.bool)
    return Candidates(mask.long() * 0, start, start + length, score, mask)


@each
@settings(deadline=None, max_examples=25)
@given(pairs=spans, round_s=st.sampled_from([0.5, 1 / 6, 1.0, 2.0, 7.0]))
def test_every_end_is_the_nearest_multiple_and_no_moment_turns_round(
    make: Make, pairs: list[tuple[float, float]], round_s: float
) -> None:
    given_ones, found = candidates(pairs), make(round_s)(candidates(pairs))
    kept = found.mask[0]
    for before, after in ((given_ones.start, found.start), (given_ones.end, found.end)):
        steps = after[0][kept] / round_s
        torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)
        gaps = (after[0][kept][:, None] - before[0][None]).abs().amin(1)
        assert (gaps <= round_s / 2 + 1e-3).all()
    assert (found.start <= found.end).all()


@each
@settings(deadline=None, max_examples=15)
@given(pairs=spans)
def test_without_rounding_every_number_is_left_as_it_was(make: Make, pairs: list[tuple[float, float]]) -> None:
    found, before = make(0.0)(candidates(pairs)), candidates(pairs)
    kept = found.mask[0]
    for was, now in ((before.start, found.start), (before.end, found.end)):
        assert set(now[0][kept].tolist()) <= set(was[0].tolist())


@each
def test_halves_go_to_the_even_multiple_as_those_of_moment_detr(make: Make) -> None:
    """Starts 1, 3, 5 and 7 s on clips of 2 s; Lei et al. 2021 submit 0, 4, 4 and 8."""
    for start, expected in ((1.0, 0.0), (3.0, 4.0), (5.0, 4.0), (7.0, 8.0)):
        assert make(2.0)(candidates([(start, 20.0)])).start.tolist()[0][0] == expected


@each
def test_a_moment_that_shrinks_to_nothing_stays(make: Make) -> None:
    found = make(2.0)(candidates([(3.0, 2.0)]))
    assert (found.start[0, 0], found.end[0, 0], found.mask[0, 0]) == (4, 4, True)


def test_moments_that_rounding_makes_equal_suppress_each_other() -> None:
    near = candidates([(0.3, 9.9), (0.0, 9.2), (40.0, 8.0)])
    suppress = NmsOptions(threshold=0.95, top=5, round_s=2.0)
    assert Nms(suppress)(near).mask.sum() == 2
    assert Nms(NmsOptions(threshold=0.95, top=5))(near).mask.sum() == 3


@each
def test_the_rule_begins_with_the_rounding_where_there_is_one(make: Make) -> None:
    assert make(2.0).rule == "starts and ends rounded to multiples of 2 s; " + make(0.0).rule


@pytest.mark.parametrize("options", [NmsOptions, SoftNmsOptions, TopOptions])
@pytest.mark.parametrize(
    ("value", "legal"), [(-1.0, False), (1e-4, False), (float("inf"), False), (0.0, True), (2.0, True)]
)
def test_only_a_length_that_can_be_counted_in_is_legal(options: type, value: float, legal: bool) -> None:
    rule = options.__attrs_attrs__.round_s.metadata["rule"]  # type: ignore[attr-defined]
    assert (rule(value) is None) == legal
