from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from framework.data.features import open_features
from framework.errors import DataError

Arrays = dict[str, NDArray[np.float32]]


def _npz(path: Path, arrays: Arrays, key: str = "features") -> Path:
    path.mkdir()
    for video, values in arrays.items():
        np.savez_compressed(path / f"{video}.npz", **{key: values})  # type: ignore[arg-type]
    return path


def _hdf5(path: Path, arrays: Arrays, inner: str = "") -> Path:
    with h5py.File(path, "w") as file:
        for video, values in arrays.items():
            file.create_dataset(f"{video}/{inner}" if inner else video, data=values, compression="gzip")
    return path


@pytest.fixture(params=["npy", "npz features", "npz arr", "npz any", "hdf5", "hdf5 in groups"])
def store(request: pytest.FixtureRequest, clips: Arrays, folder: Path, tmp_path: Path) -> Path:
    match request.param.split():
        case ["npy"]:
            return folder
        case ["npz", key]:
            return _npz(tmp_path / "npz", clips, key)
        case ["hdf5"]:
            return _hdf5(tmp_path / "clips.hdf5", clips)
        case _:
            return _hdf5(tmp_path / "clips.h5", clips, "c3d_features")


def test_every_layout_gives_the_same_numbers(store: Path, clips: Arrays) -> None:
    source = open_features(store)
    assert source.videos() == set(clips)
    for video, values in clips.items():
        assert source.shape(video) == values.shape
        np.testing.assert_array_equal(source.read(video), values)
        np.testing.assert_array_equal(source.read(video, 1, 3), values[1:3])


def test_a_source_that_was_read_from_can_be_sent_to_another_process(store: Path, clips: Arrays) -> None:
    source = open_features(store)
    source.read("a")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source)).read("b"), clips["b"])


@pytest.mark.parametrize("name", ["v.npy", "v.npz"])
def test_a_single_file_is_a_source_with_one_video(name: str, tmp_path: Path) -> None:
    values = np.ones((4, 2), dtype=np.float32)
    (np.save if name.endswith("npy") else np.savez)(tmp_path / name, values)
    source = open_features(tmp_path / name)
    assert source.videos() == {"v"}
    np.testing.assert_array_equal(source.read("v"), values)


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4"])
def test_every_float_type_becomes_float32(dtype: str, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.array([[0.5, -2.0]], dtype=dtype))
    read = open_features(tmp_path).read("v")
    assert read.dtype == np.float32
    assert read.tolist() == [[0.5, -2.0]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(5, dtype="f4"), r'video "v" has shape \(5,\); features must be \(rows, width\)'),
        (np.zeros((5, 2), dtype="i8"), r'video "v" has type int64; features must be floating point'),
        (np.zeros((0, 2), dtype="f4"), r'video "v" has shape \(0, 2\); features must have at least one row'),
        (np.array([[1, 1], [1, np.nan]], dtype="f4"), r'video "v" has NaN or infinity in row 1;'),
        (np.array([[1, 1], [1, 1], [np.inf, 1]], dtype="f4"), r'video "v" has NaN or infinity in row 2;'),
        (np.array([[1.0, 1e300]]), r'video "v" has NaN or infinity in row 0;'),
    ],
)
@pytest.mark.parametrize("layout", ["npy", "npz", "hdf5"])
def test_an_array_that_breaks_a_rule_is_refused_by_name(
    values: NDArray[np.float32], message: str, layout: str, tmp_path: Path
) -> None:
    path = tmp_path / "store"
    if layout == "npy":
        path.mkdir()
        np.save(path / "v.npy", values)
    else:
        (_npz if layout == "npz" else _hdf5)(path, {"v": values})
    with pytest.raises(DataError, match=message):
        open_features(path).read("v")


def test_a_row_that_is_not_finite_is_counted_from_the_start_of_the_video(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.array([[1.0], [1.0], [1.0], [np.nan]]))
    source = open_features(tmp_path)
    assert len(source.read("v", 0, 3)) == 3
    with pytest.raises(DataError, match="row 3;"):
        source.read("v", 2, 4)


def test_an_absent_video_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    np.save(tmp_path / "v_abcdef.npy", np.ones((1, 1)))
    with pytest.raises(DataError, match=r'has no video "v_abcdeg" among its 1\. Did you mean "v_abcdef"\?'):
        open_features(tmp_path).read("v_abcdeg")


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"i3d\.hdf5: no such file or folder; video features are looked for there"):
        open_features(tmp_path / "i3d.hdf5")


def test_a_folder_without_features_is_refused(tmp_path: Path) -> None:
    _hdf5(tmp_path / "i3d.hdf5", {"v": np.ones((1, 1), dtype=np.float32)})
    with pytest.raises(DataError, match=r"holds no \.npy and no \.npz file; name an HDF5 file itself"):
        open_features(tmp_path)


def test_a_folder_with_two_kinds_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.ones((1, 1)))
    np.savez(tmp_path / "v.npz", np.ones((1, 1)))
    with pytest.raises(DataError, match=r"holds both \.npy and \.npz files; keep one kind"):
        open_features(tmp_path)


def test_an_empty_hdf5_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no video; was the conversion that wrote it given any"):
        open_features(_hdf5(tmp_path / "i3d.hdf5", {}))


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "i3d.hdf5").write_text("not HDF5")
    with pytest.raises(DataError, match=r"is neither HDF5, \.npy nor \.npz, or is cut off"):
        open_features(tmp_path / "i3d.hdf5")


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_file_that_is_cut_off_is_refused_by_name(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"v.{suffix}"
    (np.save if suffix == "npy" else np.savez)(path, np.ones((50, 50)))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match='video "v" cannot be read'):
        open_features(tmp_path).read("v")


