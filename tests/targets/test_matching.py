from __future__ import annotations

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framework.targets import match


def cheapest_by_brute_force(cost: Tensor) -> float:
    """Least total cost of one-to-one assignments of cost (M, G), trying all."""
    proposals, truths = cost.shape
    if proposals >= truths:
        chosen = itertools.permutations(range(proposals), truths)
        return min(sum(float(cost[m, g]) for g, m in enumerate(order)) for order in chosen)
    chosen = itertools.permutations(range(truths), proposals)
    return min(sum(float(cost[m, g]) for m, g in enumerate(order)) for order in chosen)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Costs (R, M, G) of up to 6 proposals and 4 truths, ties likely, and how many truths each row has."""
    rows, proposals, truths = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 4))
    size = rows * proposals * truths
    values = draw(st.lists(st.integers(-5, 5), min_size=size, max_size=size))
    counts = torch.tensor(draw(st.lists(st.integers(0, truths), min_size=rows, max_size=rows)))
    cost = torch.tensor(values, dtype=torch.float32).reshape(rows, proposals, truths)
    order = torch.tensor(draw(st.permutations(range(truths))))
    return cost, (torch.arange(truths) < counts[:, None])[:, order]


@settings(deadline=None, max_examples=150)
@given(problems())
def test_the_assignment_is_as_cheap_as_the_best_of_all(problem: tuple[Tensor, Tensor]) -> None:
    cost, known = problem
    matched = match(cost, known)
    assert matched.shape == known.shape
    for row in range(len(cost)):
        assert (matched[row][~known[row]] == -1).all()
        columns = known[row].nonzero()[:, 0]
        if not len(columns):
            continue
        found = matched[row][columns]
        taken = found[found >= 0]
        assert len(taken) == min(len(columns), cost.shape[1]), "every truth that can have a proposal has one"
        assert len(set(taken.tolist())) == len(taken), "no proposal answers twice"
        total = sum(float(cost[row, m, g]) for m, g in zip(found.tolist(), columns.tolist(), strict=True) if m >= 0)
        assert abs(total - cheapest_by_brute_force(cost[row][:, columns])) < 1e-4


def test_contending_truths_are_not_both_given_the_cheapest_proposal() -> None:
    cost = torch.tensor([[[0.0, 1.0], [5.0, 9.0], [7.0, 3.0]]])
    assert match(cost, torch.tensor([[True, True]])).tolist() == [[0, 2]]


def test_a_proposal_that_is_not_there_answers_for_nothing() -> None:
    cost = torch.tensor([[[0.0, 1.0, 2.0], [1.0, 0.0, 2.0], [torch.inf] * 3]])
    assert sorted(match(cost, torch.tensor([[True, True, True]]))[0].tolist()) == [-1, 0, 1]
    assert match(cost[:, 2:, :1], torch.tensor([[True]])).tolist() == [[-1]]


def test_a_diverged_network_is_matched_somehow_so_that_its_loss_can_be_told_as_not_finite() -> None:
    cost = torch.full((1, 3, 2), torch.nan)
    matched = match(cost, torch.tensor([[True, True]]))
    assert sorted(matched[0].tolist()) != [-1, -1]
