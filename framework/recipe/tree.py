"""The tables of a recipe while they are put together, with the file that each value came from."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from framework.data.options import DataOptions
from framework.errors import RecipeError
from framework.recipe.options import EvaluateOptions
from framework.recipe.toml import write_value

Keys = tuple[str, ...]
"""Keys from the top of a recipe; an objective stands under its name, as in ("objective", "main", "target")."""

OBJECTIVE_TABLES: Final = ("rows", "target", "denoiser", "sampler")
PART_TABLES: Final = ("data", "encoder", *OBJECTIVE_TABLES, "post")
BY_NAME: Final = ("objective", "sweep")
"""Tables that a file writes as a list, ``[[objective]]``, and that become one table by name."""
OVERRIDE: Final = "--set"


class Whole(dict[str, Any]):
    """A table that replaces one of the same name instead of merging with it, as a list does."""


@attrs.frozen
class Origin:
    """Where a value was written. file: as messages show it, or ``--set``. table: the table that its path starts in."""

    file: str
    table: Keys = ()


@attrs.define
class Tree:
    """Tables merged from several files. file: the one that was asked for, as messages show it."""

    file: str
    values: dict[str, Any] = attrs.field(factory=dict)
    origins: dict[Keys, Origin] = attrs.field(factory=dict)

    def at(self, path: Keys) -> Any:
        """The value at ``path``, None where there is none."""
        value: Any = self.values
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def place(self, path: Keys) -> str:
        """Where ``path`` was written, as in ``charades.toml [denoiser] kernel = 8``."""
        origin = self.origin(path)
        value = _short(write_value(self.at(path)))
        whole = (*origin.table, *path)
        if origin.file == OVERRIDE:
            return f"{OVERRIDE} {'.'.join(whole)} = {value}"
        return f"{origin.file} {_table(whole[:-1])}{whole[-1]} = {value}"

    def table(self, path: Keys) -> str:
        """Where the table at ``path`` was written, as in ``charades.toml [denoiser]``."""
        origin = self.origin(path)
        file = self.file if origin.file == OVERRIDE else origin.file
        return f"{file} {_table((*origin.table, *path))}".rstrip()

    def origin(self, path: Keys) -> Origin:
        """Origin of a value; of a table that was merged from several files, that of its part's name."""
        chooser = selector(path)
        known = [path[:length] for length in range(len(path), 0, -1)]
        found = [self.origins[each] for each in ([(*path, chooser)] if chooser else []) + known if each in self.origins]
        return found[0] if found else Origin(self.file)

    def merge(self, layer: Mapping[str, Any], origin: Callable[[Keys], Origin], path: Keys = ()) -> None:
        """Lay ``layer`` over the table at ``path``; tables merge, anything else replaces.

        A part that is replaced by another takes its options with it, those of the overlay included: they mean nothing
        to the new part.
        """
        table = self.at(path)
        if self._replaces(layer, path):
            self._drop_options(path)
            self._drop_options(("embedded", *path), keep_own=True)
        # The overlay comes last: its own keys must outlive what a new part drops.
        for key, value in sorted(layer.items(), key=lambda entry: entry[0] == "embedded"):
            here = (*path, key)
            if isinstance(value, Mapping):
                if isinstance(value, Whole) or not isinstance(table.get(key), dict):
                    table[key] = Whole() if isinstance(value, Whole) else {}
                    self.origins[here] = origin(here)
                self.merge(value, origin, here)
            else:
                table[key] = copy.deepcopy(value)
                self.origins[here] = origin(here)

    def _replaces(self, layer: Mapping[str, Any], path: Keys) -> bool:
        key = selector(path)
        return key is not None and key in layer and self.at(path).get(key, layer[key]) != layer[key]

    def _drop_options(self, path: Keys, *, keep_own: bool = False) -> None:
        """Drop a part's options; with ``keep_own``, only where the table does not choose a part itself."""
        table = self.at(path)
        if isinstance(table, dict) and not (keep_own and selector(path) in table):
            for key in [key for key in table if key not in kept(path)]:
                del table[key]
                self.origins.pop((*path, key), None)

    def drop(self, *keys: str) -> None:
        """Forget top-level keys."""
        for key in keys:
            self.values.pop(key, None)

    def copy(self) -> Tree:
        """Return a tree that can be changed without changing this one."""
        return Tree(self.file, copy.deepcopy(self.values), dict(self.origins))


def selector(path: Keys) -> str | None:
    """The key that chooses the part of a table: ``name``, or ``rule`` for [evaluate]; None where there is no part."""
    local = _local(path)
    if local == ("evaluate",):
        return "rule"
    return "name" if local == ("data", "text") or (len(local) == 1 and local[0] in PART_TABLES) else None


def _local(path: Keys) -> Keys:
    """The path without what the overlay and an objective put before it."""
    path = path[1:] if path[:1] == ("embedded",) else path
    return path[2:] if path[:1] == ("objective",) else path


def kept(path: Keys) -> set[str]:
    """Keys of a table that do not belong to its part."""
    local = _local(path)
    if local == ("data",):
        # Files are a dataset's own; how they are read is the recipe's.
        return {"text", *attrs.fields_dict(DataOptions)} - {"root", "video"}
    return set(attrs.fields_dict(EvaluateOptions)) if local == ("evaluate",) else set()


def normal(table: Mapping[str, Any], file: str, path: Keys = ()) -> dict[str, Any]:
    """Bring a table of a file to the form that is merged.

    A part given by its name alone becomes a table, and ``[[objective]]`` becomes one table by name. RecipeError where
    an objective has no name, or that of another; ``[[sweep]]`` likewise, whose list replaces one that is inherited.
    """
    found = dict(table)
    for key, value in table.items():
        here = (*path, key)
        if isinstance(value, str) and selector(here) == "name":
            found[key] = {"name": value}
        elif key in BY_NAME and path in ((), ("embedded",)):
            named = _by_name(value, file, here)
            found[key] = Whole(named) if key == "sweep" and isinstance(value, list) else named
        elif isinstance(value, Mapping):
            found[key] = normal(value, file, here)
    return found


def _by_name(entries: Any, file: str, path: Keys) -> dict[str, Any]:
    header, noun = ".".join(path), path[-1]
    if isinstance(entries, Mapping) and file == OVERRIDE:
        return normal(entries, file, path)
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise RecipeError(f"{file} [{header}]: several {noun}s are tables of their own. Write [[{header}]] above each.")
    found: dict[str, Any] = {}
    for entry in entries:
        name = entry.get("name")
        if not isinstance(name, str) or not name:
            raise RecipeError(f"{file} [[{header}]]: every {noun} needs a name. Write name = in each.")
        if name in found:
            raise RecipeError(f'{file} [[{header}]] name = "{name}": two {noun}s have that name. Rename one.')
        rest = {key: value for key, value in entry.items() if key != "name"}
        found[name] = normal(rest, file, (*path, name))
    return found


def _table(path: Keys) -> str:
    return f"[{'.'.join(path)}] " if path else ""


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
