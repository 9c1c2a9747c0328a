"""Toy parts: the smallest encoder, denoiser and targets that keep every law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional

from framework.core.denoiser import Denoiser, Site
from framework.core.encoder import Encoder, Inputs
from framework.core.noise import Noise
from framework.core.options import at_least, option
from framework.core.space import Space
from framework.core.structures import Candidates, Condition, Index, Prediction, Rows, Slots
from framework.core.target import Target
from framework.moments import iou


@attrs.frozen
class ToyNetworkOptions:
    """Of the toy encoder and the toy denoiser."""

    width: int = option(8, doc="channels", rule=at_least(1))


@attrs.frozen
class ToyCellsOptions:
    """Of the toy map."""

    lengths: int = option(32, doc="longest cell, clips", rule=at_least(1))


@attrs.frozen
class ToySpansOptions:
    """Of the toy set."""

    proposals: int = option(4, doc="slots a row", rule=at_least(1))


class ToyEncoder(Encoder):
    """Clips times the mean word, both projected: (R, T, width), zero where a clip is padding."""

    def __init__(self, options: ToyNetworkOptions, inputs: Inputs) -> None:
        super().__init__()
        self.widths = {"frames": options.width, "clips": 1, "clip": 1}
        self.video = nn.Linear(inputs.video, options.width)
        words = nn.Embedding(inputs.vocabulary, options.width) if inputs.vocabulary else None
        self.text = words or nn.Linear(inputs.text or 1, options.width)

    def encode(self, side: str, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        if side == "video":
            return {"frames": self.video(x) * mask[..., None], "clips": mask.sum(1)}
        return {"query": (self.text(x) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)}

    def join(self, encoded: Mapping[str, Mapping[str, Tensor]], index: Index) -> Condition:
        video = {name: value[index.pool[:, 0]] for name, value in encoded["video"].items()}
        frames = video["frames"] * encoded["text"]["query"][index.ask][:, None]
        return Condition({"frames": frames, "clips": video["clips"], "clip": 1 / video["clips"]}, len(index))


class ToyDenoiser(Denoiser):
    """The mean of a cell's clips, its noisy value and t through two layers, each cell by itself."""

    requires = frozenset({"frames", "clip"})
    accepts: ClassVar[frozenset[str]] = frozenset({"cells"})
    reads_previous = True

    def __init__(self, options: ToyNetworkOptions, site: Site) -> None:
        super().__init__()
        inputs = site.widths["frames"] + 2 * site.channels + 1
        self.net = nn.Sequential(nn.Linear(inputs, options.width), nn.SiLU(), nn.Linear(options.width, site.channels))

    def forward(
        self, x_t: Tensor, t: Tensor, cond: Condition, slots: Slots, previous: Prediction | None = None
    ) -> Prediction:
        if "cells" not in cond.memo:
            cond.memo["cells"] = _cell_means(cond, slots)
        last = torch.zeros_like(x_t) if previous is None else previous.x0
        time = t[:, None, None].expand(*x_t.shape[:2], 1)
        return Prediction(self.net(torch.cat([cond.memo["cells"], x_t, last, time], dim=-1)))


def _cell_means(cond: Condition, slots: Slots) -> Tensor:
    """Mean feature of the clips in each cell, (R, M, D), by running sums."""
    assert slots.anchor is not None
    frames = cond.feats["frames"]
    sums = functional.pad(frames.cumsum(1), (0, 0, 1, 0))
    ends = (slots.anchor / cond.feats["clip"][:, None, None]).round().long().clamp(max=frames.shape[1])
    start, end = (sums.gather(1, ends[..., k, None].expand(-1, -1, frames.shape[-1])) for k in (0, 1))
    return (end - start) / (ends[..., 1:] - ends[..., :1]).clamp(min=1)


