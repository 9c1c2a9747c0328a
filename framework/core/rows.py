"""Row policy: which texts are asked against which videos."""

from __future__ import annotations

from abc import ABC, abstractmethod

from framework.core.noise import Noise
from framework.core.structures import Batch, Rows


class RowPolicy(ABC):
    """Built as ``RowPolicy(options)``."""

    @abstractmethod
    def rows(self, batch: Batch, noise: Noise | None) -> Rows:
        """The rows of a batch; ``noise`` is None at evaluation, where every policy is deterministic."""
