from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.metrics import average_precision
from framework.metrics.lists import overlaps, overlaps_by_length

spans = st.lists(
    st.tuples(st.integers(0, 1500), st.integers(0, 1500)).map(lambda ends: (min(ends) / 10, max(ends) / 10)),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=50)
@given(spans, spans)
def test_both_ways_to_divide_agree_but_for_the_last_bits(
    a: list[tuple[float, float]], b: list[tuple[float, float]]
) -> None:
    sides = [(np.array([side]), np.ones((1, len(side)), dtype=bool)) for side in (a, b)]
    one, other = (each(*sides[0], *sides[1]) for each in (overlaps, overlaps_by_length))
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_masked_spans_overlap_nothing() -> None:
    moments, real = np.array([[[0.0, 1.0], [0.0, 1.0]]]), np.array([[True, False]])
    assert overlaps_by_length(moments, real, moments, real).tolist() == [[[1.0, -1.0], [-1.0, -1.0]]]


def test_the_last_bit_decides_at_a_threshold_as_it_does_officially() -> None:
    """The first half of a moment has an IoU of 0.5 with it, up to rounding, which differs with the way to divide."""
    found = []
    for start in np.arange(0, 50, 0.1).round(1).tolist():
        for length in np.arange(0.2, 10, 0.2).round(1).tolist():
            inner, outer = (start, start + length / 2), (start, start + length)
            shared = inner[1] - inner[0]
            by_length = shared / ((outer[1] - outer[0]) + (inner[1] - inner[0]) - shared) >= 0.5
            by_hull = shared / (outer[1] - outer[0]) >= 0.5
            if by_length != by_hull:
                found.append((inner, outer, by_length))
    for inner, outer, hit in found[:20]:
        assert average_precision({1: [inner]}, {1: [outer]}, m=[0.5])["AP@0.5"] == 100 * hit
    assert found