class ToyCells(Target):
    """One map of IoU with the truth: cell (i, j) lasts from clip i to clip i + j + 1."""

    kind = "cells"
    requires = frozenset({"clips", "clip"})
    # A moment one clip long, half a clip off the grid.
    ceiling = 0.5

    def __init__(self, options: ToyCellsOptions) -> None:
        self.options = options
        self.space = Space()

    def slots(self, cond: Condition, rows: Rows | None) -> Slots:
        clips, clip = cond.feats["clips"], cond.feats["clip"]
        shape = (int(clips.max()), self.options.lengths)
        start, length = (grid.flatten() for grid in torch.meshgrid(*map(torch.arange, shape), indexing="ij"))
        end = (start + length + 1).to(clips)
        mask = end <= clips[:, None]
        anchor = torch.stack([start.to(clips), end], dim=-1) * clip[:, None, None]
        return Slots(mask, torch.zeros_like(mask, dtype=torch.long), anchor, (shape,))

    def encode(self, rows: Rows, slots: Slots, noise: Noise) -> Tensor:
        assert slots.anchor is not None
        truth, real = rows.padded()
        value = iou(slots.anchor, truth[..., 1:3]) * real[:, None]
        return (value.amax(-1) * slots.mask)[..., None]

    def loss(self, pred: Prediction, x0: Tensor, slots: Slots, rows: Rows) -> dict[str, Tensor]:
        error = ((pred.x0 - x0) ** 2).squeeze(-1) * slots.mask
        return {"mse": error.sum(1) / slots.mask.sum(1)}

    def decode(self, preds: Sequence[Prediction], cond: Condition, slots: Slots) -> Candidates:
        assert slots.anchor is not None
        score = preds[-1].x0.squeeze(-1).masked_fill(~slots.mask, -torch.inf)
        return _ranked(score, slots.anchor.clamp(0, 1), slots)


class ToySpans(Target):
    """A set of spans, centre and width: the moments of the row, then placeholders."""

    kind = "free"

    def __init__(self, options: ToySpansOptions) -> None:
        self.options = options
        self.space = Space((0.0, 0.0), (1.0, 1.0), scale=2.0, clip=True)

    def slots(self, cond: Condition, rows: Rows | None) -> Slots:
        mask = torch.ones(cond.rows, self.options.proposals, dtype=torch.bool)
        return Slots(mask, torch.zeros_like(mask, dtype=torch.long), None, ((self.options.proposals,),))

    def encode(self, rows: Rows, slots: Slots, noise: Noise) -> Tensor:
        spans, real = self._truth(rows)
        placeholders = (0.5 + noise.normal(slots, 2) / 6).clamp(0.05, 1)
        return torch.where(real[..., None], spans, placeholders)

    def loss(self, pred: Prediction, x0: Tensor, slots: Slots, rows: Rows) -> dict[str, Tensor]:
        spans, real = self._truth(rows)
        off = ((pred.x0 - spans).abs().sum(-1) * real).sum(1) / real.sum(1).clamp(min=1)
        called = functional.binary_cross_entropy_with_logits(pred.heads["logit"], real.float(), reduction="none")
        return {"l1": off, "call": called.mean(1)}

    def decode(self, preds: Sequence[Prediction], cond: Condition, slots: Slots) -> Candidates:
        centre, half = preds[-1].x0[..., 0], preds[-1].x0[..., 1].clamp(min=0) / 2
        spans = torch.stack([centre - half, centre + half], dim=-1).clamp(0, 1)
        return _ranked(preds[-1].heads["logit"], spans, slots)

    def ideal(self, rows: Rows, slots: Slots, noise: Noise) -> Prediction:
        _, real = self._truth(rows)
        return Prediction(self.encode(rows, slots, noise), {"logit": torch.where(real, 9.0, -9.0)})

    def _truth(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Spans of the rows as centre and width (R, M, 2), at most M of them, and where they are real (R, M)."""
        truth, real = rows.padded()
        spare = self.options.proposals - truth.shape[1]
        centre_width = torch.stack([truth[..., 1:3].mean(-1), truth[..., 2] - truth[..., 1]], dim=-1)
        return functional.pad(centre_width, (0, 0, 0, spare)), functional.pad(real, (0, spare))


def _ranked(score: Tensor, spans: Tensor, slots: Slots) -> Candidates:
    """All slots as candidates, best first, padding last; a stable sort, so that ties keep their order."""
    order = score.argsort(dim=1, descending=True, stable=True)
    start, end = (spans[..., k].gather(1, order) for k in (0, 1))
    return Candidates(slots.place.gather(1, order), start, end, score.gather(1, order), slots.mask.gather(1, order))
