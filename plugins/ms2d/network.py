"""What the denoisers have in common: options, the noisy input, the answer's form."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from framework.core.options import at_least, between, one_of, option
from framework.core.structures import Prediction, Slots


# Without slots, so that a denoiser's options can inherit from a layout as well.
@attrs.frozen(slots=False)
class NetworkOptions:
    """Options of every denoiser of maps."""

    dropout: float = option(0.0, doc="dropout in stylization, and in attention where there is any", rule=between(0, 1))
    time_width: int = option(2048, doc="features of the embedded time", rule=at_least(1))
    previous: bool = option(False, doc="read the previous answer as a further channel (self-conditioning)")
    output: str = option("linear", doc="the number itself, or the sigmoid of a logit", rule=one_of("linear", "sigmoid"))

    def read(self, x_t: Tensor, previous: Prediction | None) -> Tensor:
        """The noisy value x_t (R, M, C), with the previous answer beside it, (R, M, 2C), where ``previous`` is set.

        There is none at the first step, and zeros stand in for it.
        """
        if not self.previous:
            return x_t
        return torch.cat([x_t, torch.zeros_like(x_t) if previous is None else previous.x0], dim=-1)

    def answer(self, output: Tensor, slots: Slots) -> Prediction:
        """Clean values from the last layer (R, M, C), zero at padding; a sigmoid brings its logit along."""
        real = slots.mask[..., None]
        if self.output == "linear":
            return Prediction(output * real)
        return Prediction(torch.sigmoid(output) * real, {"logit": output})

    def channels(self, value: int) -> int:
        """Channels that ``read`` gives for a value of C = ``value``."""
        return 2 * value if self.previous else value
