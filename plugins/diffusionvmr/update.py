"""How the numbers that a layer answers become the spans that it hands on.

Spans are centre and width, (R, M, 2), fractions of the extent; ``answer`` (R, M, 2) is the regression head's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

LARGEST: Final = math.log(100_000 / 16)
"""The most that a width can grow at once, as a logarithm: that of box detectors, kept by DiffusionDet."""

EDGE: Final = 1e-3
"""Logits are taken of fractions no closer to 0 and 1 than this."""


def delta(spans: Tensor, answer: Tensor) -> Tensor:
    """Move the centre by half of ``answer`` times the width, and multiply the width (DiffusionDet)."""
    (centre, width), (shift, growth) = spans.unbind(-1), answer.unbind(-1)
    return torch.stack([centre + shift / 2 * width, width * growth.clamp(max=LARGEST).exp()], dim=-1)


def absolute(spans: Tensor, answer: Tensor) -> Tensor:
    """Take ``answer`` for the logits of the span itself, as Moment-DETR (Lei et al. 2021); ``spans`` is not read."""
    return torch.sigmoid(answer)


def logit(spans: Tensor, answer: Tensor) -> Tensor:
    """Add ``answer`` to the logits of the span."""
    return torch.sigmoid(torch.logit(spans, eps=EDGE) + answer)


UPDATES: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {"delta": delta, "absolute": absolute, "logit": logit}
