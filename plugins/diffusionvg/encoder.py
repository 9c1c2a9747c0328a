"""Encoder of DiffusionVG: a video of fixed length that reads the words, which never read the video."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor, nn

from framework.blocks import (
    AttentionLayer,
    FeedForward,
    WordEmbedding,
    clip_code,
    project_inputs,
    with_endpoints,
    xavier,
)
from framework.core.encoder import Encoder, Inputs
from framework.core.options import at_least, between, option
from framework.core.structures import Condition, Index
from framework.targets import real_clips
from plugins.diffusionvg.crop import average_to


@attrs.frozen
class VideoCentredOptions:
    """Options of ``diffusionvg.video_centred``."""

    width: int = option(256, doc="features a clip and a word, even", rule=at_least(2))
    heads: int = option(8, doc="attention heads, a divisor of width", rule=at_least(1))
    layers: int = option(4, doc="layers that let the video read itself and the words", rule=at_least(1))
    ffn: int = option(1024, doc="hidden features of the feed-forward network", rule=at_least(1))
    dropout: float = option(0.1, doc="dropout of the layers and of the projected words", rule=between(0, 1))
    input_dropout: float = option(
        0.5, doc="dropout of the video features and of the words' position code", rule=between(0, 1)
    )
    pool_clips: int = option(
        64, doc="clips that each video is averaged to; the Charades script has 72", rule=at_least(1)
    )
    endpoints: bool = option(
        False, doc="append to each averaged clip where it starts and ends, as fractions; the source has no such thing"
    )
    max_words: int = option(32, doc="words that are read, the rest is cut", rule=at_least(1))
    word_width: int = option(
        300, doc="width of a learned word vector; unused where the data give vectors", rule=at_least(1)
    )


class VideoCentredEncoder(Encoder):
    """Clips that attend to one another and to the words, layer by layer; the words stay as they came.

    Liang et al. 2024, from the released code. The source fine-tunes DistilBERT; here words come as the recipe's text
    source gives them, and a linear layer with normalisation brings them to width. A video is averaged to
    ``pool_clips`` clips whatever its length, so no row has padding and "clips" is the same for all. The source's sine
    code of a clip divides a channel's number by two without rounding down, which gives the sine and the cosine of a
    pair different wavelengths: a slip, not repeated here. Positions reach queries and keys alone, so what a crop sums
    up does not say where it was cut; ``endpoints`` lets it.

    Raises ValueError for a width that is odd or that ``heads`` does not divide.
    """

    def __init__(self, options: VideoCentredOptions, inputs: Inputs) -> None:
        super().__init__()
        width = options.width
        if width % 2:
            raise ValueError(f"width = {width} must be even, half sines and half cosines of a clip's position")
        self.options = options
        self.widths = {"seq": width, "clips": 1, "words": width, "spoken": 1}
        if options.endpoints:
            inputs.require_no_positions("endpoints")
        given = inputs.video + 2 * options.endpoints
        self.video = nn.Sequential(project_inputs(given, width, options.input_dropout, layers=1), nn.ReLU())
        self.vectors = WordEmbedding(inputs.text, inputs.vocabulary, options.word_width)
        self.text = nn.Sequential(
            nn.Linear(self.vectors.width, width), nn.LayerNorm(width), nn.Dropout(options.dropout)
        )
        self.word_code = WordCode(options.max_words, width, options.input_dropout)
        self.layers = nn.ModuleList(VideoCentredLayer(options) for _ in range(options.layers))

    def encode(self, side: str, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Text: "words" and "code" (Q, L, width), "spoken" (Q,). Video: "seq" (V, pool_clips, width), "clips" (V,)."""
        if side == "text":
            return self._words(x[:, : self.options.max_words], mask[:, : self.options.max_words])
        pooled = average_to(x, mask, self.options.pool_clips)
        if self.options.endpoints:
            pooled = with_endpoints(pooled, pooled.new_ones(pooled.shape[:2], dtype=torch.bool))
        clips = torch.full(x.shape[:1], self.options.pool_clips, device=x.device)
        return {"seq": self.video(pooled), "clips": clips}

    def _words(self, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        words = self.text(self.vectors(x)) * mask[..., None]
        return {"words": words, "code": self.word_code(words), "spoken": mask.sum(dim=1)}

    def join(self, encoded: Mapping[str, Mapping[str, Tensor]], index: Index) -> Condition:
        """Let the video of each row read its words.

        Gives "seq" (R, pool_clips, width), "clips" (R,) long, "words" (R, L, width), zero at padding, and "spoken"
        (R,) long, how many of them are real.
        """
        if index.pool.shape[1] != 1:
            raise ValueError(
                f"diffusionvg.video_centred joins one video a row; the row policy gave {index.pool.shape[1]}"
            )
        item = dict(zip(index.sides, (index.ask, index.pool[:, 0]), strict=True))
        seq, clips = (encoded["video"][name][item["video"]] for name in ("seq", "clips"))
        words, code, spoken = (encoded["text"][name][item["text"]] for name in ("words", "code", "spoken"))
        clip_at = clip_code(clips[:1], seq.shape[1], self.options.width)
        for layer in self.layers:
            seq = layer(seq, words, spoken, clip_at, code)
        return Condition({"seq": seq, "clips": clips, "words": words, "spoken": spoken}, len(index))


class VideoCentredLayer(nn.Module):
    """Attention among clips, attention from clips to words, feed-forward network; weights start as Glorot's."""

    def __init__(self, options: VideoCentredOptions) -> None:
        super().__init__()
        self.clips = AttentionLayer(options.width, options.heads, options.dropout)
        self.words = AttentionLayer(options.width, options.heads, options.dropout)
        self.ffn = FeedForward(options.width, options.ffn, options.dropout)
        xavier(self)

    def forward(self, seq: Tensor, words: Tensor, spoken: Tensor, clip_at: Tensor, word_at: Tensor) -> Tensor:
        """Change seq (R, L, D) by words (R, W, D), the first spoken (R,) of them real.

        clip_at: codes of the clips' positions, broadcast to seq. word_at: of the words', (R, W, D).
        """
        every = seq.new_ones(seq.shape[:2], dtype=torch.bool)
        real = real_clips(spoken, words.shape[1])
        seq = self.clips(seq, seq, every, clip_at, clip_at)
        changed: Tensor = self.ffn(self.words(seq, words, real, clip_at, word_at))
        return changed


class WordCode(nn.Module):
    """Learned position code of words, normalised together with the word itself (Lei et al. 2021, Moment-DETR)."""

    def __init__(self, words: int, width: int, dropout: float) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(words, width))
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)

    def forward(self, words: Tensor) -> Tensor:
        """Codes (Q, L, D) of words (Q, L, D)."""
        code: Tensor = self.dropout(self.norm(words + self.table[: words.shape[1]]))
        return code
