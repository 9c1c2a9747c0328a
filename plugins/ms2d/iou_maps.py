"""Target of the map methods: the IoU of every cell of a pyramid with the moments asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from framework.core.noise import Noise
from framework.core.options import above, between, one_of, option
from framework.core.space import Space
from framework.core.structures import Candidates, Condition, Prediction, Rows, Slots
from framework.core.target import Target
from framework.errors import RecipeError
from plugins.ms2d.layout import Layout, cells_inside


@attrs.frozen
class IouMapsOptions(Layout):
    """Options of ``ms2d.iou_maps``."""

    value: str = option(
        "full", doc="IoU itself, or rescaled from [min_iou, max_iou] to [0, 1]", rule=one_of("full", "rescaled")
    )
    min_iou: float = option(0.5, doc="IoU that rescales to 0 and below", rule=between(0, 1))
    max_iou: float = option(1.0, doc="IoU that rescales to 1 and above", rule=between(0, 1))
    loss: str = option("mse", doc="squared error, or cross-entropy on the denoiser's logits", rule=one_of("mse", "bce"))
    mean: str = option(
        "row", doc="average over the cells of each row, or of the whole batch", rule=one_of("row", "batch")
    )
    range: str = option("signed", doc="signal range: [-scale, scale] or [0, scale]", rule=one_of("signed", "unit"))
    scale: float = option(1.0, doc="upper end of the signal range", rule=above(0))


class IouMaps(Target):
    """Map k holds, at row r and column a, the IoU of clips [r, r + a + 1) * 2^k with the nearest true moment.

    Zhang et al., MS-2D diffusion, eq. 1 and section 3.4; with ``value = "rescaled"`` and ``loss = "bce"`` the target of
    MS-2D-TAN. Where the paper is silent: cells that leave the video are no slots; a row's loss is the mean over its
    real cells of a scale, summed over scales (the authors' code of MS-2D-TAN averages over the cells of the batch,
    ``mean = "batch"``, which lets long videos weigh more); the signal is signed, which doubles its strength against
    the noise.

    ceiling: a moment of 1 to anchors * 2^(K-1) clips inside the map has a cell with IoU 1/2 at least; the worst is one
    clip long and straddles two evenly. Longer moments have no cell of their length, and the rows that pooling leaves
    over have none at all. Rescaled values promise nothing: at ``min_iou`` and below all cells are alike.
    """

    kind: ClassVar[str] = "cells"
    requires = frozenset({"clips", "clip"})

    def __init__(self, options: IouMapsOptions) -> None:
        if options.min_iou >= options.max_iou:
            raise ValueError(f"min_iou = {options.min_iou} must be less than max_iou = {options.max_iou}")
        options.check_layout()
        self.options = options
        self.ceiling = 0.5 if options.value == "full" else 0.0
        self.space = Space(scale=options.scale, signed=options.range == "signed")

    def slots(self, cond: Condition, rows: Rows | None) -> Slots:
        clips, clip = cond.feats["clips"], cond.feats["clip"]
        pyramid = self.options.pyramid(clips)
        start, length = pyramid.cells[:, 2:].to(clip).unbind(dim=1)
        anchor = torch.stack([start, start + length], dim=-1) * clip[:, None, None]
        mask = cells_inside(pyramid, clips)
        return Slots(mask, torch.zeros_like(mask, dtype=torch.long), anchor, pyramid.shapes)

    def encode(self, rows: Rows, slots: Slots, noise: Noise) -> Tensor:
        moments, mask = rows.padded()
        # The first cell is one clip long, which gives back the clip that the anchors were made with.
        clip = slots.anchor[:, 0, 1]
        lengths = slots.split(slots.mask)[0][:, :, 0].sum(dim=1)
        pyramid = self.options.pyramid(lengths)
        value = pyramid.iou(moments[..., 1:3] / clip[:, None, None], mask, lengths)
        if self.options.value == "rescaled":
            value = ((value - self.options.min_iou) / (self.options.max_iou - self.options.min_iou)).clamp(0, 1)
        return (value * slots.mask)[..., None]

    def loss(self, pred: Prediction, x0: Tensor, slots: Slots, rows: Rows) -> dict[str, Tensor]:
        error = self._error(pred, x0)[..., 0] * slots.mask
        terms = []
        for part, mask in zip(slots.split(error), slots.split(slots.mask), strict=True):
            cells = mask.flatten(1).sum(dim=1).float()
            share = cells if self.options.mean == "row" else cells.mean()
            # A scale that is coarser than every video has no cell and no error.
            terms.append(part.flatten(1).sum(dim=1) / share.clamp(min=1 / len(cells)))
        return {self.options.loss: torch.stack(terms).sum(dim=0)}

    def _error(self, pred: Prediction, x0: Tensor) -> Tensor:
        if self.options.loss == "mse":
            return (pred.x0 - x0).square()
        if "logit" not in pred.heads:
            raise RecipeError('[target] loss = "bce" needs probabilities: set output = "sigmoid" in [denoiser]')
        return F.binary_cross_entropy_with_logits(pred.heads["logit"], x0, reduction="none")

    def decode(self, preds: Sequence[Prediction], cond: Condition, slots: Slots) -> Candidates:
        """Fuse the scales, the highest score winning, and rank each row's own distinct moments (section 3.4)."""
        clips, clip = cond.feats["clips"], cond.feats["clip"]
        pyramid = self.options.pyramid(clips)
        scores = preds[-1].x0[..., 0].masked_fill(~slots.mask, -torch.inf)
        ranked, order = pyramid.fuse(scores, clips).sort(dim=1, descending=True, stable=True)
        most = int((ranked > -torch.inf).sum(dim=1).max())
        ranked, order = ranked[:, :most], order[:, :most]
        start, length = pyramid.distinct.to(clip)[order].unbind(dim=-1)
        start, end = start * clip[:, None], (start + length) * clip[:, None]
        return Candidates(torch.zeros_like(order), start, end, ranked, ranked > -torch.inf)

    def ideal(self, rows: Rows, slots: Slots, noise: Noise) -> Prediction:
        x0 = self.encode(rows, slots, noise)
        return Prediction(x0, {"logit": torch.logit(x0, eps=1e-6)})
