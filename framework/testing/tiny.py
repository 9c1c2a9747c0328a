"""A tiny dataset made in memory: the words of a query are added to the clips of its moment.

A case is a tuple of rows, each a few small numbers, so that a counterexample can be read and made smaller. All that a
row holds follows from those numbers, so that the same row can be put into another batch, or asked alone.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import Final

import attrs
import torch
from torch import Tensor

from framework.core.encoder import Inputs
from framework.core.structures import Batch, Condition, Index, Meta, Rows
from framework.core.target import Target

VIDEO: Final = 16
TEXT: Final = 12
WORDS: Final = 24
CLIP_S: Final = 0.5

INPUTS: Final = Inputs(video=VIDEO, text=TEXT)
INPUTS_OF_IDS: Final = Inputs(video=VIDEO, vocabulary=WORDS + 2)


@attrs.frozen
class Row:
    """One text asked against one video of its own.

    key: stable integer of the query; its words and clips are drawn from it. moments: (start, end) fractions.
    """

    key: int
    clips: int = 8
    words: int = 3
    moments: tuple[tuple[float, float], ...] = ((0.25, 0.75),)


Case = tuple[Row, ...]


def case(seed: int = 0, videos: int = 4, clips: int = 32) -> Case:
    """Draw rows of 5/8 ``clips`` to ``clips`` clips, 2 to 6 words and one moment, a tenth to a half of the video."""
    source = torch.Generator().manual_seed(seed)

    def integer(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=source))

    def row(place: int) -> Row:
        length = integer(100, 500) / 1000
        start = integer(0, 1000 - round(1000 * length)) / 1000
        return Row(1000 * seed + place, integer(-(-5 * clips // 8), clips), integer(2, 6), ((start, start + length),))

    return tuple(row(place) for place in range(videos))


def batch(seed: int = 0, videos: int = 4, clips: int = 32, *, ids: bool = False) -> Batch:
    """Draw a batch of ``videos`` videos with a query each; see ``case`` and ``collate``."""
    return collate(case(seed, videos, clips), ids=ids)


def collate(rows: Sequence[Row], *, ids: bool = False, clips: int = 0, words: int = 0, fill: float = 0.0) -> Batch:
    """Make a batch of rows.

    ids: words come as ids, 2 and up, instead of vectors (Q, L, 12). clips, words: least length to pad to. fill: what
    padding holds; a mask says that it means nothing.
    """
    texts = [_tables()[0][_spoken(row)] if not ids else _spoken(row) for row in rows]
    gold = [(r, r, start, end, 1.0) for r, row in enumerate(rows) for start, end in row.moments]
    every = torch.arange(len(rows))
    return Batch(
        feats={
            "video": _padded([_clips(row) for row in rows], clips, fill),
            "text": _padded(texts, words, 0 if ids else fill),
        },
        extent=torch.tensor([CLIP_S * row.clips for row in rows]),
        pairs=torch.stack([every, every], dim=1),
        key=torch.tensor([row.key for row in rows]),
        gold=torch.tensor(gold, dtype=torch.float32).reshape(-1, 5),
        meta=Meta(
            ids=tuple(row.key for row in rows),
            queries=tuple(" ".join(f"word{word}" for word in _spoken(row).tolist()) for row in rows),
            videos=tuple(f"video{row.key}" for row in rows),
            durations=tuple(CLIP_S * row.clips for row in rows),
        ),
    )


def rows(of: Sequence[Row]) -> Rows:
    """The rows of a case, each text against its own video, with their moments."""
    every = torch.arange(len(of))
    moments = [torch.tensor([(0.0, *moment, 1.0) for moment in row.moments]).reshape(-1, 4) for row in of]
    return Rows(Index(every, every[:, None], torch.tensor([row.key for row in of])), moments)


def condition(wanted: Target | Collection[str], of: Sequence[Row] | int) -> Condition:
    """Build a condition without an encoder, for a target that reads no more than the length of a video.

    wanted: a target or the names of features: "clips" (R,) long, map clips of the video, and "clip" (R,) float, the
    fraction of the extent that one lasts. of: a case, or a number of rows of 8 clips. Raises ValueError for another.
    """
    names = frozenset(wanted.requires if isinstance(wanted, Target) else wanted)
    clips = torch.tensor([8] * of if isinstance(of, int) else [row.clips for row in of])
    known = {"clips": clips, "clip": 1 / clips.float()}
    if names - known.keys():
        raise ValueError(
            f"a tiny condition holds clips and clip alone, not {', '.join(sorted(names - known.keys()))}; "
            "pass a function of your own that builds the condition of a case, or an encoder"
        )
    return Condition({name: known[name] for name in sorted(names)}, len(clips))


@functools.cache
def _tables() -> tuple[Tensor, Tensor]:
    """Vectors of each word id as text (26, 12) and as it shows in a clip (26, 16)."""
    source = torch.Generator().manual_seed(0)
    return torch.randn(WORDS + 2, TEXT, generator=source), torch.randn(WORDS + 2, VIDEO, generator=source)


def _spoken(row: Row) -> Tensor:
    """Word ids of a row, (L,) long; 0 is padding and 1 an unknown word."""
    return torch.randint(2, WORDS + 2, (row.words,), generator=torch.Generator().manual_seed(row.key))


def _clips(row: Row) -> Tensor:
    """Features of a row's clips, (T, 16): noise, and the query in each clip whose middle lies in a moment."""
    noise = torch.randn(row.clips, VIDEO, generator=torch.Generator().manual_seed(row.key + 1))
    middle = (torch.arange(row.clips) + 0.5) / row.clips
    inside = torch.zeros(row.clips, dtype=torch.bool)
    for start, end in row.moments:
        inside |= (middle >= start) & (middle <= end)
    query = _tables()[1][_spoken(row)].sum(0) / row.words**0.5
    shown: Tensor = noise + inside[:, None] * query
    return shown


def _padded(items: Sequence[Tensor], least: int, fill: float) -> tuple[Tensor, Tensor]:
    """Stack (L, ...) to (n, longest, ...) and the mask (n, longest)."""
    longest = max(least, *(len(item) for item in items))
    out = items[0].new_full((len(items), longest, *items[0].shape[1:]), fill)
    for place, item in enumerate(items):
        out[place, : len(item)] = item
    return out, torch.arange(longest) < torch.tensor([len(item) for item in items])[:, None]
