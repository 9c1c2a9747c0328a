"""Encoder of MomentDiff: clips read the words, then each other and a global token."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framework.blocks import TransformerLayer, WordEmbedding, clip_code, project_inputs, with_endpoints, xavier
from framework.core.encoder import Encoder, Inputs
from framework.core.options import at_least, between, option
from framework.core.structures import Condition, Index, Rows
from framework.targets import mismatched, real_clips
from plugins.momentdiff.similarity import SimilarityOptions


@attrs.frozen
class CrossOptions(SimilarityOptions):
    """Options of ``momentdiff.cross``."""

    width: int = option(256, doc="features a clip and a word, even", rule=at_least(2))
    layers: int = option(2, doc="layers of cross-attention, and as many of self-attention", rule=at_least(1))
    heads: int = option(8, doc="attention heads, a divisor of width", rule=at_least(1))
    ffn: int = option(1024, doc="hidden width of the feed-forward network", rule=at_least(1))
    dropout: float = option(0.1, doc="dropout in the layers", rule=between(0, 1))
    input_dropout: float = option(0.5, doc="dropout of the features that come in", rule=between(0, 1))
    endpoints: bool = option(True, doc="append to each clip where it starts and ends, as fractions")
    max_words: int = option(32, doc="words that are read; the rest of a longer text is cut off", rule=at_least(1))
    word_width: int = option(
        300, doc="width of a learned word vector; unused where the data give vectors", rule=at_least(1)
    )

    def check(self, labelled: bool) -> None:
        """Refuse combinations that cannot work, with data that are labelled or not; raises ValueError."""
        super().check(labelled)
        if self.width % 2:
            raise ValueError(f"width = {self.width} must be even, half sines and half cosines of the position")

    def layer(self) -> TransformerLayer:
        """A layer of either kind."""
        return TransformerLayer(self.width, self.heads, self.ffn, self.dropout, nn.PReLU())


class CrossEncoder(Encoder):
    """Cross-attention from clips to words, then self-attention over a learned token and the clips (Li et al. 2023).

    Words are projected and not changed further. The token reaches the clips through attention and goes no further: the
    authors score clips by a linear layer of the clips alone. Their cross-attention layers add the feed-forward branch
    to the sum before its normalisation; here every layer is post-norm, as their self-attention layers are. The foreign
    text of the contrast runs through the encoder alone, and in training alone; theirs also runs the decoder, at test
    with all its sampling steps, and drops the answer.
    """

    def __init__(self, options: CrossOptions, inputs: Inputs) -> None:
        super().__init__()
        options.check(inputs.saliency)
        self.options, width = options, options.width
        self.cross = nn.ModuleList(options.layer() for _ in range(options.layers))
        self.mix = nn.ModuleList(options.layer() for _ in range(options.layers))
        xavier(self)
        self.token, self.token_at = nn.Parameter(torch.randn(width)), nn.Parameter(torch.randn(width))
        self.words = WordEmbedding(inputs.text, inputs.vocabulary, options.word_width)
        self.text = project_inputs(self.words.width, width, options.input_dropout)
        if options.endpoints:
            inputs.require_no_positions("endpoints")
        self.video = project_inputs(inputs.video + 2 * options.endpoints, width, options.input_dropout)
        self.score = nn.Linear(width, 1) if options.saliency != "none" else None
        self.widths = {"seq": width, "clips": 1, "words": width, "spoken": 1}
        if self.score is not None:
            self.widths["saliency"] = 1

    def encode(self, side: str, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Text: "words" (Q, L, width) and "spoken" (Q,). Video: "video" (V, T, width) and "clips" (V,)."""
        if side == "text":
            heard = mask[:, : self.options.max_words]
            words = self.text(self.words(x[:, : heard.shape[1]])) * heard[..., None]
            return {"words": words, "spoken": heard.sum(dim=1)}
        given = with_endpoints(x, mask) if self.options.endpoints else x
        return {"video": self.video(given) * mask[..., None], "clips": mask.sum(dim=1)}

    def join(self, encoded: Mapping[str, Mapping[str, Tensor]], index: Index) -> Condition:
        """Let the clips of each row read its words.

        Gives "seq" (R, T, width), zero at padding; "clips" (R,) long; "words" (R, L, width), zero at padding; "spoken"
        (R,) long; and, unless saliency is "none", "saliency" (R, T, 1), a logit a clip, zero at padding.
        """
        if index.pool.shape[1] != 1:
            raise ValueError(f"momentdiff.cross reads one video a row; the row policy gave {index.pool.shape[1]}")
        item = dict(zip(index.sides, (index.ask, index.pool[:, 0]), strict=True))
        gathered = {name: value[item[side]] for side in item for name, value in encoded[side].items()}
        video = gathered.pop("video")
        real = real_clips(gathered["clips"], video.shape[1])
        features = {"seq": self._fuse(video, real, gathered) * real[..., None], **gathered}
        if self.score is not None:
            features["saliency"] = self.score(features["seq"]) * real[..., None]
        return Condition(features, len(index))

    def _fuse(self, video: Tensor, real: Tensor, row: Mapping[str, Tensor]) -> Tensor:
        """Clips (R, T, width), real where ``real`` (R, T), that have read the words of ``row``."""
        rows, length, width = video.shape
        at, heard = clip_code(row["clips"], length, width), real_clips(row["spoken"], row["words"].shape[1])
        for layer in self.cross:
            video = layer(video, row["words"], heard, at, 0.0)
        sequence = torch.cat([self.token.expand(rows, 1, -1), video], dim=1)
        sequence_at = torch.cat([self.token_at.expand(rows, 1, -1), at], dim=1)
        mask = F.pad(real, (1, 0), value=True)
        for layer in self.mix:
            sequence = layer(sequence, sequence, mask, sequence_at, sequence_at)
        return sequence[:, 1:]

    def loss(self, cond: Condition, rows: Rows, encoded: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The terms "hinge", "bce" and "contrast" that the options ask for, (R,) each; none without scores."""
        if self.score is None:
            return {}
        scores, clips = cond.feats["saliency"][..., 0].float(), cond.feats["clips"]
        terms = self.options.within(scores, clips, rows)
        if self.options.contrast:
            foreign = mismatched(rows.index)
            other = self.join(encoded, foreign.index).feats["saliency"][..., 0].float()
            terms["contrast"] = self.options.across(scores, other, clips, rows) * foreign.known
        return terms
