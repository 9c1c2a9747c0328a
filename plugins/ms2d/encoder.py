"""Encoder of MS-2D-TAN: fused features of every candidate moment and the sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framework.blocks import WordEmbedding
from framework.core.encoder import Encoder, Inputs
from framework.core.options import at_least, one_of, option
from framework.core.structures import Condition, Index
from framework.targets import map_rows
from plugins.ms2d.layout import Layout, cells_inside
from plugins.ms2d.proposals import ProposalStack
from plugins.ms2d.sentence import SentenceEncoder


@attrs.frozen
class TanOptions(Layout):
    """Options of ``ms2d.tan``."""

    width: int = option(512, doc="features a cell, even", rule=lambda value: at_least(2)(value) or _even(value))
    lstm_layers: int = option(3, doc="layers of the sentence LSTM", rule=at_least(1))
    word_width: int = option(
        300, doc="width of a learned word vector; unused where the data give vectors", rule=at_least(1)
    )
    pool: int = option(1, doc="feature rows averaged into one map clip", rule=at_least(1))
    norm: str = option(
        "batch", doc="statistics over all rows (batch) or real ones (masked)", rule=one_of("batch", "masked")
    )
    gain: str = option(
        "none", doc="factor on the unit-norm cells: none (paper) or sqrt_width", rule=one_of("none", "sqrt_width")
    )


def _even(value: int) -> str | None:
    return "must be even" if value % 2 else None


class TanEncoder(Encoder):
    """Clips to maps of moment features, words to a sentence, and their normalised product in every cell.

    Zhang et al. 2021 (MS-2D-TAN), kept by the diffusion paper (section 3.3.1). Feature rows and words come first in
    their tensors, padding last. Differences from the authors' code: the LSTM runs once instead of once a scale and over
    packed words; a video shorter than ``pool`` rows keeps one clip, the mean of what it has; batch normalisation sees
    each video of a batch once, however many queries ask for it.
    """

    def __init__(self, options: TanOptions, inputs: Inputs) -> None:
        super().__init__()
        options.check_layout()
        self.options, width = options, options.width
        self.widths = {"cells": width, "clips": 1, "clip": 1}
        self.clip = nn.Linear(inputs.video, width)
        self.proposals = ProposalStack(width, options.scales, options.anchors, options.norm)
        words = WordEmbedding(inputs.text, inputs.vocabulary, options.word_width)
        self.sentence = SentenceEncoder(words, width, options.lstm_layers)
        self.project = nn.Linear(width, width)
        self.gain = math.sqrt(width) if options.gain == "sqrt_width" else 1.0

    def encode(self, side: str, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Text: "sentence" (Q, width). Video: "map0".. (V, N_k, A, width), "clips" (V,) and "clip" (V,)."""
        return {"sentence": self.sentence(x, mask)} if side == "text" else self._maps(x, mask)

    def _maps(self, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        options, real = self.options, mask.sum(dim=1)
        clips = (real // options.pool).clamp(min=1)
        rows = map_rows(clips, options.clips, options.scales)
        pooled = self._pool(x, mask, rows, clips)
        maps = self.proposals(pooled.transpose(1, 2), clips)
        encoded = {f"map{scale}": self.project(grid) for scale, grid in enumerate(maps)}
        return encoded | {"clips": clips, "clip": (options.pool / real.clamp(min=1)).clamp(max=1)}

    def _pool(self, x: Tensor, mask: Tensor, rows: int, clips: Tensor) -> Tensor:
        """Project features (V, T, D) and average ``pool`` rows into each of ``rows`` clips: (V, rows, width)."""
        pool = self.options.pool
        kept = min(x.shape[1], rows * pool)
        hidden = torch.relu(self.clip(x[:, :kept])) * mask[:, :kept, None]
        windows = F.pad(hidden, (0, 0, 0, rows * pool - kept)).unflatten(1, (rows, pool))
        counts = F.pad(mask[:, :kept], (0, rows * pool - kept)).unflatten(1, (rows, pool)).sum(dim=2)
        real = torch.arange(rows, device=x.device) < clips[:, None]
        return windows.sum(dim=2) * (real / counts.clamp(min=1))[..., None]

    def join(self, encoded: Mapping[str, Mapping[str, Tensor]], index: Index) -> Condition:
        """Fuse both sides for each row.

        Gives "cells" (R, M, width), all scales, zero where a cell leaves its video; "clips" (R,) long, map clips of the
        video; "clip" (R,), the fraction of its extent that one map clip lasts.
        """
        if index.pool.shape[1] != 1:
            raise ValueError(f"ms2d.tan fuses one video a row; the row policy gave {index.pool.shape[1]}")
        item = dict(zip(index.sides, (index.ask, index.pool[:, 0]), strict=True))
        video, sentence = encoded["video"], encoded["text"]["sentence"][item["text"]]
        clips = video["clips"][item["video"]]
        pyramid = self.options.pyramid(clips)
        grids = [video[f"map{scale}"][:, :rows].flatten(1, 2) for scale, (rows, _) in enumerate(pyramid.shapes)]
        product = torch.cat(grids, dim=1)[item["video"]] * sentence[:, None]
        cells = F.normalize(product.float(), dim=-1) * self.gain * cells_inside(pyramid, clips)[..., None]
        return Condition({"cells": cells, "clips": clips, "clip": video["clip"][item["video"]]}, len(index))
