"""Joint encoder of DiffusionVMR: self-attention over clips and words together, and a score of each clip."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framework.blocks import TransformerLayer, WordEmbedding, clip_code, project_inputs, with_endpoints, xavier
from framework.core.encoder import Encoder, Inputs
from framework.core.options import above, at_least, between, one_of, option
from framework.core.structures import Condition, Index, Rows
from framework.targets import clips_inside, contrast, mismatched, real_clips, saliency_hinge


@attrs.frozen
class JointOptions:
    """Options of ``diffusionvmr.joint``."""

    width: int = option(512, doc="features a clip and a word, even", rule=at_least(2))
    layers: int = option(6, doc="layers of joint self-attention", rule=at_least(1))
    heads: int = option(8, doc="attention heads, a divisor of width", rule=at_least(1))
    ffn: int = option(1024, doc="hidden width of the feed-forward networks", rule=at_least(1))
    dropout: float = option(0.1, doc="dropout in attention and feed-forward networks", rule=between(0, 1))
    input_dropout: float = option(0.5, doc="dropout before each layer of the input projections", rule=between(0, 1))
    input_layers: int = option(2, doc="layers of each input projection", rule=at_least(1))
    max_words: int = option(32, doc="words of a text that are read, the first ones", rule=at_least(1))
    word_width: int = option(
        300, doc="width of a learned word vector; unused where the data give vectors", rule=at_least(1)
    )
    endpoints: bool = option(True, doc="append to each clip where it starts and ends, as fractions")
    saliency: str = option(
        "windows",
        doc="hinge of clips inside moments over those outside (windows), of labelled clips as well (labels), or none",
        rule=one_of("windows", "labels", "none"),
    )
    contrast: bool = option(True, doc="score relevant clips above the same video's with a foreign text")
    margin: float = option(0.2, doc="margin of the hinge", rule=at_least(0))
    temperature: float = option(0.5, doc="temperature of the contrast", rule=above(0))

    @property
    def scores(self) -> bool:
        """Whether any term reads a score a clip."""
        return self.contrast or self.saliency != "none"

    def check(self, inputs: Inputs) -> None:
        """Refuse combinations that cannot work; raises ValueError."""
        if self.width % 2:
            raise ValueError(f"width = {self.width} must be even, half sines and half cosines of a clip's place")
        if self.saliency == "labels" and not inputs.saliency:
            raise ValueError(
                'saliency = "labels" needs data that label clips, and these do not; set saliency = "windows" or "none"'
            )


class JointEncoder(Encoder):
    """Clips and words through one Transformer (Zhao et al. 2023, DiffusionVMR, section 3.3).

    The paper gives width, depth and joint attention; the rest is Moment-DETR's, which it follows: inputs through
    LayerNorm, dropout and linear layers, post-norm layers without a last normalisation, sine codes of the clips in
    queries and keys and none of the words. It does not say whether the endpoints of a clip are among its features; by
    default they are, as the decoder's crops know no other position. Clips and words come first, padding last.
    """

    def __init__(self, options: JointOptions, inputs: Inputs) -> None:
        super().__init__()
        options.check(inputs)
        self.options, width = options, options.width
        self.widths = {"seq": width, "clips": 1, "words": width, "spoken": 1}
        self.widths |= {"saliency": 1} if options.scores else {}
        words = WordEmbedding(inputs.text, inputs.vocabulary, options.word_width)
        if options.endpoints:
            inputs.require_no_positions("endpoints")
        self.video = self._projection(inputs.video + 2 * options.endpoints)
        self.text = nn.Sequential(words, self._projection(words.width))
        self.layers = nn.ModuleList(
            TransformerLayer(width, options.heads, options.ffn, options.dropout) for _ in range(options.layers)
        )
        self.saliency = nn.Linear(width, 1) if options.scores else None
        xavier(self)

    def _projection(self, inputs: int) -> nn.Module:
        return project_inputs(inputs, self.options.width, self.options.input_dropout, self.options.input_layers)

    def encode(self, side: str, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Video: "seq" (V, T, width) and "clips" (V,). Text: "words" (Q, Lw, width) and "spoken" (Q,)."""
        if side == "video":
            clips = with_endpoints(x, mask) if self.options.endpoints else x
            return {"seq": self.video(clips), "clips": mask.sum(dim=1)}
        kept = slice(self.options.max_words)
        return {"words": self.text(x[:, kept]), "spoken": mask[:, kept].sum(dim=1)}

    def join(self, encoded: Mapping[str, Mapping[str, Tensor]], index: Index) -> Condition:
        """Let clips and words of each row attend to each other.

        Gives "seq" (R, L, width), one vector a clip; "clips" (R,) long; "words" (R, Lw, width); "spoken" (R,) long;
        and, where a loss reads it, "saliency" (R, L, 1). All are zero at padding. L is that of the longest video asked.
        """
        if index.pool.shape[1] != 1:
            raise ValueError(f"diffusionvmr.joint reads one video a row; the row policy gave {index.pool.shape[1]}")
        item = dict(zip(index.sides, (index.ask, index.pool[:, 0]), strict=True))
        video, text = encoded["video"], encoded["text"]
        clips, spoken = video["clips"][item["video"]], text["spoken"][item["text"]]
        seq, words = video["seq"][item["video"], : int(clips.max())], text["words"][item["text"]]
        seq, words = self._mix(seq, words, clips, spoken)
        feats = {"seq": seq, "clips": clips, "words": words, "spoken": spoken}
        if self.saliency is not None:
            feats["saliency"] = self.saliency(seq) * real_clips(clips, seq.shape[1])[..., None]
        return Condition(feats, len(index))

    def _mix(self, seq: Tensor, words: Tensor, clips: Tensor, spoken: Tensor) -> tuple[Tensor, Tensor]:
        """Run seq (R, L, D) and words (R, Lw, D), of which clips and spoken (R,) are real, through all layers."""
        sizes = [seq.shape[1], words.shape[1]]
        mask = torch.cat([real_clips(clips, sizes[0]), real_clips(spoken, sizes[1])], dim=1)
        code = F.pad(clip_code(clips, sizes[0], self.options.width), (0, 0, 0, sizes[1]))
        x = torch.cat([seq, words], dim=1)
        for layer in self.layers:
            x = layer(x, x, mask, code, code)
        seq, words = torch.split(x * mask[..., None], sizes, dim=1)
        return seq, words

    def loss(self, cond: Condition, rows: Rows, encoded: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Terms "hinge" and "contrast" of equation 13, (R,) each, as far as the options want them.

        The paper leaves open how the two are computed. The hinge counts twice, as Moment-DETR scales it. The contrast
        is MomentDiff's, and costs one more pass of this encoder, of each video with a foreign text; 0 where a batch
        has none.
        """
        options, terms = self.options, {}
        if not options.scores:
            return {}
        scores, clips = cond.feats["saliency"][..., 0].float(), cond.feats["clips"]
        real, inside = real_clips(clips, scores.shape[1]), clips_inside(rows, clips, scores.shape[1])
        if options.saliency != "none":
            terms["hinge"] = saliency_hinge(scores, clips, rows, options.saliency == "labels", options.margin)
        if options.contrast:
            foreign = mismatched(rows.index)
            other = self.join(encoded, foreign.index).feats["saliency"][..., 0].float()
            terms["contrast"] = contrast(scores, other, inside, real, options.temperature) * foreign.known
        return terms
