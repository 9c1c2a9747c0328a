"""What the truth says of each clip, and losses on a score a clip: saliency, for encoders of span methods.

Legend: R rows, L clips of the longest video, clip i of a video of n clips covering fractions [i / n, (i + 1) / n].
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from framework.core.structures import Index, Rows


def real_clips(clips: Tensor, length: int) -> Tensor:
    """Mask (R, length) of the clips that a row's video has; clips: (R,) long."""
    return torch.arange(length, device=clips.device) < clips[:, None]


def clips_inside(rows: Rows, clips: Tensor, length: int) -> Tensor:
    """Mask (R, length) of real clips whose middle lies in a true moment; clips: (R,) long.

    A moment too short to hold a middle counts for the clip that its own middle lies in, so that every moment of the
    video has a clip; one that a training window cut off altogether has none.
    """
    moments, known = rows.padded()
    real = real_clips(clips, length)
    middle = (torch.arange(length, device=clips.device) + 0.5) / clips.clamp(min=1)[:, None]
    start, end = moments[..., 1, None], moments[..., 2, None]
    centre = (moments[..., 1] + moments[..., 2]) / 2
    nearest = (centre * clips[:, None]).floor().clamp(min=0).minimum(clips[:, None] - 1)
    visible = known & (moments[..., 2] > 0) & (moments[..., 1] < 1)
    within = (middle[:, None] >= start) & (middle[:, None] <= end) & real[:, None]
    own = torch.arange(length, device=clips.device) == nearest[..., None]
    hit = torch.where(within.any(-1, keepdim=True), within, own) & visible[..., None]
    return hit.any(dim=1) & real


def clip_scores(saliency: Sequence[Tensor], clips: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Label of each clip, (R, length), and which clips have one; where stretches overlap the highest counts.

    saliency: R tensors (s_r, 4) of place, start, end, score, as ``Rows.saliency``. A stretch labels the clips whose
    middle lies in it.
    """
    padded, known = Rows(_no_index(clips), saliency).padded()
    middle = (torch.arange(length, device=clips.device) + 0.5) / clips.clamp(min=1)[:, None]
    within = (middle[:, None] >= padded[..., 1, None]) & (middle[:, None] < padded[..., 2, None])
    within = within & known[..., None] & real_clips(clips, length)[:, None]
    best = padded[..., 3, None].masked_fill(~within, -torch.inf).amax(dim=1)
    labelled = within.any(dim=1)
    return best.masked_fill(~labelled, 0.0), labelled


def _no_index(clips: Tensor) -> Index:
    return Index(torch.arange(len(clips), device=clips.device), clips[:, None], clips)


def hinge(scores: Tensor, high: Tensor, low: Tensor, margin: float = 0.2) -> Tensor:
    """Mean over all pairs of a high and a low clip of ``max(0, margin + low - high)``: (R,), 0 where there is no pair.

    scores: (R, L). high, low: masks (R, L). Moment-DETR (Lei et al. 2021) draws two pairs a row at random; this is
    their expectation, without the noise of the draw and without its failure where fewer than two clips are left.
    """
    pairs = high[:, :, None] & low[:, None, :]
    loss = (margin + scores[:, None, :] - scores[:, :, None]).clamp(min=0)
    return (loss * pairs).sum((1, 2)) / pairs.sum((1, 2)).clamp(min=1)


def saliency_hinge(scores: Tensor, clips: Tensor, rows: Rows, labels: bool, margin: float = 0.2) -> Tensor:
    """Twice the hinge of clips inside the true moments over those outside, (R,), as Moment-DETR scales it.

    scores: (R, L). clips: (R,) long. labels: the mean of that and of the hinge of the clips with a row's highest label
    over those with its lowest, in rows that have labels.
    """
    real, inside = real_clips(clips, scores.shape[1]), clips_inside(rows, clips, scores.shape[1])
    windows = 2 * hinge(scores, inside, real & ~inside, margin)
    if not labels or rows.saliency is None:
        return windows
    scored, labelled = clip_scores(rows.saliency, clips, scores.shape[1])
    both = windows / 2 + hinge(scores, *extremes(scored, labelled), margin)
    return torch.where(labelled.any(dim=1), both, windows)


def extremes(labels: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
    """Masks (R, L) of the clips with a row's highest and with its lowest label; labels, labelled: (R, L).

    Both are empty where all labels are equal: Moment-DETR would then push two clips apart that people found alike.
    """
    highest = labels.masked_fill(~labelled, -torch.inf).amax(dim=1, keepdim=True)
    lowest = labels.masked_fill(~labelled, torch.inf).amin(dim=1, keepdim=True)
    differ = labelled & (highest > lowest)
    return differ & (labels == highest), differ & (labels == lowest)


def contrast(scores: Tensor, foreign: Tensor, relevant: Tensor, real: Tensor, temperature: float = 0.5) -> Tensor:
    """Mean over relevant clips of ``-log softmax`` among the clips of the row's own and of a foreign text, (R,).

    scores, foreign: (R, L), of the same video with its own and with a foreign text. relevant, real: masks (R, L).
    Softmax runs over both together (MomentDiff, Li et al. 2023; DiffusionVMR states the purpose and no formula). 0
    where no clip is relevant.
    """
    both = torch.cat([scores, foreign], dim=1) / temperature
    both = both.masked_fill(~torch.cat([real, real], dim=1), -torch.inf)
    # A row without clips would be a softmax over nothing.
    both = both.masked_fill(~real.any(1, keepdim=True), 0.0)
    share = both.log_softmax(dim=1)[:, : scores.shape[1]]
    return -share.masked_fill(~relevant, 0.0).sum(1) / relevant.sum(1).clamp(min=1)


@attrs.frozen(eq=False)
class Mismatch:
    """Rows with a foreign text each. index: to join. known: (R,), False where a batch held no text of another video."""

    index: Index
    known: Tensor


def mismatched(index: Index) -> Mismatch:
    """Pair each row's video with the text of the next row, in cyclic order, that no row asks of that video.

    A text of the same video is no foreign one: its moment is in there too. Rolling the batch by one, as MomentDiff
    does, would use it all the same. An index does not tell true rows from negatives, so a text that is asked of the
    video as a negative is passed over as well.
    """
    video, place = index.pool[:, 0], torch.arange(len(index), device=index.ask.device)
    order = (place[:, None] + place) % len(index)
    same_video, same_text = video[:, None] == video, index.ask[:, None] == index.ask
    asked = same_video.float() @ same_text.float() > 0
    foreign = ~asked.gather(1, order)
    other = order.gather(1, foreign.byte().argmax(dim=1, keepdim=True))[:, 0]
    return Mismatch(attrs.evolve(index, ask=index.ask[other]), foreign.any(dim=1))
