"""Learned queries of free slots."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.blocks import SlotQueries


def queries(count: int = 5, width: int = 4) -> SlotQueries:
    torch.manual_seed(0)
    return SlotQueries(count, width, slots=None)


@settings(deadline=None, max_examples=30)
@given(value=st.floats(0, 1), slot=st.integers(0, 4), channel=st.integers(0, 1))
def test_a_span_is_moved_by_its_slots_offset_between_logits(value: float, slot: int, channel: int):
    made = queries()
    moved, _ = made(torch.full((1, 5, 2), value))
    kept = min(max(value, 1e-3), 1 - 1e-3)
    logit = math.log(kept / (1 - kept)) + made.offset[slot, channel].item()
    assert moved[0, slot, channel].item() == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-6)


def test_equal_spans_come_out_different():
    moved, features = queries()(torch.full((1, 5, 2), 0.5))
    assert torch.pdist(moved[0]).min() > 1e-3
    assert torch.pdist(features).min() > 1e-3


def test_fewer_slots_than_queries_take_the_first():
    made = queries()
    moved, features = made(torch.full((2, 3, 2), 0.5))
    assert torch.equal(moved, made(torch.full((2, 5, 2), 0.5))[0][:, :3])
    assert torch.equal(features, made.feature[:3])


def test_spans_that_leave_the_range_stay_inside_it_and_learn():
    made = queries()
    moved, features = made(torch.tensor([[[-3.0, 9.0]] * 5]))
    assert ((moved > 0) & (moved < 1)).all()
    (moved.sum() + features.sum()).backward()
    for weight in made.parameters():
        assert weight.grad is not None
        assert weight.grad.all()


def test_more_slots_than_queries_are_refused_and_as_many_are_not():
    SlotQueries(5, 4, slots=5)
    with pytest.raises(ValueError, match=r"queries = 4: the target has up to 5 proposals.*raise queries"):
        SlotQueries(4, 4, slots=5)
