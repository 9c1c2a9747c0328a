"""The tool, run as a person runs it: from a checkout, by its path."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest

from framework.data.simulation import SIMULATOR, Interval, SimulationConstants, simulate

TOOL = Path(__file__).parents[2] / "tools" / "simulate_charades_features.py"
Capture = pytest.CaptureFixture[str]
HEADER = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\n"


def line(video: str, actions: str, length: str) -> str:
    return f'{video},S,Kitchen,5,6,Yes,"Someone, somewhere.",bed,"One; two.",{actions},{length}\n'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "annotations"
    folder.mkdir()
    train = line("AAAAA", "c077 2.10 8.00;c079 1.80 17.30", "12.62") + line("BBBBB", "c001 8.00 7.00", "6.25")
    (folder / "Charades_v1_train.csv").write_text(HEADER + train)
    (folder / "Charades_v1_test.csv").write_text(HEADER + line("CCCCC", "", "0.30"))
    return folder


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    specification = importlib.util.spec_from_file_location("simulate_charades_features", TOOL)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def refused(capsys: Capture, status: int, *parts: str) -> None:
    told = capsys.readouterr().err
    assert status == 2
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    for part in parts:
        assert part in told


def test_it_runs_from_a_checkout_by_its_path_alone(data: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(TOOL), str(data), "features.hdf5", "--width", "4"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("features.hdf5: 3 videos")
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert again.returncode == 2
    assert again.stderr == "error: features.hdf5: exists already. Name another file, or add --force to replace it.\n"


def test_the_file_holds_every_video_and_says_that_it_is_simulated(
    tool: ModuleType, data: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "features.hdf5"
    assert tool.main([str(data), str(out), "--width", "16", "--seed", "3"]) == 0
    told = capsys.readouterr().out
    assert "3 videos" in told
    assert "1 actions" in told
    constants = SimulationConstants()
    with h5py.File(out) as file:
        assert sorted(file) == ["AAAAA", "BBBBB", "CCCCC"]
        assert [file[video].shape for video in sorted(file)] == [(19, 16), (9, 16), (1, 16)]
        actions = [Interval(77, 2.1, 8.0), Interval(79, 1.8, 17.3)]
        expected = simulate("AAAAA", 12.62, actions, "Kitchen", constants, 16, 3)
        assert np.array_equal(file["AAAAA"][()], expected)
        stated = dict(file.attrs)
    assert bool(stated["simulated"]) is True
    assert (stated["simulator"], stated["clip_s"], stated["seed"], stated["width"]) == (SIMULATOR, 0.64, 3, 16)
    assert stated["constant_noise"] == constants.noise
    assert sorted(path.name for path in tmp_path.iterdir()) == ["annotations", "features.hdf5"]


def test_two_runs_write_the_same_bytes_and_the_second_needs_force(
    tool: ModuleType, data: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "features.hdf5"
    assert tool.main([str(data), str(out), "--width", "4"]) == 0
    first = out.read_bytes()
    refused(capsys, tool.main([str(data), str(out), "--width", "4", "--seed", "1"]), str(out), "--force")
    assert out.read_bytes() == first
    assert tool.main([str(data), str(out), "--width", "4", "--force"]) == 0
    assert out.read_bytes() == first


def test_a_broken_annotation_is_one_line_and_leaves_no_file(
    tool: ModuleType, data: Path, tmp_path: Path, capsys: Capture
) -> None:
    (data / "Charades_v1_test.csv").write_text(HEADER + line("CCCCC", "c001 1.00", "5.00"))
    refused(capsys, tool.main([str(data), str(tmp_path / "features.hdf5")]), "Charades_v1_test.csv:2", "c001 1.00")
    assert [path.name for path in tmp_path.iterdir()] == ["annotations"]


def test_annotations_that_are_not_there_are_one_line(tool: ModuleType, tmp_path: Path, capsys: Capture) -> None:
    refused(
        capsys,
        tool.main([str(tmp_path / "nowhere"), str(tmp_path / "features.hdf5")]),
        "Charades_v1_train.csv",
        "cannot be read",
    )


def test_a_video_of_both_files_is_refused(tool: ModuleType, data: Path, tmp_path: Path, capsys: Capture) -> None:
    (data / "Charades_v1_test.csv").write_text(HEADER + line("AAAAA", "", "12.62"))
    refused(capsys, tool.main([str(data), str(tmp_path / "features.hdf5")]), 'video "AAAAA"', "Charades_v1_train.csv:2")


def test_files_without_a_video_are_refused(tool: ModuleType, data: Path, tmp_path: Path, capsys: Capture) -> None:
    for split in ("train", "test"):
        (data / f"Charades_v1_{split}.csv").write_text(HEADER)
    refused(capsys, tool.main([str(data), str(tmp_path / "features.hdf5")]), "empty")


def test_a_folder_that_cannot_be_written_to_is_one_line(
    tool: ModuleType, data: Path, tmp_path: Path, capsys: Capture
) -> None:
    refused(capsys, tool.main([str(data), str(tmp_path / "absent" / "features.hdf5")]), "cannot be written")


def test_a_width_of_nothing_is_refused(tool: ModuleType, data: Path, tmp_path: Path, capsys: Capture) -> None:
    refused(capsys, tool.main([str(data), str(tmp_path / "f.hdf5"), "--width", "0"]), "--width 0: must be at least 1")
