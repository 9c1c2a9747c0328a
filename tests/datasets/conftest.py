"""Small folders in the published form of each dataset, and features for them in each file format of the field."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import h5py
import numpy as np
import pytest

from framework.data import Query
from framework.engine.check import check_dataset
from framework.registry import load_registry

WIDTH: Final = 12
SIZES: Final = {"train": 12, "val": 6, "test": 6}
SENTENCES: Final = ("a person opens the door", "she cuts an onion", "the dog runs away", "he pours water into a cup")


def invented(split: str) -> Iterable[tuple[int, str, str, float, list[list[float]]]]:
    """Number, video, sentence, duration and windows of each query; seconds."""
    first = list(SIZES).index(split) * 100
    for number in range(SIZES[split]):
        duration = 20.0 + 2 * number
        windows = [[2.0 + number, 8.0 + number], [duration - 4, duration - 2]][: 1 + number % 2]
        yield first + number, f"{split}{number}", SENTENCES[number % 4], duration, windows


def write_charades(folder: Path) -> None:
    for split in ("train", "test"):
        found = list(invented(split))
        lines = [f"{vid} {w[0][0]} {w[0][1]}##{text}.\n" for _, vid, text, _, w in found]
        (folder / f"charades_sta_{split}.txt").write_text("".join(lines))
        rows = [f"{vid},Kitchen,c001 1.00 5.00,{duration}\n" for _, vid, _, duration, _ in found]
        (folder / f"Charades_v1_{split}.csv").write_text("id,scene,actions,length\n" + "".join(rows))


def write_tacos(folder: Path) -> None:
    for split in SIZES:
        found = {
            f"{vid}.avi": {
                "timestamps": [[10 * s, 10 * e] for s, e in windows],
                "sentences": [text] * len(windows),
                "fps": 10.0,
                "num_frames": 10 * duration,
            }
            for _, vid, text, duration, windows in invented(split)
        }
        (folder / f"{split}.json").write_text(json.dumps(found))


def write_activitynet(folder: Path) -> None:
    for split in SIZES:
        found = {
            f"v_{vid}": {"duration": duration, "timestamps": windows, "sentences": [f"  {text}."] * len(windows)}
            for _, vid, text, duration, windows in invented(split)
        }
        (folder / f"{split}.json").write_text(json.dumps(found))


def write_didemo(folder: Path) -> None:
    for split in SIZES:
        found = [
            {
                "num_segments": 6,
                "description": text,
                "times": [[qid % 6, qid % 6]] * 3 + [[0, 5]],
                "video": f"{vid}.mov",
                "annotation_id": qid,
            }
            for qid, vid, text, _, _ in invented(split)
        ]
        (folder / f"{split}_data.json").write_text(json.dumps(found))


def json_lines(split: str, clip_s: int = 2) -> str:
    lines = []
    for qid, vid, text, duration, windows in invented(split):
        clips = [clip for s, e in windows for clip in range(int(s) // clip_s, int(e) // clip_s)]
        record = {"qid": qid, "query": text, "vid": vid, "duration": duration, "relevant_windows": windows}
        scores = [[clip % 5, (clip + 1) % 5, 2] for clip in clips]
        lines.append(json.dumps(record | {"relevant_clip_ids": clips, "saliency_scores": scores}) + "\n")
    return "".join(lines)


def write_qvhighlights(folder: Path) -> None:
    for split in ("train", "val"):
        (folder / f"highlight_{split}_release.jsonl").write_text(json_lines(split))


def write_jsonl(folder: Path) -> None:
    for split in SIZES:
        (folder / f"{split}.jsonl").write_text(json_lines(split))


WRITERS: Final[Mapping[str, Callable[[Path], None]]] = {
    "charades_sta": write_charades,
    "tacos": write_tacos,
    "activitynet": write_activitynet,
    "didemo": write_didemo,
    "qvhighlights": write_qvhighlights,
    "jsonl": write_jsonl,
}


def cut_real(name: str, source: Path, folder: Path) -> None:
    """The first few records of each published file; DiDeMo's training file is not published with the others."""
    if name == "charades_sta":
        _cut_charades(source, folder)
    for path in source.iterdir():
        if path.suffix == ".jsonl":
            (folder / path.name).write_text("".join(path.read_text().splitlines(True)[:16]))
        elif path.suffix == ".json":
            found = json.loads(path.read_text())
            few = found[:16] if isinstance(found, list) else dict(list(found.items())[:3])
            for record in few.values() if isinstance(few, dict) else ():
                record["timestamps"], record["sentences"] = record["timestamps"][:4], record["sentences"][:4]
            (folder / path.name).write_text(json.dumps(few))
    if name == "didemo":
        (folder / "train_data.json").write_text((folder / "val_data.json").read_text())


def _cut_charades(source: Path, folder: Path) -> None:
    for split in ("train", "test"):
        lines = (source / f"charades_sta_{split}.txt").read_text().splitlines(True)[:16]
        (folder / f"charades_sta_{split}.txt").write_text("".join(lines))
        kept = {line.split(" ")[0] for line in lines}
        with (source / f"Charades_v1_{split}.csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        with (folder / f"Charades_v1_{split}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header, *(row for row in rows if row[0] in kept)])


Arrays = Mapping[str, np.ndarray[Any, Any]]


def as_hdf5(path: Path, arrays: Arrays) -> None:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, compression="gzip")


def as_grouped_hdf5(path: Path, arrays: Arrays) -> None:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[f"{name}/c3d_features"] = array


def as_npy(path: Path, arrays: Arrays) -> None:
    path.mkdir()
    for name, array in arrays.items():
        np.save(path / f"{name}.npy", array)


def as_npz(path: Path, arrays: Arrays, key: str = "features") -> None:
    path.mkdir()
    for name, array in arrays.items():
        np.savez(path / f"{name}.npz", **{key: array})


def random_features(
    queries: Iterable[Query], clip_s: float, rows: int | None = None, width: int = WIDTH
) -> dict[str, np.ndarray[Any, Any]]:
    """Of each video one array of as many rows as it lasts, or of ``rows``."""
    durations = {query.video: query.duration for query in queries}
    rng = np.random.default_rng(0)
    return {
        video: rng.normal(size=(rows or max(1, round(duration / clip_s)), width)).astype(np.float32)
        for video, duration in durations.items()
    }


@attrs.frozen
class Folder:
    """Annotations of one dataset. splits: its queries by split."""

    name: str
    path: Path
    splits: Mapping[str, list[Query]]

    @property
    def queries(self) -> list[Query]:
        return [query for queries in self.splits.values() for query in queries]


@pytest.fixture(params=["invented", "published"])
def folder_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Folder]:
    """Make the folder of a dataset, from invented annotations and from the published ones."""

    def make(name: str) -> Folder:
        path = tmp_path / "data"
        path.mkdir()
        if request.param == "invented":
            WRITERS[name](path)
        else:
            shared: Path = request.getfixturevalue("shared")
            # QVHighlights is the published form of JSON Lines.
            source = "qvhighlights" if name == "jsonl" else name
            cut_real(source, shared / "data" / source, path)
            if name == "jsonl":
                (path / "highlight_train_release.jsonl").rename(path / "train.jsonl")
                (path / "highlight_val_release.jsonl").rename(path / "test.jsonl")
        assert not check_dataset(name, path).problems
        part = load_registry().part("dataset", name, "test")
        dataset = part.factory(part.options(), path)
        splits = {split: dataset.queries(split) for split in dataset.splits if not dataset.missing([split])}
        return Folder(name, path, splits)

    return make
