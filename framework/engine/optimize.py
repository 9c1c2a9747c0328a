"""Optimizers, learning rates and the moving average of weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from framework.recipe import OptimizerOptions, TrainOptions


def optimizer_of(options: OptimizerOptions, modules: nn.Module) -> torch.optim.Optimizer:
    """Adam or AdamW over every weight that learns."""
    kind: type[torch.optim.Adam] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[options.name]
    learning = [weight for weight in modules.parameters() if weight.requires_grad]
    beta1, beta2 = options.betas
    return kind(learning, lr=options.lr, weight_decay=options.weight_decay, betas=(beta1, beta2))


def rate(step: int, steps: int, options: TrainOptions) -> float:
    """Factor on the learning rate at step ``step`` of ``steps``.

    Linear warm-up, then constant, half a cosine, or a fall to a tenth each time another ``drop`` of training is done.
    """
    if step < options.warmup:
        return (step + 1) / options.warmup
    if options.schedule == "constant":
        return 1.0
    if options.schedule == "step":
        return 0.1 ** int(step / (options.drop * steps))
    done = (step - options.warmup) / max(steps - options.warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


class MovingAverage:
    """Exponential moving average of weights; buffers are copied. decay 0 keeps nothing and changes nothing."""

    def __init__(self, modules: nn.Module, decay: float) -> None:
        self.modules, self.decay = modules, decay
        self.state = {name: value.detach().clone() for name, value in modules.state_dict().items()} if decay else {}

    @torch.no_grad()
    def update(self) -> None:
        """Fold the current weights in, after an optimizer step."""
        for name, value in self.modules.state_dict().items() if self.decay else ():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - self.decay)
            else:
                self.state[name].copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Evaluate with the averaged weights; the current ones come back afterwards."""
        if not self.decay:
            yield
            return
        current: dict[str, Tensor] = {name: value.clone() for name, value in self.modules.state_dict().items()}
        self.modules.load_state_dict(self.state)
        try:
            yield
        finally:
            self.modules.load_state_dict(current)
