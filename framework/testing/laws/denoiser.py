"""What every denoiser keeps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

import attrs
import torch
from torch import Tensor

from framework.core.denoiser import Denoiser
from framework.core.encoder import Encoder
from framework.core.noise import KeyedNoise
from framework.core.structures import Condition, Prediction, Slots
from framework.core.target import Target
from framework.testing import strategies, tiny
from framework.testing.laws import encoder as encoders
from framework.testing.laws.law import Law, check, expect, expect_close, law, take
from framework.testing.laws.weights import expect_gradients, frozen
from framework.testing.tiny import Case

DENOISER_LAWS: Final[list[Law[Trial]]] = []


@attrs.frozen(eq=False)
class Trial:
    """A denoiser, the target whose slots it works on and how the condition of a case is built."""

    denoiser: Denoiser
    target: Target
    condition: Callable[[Case], Condition]
    tolerance: float

    def question(self, case: Case, call: int = 0) -> Question:
        """What the denoiser is asked about a case; ``call`` tells one noisy value and time from the next."""
        cond = self.condition(case)
        slots = self.target.slots(cond, None)
        noise = KeyedNoise(call, tiny.rows(case).index.key)
        x_t = self.target.space.natural(noise.normal(slots, self.target.space.channels))
        return Question(x_t, noise.uniform(len(case)), cond, slots)


@attrs.frozen(eq=False)
class Question:
    """The arguments of one call."""

    x_t: Tensor
    t: Tensor
    cond: Condition
    slots: Slots

    def put(self, denoiser: Denoiser, previous: Prediction | None = None) -> Prediction:
        """Call the denoiser."""
        answer: Prediction = denoiser(self.x_t, self.t, self.cond, self.slots, previous)
        return answer


def check_denoiser(
    denoiser: Denoiser,
    *,
    target: Target,
    encoder: Encoder | None = None,
    ids: bool = False,
    widths: Mapping[str, int] | None = None,
    condition: Callable[[Case], Condition] | None = None,
    clips: tuple[int, int] = (1, 24),
    examples: int = 10,
    tolerance: float = 1e-5,
    only: Collection[str] = (),
) -> None:
    """Try every law of denoisers; raises LawError, whose message holds the smallest counterexample.

    target: whose slots it works on. The condition of a case comes from one of: an encoder (built for ``tiny.INPUTS``,
    or ``tiny.INPUTS_OF_IDS`` with ``ids``), put in eval mode; ``widths``, name to last dimension of features that have
    one random entry a slot (R, M, D); a function of your own. clips: shortest and longest video. examples: cases a law.
    tolerance: how far two equal results may differ. only: names of the laws to try, all where empty.
    """
    if encoder is not None:
        build = _encoded(encoders.Trial(encoder, ids, None, tolerance))
    else:
        build = condition or _of_slots(target, widths or {})
    check(DENOISER_LAWS, Trial(denoiser, target, build, tolerance), denoiser, clips, examples, only)


@law(DENOISER_LAWS, "answer x0 (R, M, C), the same for every entry of aux, and heads that begin with (R, M).")
def answers_have_the_shape_of_the_question(trial: Trial, case: Case) -> None:
    """x0 has the shape of x_t, in every layer; heads have an entry a slot; everything is finite on real slots."""
    with frozen(trial.denoiser):
        question = trial.question(case)
        first = question.put(trial.denoiser)
        for answer in (first, *first.aux, question.put(trial.denoiser, first)):
            expect(answer.x0.shape == question.x_t.shape, f"x0 has shape {tuple(answer.x0.shape)}.")
            for name, values in {"x0": answer.x0, **answer.heads}.items():
                expect(values.shape[:2] == question.slots.mask.shape, f"{name} has shape {tuple(values.shape)}.")
                expect(torch.isfinite(values[question.slots.mask]).all(), f"{name} is not finite.")


@law(
    DENOISER_LAWS,
    "multiply with slots.mask before anything mixes slots, and normalize over the real slots of one row.",
)
def rows_do_not_see_their_batch(trial: Trial, case: Case) -> None:
    """In eval mode a row gets the same answer alone, in any order, and beside rows with more slots."""
    order = list(range(len(case)))[::-1]
    with frozen(trial.denoiser):
        together, turned = _answers(trial, case), _answers(trial, take(case, order))
        for row in range(len(case)):
            alone = _answers(trial, take(case, [row]))[0]
            for name, wanted in alone.items():
                expect_close(together[row][name], wanted, f"{name} of row {row} in its batch", trial.tolerance)
                other = turned[order.index(row)][name]
                expect_close(other, wanted, f"{name} of row {row} in reversed order", trial.tolerance)


@law(DENOISER_LAWS, "multiply x_t with slots.mask before anything mixes slots.")
def padded_slots_are_not_read(trial: Trial, case: Case) -> None:
    """Whatever x_t holds where a slot is padding, the answer on real slots is the same."""
    question = trial.question(case)
    real = question.slots.mask
    junk = question.x_t.masked_fill(~real[..., None], 3.0)
    with frozen(trial.denoiser):
        wanted = question.put(trial.denoiser)
        found = attrs.evolve(trial.question(case), x_t=junk).put(trial.denoiser)
    expect_close(found.x0[real], wanted.x0[real], "x0 with junk in the padding", trial.tolerance)


@law(DENOISER_LAWS, "keep in cond.memo only what depends on neither x_t, t nor previous.")
def memo_never_changes_an_answer(trial: Trial, case: Case) -> None:
    """A condition that was used at another step gives the answers of a fresh one."""
    with frozen(trial.denoiser):
        used, later = trial.question(case), trial.question(case, call=1)
        first = used.put(trial.denoiser)
        fresh = later.put(trial.denoiser, first)
        again = attrs.evolve(later, cond=used.cond).put(trial.denoiser, first)
    real = used.slots.mask
    expect_close(again.x0[real], fresh.x0[real], "x0 from a used condition", trial.tolerance)


@law(DENOISER_LAWS, "read ``previous``, or leave reads_previous False and ignore it.")
def previous_matters_only_where_it_is_read(trial: Trial, case: Case) -> None:
    """A denoiser that does not say reads_previous answers the same with and without a previous answer."""
    if trial.denoiser.reads_previous:
        return
    with frozen(trial.denoiser):
        wanted = trial.question(case).put(trial.denoiser)
        found = trial.question(case).put(trial.denoiser, Prediction(wanted.x0 + 1, wanted.heads))
    expect_close(found.x0, wanted.x0, "x0 with a previous answer", trial.tolerance)


@law(
    DENOISER_LAWS,
    "use every parameter in forward, or set requires_grad to False.",
    cases=lambda clips: strategies.cases((clips[1], clips[1]), least=2),
)
def every_parameter_learns(trial: Trial, case: Case) -> None:
    """In training every parameter that requires a gradient gets a finite one from x0, heads and aux."""
    with torch.no_grad():
        first = trial.question(case).put(trial.denoiser) if trial.denoiser.reads_previous else None
    answer = trial.question(case).put(trial.denoiser, first)
    outputs = [x for layer in (answer, *answer.aux) for x in (layer.x0, *layer.heads.values())]
    expect_gradients(trial.denoiser, outputs)


def _answers(trial: Trial, case: Case) -> list[dict[str, Tensor]]:
    """What the denoiser says of each row on its real slots."""
    question = trial.question(case)
    answer, mask = question.put(trial.denoiser), question.slots.mask
    values = {"x0": answer.x0, **answer.heads}
    return [{name: value[row][mask[row]] for name, value in values.items()} for row in range(len(case))]


def _encoded(trial: encoders.Trial) -> Callable[[Case], Condition]:
    def build(case: Case) -> Condition:
        with frozen(trial.encoder):
            return trial.condition(case)

    return build


def _of_slots(target: Target, widths: Mapping[str, int]) -> Callable[[Case], Condition]:
    def build(case: Case) -> Condition:
        cond = tiny.condition(target, case)
        slots, noise = target.slots(cond, None), KeyedNoise(0, tiny.rows(case).index.key)
        features = {name: noise.normal(slots, width) for name, width in sorted(widths.items())}
        return Condition({**cond.feats, **features}, cond.rows)

    return build
