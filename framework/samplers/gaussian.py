"""The Gaussian process: noise a clean value by a schedule, and walk back in a few steps."""

from __future__ import annotations

from typing import Final

import attrs
import torch
from torch import Tensor

from framework.core.noise import Noise
from framework.core.options import above, at_least, between, one_of, option
from framework.core.sampler import Denoise, Sampler
from framework.core.structures import Prediction, Slots
from framework.core.target import Target
from framework.diffusion import (
    SCHEDULES,
    SPACINGS,
    add_noise,
    ddim_step,
    ddpm_step,
    dpmpp_2m_step,
    schedule,
    timestep_pairs,
)
from framework.errors import RecipeError

SNR_CAP: Final = 5.0
"""Where ``snr_capped`` stops growing: the gamma that Hang et al. 2023 use throughout."""


@attrs.frozen
class GaussianOptions:
    """One schedule for both directions, how training draws its timesteps and how sampling walks them."""

    schedule: str = option("cosine", doc="how alphas_cumprod falls with t", rule=one_of(*SCHEDULES))
    timesteps: int = option(1000, doc="length of the schedule, T", rule=at_least(2))
    steps: int = option(10, doc="network calls at inference, S", rule=at_least(1))
    eta: float = option(0.0, doc="DDIM's noise, 0 = deterministic, 1 = ancestral", rule=between(0, 1))
    solver: str = option("ddim", doc="how a step is taken", rule=one_of("ddim", "ddpm", "dpmpp_2m"))
    spacing: str = option("trailing", doc="which timesteps are visited", rule=one_of(*SPACINGS))
    temperature: float = option(
        1.0, doc="the starting state is this times noise; 1 = the paper, 0 = no noise", rule=at_least(0)
    )
    time_power: float = option(
        1.0, doc="training draws t = u^power, u uniform; 1 = uniform, below 1 leans to noise", rule=above(0)
    )
    time_per: str = option("row", doc="one training t a row, or one a batch", rule=one_of("row", "batch"))
    start_share: float = option(
        0.0, doc="share of training rows that are given the very state that sampling starts from", rule=between(0, 1)
    )
    start_first: float = option(
        0.0, doc="share of training, from its beginning, in which all rows are given that state", rule=between(0, 1)
    )
    loss_weight: str = option(
        "none",
        doc="a row's weight by its t: none, or min(SNR, 5) (Hang et al. 2023)",
        rule=one_of("none", "snr_capped"),
    )
    self_condition: float = option(
        0.0, doc="share of training with the network's own first answer as an extra input", rule=between(0, 1)
    )
    own_predictions: float = option(
        0.0, doc="share of training that noises the network's own first answer instead of x0", rule=between(0, 1)
    )


@attrs.frozen(eq=False)
class _Step:
    """One step behind us, for the solver that looks back. renewed: (R, M, 1), slots that ``refine`` changed since."""

    x0: Tensor
    alpha: Tensor
    renewed: Tensor


