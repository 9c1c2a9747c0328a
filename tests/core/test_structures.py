from __future__ import annotations

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.core.structures import Batch, Index, Moments, Rows, Slots
from framework.testing import strategies, tiny


@settings(deadline=None, max_examples=40)
@given(strategies.slots(), st.integers(1, 3))
def test_merge_undoes_split_on_every_grid(slots: Slots, channels: int) -> None:
    x = torch.randn(*slots.mask.shape, channels)
    grids = slots.split(x)
    assert [tuple(grid.shape) for grid in grids] == [(len(x), *shape, channels) for shape in slots.shapes]
    assert torch.equal(slots.merge(grids), x)
    assert torch.equal(slots.merge(slots.split(slots.mask)), slots.mask)


def test_split_reads_a_grid_row_by_row() -> None:
    slots = Slots(torch.ones(1, 8, dtype=torch.bool), torch.zeros(1, 8, dtype=torch.long), None, ((3, 2), (2,)))
    first, second = slots.split(torch.arange(8)[None])
    assert first.tolist() == [[[0, 1], [2, 3], [4, 5]]]
    assert second.tolist() == [[6, 7]]


def test_split_refuses_a_tensor_of_another_size() -> None:
    slots = Slots(torch.ones(1, 8, dtype=torch.bool), torch.zeros(1, 8, dtype=torch.long), None, ((3, 2), (2,)))
    with pytest.raises(RuntimeError, match="split"):
        slots.split(torch.zeros(1, 9))


def rows_of(counts: list[int]) -> Rows:
    moments = [torch.rand(count, 4) for count in counts]
    every = torch.arange(len(counts))
    return Rows(Index(every, every[:, None], every), moments)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=5))
def test_padded_moments_are_the_ragged_ones_and_zeros(counts: list[int]) -> None:
    rows = rows_of(counts)
    padded, mask = rows.padded()
    assert padded.shape == (len(rows), max([*counts, 1]), 4)
    assert mask.sum(1).tolist() == counts
    assert bool((padded[~mask] == 0).all())
    for row, moments in enumerate(rows.moments):
        assert torch.equal(padded[row, mask[row]], moments)


def test_a_batch_moves_as_a_whole() -> None:
    batch = attrs.evolve(tiny.batch(seed=0), saliency=torch.zeros(1, 5))
    moved = batch.to("meta")
    tensors = [
        moved.extent,
        moved.pairs,
        moved.key,
        moved.gold,
        moved.saliency,
        *(x for pair in moved.feats.values() for x in pair),
    ]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert {name for name in attrs.fields_dict(Batch) if getattr(moved, name) is getattr(batch, name)} == {"meta"}


def test_moments_count_their_answers() -> None:
    three = torch.arange(3)
    assert len(Moments(three, three / 3, (three + 1) / 3, three / 3)) == 3
