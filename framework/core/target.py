"""Target: what is diffused, how it is scored against the truth and how moments are read from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from framework.core.noise import Noise
from framework.core.space import Space
from framework.core.structures import Candidates, Condition, Prediction, Rows, Slots


class Target(ABC):
    """Built as ``Target(options)``.

    kind: what its slots are ("cells", "free", "points", "candidates", "frames"); a denoiser names the kinds it accepts.
    requires: condition features that ``slots`` and ``decode`` read. reads: heads of the denoiser's answer that ``loss``
    and ``decode`` read, beside x0. ceiling: the IoU that ``decode(ideal)`` reaches for
    every moment at least one unit of the geometry long; 1 unless the geometry is coarser than time. most_slots: how
    many slots a row will ever have at most, in training or inference; None where that depends on the video.
    """

    kind: ClassVar[str]
    requires: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    ceiling: float = 1.0
    most_slots: int | None = None
    space: Space

    @abstractmethod
    def slots(self, cond: Condition, rows: Rows | None) -> Slots:
        """The slots of each row; ``rows`` is None at inference, where the ground truth is out of reach."""

    @abstractmethod
    def encode(self, rows: Rows, slots: Slots, noise: Noise) -> Tensor:
        """The clean value x0, (R, M, C) in natural units, zero where a slot is padding."""

    @abstractmethod
    def loss(self, pred: Prediction, x0: Tensor, slots: Slots, rows: Rows) -> dict[str, Tensor]:
        """Terms by name, a value a row (R,); the trainer weighs rows by the process's weight and averages."""

    @abstractmethod
    def decode(self, preds: Sequence[Prediction], cond: Condition, slots: Slots) -> Candidates:
        """All candidates, best first, in fractions of the extent. ``preds`` has one entry a sampling step."""

    def refine(self, x: Tensor, pred: Prediction, slots: Slots, noise: Noise) -> Tensor:
        """Change the state between two sampling steps (proposal renewal). x: (R, M, C) signal units."""
        return x

    def combine(self, draws: Sequence[Sequence[Prediction]]) -> list[Prediction]:
        """Make one walk of several draws of noise, step by step; the mean by default.

        A target whose slots mean nothing across draws, such as a set of proposals, joins them instead.
        """
        return [
            Prediction(
                torch.stack([answer.x0 for answer in answers]).mean(0),
                {name: torch.stack([answer.heads[name] for answer in answers]).mean(0) for name in answers[0].heads},
            )
            for answers in zip(*draws, strict=True)
        ]

    def ideal(self, rows: Rows, slots: Slots, noise: Noise) -> Prediction:
        """The prediction of a perfect denoiser: the ceiling, used by the laws and by reports."""
        return Prediction(self.encode(rows, slots, noise))

    def at(self, progress: float) -> None:
        """Called before each epoch with the share of training done, 0 to 1."""
