"""Hypothesis strategies of the field's values, small first, so that a counterexample shrinks to a readable one."""

from __future__ import annotations

import functools
import math

import torch
from hypothesis import strategies as st

from framework.core.structures import Batch, Slots
from framework.diffusion import SCHEDULES
from framework.testing import tiny
from framework.testing.tiny import Case, Row

Moment = tuple[float, float]


@st.composite
def moments(draw: st.DrawFn, shortest: float = 0.01) -> Moment:
    """Start and end inside the video, in hundredths of its extent, at least ``shortest`` apart."""
    length = draw(st.integers(max(1, math.ceil(100 * shortest - 1e-9)), 100))
    start = draw(st.integers(0, 100 - length))
    return start / 100, (start + length) / 100


@st.composite
def cut_moments(draw: st.DrawFn) -> Moment:
    """Start and end of which a training window left a part, or nothing: anywhere in [-1, 2]."""
    start = draw(st.integers(-100, 190))
    return start / 100, (start + draw(st.integers(1, 200 - start))) / 100


@st.composite
def slots(draw: st.DrawFn) -> Slots:
    """Slots on one to three grids of one or two dimensions, any of them padding, without anchors."""
    dimensions = st.lists(st.integers(1, 4), min_size=1, max_size=2).map(tuple)
    shapes = tuple(draw(st.lists(dimensions, min_size=1, max_size=3)))
    size, rows = sum(map(math.prod, shapes)), draw(st.integers(1, 3))
    mask = draw(st.lists(st.lists(st.booleans(), min_size=size, max_size=size), min_size=rows, max_size=rows))
    return Slots(torch.tensor(mask), torch.zeros(rows, size, dtype=torch.long), None, shapes)


def schedules() -> st.SearchStrategy[tuple[str, int]]:
    """Name and length of a noise schedule."""
    return st.tuples(st.sampled_from(sorted(SCHEDULES)), st.integers(2, 1000))


@st.composite
def rows(draw: st.DrawFn, clips: tuple[int, int] = (1, 24), *, cut: bool = False) -> Row:
    """One row of none to two moments, each at least one clip long; ``cut``: wherever a training window leaves them."""
    length = draw(st.integers(*clips))
    one = cut_moments() if cut else moments(1 / length)
    return Row(
        key=draw(st.integers(0, 10_000)),
        clips=length,
        words=draw(st.integers(1, 5)),
        moments=tuple(draw(st.lists(one, max_size=2))),
    )


def cases(clips: tuple[int, int] = (1, 24), *, least: int = 1, cut: bool = False) -> st.SearchStrategy[Case]:
    """``least`` to three rows of different keys, whose videos are as long as ``clips`` allows."""
    return st.lists(rows(clips, cut=cut), min_size=least, max_size=3, unique_by=lambda row: row.key).map(tuple)


def batches(clips: tuple[int, int] = (1, 24), *, ids: bool = False) -> st.SearchStrategy[Batch]:
    """Batches of a case; see ``tiny.collate``."""
    return cases(clips).map(functools.partial(tiny.collate, ids=ids))
