"""Convert video features of any format that recipes read to one store, a single array that is mapped into memory.

    python tools/convert_features.py i3d.hdf5 i3d_store --clip-s 0.64
    python tools/convert_features.py i3d_store --verify

The store takes the place of the source in a recipe, as [data] video. Stopped half-way, run the same command again,
without --force: it goes on where it was, and a store that is not finished cannot be read by mistake.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import track

if importlib.util.find_spec("framework") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from framework.data.features import KEYS, ArrayStore, open_features
from framework.data.store import DTYPES, Progress, StoreFeatures
from framework.data.store_writing import plan_store, write_store
from framework.engine.interrupt import Interrupt
from framework.errors import DataError, UserError, told

STOPPED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; 0 is done, 2 is a mistake of the user, told in one line, 130 is stopped by Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        with Interrupt() as interrupt:
            print((verify if options.verify else convert)(options, _progress(interrupt)))
    except UserError as error:
        print(*(f"error: {line}" for line in told(error)), sep="\n", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = "it again without --force" if options.force else "the same command again"
        print("stopped" if options.verify else f"stopped; run {again} to go on", file=sys.stderr)
        return STOPPED
    return 0


def convert(options: argparse.Namespace, progress: Progress[str]) -> str:
    """Convert, and say what was done. Raises DataError where that cannot be."""
    if options.store is None:
        raise DataError("STORE: name the folder to write, or add --verify to check an existing store.")
    if options.clip_s is not None and not 0 < options.clip_s < math.inf:
        raise DataError(f"--clip-s {options.clip_s:g}: must be a number of seconds above 0.")
    source = open_features(options.source, keys=(options.key,) if options.key else KEYS)
    stated = source.clip_s if isinstance(source, StoreFeatures) else None
    if options.key and isinstance(source, StoreFeatures):
        raise DataError(f"--key {options.key}: {options.source} is a store, and holds one array a video. Leave it out.")
    if options.key and isinstance(source, ArrayStore):
        source.require_key()
    plan = plan_store(
        source,
        str(options.source),
        _listed(options.videos) if options.videos else None,
        key=options.key or None,
        rename=_without_extension if options.drop_extension else str,
        dtype=options.dtype,
        clip_s=stated if options.clip_s is None else options.clip_s,
        progress=progress,
    )
    done = write_store(plan, options.store, force=options.force, progress=progress)
    if done is None:
        says = "" if plan.clip_s is None else f", its rows are {plan.clip_s:g} s apart"
        return (
            f"{options.store}: was made of this source before{says}; nothing was converted, --force converts it again"
        )
    resumed = f", {done.resumed} of them before" if done.resumed else ""
    error = "equal to the source" if not done.error else f"at most {done.error:.2g} off the source"
    return (
        f"{options.store}: {done.videos} videos{resumed}, {done.rows} rows of {plan.width} {plan.dtype} numbers, "
        f"verified, {error}"
    )


def verify(options: argparse.Namespace, progress: Progress[str]) -> str:
    """Check that every byte of a store is as it was written. Raises DataError where one is not."""
    if options.store is not None:
        raise DataError(f"--verify: takes the store alone, and {options.store} was named too. Leave one out.")
    store = open_features(options.source)
    if not isinstance(store, StoreFeatures):
        raise DataError(f"{options.source}: is no store; --verify takes one that this tool has written.")
    damaged = store.damaged(progress)
    if damaged:
        few = ", ".join(damaged[:3]) + (", ..." if len(damaged) > 3 else "")
        raise DataError(
            f"{options.source}: {len(damaged)} of {len(store.videos())} videos are damaged: {few}. "
            "Copy the store again, or convert again with --force."
        )
    return f"{options.source}: {len(store.videos())} videos, all as they were written"


def _listed(path: Path) -> list[str]:
    """Video ids, one a line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"--videos {path}: cannot be read ({error}). Name a text file with one video a line.") from None
    return [line.strip() for line in lines if line.strip()]


def _without_extension(name: str) -> str:
    return name.rpartition(".")[0] or name


def _progress(interrupt: Interrupt) -> Progress[str]:
    """A progress bar that stops between two videos; a KeyboardInterrupt inside of h5py may get lost."""

    def tracked(videos: Sequence[str], what: str) -> Iterator[str]:
        console = Console(stderr=True)
        for video in track(videos, what, console=console, transient=True, disable=not console.is_terminal):
            if interrupt.requested:
                raise KeyboardInterrupt
            yield video

    return tracked


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("source", type=Path, metavar="SOURCE", help="HDF5 file, folder of .npz or .npy files, or store")
    parser.add_argument("store", type=Path, nargs="?", metavar="STORE", help="folder to write")
    parser.add_argument("--dtype", choices=list(DTYPES), default="float32", help="of the store (default %(default)s)")
    parser.add_argument("--videos", type=Path, metavar="FILE", help="convert these alone: text, one video a line")
    parser.add_argument(
        "--clip-s", type=float, metavar="S", help="seconds a row, which recipes are then checked against"
    )
    parser.add_argument("--key", help=f"name of the array where an item has several (default {', '.join(KEYS)})")
    parser.add_argument("--drop-extension", action="store_true", help="name s30-d52.avi s30-d52, as annotations do")
    parser.add_argument("--force", action="store_true", help="replace a store that holds something else")
    parser.add_argument("--verify", action="store_true", help="check the store SOURCE for damage, and convert nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
