"""Sweeps: one setting of inference and the values that the trained weights are scored under again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from framework.core.options import option
from framework.recipe.structure import Structurer
from framework.recipe.tree import Keys

NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
"""The name of a sweep, which goes into names of files and into keys of an override; a dot would part those."""
FIXED: Final = ("name", "seed", "profile", "data", "weights", "train", "expected", "embedded", "sweep")
SWEPT_OF_EVALUATE: Final = ("draws",)
"""Keys of [evaluate] that change answers and leave rule and split as they are."""


@attrs.frozen
class SweepOptions:
    """What a [[sweep]] table says besides its name and its values, which may be of any type."""

    key: str = option(doc="key of the recipe, as --set takes it")
    label: str = option("", doc="x axis of the plot; empty: the key")
    log: bool = option(False, doc="logarithmic x axis")


@attrs.frozen
class Sweep:
    """One [[sweep]] table. key: dotted. values: what takes the place of the recipe's own, as TOML gives it."""

    name: str
    key: str
    values: tuple[Any, ...]
    label: str
    log: bool

    @property
    def table(self) -> dict[str, Any]:
        """The table with every default written out."""
        return {**attrs.asdict(self, recurse=False), "values": list(self.values)}


def read_sweeps(structure: Structurer) -> tuple[Sweep, ...]:
    """Read the [[sweep]] tables, what they say of parts aside; a wrong one is noted and left out."""
    found = []
    for name in structure.table(("sweep",)):
        before = structure.complaints
        sweep = _read(structure, name)
        if sweep is not None and structure.complaints == before:
            found.append(sweep)
    return tuple(found)


def _read(structure: Structurer, name: str) -> Sweep | None:
    path = ("sweep", name)
    place = structure.tree.place
    if not NAME.fullmatch(name):
        structure.complain(
            f'{structure.tree.table(path)}: the name "{name}" must be letters, digits, underscores and hyphens. '
            "Rename the sweep."
        )
    structure.refuse_unknown(path, {*attrs.fields_dict(SweepOptions), "values"}, "a sweep")
    options, values = structure.build(SweepOptions, path), _values(structure, path)
    if options is None or values is None:
        return None
    if broken := _refused(options.key) or _unread(structure, options.key):
        structure.complain(f"{place((*path, 'key'))}: {broken}")
    if options.log and not all(type(value) in (int, float) and value > 0 for value in values):
        structure.complain(f"{place((*path, 'log'))}: a logarithmic axis needs numbers above 0. Leave log out.")
    return Sweep(name, options.key, values, options.label or options.key, options.log)


def _values(structure: Structurer, path: Keys) -> tuple[Any, ...] | None:
    here = (*path, "values")
    values = structure.tree.at(here)
    if values is None:
        structure.complain(f"{structure.tree.table(path)}: values is missing. Write values = a list, such as [1, 10].")
        return None
    rule = None
    if not isinstance(values, list) or not values:
        rule = "must be a list of one value at least"
    elif any(isinstance(value, Mapping) for value in values):
        rule = "each must be a number, a text, true or false, or a list of those"
    if rule:
        structure.complain(f"{structure.tree.place(here)}: {rule}.")
        return None
    return tuple(values)


def _unread(structure: Structurer, key: str) -> str | None:
    """Why a sweep over ``key`` would show nothing: only the first objective answers."""
    names, keys = list(structure.table(("objective",))), key.split(".")
    if keys[0] != "objective" or keys[1] not in names[1:]:
        return None
    return f'inference asks the first objective, "{names[0]}", alone. Name a key of objective.{names[0]}.'


def _refused(key: str) -> str | None:
    """Why a sweep cannot be over ``key``, None where the table it is in may be swept."""
    keys = key.split(".")
    if not all(keys) or "=" in key or key != key.strip() or keys == ["objective"]:
        return "must be a key of the recipe, as in sampler.steps."
    kept = keys[0] if keys[0] in FIXED else ""
    if keys[0] == "evaluate" and not (len(keys) == 2 and keys[1] in SWEPT_OF_EVALUATE):
        kept = f"evaluate but for {' and '.join(SWEPT_OF_EVALUATE)}"
    if not kept:
        return None
    return (
        f"a sweep scores the trained weights again, on the same data by the same rule, so it cannot change {kept}. "
        "Name a setting of inference, such as sampler.steps."
    )
