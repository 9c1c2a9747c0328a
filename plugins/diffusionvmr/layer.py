"""One denoising layer: proposals look at each other and at what they have cropped, and answer."""

from __future__ import annotations

from torch import Tensor, nn

from framework.blocks import AttentionLayer, FeedForward, ScaleShift
from framework.core.structures import Prediction
from plugins.diffusionvmr.interaction import DynamicInteraction
from plugins.diffusionvmr.update import UPDATES


class CascadeLayer(nn.Module):
    """Self-attention, dynamic interaction and feed-forward network, then the time and two heads.

    The head of Sparse R-CNN (Sun et al. 2021), to which section 3.4 points, with the time as DiffusionDet lets it in:
    after the features that the next layer goes on from.
    """

    def __init__(
        self, width: int, heads: int, ffn: int, dropout: float, time_width: int, dynamic: int, bins: int, update: str
    ) -> None:
        super().__init__()
        self.update = UPDATES[update]
        self.attention = AttentionLayer(width, heads, dropout)
        self.interaction = DynamicInteraction(width, dynamic, bins)
        self.dropout, self.norm = nn.Dropout(dropout), nn.LayerNorm(width)
        self.ffn = FeedForward(width, ffn, dropout)
        self.time = ScaleShift(time_width, width)
        self.foreground, self.span = head(width, 1), head(width, 3)

    def forward(
        self, spans: Tensor, features: Tensor, crops: Tensor, time: Tensor, mask: Tensor
    ) -> tuple[Tensor, Prediction]:
        """Refine spans (R, M, 2) from features (R, M, D) and crops (R, M, bins, D).

        time: (R, time_width). mask: (R, M), the proposals that there are. Returns the features that the next layer
        goes on from, the time not in them, and the answer: new spans and "logit" (R, M, 2), foreground first.
        """
        x = self.attention(features, features, mask)
        x = self.ffn(self.norm(x + self.dropout(self.interaction(x, crops))))
        timed = self.time(x, time)
        # In half precision a fraction of a long video would be off by clips.
        spans = self.update(spans, self.span(timed).float())
        return x, Prediction(spans, {"logit": self.foreground(timed).float()})


def head(width: int, layers: int) -> nn.Sequential:
    """``layers`` times linear without bias, LayerNorm and ReLU, then two numbers."""
    blocks: list[nn.Module] = []
    for _ in range(layers):
        blocks += [nn.Linear(width, width, bias=False), nn.LayerNorm(width), nn.ReLU()]
    return nn.Sequential(*blocks, nn.Linear(width, 2))
