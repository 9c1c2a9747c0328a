"""Inference: the one place where the four interfaces meet without the ground truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import attrs
import torch

from framework.core.noise import KeyedNoise
from framework.core.structures import Batch, Candidates, Condition, Index, Prediction, Slots
from framework.engine.assemble import Method, Objective


@attrs.frozen(eq=False)
class Answers:
    """What a method says about a batch. candidates: in seconds, after post-processing. predictions: one a step."""

    index: Index
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
    return Answers(index, slots, predictions, method.post(seconds(decoded, batch, index)))


def condition(method: Method, batch: Batch, index: Index) -> Condition:
    """Encode both sides once and join them for the rows of ``index``."""
    encoded = {side: method.encoder.encode(side, x, mask) for side, (x, mask) in batch.feats.items()}
    return method.encoder.join(encoded, index)


def seconds(decoded: Candidates, batch: Batch, index: Index) -> Candidates:
    """Fractions of the extent to seconds, clipped to the annotated duration: no answer lies outside its video.

    A candidate that begins after the video's end, as features longer than the video have them, is left out.
    """
    video = index.pool.gather(1, decoded.place).clamp(min=0)
    extent = batch.extent.to(decoded.start)[video]
    duration = torch.tensor(batch.meta.durations, dtype=decoded.start.dtype, device=decoded.start.device)[video]
    start, end = (torch.minimum((x * extent).clamp(min=0), duration) for x in (decoded.start, decoded.end))
    return attrs.evolve(decoded, start=start, end=end, mask=decoded.mask & (end > start))
