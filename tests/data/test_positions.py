from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.positions import COLUMNS, with_positions


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 200), st.integers(1, 5))
def test_each_row_says_where_it_starts_and_ends(rows: int, width: int) -> None:
    clips = np.random.default_rng(rows).normal(size=(rows, width)).astype(np.float32)
    made = with_positions(clips)
    assert (made.shape, made.dtype) == ((rows, width + COLUMNS), np.float32)
    np.testing.assert_array_equal(made[:, :width], clips)
    for row in range(rows):
        assert made[row, width:].tolist() == pytest.approx([row / rows, (row + 1) / rows], abs=1e-7)
    # Each row begins where the one before it ends, and the last ends with the excerpt, exactly.
    np.testing.assert_array_equal(made[1:, -2], made[:-1, -1])
    assert rows == 0 or (made[0, -2], made[-1, -1]) == (0, 1)
