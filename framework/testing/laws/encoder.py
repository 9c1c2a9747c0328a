"""What every encoder keeps."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import attrs
import torch
from torch import Tensor

from framework.core.encoder import Encoder
from framework.core.structures import Condition, Slots
from framework.core.target import Target
from framework.testing import strategies, tiny
from framework.testing.laws.law import Law, check, expect, expect_close, law, take
from framework.testing.laws.weights import expect_gradients, frozen
from framework.testing.tiny import Case

FILL: Final = 7.0
"""What padding holds in the laws: a mask says that it means nothing, so it must not matter."""

ENCODER_LAWS: Final[list[Law[Trial]]] = []


@attrs.frozen(eq=False)
class Trial:
    """An encoder, how its text comes, and the target whose slots its features lie on, if any."""

    encoder: Encoder
    ids: bool
    target: Target | None
    tolerance: float

    def condition(self, case: Case, *, clips: int = 0, words: int = 0) -> Condition:
        """Encode and join the rows of a case, padded to ``clips`` and ``words``."""
        return self.encoder.join(self.encoded(case, clips=clips, words=words), tiny.rows(case).index)

    def encoded(self, case: Case, *, clips: int = 0, words: int = 0) -> Mapping[str, Mapping[str, Tensor]]:
        """Both sides of a case, each by itself."""
        batch = tiny.collate(case, ids=self.ids, clips=clips, words=words, fill=FILL)
        return {side: self.encoder.encode(side, x, mask) for side, (x, mask) in batch.feats.items()}

    def slots(self, cond: Condition) -> Slots | None:
        """The slots that a target makes of a condition."""
        return None if self.target is None else self.target.slots(cond, None)


def check_encoder(
    encoder: Encoder,
    *,
    ids: bool = False,
    target: Target | None = None,
    clips: tuple[int, int] = (1, 24),
    examples: int = 10,
    tolerance: float = 1e-5,
    only: Collection[str] = (),
) -> None:
    """Try every law of encoders; raises LawError, whose message holds the smallest counterexample.

    encoder: built for ``tiny.INPUTS``, or ``tiny.INPUTS_OF_IDS`` with ``ids``. target: needed where a feature has one
    entry a slot (R, M, D), so that slots can be compared between grids of different size. clips: shortest and longest
    video. examples: cases a law. tolerance: how far two equal results may differ.
    only: names of the laws to try, all where empty.
    """
    check(ENCODER_LAWS, Trial(encoder, ids, target, tolerance), encoder, clips, examples, only)


@law(
    ENCODER_LAWS, "return the features that ``widths`` names: rows first, width last, and a plain number a row as (R,)."
)
def condition_is_what_widths_says(trial: Trial, case: Case) -> None:
    """The condition holds the features that ``widths`` names, a row each, of that last dimension, and finite."""
    with frozen(trial.encoder):
        cond = trial.condition(case)
    expect(cond.rows == len(case), f"the condition is of {cond.rows} rows, not {len(case)}.")
    names = set(cond.feats)
    expect(names == trial.encoder.provides, f"it gives {sorted(names)}, not {sorted(trial.encoder.provides)}.")
    for name, feature in cond.feats.items():
        expect(feature.shape[:1] == (len(case),), f"{name} has shape {tuple(feature.shape)}, not a row each.")
        plain = feature.dim() == 1 and trial.encoder.widths[name] == 1
        expect(plain or feature.shape[-1] == trial.encoder.widths[name], f"{name} is {feature.shape[-1]} wide.")
        expect(torch.isfinite(feature).all(), f"{name} is not finite.")


@law(ENCODER_LAWS, "normalize over one row, not the batch, and multiply with the mask before anything mixes clips.")
def rows_do_not_see_their_batch(trial: Trial, case: Case) -> None:
    """In eval mode a row's features are the same alone, in any order, and beside longer videos and texts."""
    order = list(range(len(case)))[::-1]
    with frozen(trial.encoder):
        together, turned = trial.condition(case), trial.condition(take(case, order))
        for row in range(len(case)):
            alone = trial.condition(take(case, [row]))
            _expect_row(trial, together, row, alone, f"of row {row} in its batch")
            _expect_row(trial, turned, order.index(row), alone, f"of row {row} in reversed order")


@law(ENCODER_LAWS, "multiply with the mask before and after every operation that mixes clips or words.")
def padding_changes_nothing(trial: Trial, case: Case) -> None:
    """In eval mode a row's features are the same with more padding, whatever the padding holds."""
    with frozen(trial.encoder):
        for row, one in enumerate(case):
            alone = trial.condition((one,))
            padded = trial.condition((one,), clips=one.clips + 5, words=one.words + 3)
            _expect_row(trial, padded, 0, alone, f"of row {row} with padding")


@law(
    ENCODER_LAWS,
    "use every parameter in encode or join, or set requires_grad to False.",
    cases=lambda clips: strategies.cases((clips[1], clips[1]), least=2),
)
def every_parameter_learns(trial: Trial, case: Case) -> None:
    """In training every parameter that requires a gradient gets a finite one from the condition and the own loss."""
    encoded, rows = trial.encoded(case), tiny.rows(case)
    cond = trial.encoder.join(encoded, rows.index)
    own = trial.encoder.loss(cond, rows, encoded)
    for name, value in own.items():
        expect(value.shape == (len(case),), f"loss {name} has shape {tuple(value.shape)}, not one number a row.")
    expect_gradients(trial.encoder, [*cond.feats.values(), *own.values()])


def _expect_row(trial: Trial, cond: Condition, row: int, alone: Condition, what: str) -> None:
    """Compare a row with itself alone, as far as the shorter of the two reaches."""
    here, there = trial.slots(cond), trial.slots(alone)
    for name, wanted in alone.feats.items():
        found = cond.feats[name][row]
        if here is not None and there is not None and _is_of_slots(wanted, there) and len(found) == here.mask.shape[1]:
            expect_close(found[here.mask[row]], wanted[0][there.mask[0]], f"{name} {what}", trial.tolerance)
        else:
            expect_close(*_common(found, wanted[0]), f"{name} {what}", trial.tolerance)


def _is_of_slots(feature: Tensor, slots: Slots) -> bool:
    return feature.dim() == 3 and feature.shape[1] == slots.mask.shape[1]


def _common(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both tensors up to where the shorter one ends, in every dimension."""
    expect(a.dim() == b.dim(), f"a feature has {a.dim()} and {b.dim()} dimensions.")
    window = tuple(slice(min(pair)) for pair in zip(a.shape, b.shape, strict=True))
    return a[window], b[window]
