"""Row policies: which texts are asked against which videos.

Training may ask whatever a batch holds. Evaluation asks each text against its own video alone, under every policy, or
the answers would depend on what else is in the batch; asking a whole corpus needs a policy of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from framework.core.noise import Noise
from framework.core.options import at_least, option
from framework.core.rows import RowPolicy
from framework.core.structures import Batch, Index, Rows


def rows_of(batch: Batch, ask: Tensor, video: Tensor) -> Rows:
    """The rows (ask, video), (R,) each, with all that the batch's gold and saliency have for each.

    A row without moments is a negative.
    """
    wanted, videos = ask * len(batch.extent) + video, len(batch.extent)
    saliency = None if batch.saliency is None else _of_pairs(batch.saliency, wanted, videos)
    return Rows(Index(ask, video[:, None], batch.key[ask]), _of_pairs(batch.gold, wanted, videos), saliency)


def _of_pairs(table: Tensor, wanted: Tensor, videos: int) -> Sequence[Tensor]:
    """The entries of a table (n, 5) that belong to each wanted pair: R tensors (n_r, 4), the pair taken off.

    table: text, video and three numbers. wanted: (R,) text x videos + video.
    """
    pair = table[:, 0].long() * videos + table[:, 1].long()
    pair, order = torch.sort(pair, stable=True)
    first = torch.searchsorted(pair, wanted)
    counts = torch.searchsorted(pair, wanted, right=True) - first
    # Row r takes entries first[r] .. first[r] + counts[r] - 1 of the sorted list.
    step = torch.arange(int(counts.sum()), device=wanted.device) - torch.repeat_interleave(
        counts.cumsum(0) - counts, counts
    )
    entries = table[order[torch.repeat_interleave(first, counts) + step]][:, 1:].clone()
    entries[:, 0] = 0  # place: each row's pool is its one video
    found: Sequence[Tensor] = torch.split(entries, counts.tolist())
    return found


@attrs.frozen
class OwnOptions:
    """The policy has no options."""


class OwnRows(RowPolicy):
    """Each text against its own video."""

    def __init__(self, options: OwnOptions) -> None:
        self.options = options

    def rows(self, batch: Batch, noise: Noise | None) -> Rows:
        return rows_of(batch, *batch.pairs.unbind(1))


@attrs.frozen
class OwnPlusOptions:
    """Options of ``own_plus``."""

    k: int = option(7, doc="negative texts drawn for each pair; fewer where the batch has fewer", rule=at_least(1))


class OwnPlusRows(RowPolicy):
    """Each text against its own video and, in training, k other texts against that video.

    The other texts are drawn without replacement from those of the batch that do not belong to the video: no pair, no
    gold. First come the own rows, then the negatives of each.
    """

    def __init__(self, options: OwnPlusOptions) -> None:
        self.options = options

    def rows(self, batch: Batch, noise: Noise | None) -> Rows:
        ask, video = batch.pairs.unbind(1)
        if noise is None:
            return rows_of(batch, ask, video)
        texts = len(batch.key)
        rank = noise.uniform(len(ask) * texts).reshape(len(ask), texts).to(ask.device)
        rank = rank.masked_fill(_belongs(batch)[:, video].T, 2.0)
        lowest, drawn = rank.topk(min(self.options.k, texts), largest=False)
        row, column = (lowest < 2).nonzero(as_tuple=True)
        return rows_of(batch, torch.cat([ask, drawn[row, column]]), torch.cat([video, video[row]]))


def _belongs(batch: Batch) -> Tensor:
    """Whether a text belongs to a video, (Q, V)."""
    belongs = torch.zeros(len(batch.key), len(batch.extent), dtype=torch.bool, device=batch.pairs.device)
    text, video = torch.cat([batch.pairs, batch.gold[:, :2].long()]).unbind(1)
    belongs[text, video] = True
    return belongs


@attrs.frozen
class AllPairsOptions:
    """The policy has no options."""


class AllPairsRows(RowPolicy):
    """Each text against its own video and, in training, every text of the batch against every video of it.

    Rows of training come text by text.
    """

    def __init__(self, options: AllPairsOptions) -> None:
        self.options = options

    def rows(self, batch: Batch, noise: Noise | None) -> Rows:
        if noise is None:
            return rows_of(batch, *batch.pairs.unbind(1))
        texts, videos = len(batch.key), len(batch.extent)
        ask = torch.arange(texts, device=batch.key.device).repeat_interleave(videos)
        return rows_of(batch, ask, torch.arange(videos, device=batch.key.device).repeat(texts))
