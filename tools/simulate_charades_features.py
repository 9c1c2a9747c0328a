"""Simulate I3D-like features of all Charades videos from their labelled actions.

    python tools/simulate_charades_features.py data/charades_sta features.hdf5 --width 256

The HDF5 file holds one dataset (rows, width) a video and says on its root that it is simulated, by what, from what.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import h5py
import numpy as np
from rich.console import Console
from rich.progress import track

if importlib.util.find_spec("framework") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from framework.data.simulation import SIMULATOR, SimulationConstants, row_count, simulate
from framework.errors import DataError, UserError
from plugins.datasets.charades_sta import Video, read_videos

SPLITS = ("train", "test")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; 0 is done, 2 is a mistake of the user, told in one line."""
    options = _parser().parse_args(arguments)
    try:
        videos = _videos(options.data)
        write(videos, options.out, options.width, options.seed, force=options.force)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    reversed_actions = sum(action.start >= action.end for video in videos for action in video.actions)
    print(
        f"{options.out}: {len(videos)} videos, simulated, {options.width} numbers a row, seed {options.seed}; "
        f"{reversed_actions} actions that do not end after they start were left out"
    )
    return 0


def write(videos: Sequence[Video], out: Path, width: int, seed: int, *, force: bool = False) -> None:
    """Write the features of ``videos`` to ``out``; the file appears under its name only when it is complete.

    Raises DataError where the file exists (without ``force``), cannot be written or does not read back right.
    """
    if width < 1:
        raise DataError(f"--width {width}: must be at least 1.")
    if out.exists() and not force:
        raise DataError(f"{out}: exists already. Name another file, or add --force to replace it.")
    constants, partial = SimulationConstants(), out.with_name(out.name + ".partial")
    try:
        with h5py.File(partial, "w") as file:
            file.attrs.update(_provenance(constants, width, seed, len(videos)))
            for video in _progress(videos, "simulating"):
                actions = [action for action in video.actions if action.start < action.end]
                features = simulate(video.id, video.duration, actions, video.scene, constants, width, seed)
                file.create_dataset(video.id, data=features)
        _verify(partial, videos, constants, width)
        os.replace(partial, out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror or error}).") from None
    finally:
        partial.unlink(missing_ok=True)


def _verify(path: Path, videos: Sequence[Video], constants: SimulationConstants, width: int) -> None:
    """Read the file back: every video there, of the right shape, finite, none negative."""
    with h5py.File(path, "r") as file:
        for video in _progress(videos, "verifying"):
            values, shape = file[video.id][()], (row_count(video.duration, constants.clip_s), width)
            if values.shape != shape or not np.isfinite(values).all() or values.min() < 0:
                raise DataError(
                    f"{path}: video {video.id} does not read back as {shape} finite numbers. Is the disk full?"
                )


def _provenance(constants: SimulationConstants, width: int, seed: int, videos: int) -> dict[str, object]:
    stated = {f"constant_{name}": value for name, value in attrs.asdict(constants).items()}
    made = {"simulated": True, "simulator": SIMULATOR, "clip_s": constants.clip_s, "width": width, "seed": seed}
    return {**made, "videos": videos, **stated}


def _videos(folder: Path) -> list[Video]:
    """All videos of both CSV files; a video of both splits is an error."""
    found: dict[str, Video] = {}
    for split in SPLITS:
        for name, video in read_videos(folder / f"Charades_v1_{split}.csv").items():
            if name in found:
                raise DataError(
                    f'{video.place}: video "{name}" is also at {found[name].place}. Remove one of the lines.'
                )
            found[name] = video
    if not found:
        raise DataError(
            f"{folder}: both CSV files are empty. Get them from https://prior.allenai.org/projects/charades"
        )
    return list(found.values())


def _progress(videos: Sequence[Video], what: str) -> Iterator[Video]:
    console = Console(stderr=True)
    return iter(track(videos, what, console=console, transient=True, disable=not console.is_terminal))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("data", type=Path, metavar="DATA_DIR", help="folder with Charades_v1_{train,test}.csv")
    parser.add_argument("out", type=Path, metavar="OUT.hdf5", help="file to write")
    parser.add_argument("--width", type=int, default=256, help="numbers a row (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of every draw (default %(default)s)")
    parser.add_argument("--force", action="store_true", help="replace OUT.hdf5 if it exists")
    return parser


if __name__ == "__main__":
    sys.exit(main())