def test_a_file_with_damaged_bytes_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "v.npz"
    np.savez_compressed(path, features=np.random.default_rng(0).standard_normal((50, 50)))
    damaged = bytearray(path.read_bytes())
    damaged[3000:4000] = bytes(1000)
    path.write_bytes(damaged)
    with pytest.raises(DataError, match='video "v" cannot be read'):
        open_features(tmp_path).read("v")


@pytest.mark.parametrize("name", ["v", "v/features"])
def test_an_hdf5_dataset_without_an_array_is_refused_by_name(name: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "i3d.hdf5", "w") as file:
        file[name] = h5py.Empty("f4")
    with pytest.raises(DataError, match=r'i3d\.hdf5: video "v" holds no array; features must be \(rows, width\)$'):
        open_features(tmp_path / "i3d.hdf5").read("v")


def test_a_type_stored_beside_hdf5_datasets_is_refused_by_name(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "i3d.hdf5", "w") as file:
        file["v"] = np.dtype("f4")
    with pytest.raises(DataError, match='video "v" holds no array'):
        open_features(tmp_path / "i3d.hdf5").shape("v")


def test_groups_in_groups_are_refused(tmp_path: Path) -> None:
    path = _hdf5(tmp_path / "i3d.hdf5", {"v": np.ones((1, 1), dtype=np.float32)}, "rgb/features")
    with pytest.raises(DataError, match=r'video "v" holds the arrays \(none\); one of them must be called features'):
        open_features(path).read("v")


def test_several_arrays_without_a_known_name_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", rgb=np.ones((1, 1)), flow=np.ones((1, 1)))
    message = 'video "v" holds the arrays flow, rgb; one of them must be called features or arr or feats'
    with pytest.raises(DataError, match=message):
        open_features(tmp_path).read("v")


def test_a_message_lists_long_names_in_short(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", **{f"{number}{'x' * 90}": np.ones((1, 1)) for number in range(3)})  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r'video "v" holds the arrays 0x{90}, 1x{23}\.\.\.; one of them must') as caught:
        open_features(tmp_path).read("v")
    assert "2x" not in str(caught.value)


@pytest.mark.parametrize("within", ["", "video/"])
def test_a_video_of_an_hdf5_file_is_looked_up_once_for_its_shape_and_once_for_its_rows(
    within: str, clips: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_features(
        _hdf5(tmp_path / "i3d.hdf5", {f"{within}{video}": values for video, values in clips.items()})
    )
    asked: list[str] = []
    look_up = h5py.Group.__getitem__

    def counted(self: h5py.Group, name: str) -> object:
        asked.append(name)
        return look_up(self, name)

    monkeypatch.setattr(h5py.Group, "__getitem__", counted)
    np.testing.assert_array_equal(source.read("b"), clips["b"])
    assert asked == [f"{within}b"] * 2


@pytest.mark.parametrize("inner", ["", "c3d_features"])
def test_all_videos_may_lie_in_one_group(inner: str, clips: Arrays, tmp_path: Path) -> None:
    path = _hdf5(tmp_path / "i3d.hdf5", {f"video/{video}": values for video, values in clips.items()}, inner)
    source = open_features(path)
    assert source.videos() == set(clips)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source)).read("b", 2, 4), clips["b"][2:4])


def test_a_single_video_with_several_arrays_is_no_group_of_videos(tmp_path: Path) -> None:
    path = _hdf5(tmp_path / "i3d.hdf5", {f"v/{key}": np.ones((2, 1), "f4") for key in ("features", "timestamps")})
    assert open_features(path).videos() == {"v"}
    assert open_features(path).shape("v") == (2, 1)
    assert open_features(path, keys=("rgb",)).videos() == {"features", "timestamps"}


@pytest.mark.parametrize("layout", ["npy", "npz", "hdf5"])
def test_a_name_may_hold_dots_as_that_of_a_video_file(layout: str, clips: Arrays, tmp_path: Path) -> None:
    named = {f"{video}_1.5_x.mov": values for video, values in clips.items()}
    path = tmp_path / "store"
    if layout == "npy":
        path.mkdir()
        for video, values in named.items():
            np.save(path / f"{video}.npy", values)
    else:
        (_npz if layout == "npz" else _hdf5)(path, named)
    source = open_features(path)
    assert source.videos() == set(named)
    np.testing.assert_array_equal(source.read("b_1.5_x.mov"), clips["b"])


@pytest.mark.parametrize("layout", ["npy", "npz", "hdf5"])
@settings(deadline=None, max_examples=70, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_in_one_line_or_gives_finite_rows(
    layout: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    values = np.linspace(-1, 1, 24, dtype=np.float32).reshape(8, 3)
    path = {"npy": folder / "v.npy", "npz": folder / "v.npz", "hdf5": folder / "v.hdf5"}[layout]
    if layout == "npy":
        np.save(path, values)
    elif layout == "npz":
        np.savez_compressed(path, features=values)
    else:
        _hdf5(path, {"v": values})
    damaged = bytearray(path.read_bytes())
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255)), max_size=3)):
        damaged[at] = byte
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)) | st.just(len(damaged)))])
    told = ""
    try:
        source = open_features(path)
        for video in source.videos():
            read = source.read(video)
            assert np.isfinite(read).all()
            assert (read.shape, read.dtype) == (source.shape(video), np.float32)
    except DataError as error:
        told = str(error)
    assert "\n" not in told
    assert told == "" or str(folder) in told
