from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.dataset import Query
from framework.data.holdout import hold_out
from framework.errors import DataError


@settings(deadline=None, max_examples=30)
@given(st.floats(0.01, 0.8), st.integers(0, 99), st.randoms())
def test_whole_videos_are_held_out_whatever_the_order(
    queries: list[Query], share: float, seed: int, random: object
) -> None:
    train, held = hold_out(queries, share, seed)
    videos = {query.video for query in held}
    assert videos
    assert len(videos) == max(1, round(share * 6))
    assert videos.isdisjoint(query.video for query in train)
    assert sorted(train + held, key=queries.index) == queries
    assert train == sorted(train, key=queries.index)
    shuffled = list(queries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert {query.video for query in hold_out(shuffled, share, seed)[1]} == videos


def test_the_seed_chooses_the_videos(queries: list[Query]) -> None:
    assert len({hold_out(queries, 0.2, seed)[1][0].video for seed in range(20)}) > 2


def test_a_share_that_leaves_nothing_is_refused(queries: list[Query]) -> None:
    with pytest.raises(DataError, match=r"holdout = 0\.95 of 6 videos leaves none to train on"):
        hold_out(queries, 0.95, 0)
