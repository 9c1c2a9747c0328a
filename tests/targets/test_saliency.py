"""Clips inside moments, labels of clips and losses on a score a clip, against slow definitions."""

from __future__ import annotations

import math

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framework.core.structures import Index, Rows
from framework.targets.saliency import (
    clip_scores,
    clips_inside,
    contrast,
    hinge,
    mismatched,
    real_clips,
    saliency_hinge,
)

# Thirty-seconds of an extent and a power of two of clips: every comparison is exact.
edges = st.integers(-16, 48).map(lambda part: part / 32)
moments = st.tuples(edges, edges).filter(lambda pair: pair[0] < pair[1])
videos = st.tuples(st.sampled_from([1, 2, 4, 8]), st.lists(moments, max_size=3))


def index_of(pairs: list[tuple[int, int]]) -> Index:
    """Rows of (text, video)."""
    ask, video = torch.tensor(pairs).T
    return Index(ask, video[:, None], ask)


def rows_of(truth: list[list[tuple[float, float]]]) -> Rows:
    drawn = [torch.tensor([(0.0, start, end, 1.0) for start, end in each]).reshape(-1, 4) for each in truth]
    return Rows(index_of([(row, row) for row in range(len(truth))]), drawn)


def inside(clips: int, truth: list[tuple[float, float]]) -> set[int]:
    """Clips of a video whose middle lies in a moment, or that hold the middle of a moment without any."""
    found: set[int] = set()
    for start, end in truth:
        if end <= 0 or start >= 1:
            continue
        hit = {clip for clip in range(clips) if start <= (clip + 0.5) / clips <= end}
        own = min(max(math.floor((start + end) / 2 * clips), 0), clips - 1)
        found |= hit or {own}
    return found


@settings(deadline=None, max_examples=60)
@given(drawn=st.lists(videos, min_size=1, max_size=4))
def test_clips_inside_are_those_whose_middle_a_moment_holds(drawn: list[tuple[int, list[tuple[float, float]]]]):
    clips, truth = torch.tensor([n for n, _ in drawn]), [each for _, each in drawn]
    found = clips_inside(rows_of(truth), clips, 9)
    for row, (count, each) in enumerate(drawn):
        assert set(found[row].nonzero()[:, 0].tolist()) == inside(count, each)


@pytest.mark.parametrize(
    ("moment", "wanted"),
    [
        ((0.3, 0.31), [1]),  # shorter than a clip, between two middles
        ((0.0, 0.05), [0]),
        ((0.97, 1.4), [3]),  # its middle is cut off
        ((-0.6, 0.02), [0]),
        ((-0.6, -0.1), []),
        ((1.0, 1.5), []),
        ((0.0, 1.0), [0, 1, 2, 3]),
    ],
)
def test_every_visible_moment_has_a_clip_and_one_cut_off_has_none(moment: tuple[float, float], wanted: list[int]):
    found = clips_inside(rows_of([[moment]]), torch.tensor([4]), 6)
    assert found[0].nonzero()[:, 0].tolist() == wanted


def test_a_row_without_moments_and_a_video_without_clips_have_no_clip_inside():
    found = clips_inside(rows_of([[], [(0.2, 0.8)]]), torch.tensor([4, 0]), 4)
    assert not found.any()


def test_real_clips_come_first():
    assert real_clips(torch.tensor([2, 0, 3]), 3).tolist() == [[True, True, False], [False] * 3, [True] * 3]


stretches = st.lists(st.tuples(moments, st.integers(-3, 3)), max_size=4)


@settings(deadline=None, max_examples=60)
@given(drawn=st.lists(st.tuples(st.sampled_from([1, 2, 4, 8]), stretches), min_size=1, max_size=4))
def test_a_clip_has_the_highest_label_of_the_stretches_that_hold_its_middle(drawn):
    labels = [
        torch.tensor([(0.0, start, end, score) for (start, end), score in each]).reshape(-1, 4) for _, each in drawn
    ]
    found, labelled = clip_scores(labels, torch.tensor([count for count, _ in drawn]), 9)
    for row, (count, each) in enumerate(drawn):
        for clip in range(9):
            middle = (clip + 0.5) / count
            held = [score for (start, end), score in each if clip < count and start <= middle < end]
            assert labelled[row, clip].item() == bool(held)
            assert found[row, clip].item() == max(held, default=0)


masks = st.lists(st.booleans(), min_size=5, max_size=5)


def scores_of(seed: int, rows: int = 1) -> Tensor:
    return torch.randn(rows, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 99), high=masks, low=masks, margin=st.sampled_from([0.0, 0.2, 1.5]))
def test_the_hinge_is_the_mean_over_all_pairs_of_a_high_and_a_low_clip(
    seed: int, high: list[bool], low: list[bool], margin: float
):
    scores = scores_of(seed)
    pairs = [
        max(0.0, margin + scores[0, b].item() - scores[0, a].item())
        for a in range(5)
        for b in range(5)
        if high[a] and low[b]
    ]
    wanted = sum(pairs) / max(len(pairs), 1)
    found = hinge(scores, torch.tensor([high]), torch.tensor([low]), margin)
    assert found.tolist() == pytest.approx([wanted])


