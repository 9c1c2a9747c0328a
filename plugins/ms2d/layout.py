"""What the parts of the method agree on: the cells of a video, work done once per condition, the answer's form."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from framework.core.structures import Condition, Prediction, Slots
from framework.targets import MapPyramid, map_rows


def check_layout(clips: int, scales: int, anchors: int) -> None:
    """Refuse a layout that no features can be made for; raises ValueError."""
    if (longest := anchors << (scales - 1)) > clips:
        raise ValueError(f"clips = {clips} must hold the longest cell, anchors * 2^(scales - 1) = {longest}")
    if scales > 1 and anchors % 2:
        raise ValueError(f"anchors = {anchors} must be even where there are several scales: half are copied")


def pyramid_of(clips: Tensor, window: int, scales: int, anchors: int) -> MapPyramid:
    """Maps that hold every video of a batch; clips: (V,) long. Encoder and target call this, so their cells agree."""
    return MapPyramid.cached(map_rows(clips, window, scales), scales, anchors)


def cells_inside(pyramid: MapPyramid, clips: Tensor) -> Tensor:
    """Mask (R, M) of the cells that end within their video; clips: (R,) long.

    Cell (row, a) of map k is real where row + a + 1 <= clips // 2^k, as the authors' network masks it. A video of fewer
    than 2^k clips has no cell there, although their data loader keeps one row of ground truth for it.
    """
    _, _, start, length = pyramid.cells.to(clips.device).unbind(dim=1)
    return start + length <= clips[:, None]


def once(cond: Condition, module: nn.Module, features: Tensor) -> Tensor:
    """``module(features)``, kept with the condition while sampling, so that only the first step pays for it.

    With gradients on nothing is kept: a graph can be walked once, and weights change between uses.
    """
    if torch.is_grad_enabled():
        return module(features)
    if module not in cond.memo:
        cond.memo[module] = module(features)
    return cond.memo[module]


def answer(output: Tensor, slots: Slots, kind: str) -> Prediction:
    """Clean values from a network's last layer (R, M, C), zero where a slot is padding.

    kind: "linear" for the number itself, "sigmoid" for a probability, which also hands its logit to the loss.
    """
    if kind == "linear":
        return Prediction(output * slots.mask[..., None])
    return Prediction(torch.sigmoid(output) * slots.mask[..., None], {"logit": output})
