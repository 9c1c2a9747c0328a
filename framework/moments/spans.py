"""The two ways to write a span: centre and width, start and end."""

from __future__ import annotations

import torch
from torch import Tensor


def cxw_to_start_end(spans_cxw: Tensor) -> Tensor:
    """Centre and width (..., 2) to start and end (..., 2), any unit. A negative width gives a reversed span."""
    centre, width = spans_cxw.unbind(-1)
    return torch.stack([centre - width / 2, centre + width / 2], dim=-1)


def start_end_to_cxw(spans: Tensor) -> Tensor:
    """Start and end (..., 2) to centre and width (..., 2), any unit."""
    start, end = spans.unbind(-1)
    return torch.stack([(start + end) / 2, end - start], dim=-1)
