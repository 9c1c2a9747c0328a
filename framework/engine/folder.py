"""The run folder: where a run writes, how it is found again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from framework.errors import UserError


def new_folder(recipe_name: str, out: Path | None) -> Path:
    """Make the folder of a new run: ``out``, or ``runs/<recipe>/<time>``."""
    folder = out or Path("runs") / recipe_name / datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S-%f")
    if (folder / "manifest.json").exists():
        raise UserError(f"{folder}: already holds a run. Go on with it by --resume, or name another folder by --out.")
    with writing(folder):
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        (folder / "predictions").mkdir(exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    return folder


def unfinished_folder(recipe_name: str, out: Path | None) -> Path:
    """Find the run that ``--resume`` goes on with: the one in ``out``, or the newest unfinished one of the recipe."""
    if out is not None:
        if not (out / "manifest.json").exists():
            raise UserError(f"{out}: holds no run to resume. Leave --resume out to begin one there.")
        if read_manifest(out).get("status") == "finished":
            raise UserError(f"{out}: this run is finished. Leave --resume out and name another folder to train again.")
        return out
    parent = Path("runs") / recipe_name
    for folder in sorted(parent.iterdir(), reverse=True) if parent.is_dir() else ():
        if (folder / "manifest.json").exists() and read_manifest(folder).get("status") != "finished":
            return folder
    raise UserError(
        f"{parent}: no unfinished run of this recipe. Leave --resume out to begin one, or name one by --out."
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read manifest.json; UserError where it is damaged."""
    path = folder / "manifest.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(
            f"{path}: not a readable manifest ({error}). The folder is not a run, or was cut off."
        ) from error
    return dict(found)


def write_json(path: Path, value: Mapping[str, Any] | list[Any]) -> None:
    """Write JSON in one step, so that a reader never sees half a file."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    os.replace(unfinished, path)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a failure to write into one line."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder}: cannot write there ({error.strerror or error}). Name a folder you may write to by --out."
        ) from error
