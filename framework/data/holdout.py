"""A validation split for datasets that have none (Charades-STA)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from framework.data.dataset import Query
from framework.errors import DataError


def hold_out(queries: Sequence[Query], share: float, seed: int) -> tuple[list[Query], list[Query]]:
    """Split training queries into those to train on and those held out, both in their old order.

    Whole videos are held out, at least one: two queries of one video in both parts would let a model recognise the
    video. A video's rank is a hash of (seed, video), so that it does not depend on the order of the file.
    Raises DataError where ``share`` leaves no video to train on.
    """
    videos = sorted({query.video for query in queries}, key=lambda video: _rank(video, seed))
    count = max(1, round(share * len(videos)))
    if count >= len(videos):
        raise DataError(
            f"[data] holdout = {share:g} of {len(videos)} videos leaves none to train on; use a smaller share"
        )
    held = frozenset(videos[:count])
    return [q for q in queries if q.video not in held], [q for q in queries if q.video in held]


def _rank(video: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{video}".encode()).digest()
