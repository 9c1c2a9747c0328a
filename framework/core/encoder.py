"""Encoder: features of both sides to the condition of each row."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import attrs
from torch import Tensor, nn

from framework.core.structures import Condition, Index, Rows


@attrs.frozen
class Inputs:
    """What the data feed an encoder.

    video: features a clip (D). text: features a word, or None where words come as ids. vocabulary: number of ids
    (0 is padding, 1 is unknown), or None where words come as vectors. saliency: whether the data label how well
    stretches of a video fit a text. positions: whether the last two features of a clip say where it begins and ends.
    """

    video: int
    text: int | None = None
    vocabulary: int | None = None
    saliency: bool = False
    positions: bool = False

    def require_no_positions(self, option: str) -> None:
        """Raise ValueError for an encoder whose ``option`` adds what the features say already."""
        if self.positions:
            raise ValueError(f"{option} = true: [data] positions adds the same two columns; leave one of them out")


class Encoder(nn.Module):
    """Built as ``Encoder(options, inputs)``.

    widths: name of each feature in ``Condition.feats`` -> its last dimension (1 for a plain number a row). An encoder
    that scores how well each clip fits the text gives "saliency" (R, L, 1) and, as (R,), the number of "clips" of each
    row: highlights are scored by these two, and written to predictions.
    """

    widths: Mapping[str, int]

    @property
    def provides(self) -> frozenset[str]:
        """Names of the features that ``join`` gives."""
        return frozenset(self.widths)

    @abstractmethod
    def encode(self, side: str, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Encode one side alone, so that a corpus can be encoded once.

        x: (V, T, D) or (Q, L, D) or ids (Q, L). mask: its first two dimensions. Every value has the item first.
        """

    @abstractmethod
    def join(self, encoded: Mapping[str, Mapping[str, Tensor]], index: Index) -> Condition:
        """Join the two sides for each row. Never sees moments."""

    def loss(self, cond: Condition, rows: Rows, encoded: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Terms of the encoder's own, (R,) each: saliency, contrastive. None by default.

        encoded: what ``join`` made ``cond`` of, for terms that join other pairs, such as a video with a foreign text.
        """
        return {}

    def at(self, progress: float) -> None:
        """Called before each epoch with the share of training done, 0 to 1."""
