"""Post-processor: selects among decoded candidates, the same way for every method."""

from __future__ import annotations

from abc import ABC, abstractmethod

from framework.core.structures import Candidates


class PostProcessor(ABC):
    """Built as ``PostProcessor(options)``. rule: one line that is printed beside every number."""

    rule: str

    @abstractmethod
    def __call__(self, candidates: Candidates) -> Candidates:
        """Select from candidates in seconds, (R, n) best first; returns at most as many, best first, padding last."""
