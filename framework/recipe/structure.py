"""From a table of a recipe to an attrs class, with every mistake collected on the way."""

from __future__ import annotations

import typing
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, TypeVar

import attrs
import tomli

from framework.errors import nearest
from framework.recipe.toml import write_value
from framework.recipe.tree import Keys, Tree
from framework.recipe.values import Mismatch, convert, default_of, wording

T = TypeVar("T")
ABSENT: Final = object()


class Structurer:
    """Builds options of the tables of one tree.

    problems: one line for each mistake. complaints: how many this structurer met, repeated ones included.
    shared: options that [layout] may give; read: those it gave.
    """

    def __init__(self, tree: Tree, problems: list[str]) -> None:
        self.tree, self.problems, self.complaints = tree, problems, 0
        self.shared: set[str] = set()
        self.read: set[str] = set()
        self.layout: Mapping[str, Any] = self.table(("layout",))

    def complain(self, problem: str) -> None:
        """Note a mistake; one that a second objective or the overlay meets again is listed once."""
        self.complaints += 1
        if problem not in self.problems:
            self.problems.append(problem)

    def table(self, path: Keys) -> Mapping[str, Any]:
        """The table at ``path``, empty where it is absent; anything but a table is a mistake."""
        value = self.tree.at(path)
        if value is None or isinstance(value, dict):
            return value or {}
        self.complain(f"{self.tree.place(path)}: must be a table. Write [{'.'.join(path)}] and its keys below it.")
        return {}

    def refuse_unknown(self, path: Keys, known: Iterable[str], owner: str, besides: Collection[str] = ()) -> None:
        """Note every key of a table that ``owner`` does not have; ``besides`` are keys that are no options."""
        names = sorted(known)
        for key in self.table(path):
            if key not in names and key not in besides:
                self.complain(
                    f"{self.tree.place((*path, key))}: {owner} has no such option.{nearest(key, names)} "
                    f"Options: {', '.join(names) or 'none'}."
                )

    def build(self, cls: type[T], path: Keys) -> T | None:
        """Build ``cls`` of the keys of the table at ``path`` that it knows; None where one of them is wrong."""
        before = self.complaints
        hints = typing.get_type_hints(cls)
        given = {field.name: self._value(field, hints[field.name], path) for field in attrs.fields(cls)}  # type: ignore[arg-type]
        if self.complaints > before:
            return None
        try:
            return cls(**{name: value for name, value in given.items() if value is not ABSENT})
        except ValueError as error:
            self.complain(f"{self.tree.table(path)}: {error}")
            return None

    def _value(self, field: attrs.Attribute[Any], hint: Any, path: Keys) -> Any:
        here = self._source(field, path)
        value = self.tree.at(here)
        if value is None:
            if field.default is attrs.NOTHING:
                self._miss(field, hint, path)
            return ABSENT
        if attrs.has(hint):
            self.refuse_unknown(here, attrs.fields_dict(hint), f"[{'.'.join(here)}]")
            return self.build(hint, here) if isinstance(value, dict) else ABSENT
        try:
            converted = convert(value, hint)
        except Mismatch:
            remedy = _remedy(field, hint, value)
            self.complain(f"{self.tree.place(here)}: must be {wording(hint)} ({_doc(field)}).{remedy}")
            return ABSENT
        rule = field.metadata.get("rule")
        if rule and converted is not None and (broken := rule(converted)):
            self.complain(f"{self.tree.place(here)}: {broken} ({_doc(field)}).{_default(field)}")
        return converted

    def _source(self, field: attrs.Attribute[Any], path: Keys) -> Keys:
        """Keys of an option's value: its own table's, or [layout]'s where the option is shared."""
        own, common = (*path, field.name), ("layout", field.name)
        if not field.metadata.get("shared"):
            return own
        self.shared.add(field.name)
        if field.name not in self.layout:
            return own
        self.read.add(field.name)
        written, agreed = self.tree.at(own), self.layout[field.name]
        if written is not None and (written != agreed or type(written) is not type(agreed)):
            self.complain(
                f"{self.tree.place(own)}: {self.tree.place(common)} says otherwise. Write it in [layout] alone."
            )
        return common

    def _miss(self, field: attrs.Attribute[Any], hint: Any, path: Keys) -> None:
        place = " here or in [layout]" if field.metadata.get("shared") else ""
        self.complain(
            f"{self.tree.table(path)}: {field.name} is missing ({_doc(field)}). "
            f"Write {field.name} = {wording(hint)}{place}."
        )


def _doc(field: attrs.Attribute[Any]) -> str:
    return str(field.metadata.get("doc", field.name))


def _default(field: attrs.Attribute[Any]) -> str:
    default = default_of(field)
    return "" if default is None else f" The default is {default}."


def _remedy(field: attrs.Attribute[Any], hint: Any, value: Any) -> str:
    """Show how to write a value that is right but for its type, else the default."""
    for meant in (_unquoted(value), [value], str(value)):
        try:
            convert(meant, hint)
        except Mismatch:
            continue
        return f" Write {field.name} = {write_value(meant)}."
    return _default(field)


def _unquoted(value: Any) -> Any:
    """What a text says without its quotes."""
    try:
        return tomli.loads(f"value = {value}").get("value") if isinstance(value, str) else value
    except tomli.TOMLDecodeError:
        return value
