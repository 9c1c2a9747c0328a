"""Sinusoidal codes of positions in a video."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sine_code(fraction: Tensor, width: int, temperature: float = 1e4) -> Tensor:
    """Code fractions (...) of a video as (..., width), sines and cosines interleaved (Carion et al. 2020, DETR).

    A fraction of 1 is the angle 2 pi; wavelengths grow by powers of ``temperature``. width: even.
    """
    pair = torch.arange(width // 2, device=fraction.device)
    angle = fraction[..., None] * 2 * math.pi / temperature ** (2 * pair / width)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)


def clip_code(clips: Tensor, length: int, width: int) -> Tensor:
    """Codes (R, length, width) of the first clips of videos that have clips (R,) real ones; the last real is at 1."""
    place = torch.arange(1, length + 1, device=clips.device)
    return sine_code(place / clips.clamp(min=1)[:, None], width)
