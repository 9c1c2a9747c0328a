"""The tool, run as a person runs it: from a checkout, by its path."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from framework.data.features import open_features
from framework.data.store import StoreFeatures

TOOL = Path(__file__).parents[2] / "tools" / "convert_features.py"
Capture = pytest.CaptureFixture[str]
Arrays = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    specification = importlib.util.spec_from_file_location("convert_features", TOOL)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    random = np.random.default_rng(0)
    return {f"v{number}.avi": random.normal(size=(3 + number, 4)).astype(np.float32) for number in range(5)}


@pytest.fixture
def source(arrays: Arrays, tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "c3d.hdf5", "w") as file:
        for video, values in arrays.items():
            file.create_dataset(video, data=values, compression="gzip")
    return tmp_path / "c3d.hdf5"


def refused(capsys: Capture, status: int, *parts: str) -> None:
    told = capsys.readouterr().err
    assert status == 2
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    for part in parts:
        assert part in told


def holds(store: Path, arrays: Arrays) -> None:
    found = open_features(store)
    assert found.videos() == set(arrays)
    for video, values in arrays.items():
        np.testing.assert_array_equal(found.read(video), values)


def test_it_runs_from_a_checkout_by_its_path_alone(source: Path, arrays: Arrays, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(TOOL), "c3d.hdf5", "store", "--clip-s", "0.5"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "store: 5 videos, 25 rows of 4 float32 numbers, verified, equal to the source\n"
    holds(tmp_path / "store", arrays)
    index = json.loads((tmp_path / "store" / "index.json").read_text())
    assert (index["clip_s"], index["source"]) == (0.5, str(source.resolve()))


@pytest.mark.parametrize("layout", ["npy", "npz", "hdf5 in groups", "hdf5 in one group", "store"])
def test_every_format_becomes_a_store(
    layout: str, tool: ModuleType, source: Path, arrays: Arrays, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    if layout in ("npy", "npz"):
        other.mkdir()
    for video, values in arrays.items():
        if layout == "npy":
            np.save(other / f"{video}.npy", values)
        elif layout == "npz":
            np.savez(other / f"{video}.npz", feats=values)
    if layout.startswith("hdf5"):
        with h5py.File(other, "w") as file:
            for video, values in arrays.items():
                file[f"{video}/c3d_features" if layout.endswith("groups") else f"video/{video}"] = values
    if layout == "store":
        assert tool.main([str(source), str(other), "--clip-s", "2"]) == 0
    assert tool.main([str(other), str(tmp_path / "store")]) == 0
    holds(tmp_path / "store", arrays)
    # A store hands on what it says of itself.
    stated = json.loads((tmp_path / "store" / "index.json").read_text())["clip_s"]
    assert stated == (2 if layout == "store" else None)


def test_float16_tells_its_largest_error(tool: ModuleType, source: Path, tmp_path: Path, capsys: Capture) -> None:
    assert tool.main([str(source), str(tmp_path / "store"), "--dtype", "float16"]) == 0
    assert "25 rows of 4 float16 numbers, verified, at most 0.0" in capsys.readouterr().out


def test_an_array_of_another_name_is_asked_for_by_it(tool: ModuleType, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "text").mkdir()
    words = np.ones((3, 2), dtype=np.float16)
    np.savez(tmp_path / "text" / "qid7.npz", last_hidden_state=words, embeddings=2 * words)
    store = tmp_path / "store"
    arguments = [str(tmp_path / "text"), str(store)]
    assert tool.main(arguments) == 2
    assert tool.main([*arguments, "--key", "last_hidden_state"]) == 0
    holds(store, {"qid7": words.astype(np.float32)})
    assert open_features(store).origin == "text:last_hidden_state"
    capsys.readouterr()
    refused(capsys, tool.main([*arguments, "--key", "embeddings"]), "another origin", "now text:embeddings", "--force")
    assert tool.main([*arguments, "--key", "embeddings", "--force"]) == 0
    holds(store, {"qid7": 2 * words.astype(np.float32)})
    assert open_features(store).origin == "text:embeddings"
    refused(capsys, tool.main([str(store), str(tmp_path / "other"), "--key", "rgb"]), "--key rgb: ", "is a store")


def test_the_name_of_an_array_is_part_of_what_makes_two_conversions_equal(
    tool: ModuleType, source: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = [str(source), str(tmp_path / "store")]
    assert tool.main([*arguments, "--key", "features"]) == 0
    for other in ([], ["--key", "other"]):
        capsys.readouterr()
        refused(capsys, tool.main([*arguments, *other]), "c3d:features, now c3d", "--force")
    assert tool.main([*arguments, "--key", "features"]) == 0


def test_wanted_videos_alone_are_converted_and_their_names_may_lose_an_extension(
    tool: ModuleType, source: Path, arrays: Arrays, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "wanted.txt").write_text("v3.avi\n\nv1.avi\nv3.avi\n")
    arguments = [str(source), str(tmp_path / "store"), "--videos", str(tmp_path / "wanted.txt"), "--drop-extension"]
    assert tool.main(arguments) == 0
    holds(tmp_path / "store", {"v1": arrays["v1.avi"], "v3": arrays["v3.avi"]})
    (tmp_path / "wanted.txt").write_text("v3\n")
    capsys.readouterr()
    refused(capsys, tool.main(arguments), "1 of 1 wanted videos are not there: v3; it holds videos such as")
    (tmp_path / "wanted.txt").write_text("\n")
    refused(capsys, tool.main(arguments), "there is no video to convert")
    refused(capsys, tool.main([*arguments[:3], str(tmp_path / "absent.txt")]), "absent.txt: cannot be read")


@contextmanager
def stopped_after(tool: ModuleType, count: int, of: str) -> Iterator[None]:
    """Press Ctrl-C once so many videos have passed a stage."""

    def stopped(videos: list[str], what: str, **_: object) -> Iterator[str]:
        for number, video in enumerate(videos):
            if what == of and number == count:
                signal.raise_signal(signal.SIGINT)
            yield video

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tool, "track", stopped)
        yield


def test_ctrl_c_leaves_what_is_done_and_says_so(
    tool: ModuleType, source: Path, arrays: Arrays, tmp_path: Path, capsys: Capture
) -> None:
    arguments = [str(source), str(tmp_path / "store")]
    with stopped_after(tool, 2, "converting"):
        assert tool.main(arguments) == 130
    assert capsys.readouterr().err == "stopped; run the same command again to go on\n"
    refused(capsys, tool.main([str(tmp_path / "store"), "--verify"]), "is not finished", "convert_features.py")
    assert tool.main(arguments) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'store'}: 5 videos, 2 of them before, 25 rows")
    holds(tmp_path / "store", arrays)


def test_what_ctrl_c_says_leads_on_where_force_would_begin_anew(
    tool: ModuleType, source: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = [str(source), str(tmp_path / "store")]
    with stopped_after(tool, 2, "converting"):
        assert tool.main([*arguments, "--force"]) == 130
    assert capsys.readouterr().err == "stopped; run it again without --force to go on\n"
    refused(capsys, tool.main([str(tmp_path / "store"), "--verify"]), "run tools/convert", "without --force")
    assert tool.main(arguments) == 0
    assert "5 videos, 2 of them before" in capsys.readouterr().out
    with stopped_after(tool, 2, "verifying"):
        assert tool.main([str(tmp_path / "store"), "--verify"]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_a_changed_source_is_converted_where_that_is_forced(
    tool: ModuleType, source: Path, arrays: Arrays, tmp_path: Path, capsys: Capture
) -> None:
    arguments = [str(source), str(tmp_path / "store")]
    assert tool.main(arguments) == 0
    with h5py.File(source, "r+") as file:
        file["v1.avi"][...] = arrays["v1.avi"] + 1
    known = source.stat().st_mtime_ns
    os.utime(source, ns=(known + 10**9, known + 10**9))
    refused(capsys, tool.main(arguments), "the source has changed since", "--force")
    assert tool.main([*arguments, "--force"]) == 0
    holds(tmp_path / "store", {**arrays, "v1.avi": arrays["v1.avi"] + 1})


def test_the_seconds_of_a_row_can_be_said_later(
    tool: ModuleType, source: Path, arrays: Arrays, tmp_path: Path, capsys: Capture
) -> None:
    arguments = [str(source), str(tmp_path / "store")]
    assert tool.main(arguments) == 0
    rows = (tmp_path / "store" / "features.npy").stat().st_mtime_ns
    capsys.readouterr()
    assert tool.main([*arguments, "--clip-s", "0.64"]) == 0
    assert "was made of this source before, its rows are 0.64 s apart; nothing was conv" in capsys.readouterr().out
    assert (tmp_path / "store" / "features.npy").stat().st_mtime_ns == rows
    found = open_features(tmp_path / "store")
    assert isinstance(found, StoreFeatures)
    assert found.clip_s == 0.64
    holds(tmp_path / "store", arrays)
    refused(capsys, tool.main([*arguments, "--clip-s", "1"]), "another clip_s (0.64, now 1.0)", "--force")


def test_a_store_is_called_as_the_user_calls_the_source(tool: ModuleType, source: Path, tmp_path: Path) -> None:
    source.rename(tmp_path / "blob")
    source.symlink_to(tmp_path / "blob")
    assert tool.main([str(source), str(tmp_path / "first")]) == 0
    assert tool.main([str(tmp_path / "first"), str(tmp_path / "second")]) == 0
    assert open_features(tmp_path / "second").origin == "c3d"


def test_a_finished_store_is_left_alone_unless_forced(
    tool: ModuleType, source: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = [str(source), str(tmp_path / "store")]
    assert tool.main(arguments) == tool.main(arguments) == 0
    assert "made of this source before; nothing was converted, --force converts it again" in capsys.readouterr().out
    refused(capsys, tool.main([*arguments, "--dtype", "float16"]), "another dtype (float32, now float16)", "--force")
    assert tool.main([*arguments, "--dtype", "float16", "--force"]) == 0


def test_verify_finds_a_damaged_video(tool: ModuleType, source: Path, tmp_path: Path, capsys: Capture) -> None:
    store = tmp_path / "store"
    assert tool.main([str(source), str(store)]) == 0
    assert tool.main([str(store), "--verify"]) == 0
    assert capsys.readouterr().out.endswith("5 videos, all as they were written\n")
    damaged = bytearray((store / "features.npy").read_bytes())
    damaged[-3] ^= 1
    (store / "features.npy").write_bytes(damaged)
    refused(capsys, tool.main([str(store), "--verify"]), "1 of 5 videos are damaged: v4.avi", "--force")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["SOURCE"], "STORE: name the folder to write"),
        (["SOURCE", "STORE", "--clip-s", "0"], "--clip-s 0: must be a number of seconds above 0"),
        (["SOURCE", "STORE", "--clip-s", "inf"], "--clip-s inf: must be"),
        (["SOURCE", "--verify"], "is no store; --verify takes one that this tool has written"),
        (["SOURCE", "STORE", "--verify"], "--verify: takes the store alone"),
        (["absent.hdf5", "STORE"], "absent.hdf5: no such file or folder"),
        (["SOURCE", "SOURCE"], "is what shall be converted"),
        (["SOURCE", "FOLDER"], "exists and is no store; name a folder that is new or empty"),
        (["SOURCE", "absent/STORE"], "cannot be written (No such file or directory)"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: list[str], told: str, tool: ModuleType, source: Path, tmp_path: Path, capsys: Capture
) -> None:
    named = {"SOURCE": str(source), "STORE": str(tmp_path / "store"), "FOLDER": str(tmp_path)}
    refused(capsys, tool.main([named.get(argument, argument) for argument in arguments]), told)
    assert not (tmp_path / "store").exists()


def test_videos_of_different_widths_are_refused(
    tool: ModuleType, source: Path, tmp_path: Path, capsys: Capture
) -> None:
    with h5py.File(source, "a") as file:
        file["v9.avi"] = np.ones((2, 5), dtype=np.float32)
    refused(capsys, tool.main([str(source), str(tmp_path / "store")]), 'video "v9.avi" has 5 columns, "v0.avi" has 4')


def test_an_empty_source_is_refused(tool: ModuleType, tmp_path: Path, capsys: Capture) -> None:
    h5py.File(tmp_path / "empty.hdf5", "w").close()
    refused(capsys, tool.main([str(tmp_path / "empty.hdf5"), str(tmp_path / "store")]), "holds no video")


def test_an_array_that_was_asked_for_by_name_is_that_one_or_none(
    tool: ModuleType, tmp_path: Path, capsys: Capture
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    np.savez(source / "v.npz", pooled=np.ones((2, 3), np.float32))
    assert tool.main([str(source), str(tmp_path / "any")]) == 0
    capsys.readouterr()
    refused(capsys, tool.main([str(source), str(tmp_path / "named"), "--key", "tokens"]), "pooled", "tokens")
