"""Learned queries that tell free slots apart where nothing else does."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def require_queries(count: int, slots: int | None) -> None:
    """Raise ValueError where a row can have more slots than there are learned queries; slots: as ``Site.slots``."""
    if slots is not None and slots > count:
        raise ValueError(
            f"queries = {count}: the target has up to {slots} proposals, and each needs a learned query of its own; "
            "lower proposals in [target], or raise queries"
        )


class SlotQueries(nn.Module):
    """One learned span and one learned feature a slot (Carion et al. 2020, DETR; Sun et al. 2021, Sparse R-CNN).

    A process that puts the same value into every slot, as the one-step process does, would otherwise get the same
    answer from each. The learned span is an offset between logits, so a network that sees the middle of the range
    everywhere starts from learned spans, and one that sees noise from noise moved a little. Slot m has the m-th query:
    the order of slots then matters, and there can be no more slots than queries.

    slots: the most that a row will have, as ``Site.slots`` says. Raises ValueError where that is too many.
    """

    def __init__(self, count: int, width: int, slots: int | None, channels: int = 2) -> None:
        super().__init__()
        require_queries(count, slots)
        self.offset = nn.Parameter(torch.randn(count, channels))
        self.feature = nn.Parameter(torch.randn(count, width))

    def forward(self, spans: Tensor) -> tuple[Tensor, Tensor]:
        """Move spans (R, M, C) in [0, 1]; returns them and the features (M, width)."""
        slots = spans.shape[1]
        # One query would otherwise be handed to all slots without a word.
        require_queries(len(self.feature), slots)
        moved = torch.sigmoid(torch.logit(spans, eps=1e-3) + self.offset[:slots])
        return moved, self.feature[:slots]
