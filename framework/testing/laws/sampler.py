"""What every sampler keeps."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import Final

import attrs
import torch
from torch import Tensor

from framework.core.noise import KeyedNoise
from framework.core.sampler import Sampler
from framework.core.structures import Condition, Prediction, Rows, Slots
from framework.core.target import Target
from framework.testing import tiny
from framework.testing.laws.law import Law, check, expect, expect_close, expect_shape, law, take
from framework.testing.tiny import Case
from framework.testing.toys import ToyCells, ToyCellsOptions

SAMPLER_LAWS: Final[list[Law[Trial]]] = []


@attrs.frozen(eq=False)
class Trial:
    """A sampler and the target whose values it noises."""

    sampler: Sampler
    target: Target

    def at_inference(self, case: Case) -> tuple[Rows, Condition, Slots]:
        """Rows, condition and the slots that are made without looking at the rows."""
        cond = tiny.condition(self.target, case)
        return tiny.rows(case), cond, self.target.slots(cond, None)

    def walk(self, case: Case, answer: Prediction | None = None) -> Walk:
        """Sample with a denoiser that answers ``answer``, or else a fixed function of its slot's inputs."""
        rows, _, slots = self.at_inference(case)
        walk = Walk(self.target, slots, answer)
        walk.result = self.sampler.sample(walk, slots, self.target, _noise(rows))
        return walk


@attrs.define(eq=False)
class Walk:
    """A denoiser that answers each slot by itself and writes down what it was handed."""

    target: Target
    slots: Slots
    answer: Prediction | None
    calls: list[tuple[Tensor, Tensor, Prediction | None]] = attrs.field(factory=list)
    answers: list[Prediction] = attrs.field(factory=list)
    result: list[Prediction] = attrs.field(factory=list)

    def __call__(self, x_t: Tensor, t: Tensor, previous: Prediction | None = None) -> Prediction:
        self.calls.append((x_t, t, previous))
        signal = 0.5 * torch.tanh(x_t) + 0.1 * torch.cos(3 * t)[:, None, None]
        natural = self.target.space.natural(signal) * self.slots.mask[..., None]
        self.answers.append(self.answer or Prediction(natural))
        return self.answers[-1]


def check_sampler(
    sampler: Sampler,
    *,
    target: Target | None = None,
    clips: tuple[int, int] = (1, 8),
    examples: int = 20,
    only: Collection[str] = (),
) -> None:
    """Try every law of samplers; raises LawError, whose message holds the smallest counterexample.

    target: whose values are noised, a toy map by default. clips: shortest and longest video. examples: cases a law.
    only: names of the laws to try, all where empty.
    A sampler with a schedule keeps it in ``alphas_cumprod`` (T,); one without forgets x0 altogether at t = 1.
    """
    trial = Trial(sampler, target or ToyCells(ToyCellsOptions(lengths=clips[1])))
    check(SAMPLER_LAWS, trial, sampler, clips, examples, only)


@law(SAMPLER_LAWS, "return x_t multiplied with slots.mask, t (R,) and a weight (R,), whether or not t was given.")
def corrupt_and_start_keep_shapes_and_masks(trial: Trial, case: Case) -> None:
    """x_t and the starting state are finite and zero on padding; t is in [0, 1], weights are finite, none below 0."""
    rows, _, slots = trial.at_inference(case)
    x0, count = _clean(trial, rows, slots), len(case)
    for t in (None, torch.zeros(count), torch.full((count,), 0.5), torch.ones(count)):
        x_t, drawn, weight = trial.sampler.corrupt(x0, slots, _noise(rows), t)
        _expect_state(x_t, drawn, slots, trial.target)
        expect(weight.shape == (count,), f"the weight has shape {tuple(weight.shape)}, not one number a row.")
        expect((torch.isfinite(weight) & (weight >= 0)).all(), "a weight is negative or not finite.")
    state, first = trial.sampler.start(slots, trial.target.space.channels, _noise(rows))
    _expect_state(state, first, slots, trial.target)


@law(SAMPLER_LAWS, "corrupt with sqrt(alphas_cumprod) at the nearest timestep to t (T - 1), last at t = 1, first at 0.")
def corrupt_keeps_x0_as_the_schedule_says(trial: Trial, case: Case) -> None:
    """It keeps no more of x0 than the last sqrt(alphas_cumprod), or nothing, at t = 1; no less than the first at 0."""
    rows, _, slots = trial.at_inference(case)
    alphas_cumprod = getattr(trial.sampler, "alphas_cumprod", None)
    last = 0.0 if alphas_cumprod is None else float(alphas_cumprod[-1]) ** 0.5
    left = float(_kept(trial, rows, slots, 1.0).abs().max())
    expect(left <= last + 1e-5, f"at t = 1 it keeps {left:.6f} of x0, above {last:.6f}.")
    if alphas_cumprod is not None:
        first, left = float(alphas_cumprod[0]) ** 0.5, float(_kept(trial, rows, slots, 0.0).min())
        expect(left >= first - 1e-5, f"at t = 0 it keeps {left:.6f} of x0, below {first:.6f}.")


