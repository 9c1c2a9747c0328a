"""Training: the one place where encoder, target, denoiser and sampler meet with the ground truth."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from framework.core.noise import Noise
from framework.core.sampler import Denoise
from framework.core.structures import Batch, Condition, Prediction, Slots
from framework.engine.assemble import Method, Objective
from framework.errors import RecipeError, nearest


def losses(method: Method, batch: Batch, noise: Noise) -> dict[str, Tensor]:
    """Return the terms of one batch by name, ``objective/term``, each a mean over rows in float32."""
    terms: dict[str, Tensor] = {}
    with method.autocast():
        encoded = {side: method.encoder.encode(side, x, mask) for side, (x, mask) in batch.feats.items()}
    for objective in method.objectives:
        rows = objective.rows.rows(batch, noise)
        with method.autocast():
            cond = method.encoder.join(encoded, rows.index)
        slots = objective.target.slots(cond, rows)
        x0 = objective.target.encode(rows, slots, noise)
        answer, weight = _answer(method, objective, cond, slots, x0, noise)
        for name, value in objective.target.loss(answer, x0, slots, rows).items():
            terms[f"{objective.name}/{name}"] = (weight * value.float()).mean()
        with method.autocast():
            own = method.encoder.loss(cond, rows, encoded)
        for name, value in own.items():
            terms[f"{objective.name}/encoder/{name}"] = value.float().mean()
    return terms


def total(terms: dict[str, Tensor], method: Method) -> Tensor:
    """Sum the terms with the weights of the recipe's [weights] table, 1 where it names none.

    Raises RecipeError where the table names no term.
    """
    for name in method.weights:
        if name not in terms:
            raise RecipeError(
                f'[weights] "{name}": there is no such loss.{nearest(name, terms)} Losses: {", ".join(terms)}.'
            )
    return torch.stack([method.weights.get(name, 1.0) * value for name, value in terms.items()]).sum()


def _answer(
    method: Method, objective: Objective, cond: Condition, slots: Slots, x0: Tensor, noise: Noise
) -> tuple[Prediction, Tensor]:
    """Corrupt x0 and denoise it once; returns the prediction and the loss weight of each row."""
    sampler, space = objective.sampler, objective.target.space
    x_t, t, weight = sampler.corrupt(space.signal(x0), slots, noise)
    # A pass without gradients may keep work in the memo, where the pass with gradients must not find it.
    first_pass = method.denoise(objective, attrs.evolve(cond, memo={}), slots)
    # One coin a batch, as in Chen et al. 2022 (Analog Bits): the extra pass is paid for only where it is used.
    if sampler.own_predictions and bool(noise.uniform(1) < sampler.own_predictions):
        first = _detached(first_pass, *sampler.start(slots, space.channels, noise))
        x_t, _, _ = sampler.corrupt(space.clamp(space.signal(first.x0)), slots, noise, t)
    previous = None
    if sampler.self_condition and bool(noise.uniform(1) < sampler.self_condition):
        previous = _detached(first_pass, x_t, t)
    return method.denoise(objective, cond, slots)(x_t, t, previous), weight


@torch.no_grad()
def _detached(denoise: Denoise, x_t: Tensor, t: Tensor) -> Prediction:
    return attrs.evolve(denoise(x_t, t), aux=())
