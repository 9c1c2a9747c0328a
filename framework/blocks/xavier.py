"""The initialisation of weight matrices that the DETR family uses."""

from __future__ import annotations

from torch import nn


def xavier(part: nn.Module) -> None:
    """Draw the matrix of each linear layer in ``part`` from the Xavier-uniform distribution (Glorot and Bengio 2010).

    By kind of module: DiffusionDet goes by shape and so gives the bias of its span head, which is as long as its number
    of classes, a prior that was meant for the class head. Biases keep PyTorch's own.
    """
    for module in part.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
