"""Annotations in JSON: checking values, one clear line for whatever breaks a rule."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from framework.data.json_text import parse, shown
from framework.errors import DataError, nearest
from plugins.datasets.annotation_files import LONGEST_S, require_name


def parse_object(text: str, path: Path, line: int = 1) -> dict[str, Any]:
    """One JSON object whose text starts at ``line`` of ``path``."""
    found = parse(text, path, line)
    if not isinstance(found, dict):
        raise DataError(f"{path}:{line}: must be one JSON object, {{...}}; got {shown(found)}. Mend the line.")
    return found


def parse_list(text: str, path: Path) -> list[Any]:
    """One JSON list that is a whole file."""
    found = parse(text, path)
    if not isinstance(found, list):
        raise DataError(f"{path}:1: must be one JSON list, [...]; got {shown(found)}. Mend the file.")
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