def test_the_hinge_lifts_high_clips_until_the_margin_is_kept():
    high, low = torch.tensor([[True, False, False]]), torch.tensor([[False, True, False]])
    scores = torch.tensor([[0.1, 0.0, 5.0]], requires_grad=True)
    hinge(scores, high, low, 0.2).sum().backward()
    assert scores.grad.tolist() == [[-1.0, 1.0, 0.0]]
    assert hinge(torch.tensor([[0.2, 0.0, 5.0]]), high, low, 0.2).item() == 0


def test_labels_take_half_of_the_loss_in_the_rows_that_have_some_alone():
    rows = rows_of([[(0.2, 0.6)]] * 3)
    labels = [torch.tensor([(0.0, 0.0, 0.2, 3.0), (0.0, 0.8, 1.0, 1.0)]), torch.zeros(0, 4), torch.zeros(0, 4)]
    # The labels of the last row lie outside the training window.
    labels[2] = torch.tensor([(0.0, 1.2, 1.4, 3.0)])
    scores, clips = scores_of(0, 3), torch.tensor([5, 5, 5])
    labelled = attrs.evolve(rows, saliency=labels)
    windows, found = (
        saliency_hinge(scores, clips, labelled, False, 5.0),
        saliency_hinge(scores, clips, labelled, True, 5.0),
    )
    first, last = (torch.arange(5)[None] == clip for clip in (0, 4))
    assert found[0].item() == pytest.approx((windows[:1] / 2 + hinge(scores[:1], first, last, 5.0)).item())
    assert found[1:].tolist() == windows[1:].tolist()
    assert (windows > 0).all()


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 99), clips=st.integers(1, 5), wanted=masks, temperature=st.sampled_from([0.5, 2.0]))
def test_the_contrast_is_a_softmax_over_the_clips_of_both_texts(
    seed: int, clips: int, wanted: list[bool], temperature: float
):
    scores, foreign, real = scores_of(seed), scores_of(seed + 1), torch.arange(5)[None] < clips
    relevant = torch.tensor([wanted]) & real
    powers = [math.exp(score / temperature) for score in (*scores[0, :clips].tolist(), *foreign[0, :clips].tolist())]
    logs = [math.log(powers[clip] / sum(powers)) for clip in range(clips) if relevant[0, clip]]
    found = contrast(scores, foreign, relevant, real, temperature)
    assert found.tolist() == pytest.approx([-sum(logs) / max(len(logs), 1)])


def test_the_contrast_pushes_relevant_clips_up_and_all_others_down():
    scores, foreign = scores_of(0).requires_grad_(), scores_of(1).requires_grad_()
    relevant, real = torch.tensor([[False, True, False, False, False]]), torch.tensor([[True] * 4 + [False]])
    contrast(scores, foreign, relevant, real).sum().backward()
    assert scores.grad[0].sign().tolist() == [1, -1, 1, 1, 0]
    assert foreign.grad[0].sign().tolist() == [1, 1, 1, 1, 0]


def test_a_row_without_clips_or_without_relevant_ones_costs_nothing_and_stays_finite():
    scores, none = scores_of(0, 2).requires_grad_(), torch.zeros(2, 5, dtype=torch.bool)
    real = torch.tensor([[False] * 5, [True] * 5])
    found = contrast(scores, scores_of(1, 2), none, real) + hinge(scores, none, real)
    found.sum().backward()
    assert found.tolist() == [0, 0]
    assert scores.grad.isfinite().all()


def foreign_text(pairs: list[tuple[int, int]], row: int) -> int | None:
    """The text of the next row, in cyclic order, that is never asked of this row's video."""
    for step in range(len(pairs)):
        text = pairs[(row + step) % len(pairs)][0]
        if (text, pairs[row][1]) not in pairs:
            return text
    return None


@settings(deadline=None, max_examples=60)
@given(pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=7))
def test_a_row_meets_the_next_text_that_nobody_asks_of_its_video(pairs: list[tuple[int, int]]):
    index = index_of(pairs)
    found = mismatched(index)
    assert torch.equal(found.index.pool, index.pool)
    assert found.known.dtype == torch.bool
    for row in range(len(pairs)):
        wanted = foreign_text(pairs, row)
        assert found.known[row].item() == (wanted is not None)
        if wanted is not None:
            assert found.index.ask[row].item() == wanted


def test_two_texts_of_one_video_are_not_foreign_to_each_other():
    found = mismatched(index_of([(0, 0), (1, 0), (2, 1)]))
    assert found.known.tolist() == [True, True, True]
    assert found.index.ask.tolist() == [2, 2, 0]


def test_a_text_asked_of_another_video_as_a_negative_is_not_foreign_to_its_own():
    # Rows 2 and 3 ask texts 0 and 1 of each other's videos: each row's next text of another video is its own.
    assert not mismatched(index_of([(0, 0), (1, 1), (0, 1), (1, 0)])).known.any()


def test_a_batch_of_one_video_has_no_foreign_text():
    assert mismatched(index_of([(0, 0), (1, 0)])).known.tolist() == [False, False]
