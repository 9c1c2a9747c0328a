"""Options of a part: attrs classes whose fields carry a documentation line and a rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

Rule = Callable[[Any], str | None]
"""Returns None for a legal value, else the rule it breaks, as in ``must be at least 1``."""


def option(
    default: Any = attrs.NOTHING, *, doc: str, rule: Rule | None = None, shared: bool = False, movable: bool = False
) -> Any:
    """Declare one option of a part.

    doc: one line for ``parts NAME``. rule: checked when a recipe is read. shared: the value may be written once in the
    recipe's [layout] table and is then given to every part with a shared option of that name. movable: the value says
    where something lies, so it may be another one when trained weights are used.
    """
    metadata = {"doc": doc, "rule": rule, "shared": shared, "movable": movable}
    return attrs.field(default=default, metadata=metadata, kw_only=True)


def at_least(low: float) -> Rule:
    """The value is ``low`` or more."""
    return lambda value: None if value >= low else f"must be at least {low}"


def above(low: float) -> Rule:
    """The value is more than ``low``."""
    return lambda value: None if value > low else f"must be more than {low}"


def between(low: float, high: float) -> Rule:
    """The value is in [low, high]."""
    return lambda value: None if low <= value <= high else f"must be between {low} and {high}"


def one_of(*values: str) -> Rule:
    """The value is one of a few words."""
    return lambda value: None if value in values else f"must be one of {', '.join(values)}"


def odd(value: int) -> str | None:
    """The value is an odd positive number, as a centred kernel needs."""
    return None if value > 0 and value % 2 else "must be an odd positive number"


def every(rule: Rule) -> Rule:
    """Each entry of a list keeps ``rule``, and there is at least one."""

    def check(values: Sequence[Any]) -> str | None:
        broken = [found for value in values if (found := rule(value))]
        return "must not be empty" if not values else (f"each {broken[0]}" if broken else None)

    return check
