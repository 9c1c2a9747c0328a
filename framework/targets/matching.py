"""Which proposal answers for which true moment: the cheapest one-to-one assignment."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def match(cost: Tensor, known: Tensor) -> Tensor:
    """Assign truths to proposals at the least total cost, each proposal to one truth at most (Kuhn 1955).

    cost: (R, M, G) of proposal m for truth g, inf where there is no such proposal. known: (R, G), False where a truth
    is padding. Returns (R, G) long, the proposal of each truth; -1 for padding, and for the truths left over where a
    row has more of them than proposals.

    Where the cheapest proposals of a row's truths differ, they are the answer: nothing can be cheaper. One truth is
    always such a case. Only rows whose truths contend go through the general algorithm, one by one.
    """
    cost = cost.detach()
    cheapest = cost.argmin(dim=1).masked_fill(~known, -1)
    if cost.shape[2] > 1:
        contended = _contended(cheapest, known)
        if bool(contended.any()):
            cheapest[contended] = _assign(cost[contended], known[contended])
    paid = cost.gather(1, cheapest.clamp(min=0)[:, None])[:, 0]
    return cheapest.masked_fill(paid == torch.inf, -1)


def _contended(cheapest: Tensor, known: Tensor) -> Tensor:
    """Rows (R,) in which two truths have the same cheapest proposal."""
    # Padding gets a number of its own, so that it never contends.
    own = torch.arange(cheapest.shape[1], device=cheapest.device)
    ordered = torch.where(known, cheapest, -1 - own).sort(dim=1).values
    return (ordered[:, 1:] == ordered[:, :-1]).any(dim=1)


def _assign(cost: Tensor, known: Tensor) -> Tensor:
    """The general case, row by row: cost (R, M, G), known (R, G) to (R, G)."""
    # A network that has diverged must fail at its loss, where the trainer names it, not here.
    costs = cost.nan_to_num(nan=1e9, posinf=1e9, neginf=-1e9).transpose(1, 2).cpu().numpy()
    real = known.cpu().numpy()
    found = np.full(real.shape, -1)
    for row, columns in enumerate(real):
        columns = columns.nonzero()[0]
        truths, proposals = linear_sum_assignment(costs[row, columns])
        found[row, columns[truths]] = proposals
    return torch.as_tensor(found, device=cost.device)
