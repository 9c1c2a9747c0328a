"""JSON as people write it into files: parsing with a place for whatever is wrong, and values for messages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from framework.errors import DataError, cut

_TEXT_OR_CONSTANT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity)')


def decoded(content: bytes, path: Path | str, line: int = 1) -> str:
    """UTF-8 that starts at ``line`` of ``path``, without a byte order mark. Raises DataError naming the line."""
    try:
        return content.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        line += error.object[: error.start].count(b"\n")
        byte = error.object[error.start]
        raise DataError(f"{path}:{line}: byte 0x{byte:02x} is not UTF-8. Convert the file to UTF-8.") from None


def parse(text: str, path: Path | str, line: int = 1) -> Any:
    """A value of JSON that starts at ``line`` of ``path``.

    Nothing, a key twice, NaN, infinity and half of a surrogate pair, which no file can hold as text, are mistakes, each
    a DataError naming the line where that is known.
    """
    # Only some mistakes come with their place in the text, and of several lines the first would be a wrong one.
    place = str(path) if "\n" in text.rstrip() else f"{path}:{line}"
    if not text.strip():
        raise DataError(f"{place}: is empty. Remove the line, or get the file again.")
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
        raise DataError(f"{path}:{line}: not JSON ({error}). Mend the line.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON ({error}). Mend the file.") from None
    return found


def shown(value: Any) -> str:
    """A value as JSON on one line, cut where it is long."""
    try:
        return cut(json.dumps(value, ensure_ascii=False))
    except RecursionError:  # The nesting that parsing just bears, writing need not.
        return "a deeply nested value"


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
