"""Noise from a generator (training) or from a query's own key (evaluation)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from framework.core.structures import Slots


class Noise(ABC):
    """Where randomness comes from. Every call draws afresh."""

    @abstractmethod
    def normal(self, slots: Slots, channels: int) -> Tensor:
        """Standard normal numbers (R, M, C), zero where a slot is padding."""

    @abstractmethod
    def uniform(self, rows: int) -> Tensor:
        """One number in [0, 1) a row, (R,)."""


class GeneratorNoise(Noise):
    """Noise of a batch from one generator, whose state a checkpoint keeps."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def normal(self, slots: Slots, channels: int) -> Tensor:
        shape = (*slots.mask.shape, channels)
        drawn = torch.randn(shape, generator=self.generator, device=self.generator.device)
        return drawn.to(slots.mask.device) * slots.mask[..., None]

    def uniform(self, rows: int) -> Tensor:
        return torch.rand(rows, generator=self.generator, device=self.generator.device)


class KeyedNoise(Noise):
    """Noise that depends on (seed, query key, draw, call, scale, slot of the scale, channel) and on nothing else.

    A counter-based hash (the finalizer of SplitMix64, Steele et al. 2014) gives each number on its own, so batch size,
    order, padding and device do not matter: a grid that grows along its first dimension keeps its first numbers.
    """

    def __init__(self, seed: int, key: Tensor, draw: int = 0) -> None:
        self.key = _mix(_mix(key.long() ^ _mix(torch.tensor(seed, device=key.device))) + draw)
        self.calls = 0

    def normal(self, slots: Slots, channels: int) -> Tensor:
        device = slots.mask.device
        place = torch.cat([torch.arange(size, device=device) + (scale << 40) for scale, size in enumerate(slots.sizes)])
        stream = _mix(self.key.to(device) + self._call())
        cell = _mix(stream[:, None] ^ _mix(place)[None])[..., None]
        base = _mix(cell + torch.arange(channels, device=device))
        radius = torch.sqrt(-2 * torch.log1p(-_unit(base)))
        angle = 2 * math.pi * _unit(_mix(base + 1))
        return (radius * torch.cos(angle)).float() * slots.mask[..., None]

    def uniform(self, rows: int) -> Tensor:
        return _unit(_mix(_mix(self.key + self._call()) ^ 0x5DEECE66D)).float()[:rows]

    def _call(self) -> int:
        self.calls += 1
        return self.calls << 20


def _unit(bits: Tensor) -> Tensor:
    """Hashed integers to [0, 1) in float64, from their upper 53 bits."""
    return _shift(bits, 11).double() * 2.0**-53


def _shift(z: Tensor, by: int) -> Tensor:
    """Logical right shift; torch's own is arithmetic."""
    return (z >> by) & ((1 << (64 - by)) - 1)


def _mix(z: Tensor) -> Tensor:
    """Hash int64 to int64; multiplication wraps, as the generator intends."""
    z = z + -7046029254386353131
    z = (z ^ _shift(z, 30)) * -4658895280553007687
    z = (z ^ _shift(z, 27)) * -7723592293110705685
    return z ^ _shift(z, 31)
