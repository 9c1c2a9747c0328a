"""Sampler: the process, both directions on one schedule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from torch import Tensor

from framework.core.noise import Noise
from framework.core.structures import Prediction, Slots
from framework.core.target import Target


class Denoise(Protocol):
    """The closure that the engine makes of a denoiser: signal units in, natural units out."""

    def __call__(self, x_t: Tensor, t: Tensor, previous: Prediction | None = None) -> Prediction: ...


class Sampler(ABC):
    """Built as ``Sampler(options)``. Knows tensors and a schedule, never a moment.

    self_condition: share of training batches whose denoiser is also given its own first answer.
    own_predictions: share of training batches whose noisy value is made from its own first answer instead of x0.
    """

    self_condition: float = 0.0
    own_predictions: float = 0.0

    @abstractmethod
    def corrupt(self, x0: Tensor, slots: Slots, noise: Noise, t: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Noise x0 (R, M, C), signal units, at time t (R,) in [0, 1], drawn where None.

        Returns x_t (zero where a slot is padding), t, and the loss weight of that t, (R,).
        """

    @abstractmethod
    def start(self, slots: Slots, channels: int, noise: Noise) -> tuple[Tensor, Tensor]:
        """The state that sampling starts from, (R, M, C) signal units, and its time, (R,)."""

    @abstractmethod
    def sample(self, denoise: Denoise, slots: Slots, target: Target, noise: Noise) -> list[Prediction]:
        """Walk from the starting state to a clean value; one prediction a step, the last is the result."""

    def at(self, progress: float) -> None:
        """Called before each epoch with the share of training done, 0 to 1."""
