"""A law: a statement about a part, tried on drawn cases and reported with the smallest one that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Generic, TypeVar

import attrs
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from torch import Tensor

from framework.testing import strategies
from framework.testing.tiny import Case

Subject = TypeVar("Subject")
Cases = Callable[[tuple[int, int]], SearchStrategy[Case]]


class LawError(AssertionError):
    """A part breaks a law; ``law`` is its name."""

    def __init__(self, law: Law[Any], part: str, found: str, case: Case) -> None:
        self.law = law.name
        counterexample = ", ".join(map(str, case))
        super().__init__(
            f"{part} breaks the law {law.name}: {law.statement} Found: {found} "
            f"Smallest counterexample: {counterexample}. To do: {law.remedy}"
        )


class Broken(Exception):
    """Raised inside a law by ``expect``; the message says what was found."""


@attrs.frozen(eq=False)
class Law(Generic[Subject]):
    """holds: raises ``Broken`` where the subject does not keep the law. cases: what it is tried on."""

    holds: Callable[[Subject, Case], None]
    remedy: str
    cases: Cases

    @property
    def name(self) -> str:
        """The function's name."""
        return self.holds.__name__

    @property
    def statement(self) -> str:
        """First paragraph of the function's docstring, on one line."""
        return " ".join((self.holds.__doc__ or "").strip().split("\n\n")[0].split())

    def enforce(self, subject: Subject, part: object, case: Case) -> None:
        """Raise LawError where the law does not hold for one case, or the part fails on it."""
        try:
            self.holds(subject, case)
        except Broken as broken:
            raise LawError(self, _title(part), str(broken), case) from None
        except Exception as error:
            found = f"it raised {type(error).__name__}: {error}."
            raise LawError(self, _title(part), found, case) from error


def law(
    laws: list[Law[Subject]], remedy: str, cases: Cases = strategies.cases
) -> Callable[[Callable[[Subject, Case], None]], Callable[[Subject, Case], None]]:
    """Add the decorated function to ``laws``."""

    def add(holds: Callable[[Subject, Case], None]) -> Callable[[Subject, Case], None]:
        laws.append(Law(holds, remedy, cases))
        return holds

    return add


def check(
    laws: Iterable[Law[Subject]],
    subject: Subject,
    part: object,
    clips: tuple[int, int],
    examples: int,
    only: Collection[str] = (),
) -> None:
    """Try laws on ``examples`` cases each, of videos between ``clips[0]`` and ``clips[1]`` clips long.

    The cases are the same every time. only: names of the laws to try, all where empty. Raises LawError with the
    smallest counterexample that was found, ValueError where ``only`` names no law.
    """
    known = {one.name: one for one in laws}
    if set(only) - known.keys():
        raise ValueError(f"no such law: {', '.join(sorted(set(only) - known.keys()))}; known: {', '.join(known)}")
    for name, one in known.items():
        if not only or name in only:
            _try(one, subject, part, one.cases(clips), examples)


def _try(one: Law[Subject], subject: Subject, part: object, cases: SearchStrategy[Case], examples: int) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(cases)
    def holds(case: Case) -> None:
        one.enforce(subject, part, case)

    holds()


def expect(kept: bool | Tensor, found: str) -> None:
    """Raise ``Broken`` unless the law is kept."""
    if not bool(kept):
        raise Broken(found)


def expect_close(found: Tensor, wanted: Tensor, what: str, tolerance: float = 1e-5) -> None:
    """Raise ``Broken`` unless two tensors agree in shape and, to ``tolerance`` (absolute and relative), in value."""
    expect(found.shape == wanted.shape, f"{what} has shape {tuple(found.shape)}, not {tuple(wanted.shape)}.")
    found, wanted = found.double(), wanted.double()
    near = torch.isclose(found, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)
    if not bool(near.all()):
        raise Broken(f"{what} differs by up to {float((found - wanted)[~near].abs().max()):.3g}.")


def expect_shape(tensor: Tensor, shape: tuple[int, ...], what: str) -> None:
    """Raise ``Broken`` unless a tensor has ``shape`` and is finite."""
    expect(tensor.shape == shape, f"{what} has shape {tuple(tensor.shape)}, not {shape}.")
    expect(torch.isfinite(tensor).all(), f"{what} is not finite.")


def take(case: Case, order: Iterable[int]) -> Case:
    """The rows of a case in another order, or some of them."""
    return tuple(case[place] for place in order)


def _title(part: object) -> str:
    return type(part).__name__
