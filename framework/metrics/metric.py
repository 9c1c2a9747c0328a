"""Metric: one named scoring rule over the ranked moments of all queries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

MomentLists = Mapping[int | str, ArrayLike]
"""Query id -> moments in seconds. Predictions: (k, 2) or (k, 3) of start, end, score, best first; truths: (g, 2)."""

ScoreLists = Mapping[int | str, ArrayLike]
"""Query id -> (n,) scores of the clips of its video."""


class Metric(ABC):
    """Built as ``Metric(options)``. rule: one line printed beside every number. primary: the headline number.

    names: all numbers that a call gives, in its order; known before anything is scored. highlight_names: those that
    ``highlights`` gives, likewise. depth: how many of a query's moments it looks at, where it is meant to see so many.
    """

    rule: str
    primary: str
    names: tuple[str, ...]
    highlight_names: tuple[str, ...] = ()
    depth: int = 1

    @abstractmethod
    def __call__(self, predictions: MomentLists, truths: MomentLists) -> dict[str, float]:
        """Score all queries, percent by name. Raises DataError unless both sides hold the same query ids."""

    def per_query(self, predictions: MomentLists, truths: MomentLists) -> dict[str, NDArray[np.float64]]:
        """Values (Q,) in the order of ``truths`` whose mean is the number / 100, for tests between two runs.

        Empty by default: not every rule is a mean over queries.
        """
        return {}

    def highlights(self, scores: ScoreLists, ratings: MomentLists) -> dict[str, float]:
        """Score how well the clips of each video were rated, percent by name; called where both sides are known.

        scores: query id -> (n,) predicted score of each rated clip, larger is better; n may differ from the number of
        rated clips. ratings: query id -> (clips, annotators) whole numbers. Nothing by default.
        """
        return {}
