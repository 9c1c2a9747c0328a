"""What the laws of encoders and of denoisers share: both have weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from framework.testing.laws.law import expect


@contextlib.contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Evaluate without gradients, and leave the module in the mode in which it was found."""
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(training)


def expect_gradients(module: nn.Module, outputs: Sequence[Tensor]) -> None:
    """Raise ``Broken`` unless each parameter that requires a gradient gets a finite one from the outputs together."""
    source = torch.Generator().manual_seed(0)
    # A plain sum would be constant behind a softmax; random weights pull in every direction.
    total = torch.stack(
        [(out * torch.randn(out.shape, generator=source)).sum() for out in outputs if out.requires_grad]
        or [torch.zeros((), requires_grad=True)]
    ).sum()
    learned = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    gradients = torch.autograd.grad(total, list(learned.values()), allow_unused=True) if learned else ()
    for name, gradient in zip(learned, gradients, strict=True):
        expect(gradient is not None, f"parameter {name} gets no gradient.")
        expect(gradient is None or torch.isfinite(gradient).all(), f"the gradient of {name} is not finite.")
