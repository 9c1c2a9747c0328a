"""Annotations in JSON: reading a file and checking its values, one clear line for whatever breaks a rule."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from framework.errors import DataError, nearest


def read_text(path: Path, source: str) -> str:
    """The text of a UTF-8 file, without a byte order mark; ``source`` says where to get it."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). {source}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        byte = error.object[error.start]
        raise DataError(f"{path}:{line}: byte 0x{byte:02x} is not UTF-8. Convert the file to UTF-8.") from None


def parse_object(text: str, path: Path, line: int = 1) -> dict[str, Any]:
    """One JSON object whose text starts at ``line`` of ``path``; a key twice, NaN and infinity are mistakes."""

    def refuse(word: str) -> float:
        raise ValueError(f"{word} is no number of JSON")

    try:
        found = json.loads(text, parse_constant=refuse, object_pairs_hook=_distinct)
    except json.JSONDecodeError as error:
        place = f"{path}:{line + error.lineno - 1}"
        raise DataError(f"{place}: not JSON ({error.msg} at column {error.colno}). Mend the line.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}:{line}: not an annotation ({error}). Mend the file.") from None
    if not isinstance(found, dict):
        raise DataError(f"{path}:{line}: must be one JSON object, {{...}}; got {shown(found)}. Mend the line.")
    return found


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f'"{next(name for name in names if names.count(name) > 1)}" is there twice')
    return found


def value_of(record: dict[str, Any], key: str, place: str) -> Any:
    """The value of a key that every record has."""
    if key not in record:
        raise DataError(f'{place}: has no "{key}", which every record needs.{nearest(key, record)} Add it.')
    return record[key]


def list_of(record: dict[str, Any], key: str, place: str) -> list[Any]:
    """The list of a key that every record has."""
    value = value_of(record, key, place)
    if not isinstance(value, list):
        raise DataError(f"{place} {key} = {shown(value)}: must be a list, [...]. Mend the record.")
    return value


def text_of(value: Any, place: str) -> str:
    """A text with a letter or digit in it, without blanks at its ends."""
    if not isinstance(value, str) or not any(character.isalnum() for character in value):
        raise DataError(f"{place} = {shown(value)}: must be a text that says something. Add it, or remove the record.")
    return value.strip()


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


def pair_of(value: Any, place: str) -> tuple[float, float]:
    """Two numbers, as a start and an end."""
    if not isinstance(value, list) or len(value) != 2:
        raise DataError(f"{place} = {shown(value)}: must be [start, end]. Mend the record.")
    return number_of(value[0], f"{place}[0]"), number_of(value[1], f"{place}[1]")


def shown(value: Any) -> str:
    """A value as JSON, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
