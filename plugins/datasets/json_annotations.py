"""Annotations in JSON: parsing and checking values, one clear line for whatever breaks a rule."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, Final

from framework.errors import DataError, nearest
from plugins.datasets.annotation_files import LONGEST_S, printable, require_name

_TEXT_OR_CONSTANT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity)')


def parse_object(text: str, path: Path, line: int = 1) -> dict[str, Any]:
    """One JSON object whose text starts at ``line`` of ``path``."""
    found = _parse(text, path, line)
    if not isinstance(found, dict):
        raise DataError(f"{path}:{line}: must be one JSON object, {{...}}; got {shown(found)}. Mend the line.")
    return found


def parse_list(text: str, path: Path) -> list[Any]:
    """One JSON list that is a whole file."""
    found = _parse(text, path, 1)
    if not isinstance(found, list):
        raise DataError(f"{path}:1: must be one JSON list, [...]; got {shown(found)}. Mend the file.")
    return found


def _parse(text: str, path: Path, line: int) -> Any:
    """A key twice, NaN, infinity and half of a surrogate pair, which no file can hold as text, are mistakes."""
    # Only some mistakes come with their place in the text, and of several lines the first would be a wrong one.
    place = str(path) if "\n" in text.rstrip() else f"{path}:{line}"
    try:
        found = json.loads(text, parse_constant=_refuse, object_pairs_hook=_distinct)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(found, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        line += error.lineno - 1
        raise DataError(f"{path}:{line}: not JSON ({error.msg} at column {error.colno}). Mend the line.") from None
    except UnicodeEncodeError as error:
        half = shown(error.object[error.start])
        raise DataError(f"{place}: {half} is half of a character. Mend the text that it is in.") from None
    except _NoNumber as error:
        at = next(match.start() for match in _TEXT_OR_CONSTANT.finditer(text) if match[1])
        line += text.count("\n", 0, at)
        raise DataError(f"{path}:{line}: not an annotation ({error}). Mend the file.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not an annotation ({error}). Mend the file.") from None
    return found


class _NoNumber(ValueError):
    """A constant that Python reads as a number, and JSON does not have."""


def _refuse(word: str) -> float:
    raise _NoNumber(f"{word} is no number of JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{shown(next(name for name in names if names.count(name) > 1))} is there twice")
    return found


def value_of(record: dict[str, Any], key: str, place: str) -> Any:
    """The value of a key that every record has."""
    if key not in record:
        close = nearest(key, [name for name in record if name.isprintable()])
        raise DataError(f'{place}: has no "{key}", which every record needs.{close} Add it.')
    return record[key]


def list_of(record: dict[str, Any], key: str, place: str) -> list[Any]:
    """The list of a key that every record has."""
    value = value_of(record, key, place)
    if not isinstance(value, list):
        raise DataError(f"{place} {key} = {shown(value)}: must be a list, [...]. Mend the record.")
    return value


def text_of(value: Any, place: str) -> str:
    """A text with a letter or digit in it, without blanks at its ends."""
    return _saying(value, place).strip()


def name_of(value: Any, place: str) -> str:
    """A text with a letter or digit in it, as written, that can be the name of a file."""
    return require_name(_saying(value, place), place)


def _saying(value: Any, place: str) -> str:
    if not isinstance(value, str) or not any(character.isalnum() for character in value):
        raise DataError(f"{place} = {shown(value)}: must be a text that says something. Add it, or remove the record.")
    return value


def number_of(value: Any, place: str, *, positive: bool = False) -> float:
    """A finite number; more than 0 where ``positive``."""
    # In Python true is the number 1; in an annotation it is a mistake.
    try:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:  # A whole number of JSON may have any number of digits.
        number = math.nan
    if not math.isfinite(number) or (positive and number <= 0):
        rule = "a number above 0" if positive else "a number"
        raise DataError(f"{place} = {shown(value)}: must be {rule}. Mend the record.")
    return number


def duration_of(value: Any, place: str) -> float:
    """The length of a video, seconds."""
    duration = number_of(value, place, positive=True)
    if duration > LONGEST_S:
        raise DataError(f"{place} = {shown(value)}: must be seconds, at most {LONGEST_S:g}. Mend the record.")
    return duration


def pair_of(value: Any, place: str) -> tuple[float, float]:
    """Two numbers, as a start and an end."""
    if not isinstance(value, list) or len(value) != 2:
        raise DataError(f"{place} = {shown(value)}: must be [start, end]. Mend the record.")
    return number_of(value[0], f"{place}[0]"), number_of(value[1], f"{place}[1]")


def is_whole(value: Any) -> bool:
    """Whether a value is written as a whole number; true and 2.0 are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def shown(value: Any) -> str:
    """A value as JSON on one line, cut where it is long."""
    try:
        return printable(json.dumps(value, ensure_ascii=False))
    except RecursionError:  # The nesting that parsing just bears, writing need not.
        return "a deeply nested value"
