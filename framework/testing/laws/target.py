"""What every target keeps."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from typing import Final

import attrs
import torch
from torch import Tensor

from framework.core.noise import KeyedNoise
from framework.core.sampler import Sampler
from framework.core.structures import Candidates, Condition, Prediction, Rows, Slots
from framework.core.target import Target
from framework.moments import iou
from framework.samplers import Gaussian, GaussianOptions, OneStep, OneStepOptions
from framework.testing import strategies, tiny
from framework.testing.laws.law import Law, check, expect, expect_close, expect_shape, law, take
from framework.testing.tiny import Case

Conditions = Callable[[Case], Condition]


@attrs.frozen(eq=False)
class Trial:
    """A target and how the condition of a case is built for it."""

    target: Target
    condition: Conditions

    def at_inference(self, case: Case) -> tuple[Rows, Condition, Slots]:
        """Rows, condition and the slots that are made without looking at the rows."""
        cond = self.condition(case)
        return tiny.rows(case), cond, self.target.slots(cond, None)


TARGET_LAWS: Final[list[Law[Trial]]] = []
_cut_cases = functools.partial(strategies.cases, cut=True)
_processes: Final[tuple[Sampler, ...]] = (
    Gaussian(GaussianOptions(steps=3)),
    Gaussian(GaussianOptions(steps=3, eta=1.0)),
    Gaussian(GaussianOptions(steps=4, solver="dpmpp_2m")),
    OneStep(OneStepOptions()),
)


def check_target(
    target: Target,
    *,
    condition: Conditions | None = None,
    clips: tuple[int, int] = (1, 24),
    examples: int = 20,
    only: Collection[str] = (),
) -> None:
    """Try every law of targets; raises LawError, whose message holds the smallest counterexample.

    condition: builds the condition of a case; needed where the target requires more than "clips" and "clip".
    clips: shortest and longest video, in map clips. examples: cases a law.
    only: names of the laws to try, all where empty.
    """
    build = condition or functools.partial(tiny.condition, target)
    check(TARGET_LAWS, Trial(target, build), target, clips, examples, only)


@law(TARGET_LAWS, "make slots(cond, None) of the condition alone, and keep nothing of ``rows`` in the target.")
def slots_need_no_ground_truth(trial: Trial, case: Case) -> None:
    """slots(cond, None) and decode need no ground truth, and are the same whatever truth was seen before."""
    rows, cond, blind = trial.at_inference(case)
    answer, seen = _near_ideal(trial.target, rows, blind), []
    for moments in ((), ((0.0, 1.0),)):
        told = tiny.rows(tuple(attrs.evolve(row, moments=moments) for row in case))
        trial.target.encode(told, trial.target.slots(cond, told), _noise(told))
        blind = trial.target.slots(cond, None)
        seen.append((blind, trial.target.decode([answer], cond, blind)))
    (first, one), (second, two) = seen
    _expect_same(attrs.asdict(first, recurse=False), attrs.asdict(second, recurse=False), "after another truth")
    _expect_same(attrs.asdict(one, recurse=False), attrs.asdict(two, recurse=False), "decoded after another truth")


@law(
    TARGET_LAWS,
    "return slots (R, M), x0 (R, M, C) multiplied with slots.mask, a loss (R,) a term, candidates (R, n) padded last.",
    cases=_cut_cases,
)
def shapes_and_masks(trial: Trial, case: Case) -> None:
    """Every value has its shape, is finite, and is zero where a slot is padding, for cut-off moments too."""
    target, rows, cond = trial.target, tiny.rows(case), trial.condition(case)
    for slots in (target.slots(cond, None), target.slots(cond, rows)):
        count, size = slots.mask.shape
        expect(count == len(case), f"there are slots for {count} rows, not {len(case)}.")
        expect(slots.mask.dtype == torch.bool and slots.mask.any(1).all(), "mask is not boolean, or empty in a row.")
        expect(slots.place.shape == slots.mask.shape and slots.place.dtype == torch.long, "place is not (R, M) long.")
        expect(sum(slots.sizes) == size, f"the shapes {slots.shapes} do not add up to {size} slots.")
        if slots.anchor is not None:
            shape = (size, 2) if slots.anchor.dim() == 2 else (count, size, 2)
            expect_shape(slots.anchor, shape, "anchor")
        x0 = target.encode(rows, slots, _noise(rows))
        expect_shape(x0, (count, size, target.space.channels), "x0")
        expect((x0[~slots.mask] == 0).all(), "x0 is not zero where a slot is padding.")
        answer = _near_ideal(target, rows, slots)
        for name, value in target.loss(answer, x0, slots, rows).items():
            expect(value.shape == (count,), f"loss {name} has shape {tuple(value.shape)}, not one number a row.")
            expect(torch.isfinite(value).all(), f"loss {name} is not finite.")
    rows, cond, slots = trial.at_inference(case)
    _expect_candidates(target.decode([_near_ideal(target, rows, slots)], cond, slots), len(case))


@law(TARGET_LAWS, "give the target a Space whose lo and hi hold its natural values, and convert nowhere else.")
def natural_undoes_signal(trial: Trial, case: Case) -> None:
    """natural(signal(y)) is y for every y in the range, signals stay in theirs, and clamp leaves them alone."""
    space = trial.target.space
    lo, hi = torch.tensor(space.lo), torch.tensor(space.hi)
    y = lo + (hi - lo) * torch.linspace(0, 1, 9)[None, :, None]
    signal = space.signal(y)
    expect_close(space.natural(signal), y, "natural(signal(y))", 1e-4)
    expect_close(space.clamp(signal), signal, "clamp(signal(y))", 1e-4)
    expect(((signal >= space.low - 1e-4) & (signal <= space.scale + 1e-4)).all(), "signal(y) leaves the signal range.")


@law(TARGET_LAWS, "let decode undo encode, or state the coarseness of the geometry in ``ceiling``.")
def ideal_ranks_the_truth_first(trial: Trial, case: Case) -> None:
    """decode(ideal) puts a candidate first that overlaps a true moment by the target's ceiling, at its place."""
    rows, cond, slots = trial.at_inference(case)
    ideal = trial.target.ideal(rows, slots, _noise(rows))
    _expect_truth_first(trial.target, trial.target.decode([ideal], cond, slots), rows)


