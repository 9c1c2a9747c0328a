"""Losses of a set of proposals against the true moments of each row.

Legend: R rows (of all decoder layers together), M proposals, G truths of the row that has most. Spans are centre and
width, fractions of the extent.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from framework.core.structures import Prediction, Rows
from framework.moments import cxw_to_start_end, giou, start_end_to_cxw


def truths(rows: Rows) -> tuple[Tensor, Tensor]:
    """True moments as centre and width (R, G, 2), and their mask (R, G); known ones first.

    Cut to the video: of a moment that a training window cut off, the visible part is the truth, and one that lies
    outside altogether is none.
    """
    moments, known = rows.padded()
    spans = moments[..., 1:3].clamp(0, 1)
    known = known & (spans[..., 1] > spans[..., 0])
    first = known.byte().argsort(dim=1, descending=True, stable=True)
    spans = spans.gather(1, first[..., None].expand_as(spans))
    return start_end_to_cxw(spans), known.gather(1, first)


@attrs.frozen(eq=False)
class Layers:
    """The answers of all decoder layers as rows of one batch, layer by layer.

    spans: (K * R, M, 2). logit: (K * R, M, 2), foreground first, or None. count: K.
    """

    spans: Tensor
    logit: Tensor | None
    count: int

    @staticmethod
    def of(pred: Prediction, auxiliary: bool) -> Layers:
        """Stack the layers of a prediction, only the last one unless ``auxiliary``."""
        answers = [*(pred.aux if auxiliary else ()), pred]
        logits = [answer.heads["logit"] for answer in answers if "logit" in answer.heads]
        return Layers(torch.cat([a.x0 for a in answers]), torch.cat(logits) if logits else None, len(answers))

    def spread(self, x: Tensor) -> Tensor:
        """Repeat x (R, ...) for every layer."""
        return x.repeat(self.count, *[1] * (x.dim() - 1))

    def collect(self, x: Tensor) -> Tensor:
        """Sum x (K * R,) over the layers, (R,)."""
        return x.reshape(self.count, -1).sum(dim=0)


@torch.no_grad()
def matching_cost(
    layers: Layers, truth: Tensor, class_weight: float, l1_weight: float, iou_weight: float, generalized: bool = True
) -> Tensor:
    """Cost (K * R, M, G) of each proposal for each truth (DiffusionVMR, eq. 10 and 12).

    ``-class * p_foreground + l1 * |c - c'| + |w - w'| - iou * gIoU``: the distance is a sum over centre and width here
    and a mean in the loss, as in Moment-DETR, which the equations follow. truth: (K * R, G, 2).
    """
    distance = (layers.spans[:, :, None] - truth[:, None]).abs().sum(-1)
    overlap = giou(cxw_to_start_end(layers.spans), cxw_to_start_end(truth))
    cost = l1_weight * distance - iou_weight * (overlap if generalized else overlap.clamp(min=0))
    if layers.logit is not None and class_weight:
        cost = cost - class_weight * layers.logit.softmax(dim=-1)[..., :1]
    return cost


def regression(spans: Tensor, truth: Tensor, generalized: bool) -> tuple[Tensor, Tensor]:
    """L1 and IoU loss of pairs (..., 2): mean over centre and width of the distance, and 1 - gIoU or 1 - IoU."""
    pairs = (cxw_to_start_end(spans)[..., None, :], cxw_to_start_end(truth)[..., None, :])
    overlap = giou(*pairs)[..., 0, 0]
    return (spans - truth).abs().mean(-1), 1 - (overlap if generalized else overlap.clamp(min=0))


def classification(logit: Tensor, foreground: Tensor, background_weight: float, real: Tensor) -> Tensor:
    """Two-way cross-entropy of logit (K * R, M, 2), mean over a row's real proposals, (K * R,).

    foreground: (K * R, M), the matched ones. The mean is over all proposals, not over the sum of their weights, as in
    Moment-DETR.
    """
    share = logit.log_softmax(dim=-1)
    loss = -torch.where(foreground, share[..., 0], background_weight * share[..., 1])
    return (loss * real).sum(1) / real.sum(1).clamp(min=1)


def foreground_of(matched: Tensor, proposals: int) -> Tensor:
    """Mask (K * R, M) of the proposals that a truth was assigned to; matched: (K * R, G)."""
    # Unmatched truths point at one more proposal, which is then dropped.
    index = torch.where(matched >= 0, matched, proposals)
    found = torch.zeros(len(matched), proposals + 1, dtype=torch.bool, device=matched.device)
    return found.scatter(1, index, True)[:, :proposals]
