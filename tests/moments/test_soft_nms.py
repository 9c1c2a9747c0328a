from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.errors import UserError
from framework.moments import gaussian_decay, iou, linear_decay, nms, soft_nms
from framework.moments.soft_nms import Decay

few = settings(deadline=None, max_examples=40)
grid_spans = st.tuples(st.integers(0, 6), st.integers(1, 6)).map(lambda pair: (float(pair[0]), float(sum(pair))))
scored = st.lists(st.tuples(grid_spans, st.sampled_from([0.0, 0.25, 0.5, 1.0])), min_size=1, max_size=7)
decays = st.sampled_from([gaussian_decay(0.5), gaussian_decay(0.01), linear_decay(0.3)])


def one_by_one(spans: torch.Tensor, scores: list[float], decay: Decay, top: int) -> list[tuple[int, float]]:
    """Soft-NMS of one list, as its paper's pseudo-code goes."""
    rest, kept = dict(enumerate(scores)), []
    while rest and len(kept) < top:
        best = max(rest, key=lambda at: (rest[at], -at))
        kept.append((best, rest.pop(best)))
        factor = decay(iou(spans, spans[best, None]).squeeze(-1))
        rest = {at: score * factor[at].item() for at, score in rest.items()}
    return kept


@few
@given(scored, decays, st.integers(1, 8))
def test_it_follows_the_pseudo_code_alone_and_in_a_padded_batch(
    candidates: list[tuple[tuple[float, float], float]], decay: Decay, top: int
) -> None:
    spans = torch.tensor([span for span, _ in candidates], dtype=torch.float64)
    scores = torch.tensor([score for _, score in candidates], dtype=torch.float64)
    expected = one_by_one(spans, scores.tolist(), decay, top)
    kept, lowered = soft_nms(spans, scores, decay, top)
    assert kept.tolist() == [at for at, _ in expected]
    assert lowered.tolist() == pytest.approx([score for _, score in expected])

    batch = torch.stack([torch.cat([spans, spans]), torch.cat([spans.flip(0), spans])])
    values = torch.stack([torch.cat([scores, scores]), torch.cat([scores.flip(0), scores])])
    real = torch.arange(batch.shape[1]).expand(2, -1) < len(spans)
    kept, lowered = soft_nms(batch, values, decay, top, real)
    assert kept[0].tolist() == [at for at, _ in expected] + [-1] * (top - len(expected))
    assert lowered[0, len(expected) :].eq(0).all()
    alone = soft_nms(spans.flip(0), scores.flip(0), decay, top)
    assert torch.equal(kept[1][kept[1] >= 0], alone[0])


def test_the_gaussian_penalty_of_a_known_overlap() -> None:
    spans = torch.tensor([[0.0, 10.0], [0.0, 5.0], [20.0, 30.0]])
    kept, lowered = soft_nms(spans, torch.tensor([0.9, 0.8, 0.7]), gaussian_decay(0.5), 3)
    assert kept.tolist() == [0, 2, 1]
    assert lowered.tolist() == pytest.approx([0.9, 0.7, 0.8 * math.exp(-0.25 / 0.5)])


def test_the_linear_penalty_starts_at_its_threshold() -> None:
    spans = torch.tensor([[0.0, 10.0], [0.0, 5.0], [0.0, 4.0]])
    _, lowered = soft_nms(spans, torch.tensor([1.0, 0.4, 0.9]), linear_decay(0.5), 2)
    assert lowered.tolist() == pytest.approx([1.0, 0.9])


def test_a_duplicate_ends_at_zero_under_the_linear_penalty() -> None:
    kept, lowered = soft_nms(torch.tensor([[0.0, 4.0]] * 3), torch.tensor([0.5, 0.9, 0.7]), linear_decay(0.3), 5)
    assert kept.tolist() == [1, 0, 2]
    assert lowered.tolist() == pytest.approx([0.9, 0.0, 0.0])


def test_a_narrow_gaussian_keeps_what_greedy_suppression_keeps() -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randint(0, 20, (4, 12, 1), generator=generator).double()
    spans = torch.cat([start, start + torch.randint(1, 8, (4, 12, 1), generator=generator)], dim=-1)
    scores = torch.rand(4, 12, generator=generator, dtype=torch.float64)
    kept, lowered = soft_nms(spans, scores, gaussian_decay(1e-6), 12)
    assert torch.equal(kept.masked_fill(lowered <= 0, -1), nms(spans, scores, 0.0, 12))


def test_spans_of_different_groups_leave_each_other_alone() -> None:
    spans, scores = torch.tensor([[[0.0, 4.0]] * 2]), torch.tensor([[0.9, 0.8]])
    _, lowered = soft_nms(spans, scores, linear_decay(0.3), 2, group=torch.tensor([[0, 1]]))
    assert lowered.flatten().tolist() == pytest.approx([0.9, 0.8])


def test_negative_scores_are_refused_unless_they_are_padding() -> None:
    spans, scores = torch.tensor([[0.0, 1.0], [2.0, 3.0]]), torch.tensor([0.5, -0.5])
    with pytest.raises(UserError, match="at least 0"):
        soft_nms(spans, scores, gaussian_decay(0.5), 2)
    kept, _ = soft_nms(spans, scores, gaussian_decay(0.5), 2, torch.tensor([True, False]))
    assert kept.tolist() == [0]