@law(TARGET_LAWS, "compute each row from that row alone; let nothing depend on its position in the batch.")
def permuting_rows_permutes_results(trial: Trial, case: Case) -> None:
    """Slots, x0, losses and candidates of a row are the same wherever in the batch it stands."""
    order = list(range(len(case)))[::-1]
    turned = _results(trial, take(case, order))
    for row, wanted in enumerate(_results(trial, case)):
        _expect_same(turned[order.index(row)], wanted, f"of row {row} in reversed order")


@law(TARGET_LAWS, "compute each row from that row alone: average over its own slots, never over the batch.")
def rows_do_not_see_their_batch(trial: Trial, case: Case) -> None:
    """Slots, x0, losses and candidates of a row are the same alone and beside others, shorter or longer."""
    together = _results(trial, case)
    for row, wanted in enumerate(together):
        _expect_same(_results(trial, take(case, [row]))[0], wanted, f"of row {row} alone")


@law(TARGET_LAWS, "decode the predictions you are given, and let ``refine`` replace poor proposals only.")
def perfect_denoiser_is_a_fixed_point(trial: Trial, case: Case) -> None:
    """With a denoiser that answers the ideal, every process, refine included, ends with the truth ranked first."""
    rows, cond, slots = trial.at_inference(case)
    ideal = trial.target.ideal(rows, slots, _noise(rows))
    shape = (*slots.mask.shape, trial.target.space.channels)

    def perfect(x_t: Tensor, t: Tensor, previous: Prediction | None = None) -> Prediction:
        expect(x_t.shape == shape, f"refine gives a state of shape {tuple(x_t.shape)}, not {shape}.")
        expect(torch.isfinite(x_t).all(), "refine gives a state that is not finite.")
        return ideal

    for sampler in _processes:
        answers = sampler.sample(perfect, slots, trial.target, _noise(rows))
        expect_close(answers[-1].x0, ideal.x0, "the result's x0")
        _expect_truth_first(trial.target, trial.target.decode(answers, cond, slots), rows)


@law(
    TARGET_LAWS,
    "guard every division by the number of moments, and leave regression out of rows that have none.",
    cases=_cut_cases,
)
def no_moments_give_a_finite_loss(trial: Trial, case: Case) -> None:
    """A row without moments has a finite loss and gradient; free spans and distances of points are not regressed."""
    target, told = trial.target, (attrs.evolve(case[0], moments=()), *case[1:])
    rows, cond = tiny.rows(told), trial.condition(told)
    slots = target.slots(cond, rows)
    answer = _near_ideal(target, rows, slots)
    answer = Prediction(
        answer.x0.requires_grad_(),
        {name: head.requires_grad_() if head.is_floating_point() else head for name, head in answer.heads.items()},
    )
    terms = target.loss(answer, target.encode(rows, slots, _noise(rows)), slots, rows)
    for name, value in terms.items():
        expect(torch.isfinite(value).all(), f"loss {name} is not finite.")
    total = torch.stack([value.sum() for value in terms.values()]).sum()
    expect(total.requires_grad, "no loss has a gradient.")
    asked = [value for value in (answer.x0, *answer.heads.values()) if value.requires_grad]
    gradients = torch.autograd.grad(total, asked, materialize_grads=True)
    expect(torch.stack([torch.isfinite(gradient).all() for gradient in gradients]).all(), "a gradient is not finite.")
    regressed = {"free": slice(0, None), "points": slice(1, None)}.get(target.kind)
    if regressed is not None:
        expect((gradients[0][0, :, regressed] == 0).all(), "a row without moments pulls at its x0.")


