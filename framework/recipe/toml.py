"""Values and tables to TOML text; reading is tomli's."""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def write_toml(table: Mapping[str, Any]) -> str:
    """Write a table of str, int, float, bool, dates, lists and tables; a list of tables becomes ``[[key]]``."""
    return "\n".join(_lines(table, ())).strip("\n") + "\n"


def write_value(value: Any) -> str:
    """Write one value on one line; tables are written inline. TypeError on what TOML cannot hold."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, str):
        # A JSON string is a TOML basic string, but for the delete character, which TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{write_key(key)} = {write_value(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(write_value(entry) for entry in value) + "]"
    raise TypeError(f"TOML cannot hold {value!r}")


def write_key(key: str) -> str:
    """Write a key, in quotes where it must be."""
    return key if BARE.fullmatch(key) else write_value(key)


def _float(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Plain values come first, since in TOML a key after a table's header belongs to that table."""
    tables = {key: value for key, value in table.items() if isinstance(value, Mapping) or _is_tables(value)}
    yield from (f"{write_key(key)} = {write_value(value)}" for key, value in table.items() if key not in tables)
    for key, value in tables.items():
        here = (*path, key)
        header = ".".join(write_key(part) for part in here)
        several = not isinstance(value, Mapping)
        for entry in value if several else [value]:
            yield from ("", f"[[{header}]]" if several else f"[{header}]")
            yield from _lines(entry, here)


def _is_tables(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(entry, Mapping) for entry in value)
