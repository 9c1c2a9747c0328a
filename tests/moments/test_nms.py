from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framework.moments import iou, nms

few = settings(deadline=None, max_examples=60)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Spans on a small grid, so that IoU is often exactly 0.5 and scores are often equal; mask; groups."""
    rows, n = draw(st.integers(1, 3)), draw(st.integers(1, 9))

    def numbers(low: int, high: int) -> Tensor:
        drawn = draw(st.lists(st.integers(low, high), min_size=rows * n, max_size=rows * n))
        return torch.tensor(drawn).view(rows, n)

    start = numbers(0, 6)
    spans = torch.stack([start, start + numbers(1, 6)], dim=-1).float()
    return spans, numbers(-2, 3).float(), numbers(0, 3) > 0, numbers(0, 1)


def one_by_one(spans: Tensor, scores: Tensor, mask: Tensor, group: Tensor, threshold: float, top: int) -> list[int]:
    """Greedy suppression of one list, as a textbook writes it."""
    kept: list[int] = []
    for candidate in sorted(range(len(scores)), key=lambda at: (-scores[at].item(), at)):
        rivals = [better for better in kept if group[better] == group[candidate]]
        free = all(iou(spans[candidate, None], spans[better, None]).item() <= threshold for better in rivals)
        if mask[candidate] and free and len(kept) < top:
            kept.append(candidate)
    return kept


@few
@given(problems(), st.sampled_from([0.0, 0.49, 0.5, 1.0]), st.integers(1, 11))
def test_a_batch_is_suppressed_as_each_list_on_its_own(
    problem: tuple[Tensor, Tensor, Tensor, Tensor], threshold: float, top: int
) -> None:
    spans, scores, mask, group = problem
    kept = nms(spans, scores, threshold, top, mask, group)
    assert kept.shape == (len(spans), top)
    for row in range(len(spans)):
        expected = one_by_one(spans[row], scores[row], mask[row], group[row], threshold, top)
        assert kept[row].tolist() == expected + [-1] * (top - len(expected))
        assert nms(spans[row], scores[row], threshold, top, mask[row], group[row]).tolist() == expected


@few
@given(problems())
def test_what_is_dropped_overlaps_something_better_that_is_kept(problem: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    spans, scores = problem[0][0], problem[1][0]
    kept = nms(spans, scores, 0.49, len(scores)).tolist()
    overlap = iou(spans, spans) > 0.49
    for at in set(range(len(scores))) - set(kept):
        assert any(overlap[at, better] and scores[better] >= scores[at] for better in kept)
    assert not any(overlap[a, b] for a in kept for b in kept if a != b)


@few
@given(problems(), st.integers(1, 4))
def test_padding_changes_nothing(problem: tuple[Tensor, Tensor, Tensor, Tensor], extra: int) -> None:
    spans, scores, mask, _ = problem
    wider = torch.cat([spans, spans[:, :1].expand(-1, extra, -1)], dim=1)
    highest = torch.cat([scores, torch.full((len(scores), extra), 9.0)], dim=1)
    masked = torch.cat([mask, torch.zeros(len(scores), extra, dtype=torch.bool)], dim=1)
    assert torch.equal(nms(wider, highest, 0.49, 5, masked), nms(spans, scores, 0.49, 5, mask))


def test_an_overlap_of_exactly_the_threshold_is_kept() -> None:
    spans = torch.tensor([[0.0, 10.0], [0.0, 5.0], [0.0, 5.1]])
    assert nms(spans, torch.tensor([3.0, 2.0, 1.0]), 0.5, 5).tolist() == [0, 1]
    assert nms(spans, torch.tensor([3.0, 2.0, 1.0]), 0.499, 5).tolist() == [0]


def test_equal_scores_go_by_the_lower_index() -> None:
    spans = torch.tensor([[0.0, 1.0], [5.0, 6.0], [0.0, 1.0], [9.0, 10.0]])
    assert nms(spans, torch.zeros(4), 0.49, 3).tolist() == [0, 1, 3]


def test_spans_without_length_and_infinitely_low_scores_are_candidates_like_any_other() -> None:
    spans = torch.tensor([[1.0, 1.0], [1.0, 1.0], [4.0, 6.0]])
    scores = torch.tensor([-torch.inf, -torch.inf, 0.0])
    assert nms(spans, scores, 0.49, 5).tolist() == [2, 0, 1]


def test_no_candidates_give_no_moments() -> None:
    assert nms(torch.zeros(2, 0, 2), torch.zeros(2, 0), 0.49, 3).tolist() == [[-1, -1, -1]] * 2
    assert nms(torch.zeros(0, 2), torch.zeros(0), 0.49, 3).tolist() == []


def test_a_batch_is_suppressed_on_the_device_of_its_spans() -> None:
    mask = torch.ones(2, 4, dtype=torch.bool, device="meta")
    assert nms(torch.zeros(2, 4, 2, device="meta"), torch.zeros(2, 4, device="meta"), 0.49, 3, mask).is_meta