@law(TARGET_LAWS, "clip to [0, 1], sort by score in falling order, and put padding behind everything real.")
def decoded_moments_are_sorted_and_inside(trial: Trial, case: Case) -> None:
    """Whatever the network says, candidates are sorted, in the pool, and 0 <= start <= end <= 1."""
    rows, cond, slots = trial.at_inference(case)
    space, noise = trial.target.space, _noise(rows)
    near = _near_ideal(trial.target, rows, slots)
    for wildness in (0.1, 1.0, 10.0):
        wild = space.natural(wildness * noise.normal(slots, space.channels)) * slots.mask[..., None]
        found = trial.target.decode([near, Prediction(wild, near.heads)], cond, slots)
        _expect_candidates(found, len(case))
        start, end, place = (x[found.mask] for x in (found.start, found.end, found.place))
        expect(((start >= -1e-5) & (end <= 1 + 1e-5)).all(), "a moment lies outside its video.")
        expect((start <= end).all(), "a moment ends before it starts.")
        expect(((place >= 0) & (place < rows.index.pool.shape[1])).all(), "a place is outside the pool.")


def _noise(rows: Rows) -> KeyedNoise:
    return KeyedNoise(0, rows.index.key)


def _near_ideal(target: Target, rows: Rows, slots: Slots) -> Prediction:
    """The ideal prediction, shaken a little by a noise that belongs to the row, so that no two slots tie."""
    noise = _noise(rows)
    ideal = target.ideal(rows, slots, noise)
    shake = 0.05 * noise.normal(slots, target.space.channels)
    heads = {name: _shaken(head, noise, slots) for name, head in ideal.heads.items()}
    return Prediction((ideal.x0 + shake.to(ideal.x0)).detach(), heads)


def _shaken(head: Tensor, noise: KeyedNoise, slots: Slots) -> Tensor:
    if not head.is_floating_point() or head.shape[:2] != slots.mask.shape:
        return head.detach()
    return (head + 0.05 * noise.normal(slots, 1).reshape(*slots.mask.shape, *[1] * (head.dim() - 2))).detach()


def _results(trial: Trial, case: Case) -> list[dict[str, Tensor]]:
    """All that a target says of each row, padding left out; a longer grid keeps the order of a shorter one's slots."""
    target, rows, cond = trial.target, tiny.rows(case), trial.condition(case)
    slots, blind = target.slots(cond, rows), target.slots(cond, None)
    x0 = target.encode(rows, slots, _noise(rows))
    losses = target.loss(_near_ideal(target, rows, slots), x0, slots, rows)
    found = target.decode([_near_ideal(target, rows, blind)], cond, blind)
    return [
        _slots_of(slots, row)
        | {"x0": x0[row][slots.mask[row]]}
        | {f"loss {name}": value[row] for name, value in losses.items()}
        | _candidates_of(found, row)
        for row in range(len(case))
    ]


def _slots_of(slots: Slots, row: int) -> dict[str, Tensor]:
    real = slots.mask[row]
    found = {"place": slots.place[row][real]}
    if slots.anchor is not None:
        found["anchor"] = (slots.anchor if slots.anchor.dim() == 2 else slots.anchor[row])[real]
    return found


def _candidates_of(found: Candidates, row: int) -> dict[str, Tensor]:
    real = found.mask[row]
    values = (found.place[row], found.start[row], found.end[row], found.score[row])
    return {"candidates": torch.stack([value[real].double() for value in values], dim=-1)}


def _expect_same(found: Mapping[str, object], wanted: Mapping[str, object], when: str) -> None:
    for name, value in wanted.items():
        other = found[name]
        if isinstance(value, Tensor) and isinstance(other, Tensor):
            expect_close(other, value, f"{name} {when}")
        else:
            expect(other == value, f"{name} {when} is {other}, not {value}.")


def _expect_candidates(found: Candidates, count: int) -> None:
    shape = found.mask.shape
    expect(len(shape) == 2 and shape[0] == count, f"the mask of the candidates is {tuple(shape)}, not ({count}, n).")
    for name in ("place", "start", "end", "score"):
        value = getattr(found, name)
        expect(value.shape == shape, f"{name} of the candidates is {tuple(value.shape)}, not {tuple(shape)}.")
        expect(torch.isfinite(value[found.mask]).all(), f"{name} of a candidate is not finite.")
    expect((found.mask[:, 1:] <= found.mask[:, :-1]).all(), "a real candidate stands behind padding.")
    both = found.mask[:, 1:] & found.mask[:, :-1]
    expect((found.score[:, 1:] <= found.score[:, :-1])[both].all(), "candidates are not sorted by score.")


def _expect_truth_first(target: Target, found: Candidates, rows: Rows) -> None:
    for row, moments in enumerate(rows.moments):
        if not len(moments):
            continue
        expect(found.mask[row, 0], f"row {row} has a moment and no candidate.")
        first = torch.stack([found.start[row, 0], found.end[row, 0]])[None]
        overlap = iou(first, moments[:, 1:3].to(first))[0] * (moments[:, 0] == found.place[row, 0])
        best = float(overlap.max())
        expect(
            best >= target.ceiling - 1e-3,
            f"the best candidate of row {row}, {first[0].tolist()}, overlaps the truth by {best:.3f}, "
            f"below the stated ceiling {target.ceiling:.3f}.",
        )