class Gaussian(Sampler):
    """Gaussian diffusion with x0 prediction: x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) noise.

    Raises RecipeError where two options contradict each other.
    """

    def __init__(self, options: GaussianOptions) -> None:
        _refuse_contradictions(options)
        self.options = options
        self.self_condition, self.own_predictions = options.self_condition, options.own_predictions
        self.alphas_cumprod = schedule(options.schedule, options.timesteps)
        self.pairs = timestep_pairs(options.timesteps, options.steps, options.spacing)
        self.times = torch.arange(options.timesteps) / (options.timesteps - 1)
        self.start_share = options.start_share
        self.at(0.0)

    def at(self, progress: float) -> None:
        self.start_share = 1.0 if progress < self.options.start_first else self.options.start_share

    def corrupt(self, x0: Tensor, slots: Slots, noise: Noise, t: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Noise x0 (R, M, C), signal units, at the timestep nearest to t (R,), or at a drawn one.

        Returns x_t, the t of that timestep and its loss weight. Raises ValueError where t is outside [0, 1].

        Where t is drawn, a share of the rows is given what ``start`` gives. Below a temperature of 1 that state is none
        that the forward process ever makes, and a network that was not trained on it answers it badly; at
        temperature 0 those rows are the problem of the one-step process.
        """
        starts = None if t is not None or not self.start_share else noise.uniform(x0.shape[0]) < self.start_share
        index = self._drawn(x0.shape[0], noise) if t is None else self._nearest(t)
        if starts is not None:
            index = index.to(starts.device).masked_fill(starts, self.pairs[0][0])
        index = index.to(x0.device)
        alpha = self.alphas_cumprod.to(x0.device)[index]
        drawn = noise.normal(slots, x0.shape[-1]).to(x0)
        x_t = add_noise(x0, drawn, alpha)
        if starts is not None:
            x_t = torch.where(starts.to(x0.device)[:, None, None], self.options.temperature * drawn, x_t)
        return x_t * slots.mask[..., None], self.times.to(x0.device)[index], self._weight(alpha)

    def start(self, slots: Slots, channels: int, noise: Noise) -> tuple[Tensor, Tensor]:
        """Noise (R, M, C) times the temperature, at the first timestep that is visited: 1, unless spacing is leading.

        The noise is drawn at temperature 0 too, so that later draws are the same at every temperature.
        """
        x = self.options.temperature * noise.normal(slots, channels)
        return x, torch.full(slots.mask.shape[:1], float(self.times[self.pairs[0][0]]), device=x.device)

    def sample(self, denoise: Denoise, slots: Slots, target: Target, noise: Noise) -> list[Prediction]:
        """Walk the timesteps down (Song et al. 2021, section 4.2, with x0 prediction); one prediction a step.

        The last one is the result: it alone carries what the network says beside x0. Each x0 is clamped to the data
        range before a step is made of it, or an overshoot would enter the noise and come back.
        """
        mask = slots.mask[..., None]
        x, t = self.start(slots, target.space.channels, noise)
        answers: list[Prediction] = []
        last = None
        for index, next_index in self.pairs:
            t = torch.full_like(t, float(self.times[index]))
            answers.append(denoise(x, t, answers[-1] if answers else None))
            if next_index < 0:
                break
            x0 = target.space.clamp(target.space.signal(answers[-1].x0.to(x)))
            stepped = self._step(x, x0, index, next_index, last, slots, noise) * mask
            x = target.refine(stepped, answers[-1], slots, noise) * mask
            last = _Step(x0, self.alphas_cumprod[index], (x != stepped).any(-1, keepdim=True))
        return answers

    def _step(
        self, x: Tensor, x0: Tensor, index: int, next_index: int, last: _Step | None, slots: Slots, noise: Noise
    ) -> Tensor:
        """One step of the chosen solver between two timesteps, neither of them the end."""
        alpha, alpha_next = self.alphas_cumprod[index], self.alphas_cumprod[next_index]
        if self.options.solver == "dpmpp_2m":
            if last is None:
                return dpmpp_2m_step(x, x0, alpha, alpha_next)
            # A renewed slot has no past: equal predictions make its step one of first order, and its neighbours keep
            # the second order whatever else is in the batch.
            return dpmpp_2m_step(x, x0, alpha, alpha_next, torch.where(last.renewed, x0, last.x0), last.alpha)
        if self.options.solver == "ddpm":
            return ddpm_step(x, x0, alpha, alpha_next, noise.normal(slots, x.shape[-1]))
        z = noise.normal(slots, x.shape[-1]) if self.options.eta > 0 else None
        return ddim_step(x, x0, alpha, alpha_next, self.options.eta, z)

    def _drawn(self, rows: int, noise: Noise) -> Tensor:
        """Timesteps of a training batch, (R,) long."""
        uniform = noise.uniform(rows).double()
        if self.options.time_per == "batch":
            uniform = uniform[:1].expand(rows)
        # A power below 1 can round up to 1.0, one past the end.
        return (uniform**self.options.time_power * self.options.timesteps).long().clamp(max=self.options.timesteps - 1)

    def _nearest(self, t: Tensor) -> Tensor:
        """Fractions (R,) in [0, 1] to timesteps."""
        if bool(((t < 0) | (t > 1)).any()):
            raise ValueError(f"t must be in [0, 1], 0 clean and 1 noise; got {t.tolist()}")
        return (t.double() * (self.options.timesteps - 1)).round().long()

    def _weight(self, alpha: Tensor) -> Tensor:
        """Loss weight (R,); min(SNR, 5) is the min-SNR weight of a network that predicts x0 (Hang et al. 2023).

        The ratio is that of a signal of unit variance, as the paper has it, whatever the scale of the target's space.
        """
        if self.options.loss_weight == "snr_capped":
            return (alpha / (1 - alpha)).clamp(max=SNR_CAP).float()
        return torch.ones_like(alpha, dtype=torch.float32)


def _refuse_contradictions(options: GaussianOptions) -> None:
    if options.own_predictions and (options.start_share or options.start_first):
        raise RecipeError(
            f"[sampler] own_predictions = {options.own_predictions:g} with start_share or start_first: rows at the "
            "start would be noised again; set one or the other to 0."
        )
    if options.eta > 0 and options.solver == "dpmpp_2m":
        raise RecipeError(
            f'[sampler] eta = {options.eta:g} with solver = "dpmpp_2m": that solver is deterministic; '
            'remove eta, or use solver = "ddim".'
        )
    if options.eta > 0 and options.solver == "ddpm":
        raise RecipeError(
            f'[sampler] eta = {options.eta:g} with solver = "ddpm": that solver always draws its full noise; '
            'remove eta, or use solver = "ddim", which is DDPM at eta = 1.'
        )
