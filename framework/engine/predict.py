"""Inference: the one place where the four interfaces meet without the ground truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import attrs
import torch
from torch import Tensor

from framework.core.noise import KeyedNoise
from framework.core.structures import Batch, Candidates, Condition, Index, Prediction, Slots
from framework.engine.assemble import Method, Objective


@attrs.frozen(eq=False)
class Answers:
    """What a method says about a batch. candidates: in seconds, after post-processing. predictions: one a step."""

    index: Index
    cond: Condition
    slots: Slots
    predictions: Sequence[Prediction]
    candidates: Candidates


@contextmanager
def full_precision() -> Iterator[None]:
    """Keep cuDNN from rounding convolutions to ten bits, as it does by default on recent GPUs."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@torch.no_grad()
@full_precision()
def predict(method: Method, objective: Objective, batch: Batch, seed: int, draws: int = 1) -> Answers:
    """Sample, decode, convert to seconds and post-process; no answer depends on what else is in the batch."""
    index = objective.rows.rows(batch, None).index
    cond = condition(method, batch, index)
    slots = objective.target.slots(cond, None)
    denoise = method.denoise(objective, cond, slots)
    walks = [
        objective.sampler.sample(denoise, slots, objective.target, KeyedNoise(seed, index.key, draw))
        for draw in range(draws)
    ]
    predictions = walks[0] if draws == 1 else objective.target.combine(walks)
    decoded = objective.target.decode(predictions, cond, slots)
    selected = inside(method.post(seconds(decoded, batch, index)), batch, index)
    return Answers(index, cond, slots, predictions, selected)


def condition(method: Method, batch: Batch, index: Index) -> Condition:
    """Encode both sides once and join them for the rows of ``index``."""
    encoded = {side: method.encoder.encode(side, x, mask) for side, (x, mask) in batch.feats.items()}
    return method.encoder.join(encoded, index)


def seconds(decoded: Candidates, batch: Batch, index: Index) -> Candidates:
    """Fractions of the extent to seconds, clipped to the annotated duration: no answer lies outside its video.

    A candidate that begins after the video's end, as features longer than the video have them, is left out.
    """
    extent = batch.extent.to(decoded.start)[_video(decoded, index)]
    found = inside(attrs.evolve(decoded, start=decoded.start * extent, end=decoded.end * extent), batch, index)
    return attrs.evolve(found, mask=found.mask & (found.end > found.start))


def inside(candidates: Candidates, batch: Batch, index: Index) -> Candidates:
    """Clip candidates in seconds to [0, annotated duration], as a post-processor that rounds may leave the video.

    One that has no length, before or after, stays: it scores 0, as it would have outside.
    """
    like = candidates.start
    durations = torch.tensor(batch.meta.durations, dtype=like.dtype, device=like.device)[_video(candidates, index)]
    start, end = (torch.minimum(x.clamp(min=0), durations) for x in (candidates.start, candidates.end))
    return attrs.evolve(candidates, start=start, end=end)


def _video(candidates: Candidates, index: Index) -> Tensor:
    """Video of each candidate in the batch, (R, n) long."""
    return index.pool.gather(1, candidates.place).clamp(min=0)
