"""What the options of a part are, for a person who writes a recipe."""

from __future__ import annotations

import typing
from typing import Any, Final

import attrs

from framework.core.options import Rule
from framework.core.part import Part
from framework.recipe.values import default_of, wording

PROBES: Final = ((float("-inf"),), (float("inf"),), ("",), (), float("-inf"), float("inf"), -1, 0, "")
"""Values of which a rule refuses one at least; lists first, since a rule for lists may take a text for one."""


@attrs.frozen
class OptionView:
    """One option as a recipe's author sees it.

    name: dotted where it stands in a table of its own. type: in words. default: as TOML, None where it must be given.
    rule: in words, empty where any value of the type will do. shared: may be written in [layout].
    """

    name: str
    type: str
    default: str | None
    doc: str
    rule: str
    shared: bool


def describe(part: Part) -> list[OptionView]:
    """List the options of a part in their order. PluginError where one has a type that a recipe cannot hold."""
    return _describe(part.options, "")


def _describe(options: type, prefix: str) -> list[OptionView]:
    hints = typing.get_type_hints(options)
    found: list[OptionView] = []
    for field in attrs.fields(options):
        name, hint = prefix + field.name, hints[field.name]
        found += _describe(hint, f"{name}.") if attrs.has(hint) else [_view(name, hint, field)]
    return found


def _view(name: str, hint: Any, field: attrs.Attribute[Any]) -> OptionView:
    words, rule = wording(hint), field.metadata.get("rule")
    shared = bool(field.metadata.get("shared"))
    return OptionView(name, words, default_of(field), field.metadata["doc"], _stated(rule) if rule else "", shared)


def _stated(rule: Rule) -> str:
    """What a rule says: it is a function, so it is asked with values that it refuses."""
    for probe in PROBES:
        try:
            if said := rule(probe):
                return said
        except Exception:  # A rule need not stand values of another type.
            continue
    return ""
