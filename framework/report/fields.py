"""Checked access to the JSON files of a run folder: a mistake names the file, the place, the value and the rule."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs

from framework.errors import DataError

T = TypeVar("T")
Parse = Callable[[Any], T]
"""Turns a JSON value into what a record holds; raises ValueError with the rule that the value breaks."""


@attrs.frozen
class Fields:
    """One JSON object of a run folder. place: where in ``file`` it stands, empty for the whole file."""

    file: Path
    place: str
    values: Mapping[str, Any]

    def get(self, key: str, parse: Parse[T]) -> T:
        """Return the value of ``key``; DataError where it is missing or breaks the rule of ``parse``."""
        if key not in self.values:
            raise damaged(self.file, self._at(key), "is missing")
        try:
            return parse(self.values[key])
        except ValueError as broken:
            shown = json.dumps(self.values[key])
            short = shown if len(shown) <= 60 else f"{shown[:57]}..."
            raise damaged(self.file, f"{self._at(key)} = {short}", str(broken)) from None

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def table(self, key: str) -> Fields:
        """Return the object under ``key``."""
        return Fields(self.file, self._at(key), self.get(key, _object))

    def tables(self, key: str) -> list[Fields]:
        """Return the objects of the list under ``key``."""
        found = self.get(key, listing(_object))
        return [Fields(self.file, f"{self._at(key)}[{n}]", values) for n, values in enumerate(found)]

    def _at(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key


def damaged(file: Path, place: str, rule: str) -> DataError:
    """Word what is wrong with a file of a run folder, and what to do about it."""
    where = f"{file}: {place} " if place else f"{file} "
    return DataError(f"{where}{rule}; the file was cut off or changed: restore it, or run the recipe again")


def read_text(file: Path) -> str:
    """Read a UTF-8 file; DataError where there is none or it cannot be read."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise damaged(file, "", "is missing, and a run folder must have it") from None
    except (OSError, UnicodeDecodeError) as broken:
        raise damaged(file, "", f"cannot be read ({broken})") from None


def read_object(file: Path) -> Fields:
    """Read a file that holds one JSON object."""
    return Fields(file, "", _decode(file, "", read_text(file), _object))


def read_objects(file: Path) -> list[Fields]:
    """Read a file that holds one JSON list of objects."""
    found = _decode(file, "", read_text(file), listing(_object))
    return [Fields(file, f"[{n}]", values) for n, values in enumerate(found)]


def read_lines(file: Path) -> list[Fields]:
    """Read a file that holds one JSON object a line; blank lines do not count."""
    # Not splitlines: a query may hold a line separator of Unicode, which ends no JSON line.
    lines = [(f"line {n}", line) for n, line in enumerate(read_text(file).split("\n"), start=1) if line.strip()]
    return [Fields(file, place, _decode(file, place, line, _object)) for place, line in lines]


def _decode(file: Path, place: str, content: str, parse: Parse[T]) -> T:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as broken:
        raise damaged(file, place, f"is not complete JSON ({broken})") from None
    try:
        return parse(value)
    except ValueError as broken:
        raise damaged(file, place, str(broken)) from None


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("must be a JSON object")
    return value


def text(value: Any) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value


def word(value: Any) -> str:
    """A text that may stand in the name of a file."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text(value)):
        raise ValueError("must be letters, digits, underscores and hyphens")
    return text(value)


def switch(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def one_of(*words: str) -> Parse[str]:
    """One of a few words."""

    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text(value)

    return parse


def integer(value: Any) -> int:
    """A whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("must be a whole number")
    return value


def natural(value: Any) -> int:
    """A whole number from 1 on."""
    if integer(value) < 1:
        raise ValueError("must be a whole number of 1 or more")
    return int(value)


def number(value: Any) -> float:
    """A number; null is NaN, as writers of strict JSON have no other word for it."""
    if value is None:
        return float("nan")
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError("must be a number")
    return float(value)


def positive(value: Any) -> float:
    """A finite number above 0."""
    found = number(value)
    if not 0 < found < float("inf"):
        raise ValueError("must be a finite number above 0")
    return found


def optional(parse: Parse[T]) -> Parse[T | None]:
    """Null, or what ``parse`` takes."""
    return lambda value: None if value is None else parse(value)


def listing(parse: Parse[T]) -> Parse[tuple[T, ...]]:
    """A list of what ``parse`` takes."""

    def parse_all(value: Any) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise ValueError("must be a list")
        return tuple(parse(entry) for entry in value)

    return parse_all


def mapping(parse: Parse[T]) -> Parse[dict[str, T]]:
    """An object whose values ``parse`` takes."""
    return lambda value: {key: parse(entry) for key, entry in _object(value).items()}


def numbers(value: Any) -> dict[str, float]:
    """An object of numbers; an object inside it, as the QVHighlights rule has, is flattened to ``outer/inner``."""
    found = {}
    for key, entry in _object(value).items():
        inner = numbers(entry) if isinstance(entry, dict) else {"": number(entry)}
        found.update({f"{key}/{name}" if name else key: each for name, each in inner.items()})
    return found
