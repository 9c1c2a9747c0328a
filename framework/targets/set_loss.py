"""Losses of a set of proposals against the true moments of each row.

Legend: R rows (of all decoder layers together), M proposals, G truths of the row that has most. Spans are centre and
width, fractions of the extent.
"""

from __future__ import annotations

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from framework.core.structures import Prediction, Rows
from framework.moments import giou_of_ends, start_end_to_cxw


def truths(rows: Rows) -> tuple[Tensor, Tensor]:
    """True moments as centre and width (R, G, 2), and their mask (R, G).

    Cut to the video: of a moment that a training window cut off, the visible part is the truth, and one that lies
    outside altogether is none.
    """
    moments, known = rows.padded()
    spans = moments[..., 1:3].clamp(0, 1)
    return start_end_to_cxw(spans), known & (spans[..., 1] > spans[..., 0])


@attrs.frozen(eq=False)
class Layers:
    """The answers of all decoder layers as rows of one batch, layer by layer.

    spans: (K * R, M, 2). logit: (K * R, M, 2), foreground first; empty where the denoiser gives none. count: K.
    """

    spans: Tensor
    logit: Tensor
    count: int

    @staticmethod
    def of(pred: Prediction, auxiliary: bool) -> Layers:
        """Stack the layers of a prediction, only the last one unless ``auxiliary``."""
        answers = [*(pred.aux if auxiliary else ()), pred]
        logits = [answer.heads.get("logit", pred.x0[:, :0]) for answer in answers]
        if len(answers) == 1:
            return Layers(pred.x0, logits[0], 1)
        return Layers(torch.cat([answer.x0 for answer in answers]), torch.cat(logits), len(answers))

    def spread(self, x: Tensor) -> Tensor:
        """Repeat x (R, ...) for every layer."""
        return x.repeat(self.count, *[1] * (x.dim() - 1)) if self.count > 1 else x

    def collect(self, x: Tensor) -> Tensor:
        """Sum x (K * R,) over the layers, (R,)."""
        return x.reshape(self.count, -1).sum(dim=0)


@torch.no_grad()
def matching_cost(
    layers: Layers, truth: Tensor, class_weight: float, l1_weight: float, iou_weight: float, generalized: bool = True
) -> Tensor:
    """Cost (K * R, M, G) of each proposal for each truth (DiffusionVMR, eq. 10 and 12).

    ``-class * p_foreground + l1 * (|c - c'| + |w - w'|) - iou * gIoU``: the distance is a sum over centre and width
    here and a mean in the loss, as in Moment-DETR, which the equations follow. truth: (K * R, G, 2).
    """
    # Proposals lie last in memory: a loop over five truths, or over two ends, is too short for a processor to be fast.
    centre, width = (x.contiguous()[:, None] for x in layers.spans.unbind(-1))
    true_centre, true_width = truth[..., None].unbind(2)
    cost = (centre - true_centre).abs_().add_((width - true_width).abs_()).mul_(l1_weight)
    overlap = _giou(centre, width, true_centre, true_width)
    cost.sub_(overlap if generalized else overlap.clamp_(min=0), alpha=iou_weight)
    foreground, background = layers.logit.unbind(-1)
    cost.sub_(torch.sigmoid(foreground - background)[:, None], alpha=class_weight)
    return cost.transpose(1, 2)


def regression(spans: Tensor, truth: Tensor, generalized: bool) -> tuple[Tensor, Tensor]:
    """L1 and IoU loss of pairs (..., 2): mean over centre and width of the distance, and 1 - gIoU or 1 - IoU."""
    overlap = _giou(*spans.unbind(-1), *truth.unbind(-1))
    return (spans - truth).abs().mean(-1), 1 - (overlap if generalized else overlap.clamp(min=0))


def _giou(centre: Tensor, width: Tensor, other_centre: Tensor, other_width: Tensor) -> Tensor:
    half, other_half = width / 2, other_width / 2
    return giou_of_ends(centre - half, centre + half, other_centre - other_half, other_centre + other_half)


def classification(logit: Tensor, foreground: Tensor, background_weight: float, real: Tensor) -> Tensor:
    """Two-way cross-entropy of logit (K * R, M, 2), mean over a row's real proposals, (K * R,).

    foreground: (K * R, M), the matched ones. The mean is over all proposals, not over the sum of their weights, as in
    Moment-DETR.
    """
    # log_softmax over two numbers, several times as fast.
    lead = logit[..., 1] - logit[..., 0]
    loss = F.softplus(torch.where(foreground, lead, -lead)) * torch.where(foreground, 1.0, background_weight)
    return (loss * real).sum(1) / real.sum(1).clamp(min=1)


def foreground_of(matched: Tensor, proposals: int) -> Tensor:
    """Mask (K * R, M) of the proposals that a truth was assigned to; matched: (K * R, G)."""
    # Unmatched truths point at one more proposal, which is then dropped.
    index = torch.where(matched >= 0, matched, proposals)
    found = torch.zeros(len(matched), proposals + 1, dtype=torch.bool, device=matched.device)
    return found.scatter(1, index, True)[:, :proposals]
