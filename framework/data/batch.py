"""Queries and excerpts of videos to one batch of tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framework.core.structures import Batch, Meta
from framework.data.dataset import Query
from framework.data.sampling import Excerpt

Stretches = Sequence[tuple[float, float, float]]
"""Start and end in seconds, and a number: the weight of a moment, or a score."""


def query_key(query_id: int | str) -> int:
    """A stable integer of a query id, 63 bits; 7 and "7" are the same query, as they are in a JSON file's keys."""
    return int.from_bytes(hashlib.sha256(str(query_id).encode()).digest()[:8], "big") >> 1


def collate(
    queries: Sequence[Query],
    words: Sequence[NDArray[Any]],
    excerpts: Sequence[Excerpt],
    clips: Sequence[NDArray[np.float32]],
    own: Sequence[int],
    least_rows: int = 1,
) -> Batch:
    """Pad Q texts and V excerpts to a batch.

    words: Q arrays, ids (L,) or vectors (L, D). clips: V arrays (T, D). own: for each query its excerpt. least_rows:
    videos are padded to at least this many rows. A text has gold, and labels of saliency, for every excerpt of its
    video, so that another crop of the same video is no negative of it.
    """
    return Batch(
        feats={"video": _padded(clips, least_rows), "text": _padded(words)},
        extent=torch.tensor([entry.extent_s for entry in excerpts], dtype=torch.float32),
        pairs=torch.tensor([[text, video] for text, video in enumerate(own)], dtype=torch.long),
        key=torch.tensor([query_key(query.id) for query in queries], dtype=torch.long),
        gold=_placed(queries, [_learned(query) for query in queries], excerpts),
        meta=Meta(
            ids=tuple(query.id for query in queries),
            queries=tuple(query.text for query in queries),
            videos=tuple(entry.video for entry in excerpts),
            durations=tuple(entry.duration for entry in excerpts),
        ),
        saliency=_placed(queries, [query.saliency or () for query in queries], excerpts) if labelled(queries) else None,
    )


def labelled(queries: Iterable[Query]) -> bool:
    """Whether people have scored how well stretches of a video fit its text, for one of the queries at least."""
    return any(query.saliency is not None for query in queries)


def _learned(query: Query) -> Stretches:
    """The moments that training sees; those of weight 0 are for scoring alone."""
    return [moment for moment in query.moments if moment[2]]


def _placed(queries: Sequence[Query], stretches: Sequence[Stretches], excerpts: Sequence[Excerpt]) -> Tensor:
    """Text, video, start, end and number of each query's stretches, (n, 5); times as fractions of the excerpt."""
    table = [
        (text, video, (start - entry.offset_s) / entry.extent_s, (end - entry.offset_s) / entry.extent_s, number)
        for text, (query, own) in enumerate(zip(queries, stretches, strict=True))
        for video, entry in enumerate(excerpts)
        if entry.video == query.video
        for start, end, number in own
    ]
    return torch.tensor(table, dtype=torch.float32).reshape(-1, 5)


def _padded(items: Sequence[NDArray[Any]], least: int = 1) -> tuple[Tensor, Tensor]:
    """Stack arrays (L, ...) to (n, longest, ...), zero behind their ends, and the mask (n, longest)."""
    lengths = np.array([len(item) for item in items])
    longest = max(int(lengths.max()), least)
    out = np.zeros((len(items), longest, *items[0].shape[1:]), dtype=items[0].dtype)
    for row, item in zip(out, items, strict=True):
        row[: len(item)] = item
    return torch.from_numpy(out), torch.from_numpy(np.arange(longest) < lengths[:, None])
