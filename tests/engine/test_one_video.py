"""One video's features as a command line names them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from framework.data import open_features, plan_store, write_store
from framework.engine.one_video import read_video
from framework.errors import DataError

CLIPS = np.arange(6, dtype=np.float32).reshape(3, 2)


def hdf5(path: Path, name: str) -> Path:
    with h5py.File(path, "w") as file:
        file[name] = CLIPS
        file["another"] = CLIPS + 1
    return path


def store(folder: Path, name: str, clip_s: float | None) -> Path:
    source = folder / f"{name}.hdf5"
    hdf5(source, "v")
    write_store(plan_store(open_features(source), str(source), clip_s=clip_s), folder / name)
    return folder / name


def test_a_store_says_how_long_its_rows_last_and_other_files_do_not(tmp_path: Path) -> None:
    shown = read_video(Path(f"{store(tmp_path, 'a', 1.28)}:v"))
    np.testing.assert_array_equal(shown.features, CLIPS)
    assert shown.clip_s == 1.28
    assert read_video(Path(f"{store(tmp_path, 'b', None)}:v")).clip_s is None
    assert read_video(Path(f"{hdf5(tmp_path / 'c.hdf5', 'v')}:v")).clip_s is None


def test_stores_that_disagree_are_refused(tmp_path: Path) -> None:
    first, second, silent = (store(tmp_path, *each) for each in (("a", 1.28), ("b", 0.64), ("c", None)))
    with pytest.raises(DataError, match=r"say different seconds a row: 0\.64, 1\.28"):
        read_video(Path(f"{first}:v,{second}:v"))
    assert read_video(Path(f"{first}:v,{silent}:v")).clip_s == 1.28


@pytest.mark.parametrize("name", ["clip:3", "a:b:c", ":", "né à", "a,b", "v,c.hdf5:v"])
def test_an_id_may_have_colons_of_its_own(name: str, tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_video(Path(f"{hdf5(tmp_path / 'c.hdf5', name)}:{name}")).features, CLIPS)


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000, "x" * 300 + ":v", "nothing", "nothing:v", ":", ""])
def test_what_names_no_file_is_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must be a \.npy or \.npz|cannot be read") as caught:
        read_video(Path(str(tmp_path / name) if name else name))
    assert len(str(caught.value).splitlines()) == 1
