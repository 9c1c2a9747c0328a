"""What decoders of span sets have in common: layers that each give an answer, and two numbers a slot."""

from __future__ import annotations

from torch import nn


def require_exit(exit_layer: int, layers: int) -> None:
    """Raise ValueError where there is no such layer; 0 is the last."""
    if exit_layer > layers:
        raise ValueError(f"exit_layer = {exit_layer} must be at most layers = {layers}")


def layers_to_run(layers: nn.ModuleList, exit_layer: int, training: bool) -> nn.ModuleList:
    """All layers in training, where each of them learns, else the first ``exit_layer``; 0 is all."""
    return layers if training or not exit_layer else layers[:exit_layer]


def require_spans(name: str, channels: int) -> None:
    """Raise ValueError where a slot holds anything but centre and width; name: of the part that needs them."""
    if channels != 2:
        raise ValueError(f"{name} needs 2 numbers a slot, centre and width; the target has {channels}")
