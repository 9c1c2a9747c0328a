"""The run folder: where a run writes, how it is found again."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from framework.errors import UserError


def new_folder(recipe_name: str, out: Path | None) -> Path:
    """Make the folder of a new run: ``out``, or ``runs/<recipe>/<time>``."""
    folder = out or Path("runs") / recipe_name / datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S-%f")
    with writing(folder):
        if (folder / "manifest.json").exists():
            remedy = "Go on with it by --resume, or name" if resumable(folder).exists() else "Remove it, or name"
            raise UserError(f"{folder}: already holds a run. {remedy} another folder by --out.")
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
        _refuse_alive(out)
        return out
    parent = Path("runs") / recipe_name
    for folder in sorted(parent.iterdir(), reverse=True) if parent.is_dir() else ():
        if resumable(folder).exists() and read_manifest(folder).get("status") != "finished":
            _refuse_alive(folder)
            return folder
    raise UserError(
        f"{parent}: no unfinished run of this recipe. Leave --resume out to begin one, or name one by --out."
    )


def resumable(folder: Path) -> Path:
    """The file that a stopped run goes on from."""
    return folder / "checkpoints" / "resume.safetensors"


def process() -> dict[str, object]:
    """Who writes into a run folder."""
    return {"host": platform.node(), "pid": os.getpid()}


def _refuse_alive(folder: Path) -> None:
    """Refuse a run that another process of this machine still writes."""
    found = read_manifest(folder)
    writer = found.get("process") or {}
    if found.get("status") != "running" or writer.get("host") != platform.node() or writer.get("pid") == os.getpid():
        return
    try:
        os.kill(int(writer["pid"]), 0)
    except (OSError, KeyError, ValueError):
        return
    raise UserError(f"{folder}: process {writer['pid']} is still running it. Wait for it, or stop it by Ctrl-C first.")


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
    """Turn a failure to write into one line; of a file elsewhere, one that names it."""
    try:
        yield
    except OSError as error:
        reason, file = error.strerror or str(error), Path(error.filename or folder)
        if folder not in (file, *file.parents) and file not in folder.parents:
            raise UserError(f"{file}: {reason}. Mend that and run again.") from error
        raise UserError(f"{folder}: cannot write there ({reason}). Make room, or name a folder by --out.") from error
