"""Taking some of the candidates of each row."""

from __future__ import annotations

from torch import Tensor

from framework.core.structures import Candidates


def select(candidates: Candidates, kept: Tensor, score: Tensor | None = None) -> Candidates:
    """Candidates at ``kept`` (R, k), where -1 becomes padding; with new scores (R, k) if a method changed them."""
    mask = kept >= 0
    place, start, end, old = (
        field.gather(1, kept.clamp(min=0)).masked_fill(~mask, 0)
        for field in (candidates.place, candidates.start, candidates.end, candidates.score)
    )
    return Candidates(place, start, end, old if score is None else score, mask)