@law(SAMPLER_LAWS, "return what the network said at the end, not the state.")
def perfect_denoiser_is_a_fixed_point(trial: Trial, case: Case) -> None:
    """With a denoiser that always answers the ideal, the result is the ideal."""
    rows, _, slots = trial.at_inference(case)
    ideal = trial.target.ideal(rows, slots, _noise(rows))
    walk = trial.walk(case, ideal)
    expect_close(walk.result[-1].x0, ideal.x0, "the result's x0")


@law(SAMPLER_LAWS, "multiply the state with slots.mask after every step, and let t fall.")
def states_are_masked_and_time_falls(trial: Trial, case: Case) -> None:
    """Every state that the denoiser sees is finite and zero on padding; t falls from step to step."""
    walk = trial.walk(case)
    times = [t for _, t, _ in walk.calls]
    for x_t, t, _ in walk.calls:
        _expect_state(x_t, t, walk.slots, trial.target)
    for before, after in pairwise(times):
        expect((after < before).all(), f"t goes from {before.tolist()} to {after.tolist()}.")


@law(SAMPLER_LAWS, "return one prediction a call, in order; the last call is the result.")
def result_is_the_last_network_call(trial: Trial, case: Case) -> None:
    """Sample returns what the denoiser said, one prediction a call, the last call last."""
    walk = trial.walk(case)
    expect(len(walk.result) == len(walk.answers), f"{len(walk.answers)} calls gave {len(walk.result)} predictions.")
    for step, (found, said) in enumerate(zip(walk.result, walk.answers, strict=True)):
        expect_close(found.x0, said.x0, f"the prediction of step {step}")


@law(SAMPLER_LAWS, "hand the denoiser its last answer, and None at the first call.")
def previous_is_the_last_answer(trial: Trial, case: Case) -> None:
    """The first call has no previous answer; every other has the one before it."""
    walk = trial.walk(case)
    for step, (_, _, previous) in enumerate(walk.calls):
        said = walk.answers[step - 1] if step else None
        expect(previous is said, f"call {step} was not handed the answer of the call before it.")


@law(SAMPLER_LAWS, "begin sample with start.")
def sampling_begins_where_start_says(trial: Trial, case: Case) -> None:
    """Start gives the state and the time of the first call, drawn from the same noise."""
    rows, _, slots = trial.at_inference(case)
    x, t = trial.sampler.start(slots, trial.target.space.channels, _noise(rows))
    x_t, first, _ = trial.walk(case).calls[0]
    expect_close(x_t, x, "the first state")
    expect_close(first, t, "the first t")


@law(SAMPLER_LAWS, "draw from the noise you are given with its slots, and treat each slot by itself.")
def rows_do_not_see_their_batch(trial: Trial, case: Case) -> None:
    """A row is sampled to the same result alone, in any order, and beside longer rows; so is it corrupted."""
    together, order = trial.walk(case), list(range(len(case)))[::-1]
    turned = trial.walk(take(case, order))
    noisy = _corrupted(trial, case)
    for row in range(len(case)):
        alone = trial.walk(take(case, [row]))
        wanted = _real(alone, 0)
        expect_close(_real(together, row), wanted, f"row {row} in its batch")
        expect_close(_real(turned, order.index(row)), wanted, f"row {row} in reversed order")
        expect_close(noisy[row], _corrupted(trial, take(case, [row]))[0], f"x_t of row {row} in its batch")


def _noise(rows: Rows) -> KeyedNoise:
    return KeyedNoise(0, rows.index.key)


def _clean(trial: Trial, rows: Rows, slots: Slots) -> Tensor:
    return trial.target.space.signal(trial.target.encode(rows, slots, _noise(rows)))


def _real(walk: Walk, row: int) -> Tensor:
    """A row's result on its real slots."""
    return walk.result[-1].x0[row][walk.slots.mask[row]]


def _corrupted(trial: Trial, case: Case) -> list[Tensor]:
    """x_t of each row on its real slots, halfway."""
    rows, _, slots = trial.at_inference(case)
    x_t, _, _ = trial.sampler.corrupt(_clean(trial, rows, slots), slots, _noise(rows), torch.full((len(case),), 0.5))
    return [x[real] for x, real in zip(x_t, slots.mask, strict=True)]


def _kept(trial: Trial, rows: Rows, slots: Slots, time: float) -> Tensor:
    """How much of a change of x0 arrives in x_t under the same noise, for each real slot."""
    x0, t = _clean(trial, rows, slots), torch.full((len(rows),), time)
    here, _, _ = trial.sampler.corrupt(x0, slots, _noise(rows), t)
    there, _, _ = trial.sampler.corrupt(x0 + 1, slots, _noise(rows), t)
    return (there - here)[slots.mask]


def _expect_state(x_t: Tensor, t: Tensor, slots: Slots, target: Target) -> None:
    shape = (*slots.mask.shape, target.space.channels)
    expect_shape(x_t, shape, "the state")
    expect((x_t[~slots.mask] == 0).all(), "the state is not zero where a slot is padding.")
    expect(t.shape == shape[:1], f"t has shape {tuple(t.shape)}, not one number a row.")
    expect(((t >= 0) & (t <= 1)).all(), f"t = {t.tolist()} is outside [0, 1].")
