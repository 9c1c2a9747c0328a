from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.moments import cxw_to_start_end, giou, iou, start_end_to_cxw

times = st.floats(-50, 50, allow_nan=False, width=32)
lengths = st.floats(0.0625, 50, width=32)
span = st.tuples(times, lengths).map(lambda pair: (pair[0], pair[0] + pair[1]))
span_lists = st.lists(span, min_size=1, max_size=4).map(lambda spans: torch.tensor(spans, dtype=torch.float64))
few = settings(deadline=None, max_examples=50)


def by_definition(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    """IoU and gIoU of two spans, from intersection, union and hull."""
    inter = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - inter
    hull = max(a[1], b[1]) - min(a[0], b[0])
    return inter / union, inter / union - (hull - union) / hull


@few
@given(span_lists, span_lists)
def test_iou_and_giou_follow_their_definitions_for_every_pair(a: torch.Tensor, b: torch.Tensor) -> None:
    expected = [[by_definition(x, y) for y in b.tolist()] for x in a.tolist()]
    torch.testing.assert_close(torch.stack([iou(a, b), giou(a, b)], -1), torch.tensor(expected, dtype=torch.float64))


@few
@given(span_lists, span_lists)
def test_iou_is_symmetric_and_bounded_and_never_below_giou(a: torch.Tensor, b: torch.Tensor) -> None:
    assert torch.equal(iou(a, b), iou(b, a).T)
    assert ((iou(a, b) >= 0) & (iou(a, b) <= 1)).all()
    assert ((giou(a, b) >= -1) & (giou(a, b) <= iou(a, b))).all()


@few
@given(span_lists)
def test_a_span_has_iou_one_with_itself(a: torch.Tensor) -> None:
    assert (iou(a, a).diagonal() == 1).all()


@few
@given(span_lists, span_lists)
def test_iou_does_not_depend_on_unit_origin_or_direction_of_time(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(iou(a * 3 + 7, b * 3 + 7), iou(a, b))
    torch.testing.assert_close(iou(-a.flip(-1), -b.flip(-1)), iou(a, b))


def test_leading_dimensions_broadcast() -> None:
    a, b = torch.rand(3, 1, 4, 2).cumsum(-1), torch.rand(5, 2, 2).cumsum(-1)
    assert iou(a, b).shape == (3, 5, 4, 2)
    assert torch.equal(iou(a, b)[2, 3], iou(a[2, 0], b[3]))


@pytest.mark.parametrize("other", [(4.0, 4.0), (0.0, 9.0), (5.0, 6.0)])
def test_a_span_without_length_has_iou_zero_and_finite_gradients(other: tuple[float, float]) -> None:
    point = torch.tensor([[4.0, 4.0]], requires_grad=True)
    value = giou(point, torch.tensor([other]))
    value.sum().backward()
    assert iou(point, torch.tensor([other])).item() == 0
    assert point.grad is not None
    assert torch.isfinite(value).all()
    assert torch.isfinite(point.grad).all()


def test_a_reversed_span_overlaps_nothing() -> None:
    assert iou(torch.tensor([[6.0, 2.0]]), torch.tensor([[0.0, 10.0], [6.0, 2.0], [3.0, 5.0]])).eq(0).all()


def test_giou_pulls_a_disjoint_span_to_its_partner_where_iou_is_flat() -> None:
    guess, truth = torch.tensor([[6.0, 7.0]], requires_grad=True), torch.tensor([[0.0, 2.0]])
    (pull,) = torch.autograd.grad(giou(guess, truth).sum(), guess)
    (flat,) = torch.autograd.grad(iou(guess, truth).sum(), guess)
    assert pull.sum() < 0
    assert flat.eq(0).all()


@few
@given(span_lists)
def test_the_two_forms_of_a_span_convert_into_each_other(spans: torch.Tensor) -> None:
    torch.testing.assert_close(cxw_to_start_end(start_end_to_cxw(spans)), spans)


def test_centre_and_width_of_a_known_span() -> None:
    assert start_end_to_cxw(torch.tensor([2.0, 6.0])).tolist() == [4.0, 4.0]
    assert cxw_to_start_end(torch.tensor([0.5, 0.2])).tolist() == pytest.approx([0.4, 0.6])
