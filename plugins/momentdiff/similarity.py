"""Losses on the score of each clip: how similar it is to the text."""

from __future__ import annotations

import attrs
import torch.nn.functional as F
from torch import Tensor

from framework.core.options import above, at_least, one_of, option
from framework.core.structures import Rows
from framework.targets import clips_inside, contrast, real_clips, saliency_hinge


# Without slots, so that the encoder's options can inherit.
@attrs.frozen(slots=False)
class SimilarityOptions:
    """The terms of the similarity loss (Li et al. 2023), a name each so that a recipe can weigh them.

    The hinge counts twice, as released. Weights differ by data set, in lines that the authors comment in and out:
    hinge, bce and contrast 1, 1, 1 (Charades-STA) or 10, 10, 1 (ActivityNet, anti-bias splits), all times 4 or 2.
    MomentDiff has no labels; with them the hinge is the mean of that of the moments and Moment-DETR's of the labels.
    """

    saliency: str = option(
        "windows",
        doc="what scores of clips learn from: true moments, those and the data's labels, or no scores at all",
        rule=one_of("windows", "labels", "none"),
    )
    hinge: bool = option(True, doc="clips inside score higher than clips outside, by a margin")
    bce: bool = option(True, doc="cross-entropy of each clip's score with being inside")
    contrast: bool = option(True, doc="clips inside stand out among all clips with the own and with a foreign text")
    margin: float = option(0.2, doc="margin of the hinge", rule=at_least(0))
    temperature: float = option(0.5, doc="temperature of the contrast", rule=above(0))

    def check(self, labelled: bool) -> None:
        """Refuse combinations that cannot work, with data that label clips or not; raises ValueError."""
        if self.saliency == "labels" and not labelled:
            raise ValueError('saliency = "labels": the data label no clips; set saliency = "windows" or "none"')
        if self.saliency == "labels" and not self.hinge:
            raise ValueError('saliency = "labels" needs hinge = true, as no other term reads labels')
        if self.saliency != "none" and not (self.hinge or self.bce or self.contrast):
            raise ValueError(
                f'saliency = "{self.saliency}" has nothing to learn from: '
                'set hinge, bce or contrast = true, or saliency = "none"'
            )

    def within(self, scores: Tensor, clips: Tensor, rows: Rows) -> dict[str, Tensor]:
        """The terms that need no foreign text, (R,) each.

        scores: (R, T) logits. clips: (R,) long. Padding counts for nothing; the released cross-entropy divides by the
        length of the longest video of the batch.
        """
        real, inside = real_clips(clips, scores.shape[1]), clips_inside(rows, clips, scores.shape[1])
        terms = {}
        if self.hinge:
            terms["hinge"] = saliency_hinge(scores, clips, rows, self.saliency == "labels", self.margin)
        if self.bce:
            each = F.binary_cross_entropy_with_logits(scores, inside.to(scores), reduction="none")
            terms["bce"] = (each * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)
        return terms

    def across(self, scores: Tensor, foreign: Tensor, clips: Tensor, rows: Rows) -> Tensor:
        """The contrast with ``foreign`` (R, T), scores of the same clips with a foreign text: (R,)."""
        inside = clips_inside(rows, clips, scores.shape[1])
        return contrast(scores, foreign, inside, real_clips(clips, scores.shape[1]), self.temperature)
