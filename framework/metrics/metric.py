"""Metric: one named scoring rule over the ranked moments of all queries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

MomentLists = Mapping[int | str, ArrayLike]
"""Query id -> moments in seconds. Predictions: (k, 2) or (k, 3) of start, end, score, best first; truths: (g, 2)."""


class Metric(ABC):
    """Built as ``Metric(options)``. rule: one line printed beside every number. primary: the headline number.

    names: all numbers that a call gives, in its order; known before anything is scored.
    """

    rule: str
    primary: str
    names: tuple[str, ...]

    @abstractmethod
    def __call__(self, predictions: MomentLists, truths: MomentLists) -> dict[str, float]:
        """Score all queries, percent by name. Raises DataError unless both sides hold the same query ids."""

    def per_query(self, predictions: MomentLists, truths: MomentLists) -> dict[str, NDArray[np.float64]]:
        """Values (Q,) in the order of ``truths`` whose mean is the number / 100, for tests between two runs.

        Empty by default: not every rule is a mean over queries.
        """
        return {}
