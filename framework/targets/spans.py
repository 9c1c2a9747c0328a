"""Target of the span methods: a set of proposals, each the centre and width of a moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from framework.core.noise import Noise
from framework.core.options import above, at_least, between, one_of, option
from framework.core.space import Space
from framework.core.structures import Candidates, Condition, Prediction, Rows, Slots
from framework.core.target import Target
from framework.moments import cxw_to_start_end, iou
from framework.targets.matching import match
from framework.targets.set_loss import (
    Layers,
    classification,
    foreground_of,
    matching_cost,
    regression,
    truths,
)


@attrs.frozen
class SpansOptions:
    """Options of ``spans``."""

    proposals: int = option(20, doc="proposals at inference, free of those in training", rule=at_least(1))
    train_proposals: int = option(20, doc="proposals in training, at its end", rule=at_least(1))
    first_proposals: int | None = option(
        None, doc="proposals in the first epoch, growing to train_proposals; none: constant", rule=at_least(1)
    )
    ramp: float = option(
        0.5, doc="share of training after which their number has grown to train_proposals", rule=between(0.01, 1)
    )
    padding: str = option(
        "gaussian",
        doc="clean value of the slots beyond the true moments: random spans, or the moments again and again",
        rule=one_of("gaussian", "repeat"),
    )
    padding_std: float = option(1 / 6, doc="standard deviation of a random span, around 0.5", rule=at_least(0))
    padding_width: float = option(1e-4, doc="least width of a random span", rule=between(0, 1))
    scale: float = option(2.0, doc="the signal lies in [-scale, scale]", rule=above(0))
    match: str = option(
        "hungarian",
        doc="who answers for a true moment: one proposal each (hungarian), or all, each for its own clean value",
        rule=one_of("hungarian", "all"),
    )
    cost_class: float = option(1.0, doc="weight of the foreground probability in the matching", rule=at_least(0))
    cost_l1: float = option(10.0, doc="weight of the distance in the matching", rule=at_least(0))
    cost_iou: float = option(2.0, doc="weight of the overlap in the matching", rule=at_least(0))
    iou: str = option("giou", doc="overlap in matching and loss", rule=one_of("giou", "iou"))
    background: float = option(0.1, doc="weight of unmatched proposals in the class loss", rule=at_least(0))
    auxiliary: bool = option(True, doc="add the losses of earlier decoder layers, each with its own matching")
    mean: str = option(
        "row", doc="average over the matched pairs of each row, or of the whole batch", rule=one_of("row", "batch")
    )
    score: str = option(
        "confidence", doc="foreground probability, or agreement with the others", rule=one_of("confidence", "vote")
    )
    votes: str = option(
        "uniform",
        doc="weight of a vote: equal, or the voter's overlap with the first proposal",
        rule=one_of("uniform", "first"),
    )
    ensemble: str = option(
        "all",
        doc="sampling steps whose proposals are candidates: all, all but_last, or the last alone",
        rule=one_of("all", "but_last", "last"),
    )
    renew: float = option(
        0.0, doc="between steps, proposals of this confidence or less start again from noise", rule=between(0, 1)
    )

    def check(self) -> None:
        """Refuse options that contradict each other; raises ValueError."""
        first = self.first_proposals
        if first is not None and first > self.train_proposals:
            raise ValueError(f"first_proposals = {first} must be at most train_proposals = {self.train_proposals}")
        if self.match == "all" and self.padding != "repeat":
            raise ValueError(
                f'match = "all" with padding = "{self.padding}": a random span is no goal; set padding = "repeat"'
            )
        if self.match == "all" and self.score == "confidence":
            raise ValueError('match = "all" trains no confidence: set score = "vote", or match = "hungarian"')
        if self.match == "all" and self.renew:
            raise ValueError(f'renew = {self.renew:g} needs a confidence: set it to 0, or match = "hungarian"')


class Spans(Target):
    """Centre and width of M proposals; the first are true moments, the others placeholders (Chen et al. 2022).

    DiffusionVMR, MomentDiff and DiffusionVG differ in the options: placeholders are random spans (the first two) or the
    moment again (the third); a bipartite matching decides which proposal answers for which moment, or all do; the
    score is a confidence, or how much the others agree (DiffusionVG).

    Choices where the sources are silent or disagree. A row's regression is the mean over its matched pairs, so that
    each query counts the same; ``mean = "batch"`` is Moment-DETR's, where a query with more moments counts more. A row
    without a moment has placeholders only (DiffusionDet adds the whole image as a fake object). A row with more moments
    than proposals noises a random choice of them and is compared with all. Placeholders are cut to [0, 1], where the
    sources let one in four hundred out. ``ensemble = "but_last"`` is DiffusionDet's, whose loop ends before the last
    and cleanest step is collected; with one step there is no other, and every ensemble is that step.
    """

    kind: ClassVar[str] = "free"

    def __init__(self, options: SpansOptions) -> None:
        options.check()
        self.options = options
        self.space = Space(lo=(0.0, 0.0), hi=(1.0, 1.0), scale=options.scale, clip=True)
        self.most_slots = max(options.proposals, options.train_proposals)
        if options.match == "hungarian":
            self.reads = frozenset({"logit"})
        self.generalized = options.iou == "giou"
        self.at(0.0)

    def at(self, progress: float) -> None:
        last = self.options.train_proposals
        first = last if self.options.first_proposals is None else self.options.first_proposals
        # The nudge keeps rounding from holding the last proposal back for an epoch.
        self.count = first + int((last - first) * min(1.0, progress / self.options.ramp) + 1e-9)

    def slots(self, cond: Condition, rows: Rows | None) -> Slots:
        """As many as training has reached where there is a truth, else ``proposals``."""
        count = self.options.proposals if rows is None else self.count
        mask = torch.ones(cond.rows, count, dtype=torch.bool, device=cond.device)
        return Slots(mask, torch.zeros_like(mask, dtype=torch.long), None, ((count,),))

    def encode(self, rows: Rows, slots: Slots, noise: Noise) -> Tensor:
        spans, known = _shuffled(*truths(rows), noise)
        real, repeated = _laid_out(spans, known, slots.mask.shape[1])
        x0 = torch.where(real[..., None], repeated, self._placeholders(slots, noise))
        if self.options.padding == "repeat":
            x0 = torch.where(known.any(1)[:, None, None], repeated, x0)
        return x0 * slots.mask[..., None]

    def _placeholders(self, slots: Slots, noise: Noise) -> Tensor:
        """Random spans (R, M, 2)."""
        drawn = 0.5 + self.options.padding_std * noise.normal(slots, 2)
        low = torch.tensor([0.0, self.options.padding_width], device=drawn.device)
        return torch.maximum(drawn, low).clamp(max=1)

    def loss(self, pred: Prediction, x0: Tensor, slots: Slots, rows: Rows) -> dict[str, Tensor]:
        layers = Layers.of(pred, self.options.auxiliary)
        spans, known = truths(rows)
        if self.options.match == "all":
            real = slots.mask & known.any(1, keepdim=True)
            return self._regression(layers, layers.spans, layers.spread(x0), layers.spread(real))
        return self._matched(layers, *(layers.spread(x) for x in (spans, known, slots.mask)))

    def _matched(self, layers: Layers, truth: Tensor, known: Tensor, real: Tensor) -> dict[str, Tensor]:
        """One proposal answers for each truth, the others are background."""
        options = self.options
        cost = matching_cost(
            layers, truth, options.cost_class, options.cost_l1, options.cost_iou, self.generalized
        ).masked_fill(~real[..., None], torch.inf)
        matched = match(cost, known)
        answering = layers.spans.gather(1, matched.clamp(min=0)[..., None].expand(*matched.shape, 2))
        foreground = foreground_of(matched, layers.spans.shape[1])
        found = classification(layers.logit, foreground, options.background, real)
        return {"class": layers.collect(found)} | self._regression(layers, answering, truth, matched >= 0)

    def _regression(self, layers: Layers, spans: Tensor, truth: Tensor, paired: Tensor) -> dict[str, Tensor]:
        """L1 and overlap of pairs (K * R, n, 2), of which ``paired`` (K * R, n) count."""
        counts = paired.sum(dim=1).float()
        if self.options.mean == "batch":
            counts = counts.reshape(layers.count, -1).mean(1).repeat_interleave(len(counts) // layers.count)
        share = paired / counts.clamp(min=1e-6)[:, None]
        l1, overlap = regression(spans, truth, self.generalized)
        return {
            "l1": layers.collect((l1 * share).sum(1)),
            "iou": layers.collect((overlap * share).sum(1)),
        }

    def decode(self, preds: Sequence[Prediction], cond: Condition, slots: Slots) -> Candidates:
        steps = {"all": preds, "but_last": preds[:-1] or preds, "last": preds[-1:]}[self.options.ensemble]
        joined = _joined(steps)
        # Several draws of noise or several steps: the slots repeat.
        repeats = joined.x0.shape[1] // slots.mask.shape[1]
        mask, place = slots.mask.repeat(1, repeats), slots.place.repeat(1, repeats)
        start, end = cxw_to_start_end(joined.x0).clamp(0, 1).unbind(-1)
        end = torch.maximum(start, end)
        score = self._score(joined, torch.stack([start, end], dim=-1), mask)
        order = score.masked_fill(~mask, -torch.inf).argsort(dim=1, descending=True, stable=True)
        return Candidates(*(x.gather(1, order) for x in (place, start, end, score, mask)))

    def _score(self, joined: Prediction, spans: Tensor, mask: Tensor) -> Tensor:
        """Confidence, or the mean overlap with all proposals, the own one included (DiffusionVG), (R, n)."""
        if self.options.score == "confidence":
            return joined.heads["logit"].softmax(dim=-1)[..., 0]
        overlap = iou(spans, spans)
        weight = mask.to(overlap)
        if self.options.votes == "first":
            weight = weight * overlap[:, :, 0]
        return (overlap * weight[:, None]).sum(-1) / mask.sum(1, keepdim=True).clamp(min=1)

    def refine(self, x: Tensor, pred: Prediction, slots: Slots, noise: Noise) -> Tensor:
        """Replace proposals of low confidence by fresh noise (box renewal, Chen et al. 2022), each row by itself."""
        if not self.options.renew:
            return x
        poor = pred.heads["logit"].softmax(dim=-1)[..., :1] <= self.options.renew
        return torch.where(poor, noise.normal(slots, x.shape[-1]).to(x), x)

    def combine(self, draws: Sequence[Sequence[Prediction]]) -> list[Prediction]:
        """Put the proposals of all draws side by side: slot m of two draws need not be the same moment."""
        return [_joined(answers) for answers in zip(*draws, strict=True)]

    def ideal(self, rows: Rows, slots: Slots, noise: Noise) -> Prediction:
        """True moments with full confidence; where the score is a vote, every proposal at a moment."""
        x0 = self.encode(rows, slots, noise)
        spans, known = truths(rows)
        order = known.byte().argsort(dim=1, descending=True, stable=True)
        real, repeated = _laid_out(*_ordered(spans, known, order), slots.mask.shape[1])
        known = known.any(1, keepdim=True)
        if self.options.score == "vote":
            x0 = torch.where(known[..., None], repeated, x0)
        if self.options.padding == "repeat":
            real = known.expand_as(real)
        sure = torch.where(real, 8.0, -8.0)
        return Prediction(x0 * slots.mask[..., None], {"logit": torch.stack([sure, -sure], dim=-1)})


def _laid_out(spans: Tensor, known: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Truths laid along ``count`` slots: which slots are among the first of them, (R, M), and all repeated, (R, M, 2).

    spans: (R, G, 2), known (R, G) first. Slots of a row without truths hold nothing in particular.
    """
    counts = known.sum(dim=1, keepdim=True)
    place = torch.arange(count, device=spans.device).expand(len(spans), count)
    repeated = spans.gather(1, (place % counts.clamp(min=1))[..., None].expand(*place.shape, 2))
    return place < counts, repeated


def _shuffled(spans: Tensor, known: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
    """Truths in random order, known ones first, so that the first few are a fair choice where slots are too few."""
    drawn = noise.normal(Slots(known, known.long(), None, ((known.shape[1],),)), 1)[..., 0].to(spans.device)
    return _ordered(spans, known, drawn.masked_fill(~known, torch.inf).argsort(dim=1))


def _ordered(spans: Tensor, known: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    return spans.gather(1, order[..., None].expand_as(spans)), known.gather(1, order)


def _joined(answers: Sequence[Prediction]) -> Prediction:
    """Several predictions side by side along the slots."""
    if len(answers) == 1:
        return answers[0]
    heads = {
        name: torch.cat([answer.heads[name] for answer in answers], dim=1)
        for name, head in answers[0].heads.items()
        if head.shape[:2] == answers[0].x0.shape[:2]
    }
    return Prediction(torch.cat([answer.x0 for answer in answers], dim=1), heads)
