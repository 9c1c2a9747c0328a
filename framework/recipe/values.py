"""The types that options may have: checking a value of TOML against an annotation, saying what is wanted, and back.

Nothing is coerced in silence; the one conversion is of a whole number where a fraction is wanted. TOML has no null: the
word "none" stands for None where an annotation allows it.
"""

from __future__ import annotations

import math
import types
import typing
from typing import Any, Final

import attrs

from framework.errors import PluginError
from framework.recipe.toml import write_value

NONE: Final = "none"
EXACT: Final = 2**53
ONE: Final[dict[Any, str]] = {int: "a whole number", float: "a number", bool: "true or false", str: "text in quotes"}
SEVERAL: Final[dict[Any, str]] = {int: "whole numbers", float: "numbers", bool: "true or false", str: "texts in quotes"}


class Mismatch(Exception):
    """A value is not of the type that its annotation asks for."""


def convert(value: Any, hint: Any) -> Any:
    """Return ``value`` as the type that ``hint`` names; Mismatch where it is of another."""
    if _is_union(hint):
        return _convert_union(value, typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return _convert_tuple(value, typing.get_args(hint))
    # Exact types: in Python a bool is an int, in a recipe it is not. Beyond EXACT some whole numbers are no fractions.
    if hint is float and type(value) is int and abs(value) <= EXACT:
        return float(value)
    if hint is float and type(value) is float and not math.isnan(value):
        return value
    if hint in (int, bool, str) and type(value) is hint:
        return value
    raise Mismatch


def _convert_union(value: Any, hints: tuple[Any, ...]) -> Any:
    if type(None) in hints and value == NONE:
        return None
    for hint in hints:
        try:
            return convert(value, hint)
        except Mismatch:
            continue
    raise Mismatch


def _convert_tuple(value: Any, hints: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise Mismatch
    wanted = [hints[0]] * len(value) if hints[1:] == (...,) else list(hints)
    if len(wanted) != len(value):
        raise Mismatch
    return tuple(convert(entry, hint) for entry, hint in zip(value, wanted, strict=True))


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def wording(hint: Any, *, several: bool = False) -> str:
    """Say what ``hint`` allows, as in ``a list of whole numbers``; PluginError on a type that a recipe cannot hold."""
    if hint in ONE:
        return (SEVERAL if several else ONE)[hint]
    inner = typing.get_args(hint)
    if _is_union(hint):
        return " or ".join(f'"{NONE}"' if each is type(None) else wording(each, several=several) for each in inner)
    if typing.get_origin(hint) is not tuple or not inner:
        raise PluginError(f"{hint}: a recipe cannot hold this type; use int, float, bool, str, tuple, None or attrs.")
    what = "lists of" if several else "a list of"
    if inner[1:] == (...,):
        return f"{what} {wording(inner[0], several=True)}"
    if len(set(inner)) == 1:
        return f"{what} {len(inner)} {wording(inner[0], several=True)}"
    return f"{what} {', '.join(wording(each) for each in inner)}"


def plain(value: Any) -> Any:
    """Turn a value of an option back into what TOML holds."""
    if value is None:
        return NONE
    if attrs.has(type(value)):
        return {field.name: plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    return [plain(entry) for entry in value] if isinstance(value, tuple) else value


def default_of(field: attrs.Attribute[Any]) -> str | None:
    """The default of an option as TOML, None where it must be given."""
    default: Any = field.default
    if default is attrs.NOTHING:
        return None
    # To a type checker attrs.Factory is a function.
    made = default.factory() if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]
    return write_value(plain(made))
