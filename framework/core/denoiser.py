"""Denoiser: the network that maps a noisy value and its condition to the clean one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import attrs
from torch import Tensor, nn

from framework.core.structures import Condition, Prediction, Slots


@attrs.frozen
class Site:
    """Where a denoiser is built: what the parts around it look like.

    widths: features of the condition and their last dimension. channels: numbers a slot (C). slots: the most slots that
    a row will ever have, None where that depends on the video.
    """

    widths: Mapping[str, int]
    channels: int
    slots: int | None = None


class Denoiser(nn.Module):
    """Built as ``Denoiser(options, site)``. A network never sees the schedule.

    requires: condition features that ``forward`` reads. heads: what its answers hold beside x0, by name. accepts: kinds
    of slots it can work on. reads_previous: whether it makes use of ``previous`` (self-conditioning).
    """

    requires: frozenset[str] = frozenset()
    heads: frozenset[str] = frozenset()
    accepts: ClassVar[frozenset[str]] = frozenset()
    reads_previous: bool = False

    @abstractmethod
    def forward(
        self, x_t: Tensor, t: Tensor, cond: Condition, slots: Slots, previous: Prediction | None = None
    ) -> Prediction:
        """Predict the clean value.

        x_t: (R, M, C) natural units. t: (R,) in [0, 1] = index / (timesteps - 1); 1 is pure noise.
        previous: the last step's answer, None at the first step.
        """

    def at(self, progress: float) -> None:
        """Called before each epoch with the share of training done, 0 to 1."""
