"""The degenerate process: the variable carries no information and one call is the answer."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from framework.core.noise import Noise
from framework.core.sampler import Denoise, Sampler
from framework.core.structures import Prediction, Slots
from framework.core.target import Target


@attrs.frozen
class OneStepOptions:
    """There is nothing to choose."""


class OneStep(Sampler):
    """One call on zeros at t = 1: a discriminative method, and the control of every diffusion recipe.

    Zero is the middle of the signal range, a harmless constant. Slots without anchors all get the same input and give
    the same answer, unless the denoiser tells them apart by learned queries.
    """

    def __init__(self, options: OneStepOptions) -> None:
        self.options = options

    def corrupt(self, x0: Tensor, slots: Slots, noise: Noise, t: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Forget x0 (R, M, C): zeros, t = 1 whatever was asked, weight 1."""
        ones = torch.ones(x0.shape[0], device=x0.device)
        return torch.zeros_like(x0), ones, ones

    def start(self, slots: Slots, channels: int, noise: Noise) -> tuple[Tensor, Tensor]:
        """Zeros (R, M, C) at t = 1."""
        device = slots.mask.device
        return torch.zeros(*slots.mask.shape, channels, device=device), torch.ones(slots.mask.shape[0], device=device)

    def sample(self, denoise: Denoise, slots: Slots, target: Target, noise: Noise) -> list[Prediction]:
        """Call the network once."""
        return [denoise(*self.start(slots, target.space.channels, noise))]
