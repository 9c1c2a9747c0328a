"""However features of videos are spoilt, a check names file and video: no traceback, no hang, no silent skip."""

from __future__ import annotations

import gzip
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import pytest
from hypothesis import Phase, given, settings

from framework.data import VideoCache, open_features
from tests.datasets.conftest import WIDTH, as_hdf5
from tests.datasets.mutations import damaged
from tests.datasets.refusal import say
from tests.datasets.sound import FINE, ITEM, VIDEO, Array, Sound, cases, convert, make_sound, with_number


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    return make_sound(tmp_path_factory.mktemp("sound") / "data")


ARRAYS: Final[dict[str, Array]] = {
    "rank_0": np.float32(1.0).reshape(()),
    "rank_1": FINE[0],
    "rank_3": FINE[None],
    "rank_4": FINE[None, None],
    "integers": np.ones(FINE.shape, dtype=np.int64),
    "bytes": np.ones(FINE.shape, dtype=np.uint8),
    "booleans": FINE > 0,
    "complex": FINE.astype(np.complex64),
    "texts": np.full(FINE.shape, b"0.5"),
    "records": np.zeros(26, dtype=[("x", "f4"), ("y", "f4")]),
    "a_table_of_records": np.zeros(FINE.shape, dtype=[("x", "f4")]),
    "no_rows": FINE[:0],
    "no_columns": FINE[:, :0],
    "nothing": FINE[:0, :0],
    "NaN": with_number(np.nan),
    "infinity": with_number(-np.inf),
    "1e300": with_number(1e300),
    "another_width": FINE[:, 1:],
    "one_column": FINE[:, :1],
    "transposed": FINE.T,
}
"""Arrays that are no features of a video, or not those of the others."""


@pytest.mark.parametrize("array", cases(ARRAYS))
def test_an_array_that_is_no_features_is_told_in_every_format(sound: Sound, tmp_path: Path, array: Array) -> None:
    hdf5 = sound.copy("c3d.hdf5", tmp_path)
    with h5py.File(hdf5, "r+") as file:
        del file[VIDEO]
        file[VIDEO] = array
    sound.check(hdf5).require_refused(str(hdf5), ITEM)
    npy = sound.copy("npy", tmp_path)
    np.save(npy / f"{VIDEO}.npy", array)
    sound.check(npy).require_refused(str(npy), ITEM)
    npz = sound.copy("npz", tmp_path)
    np.savez(npz / f"{VIDEO}.npz", features=array)
    sound.check(npz).require_refused(str(npz), ITEM)
    assert convert(hdf5, tmp_path / "store").status == 2


@pytest.mark.parametrize("number", [1e20, 1e30, -3e38])
def test_features_whose_squares_overflow_are_scaled_like_any_others(
    sound: Sound, tmp_path: Path, number: float
) -> None:
    npy = sound.copy("npy", tmp_path)
    np.save(npy / f"{VIDEO}.npy", with_number(number))
    assert sound.check(npy).status == 0
    rows = VideoCache(open_features(npy)).read(VIDEO)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-6)


def as_group(file: h5py.File, arrays: dict[str, Array]) -> None:
    del file[VIDEO]
    group = file.create_group(VIDEO)
    for name, array in arrays.items():
        group[name] = array


def link(to: Any) -> Callable[[h5py.File], None]:
    def spoil(file: h5py.File) -> None:
        del file[VIDEO]
        file[VIDEO] = to

    return spoil


def null_space(file: h5py.File) -> None:
    del file[VIDEO]
    file.create_dataset(VIDEO, data=h5py.Empty("f4"))


def words_of_any_length(file: h5py.File) -> None:
    del file[VIDEO]
    file.create_dataset(VIDEO, FINE.shape, dtype=h5py.string_dtype())


def lists_of_any_length(file: h5py.File) -> None:
    del file[VIDEO]
    file.create_dataset(VIDEO, FINE.shape, dtype=h5py.vlen_dtype(np.float32))


HDF5: Final[dict[str, Callable[[h5py.File], object]]] = {
    "a_missing_video": lambda file: file.__delitem__(VIDEO),
    "a_video_under_another_name": lambda file: file.move(VIDEO, f"v_{VIDEO}.mp4"),
    "a_name_of_two_lines": lambda file: file.move(VIDEO, f"{VIDEO}\n"),
    "an_empty_group": lambda file: as_group(file, {}),
    "two_unknown_arrays": lambda file: as_group(file, {"rgb": FINE, "flow": FINE}),
    "a_group_with_a_spoilt_array": lambda file: as_group(file, {"features": FINE[0]}),
    "a_group_in_a_group": lambda file: as_group(file, {"a/b": FINE}),
    "names_of_two_lines": lambda file: as_group(file, {"a\nb": FINE, "c\x1b[2J": FINE}),
    "many_unknown_arrays": lambda file: as_group(file, {f"layer{number}": FINE for number in range(200)}),
    "a_dangling_link": link(h5py.SoftLink("/nowhere")),
    "a_link_to_itself": link(h5py.SoftLink(f"/{VIDEO}")),
    "a_link_to_the_root": link(h5py.SoftLink("/")),
    "a_link_to_no_file": link(h5py.ExternalLink("nowhere.hdf5", "/a")),
    "a_type": link(np.dtype("f4")),
    "no_space": null_space,
    "words_of_any_length": words_of_any_length,
    "lists_of_any_length": lists_of_any_length,
}


@pytest.mark.parametrize("spoil", cases(HDF5))
def test_a_spoilt_item_of_an_hdf5_file_is_told(
    sound: Sound, tmp_path: Path, spoil: Callable[[h5py.File], object]
) -> None:
    path = sound.copy("c3d.hdf5", tmp_path)
    with h5py.File(path, "r+") as file:
        spoil(file)
    sound.check(path).require_refused(str(path), VIDEO)


CONTENTS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "empty": lambda content: b"",
    "a_signature": lambda content: content[:8],
    "a_tenth": lambda content: content[: len(content) // 10],
    "a_half": lambda content: content[: len(content) // 2],
    "all_but_a_byte": lambda content: content[:-1],
    "NULs": lambda content: b"\0" * len(content),
    "signature_and_NULs": lambda content: content[:8] + b"\0" * (len(content) - 8),
    "gzip": gzip.compress,
    "a_page": lambda content: b"<!DOCTYPE html>\n<html><body>404: Not Found</body></html>\n",
    "a_pointer": lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "a_pickle": lambda content: b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00]\x94K\x01a.",
    "twice_the_start": lambda content: content[:100] + content,
}


@pytest.mark.parametrize("mutate", cases(CONTENTS))
def test_a_file_of_something_else_is_told_in_every_format(
    sound: Sound, tmp_path: Path, mutate: Callable[[bytes], bytes]
) -> None:
    for name, place in (("c3d.hdf5", ""), ("npy", f"{VIDEO}.npy"), ("npz", f"{VIDEO}.npz")):
        source = sound.copy(name, tmp_path)
        path = source / place
        path.write_bytes(mutate(path.read_bytes()))
        said = sound.check(source)
        if name == "npz" and mutate is CONTENTS["twice_the_start"]:
            # A zip archive is read from its end, and may follow anything.
            said.require_clear()
            assert said.status == 0
        else:
            said.require_refused(str(source), VIDEO if place else "")


NPY: Final[dict[str, Callable[[bytes], bytes]]] = {
    "version_9": lambda content: content[:6] + b"\x09" + content[7:],
    "version_3": lambda content: content[:6] + b"\x03" + content[7:],
    "no_magic": lambda content: b"\x93NUMPX" + content[6:],
    "a_long_header": lambda content: content[:8] + b"\xff\xff" + content[10:],
    "no_dictionary": lambda content: content.replace(b"{'descr'", b"['descr'"),
    "an_unknown_type": lambda content: content.replace(b"<f4", b"<q9"),
    "objects": lambda content: content.replace(b"'<f4'", b"'|O' "),
    "more_rows": lambda content: content.replace(b"(26, 12)", b"(99, 12)"),
    "many_rows": lambda content: content.replace(b"(26, 12), }     ", b"(99999999, 12), "),
    "negative_rows": lambda content: content.replace(b"(26, 12)", b"(-6, 12)"),
    "an_open_bracket": lambda content: content.replace(b"(26, 12)", b"(26, 12 "),
    "code": lambda content: content.replace(b"(26, 12), }", b"exit(1),  }"),
    "no_UTF-8": lambda content: content.replace(b"descr", b"d\xffscr"),
}


@pytest.mark.parametrize("mutate", cases(NPY))
def test_a_spoilt_header_is_told(sound: Sound, tmp_path: Path, mutate: Callable[[bytes], bytes]) -> None:
    content = (sound.folder / "npy" / f"{VIDEO}.npy").read_bytes()
    assert mutate(content) != content
    npy, npz = sound.copy("npy", tmp_path), sound.copy("npz", tmp_path)
    (npy / f"{VIDEO}.npy").write_bytes(mutate(content))
    sound.check(npy).require_refused(str(npy), ITEM)
    with zipfile.ZipFile(npz / f"{VIDEO}.npz", "w") as archive:
        archive.writestr("features.npy", mutate(content))
    sound.check(npz).require_refused(str(npz), ITEM)


def test_damaged_headers_are_refused_or_legal(sound: Sound, tmp_path: Path) -> None:
    source, seen = sound.copy("npy", tmp_path), set[bytes]()
    path = source / f"{VIDEO}.npy"
    # Bytes that are the same number wherever a row begins: a header of another length shifts them.
    np.save(path, np.full(FINE.shape, np.frombuffer(b"\x3f" * 4, dtype=np.float32)[0]))
    whole = path.read_bytes()

    @settings(max_examples=60, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(damaged(whole[:128]))
    def attack(header: bytes) -> None:
        seen.add(header)
        path.write_bytes(header + whole[128:])
        said = sound.check(source)
        if said.status == 0:
            said.require_clear()
            assert np.load(path).shape[1] == WIDTH
        else:
            said.require_refused(str(source), ITEM)

    attack()
    assert len(seen) >= 40


def archive(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("_npy", ".npy"), content)


def flagged(content: bytes, bit: int, method: int | None = None) -> bytes:
    """A zip archive whose members claim a flag, or a method of compression."""
    out = bytearray(content)
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = out.find(signature)
        while place >= 0:
            struct.pack_into("<H", out, place + flags, bit)
            if method is not None:
                struct.pack_into("<H", out, place + flags + 2, method)
            place = out.find(signature, place + 1)
    return bytes(out)


NPZ: Final[dict[str, Callable[[Path], object]]] = {
    "no_known_array": lambda path: np.savez(path, rgb=FINE, flow=FINE),
    "no_array": lambda path: np.savez(path),
    "names_of_two_lines": lambda path: np.savez(path, **{"a\nb": FINE, "c\x1b[2J": FINE}),
    "many_unknown_arrays": lambda path: np.savez(path, **{f"layer{number}": FINE for number in range(200)}),
    "objects": lambda path: np.savez(path, features=np.array([{}, []], dtype=object)),
    "no_npy": lambda path: archive(path, features=b"0.5 0.5"),
    "a_text_called_npy": lambda path: archive(path, features_npy=b"0.5 0.5"),
    "an_empty_npy": lambda path: archive(path, features_npy=b""),
    "a_locked_archive": lambda path: path.write_bytes(flagged(path.read_bytes(), 1)),
    "an_unknown_compression": lambda path: path.write_bytes(flagged(path.read_bytes(), 0, 99)),
    "a_wrong_compression": lambda path: path.write_bytes(flagged(path.read_bytes(), 0, 8)),
    "a_flipped_byte": lambda path: path.write_bytes(path.read_bytes().replace(FINE_PART, bytes(8))),
    "a_folder": lambda path: (path.unlink(), path.mkdir()),
    "a_dangling_link": lambda path: (path.unlink(), path.symlink_to("nowhere")),
}
FINE_PART: Final = FINE.tobytes()[80:88]


@pytest.mark.parametrize("spoil", cases(NPZ))
def test_a_spoilt_archive_is_told(sound: Sound, tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    npz = sound.copy("npz", tmp_path)
    np.savez(npz / f"{VIDEO}.npz", features=FINE)
    spoil(npz / f"{VIDEO}.npz")
    sound.check(npz).require_refused(str(npz), VIDEO)


def test_a_folder_that_is_no_source_is_told(sound: Sound, tmp_path: Path) -> None:
    both, empty, nested = sound.copy("npy", tmp_path), tmp_path / "empty", tmp_path / "nested"
    np.savez(both / "more.npz", features=FINE)
    sound.check(both).require_refused(str(both), "both")
    empty.mkdir()
    sound.check(empty).require_refused(str(empty))
    (nested / "more").mkdir(parents=True)
    sound.check(nested).require_refused(str(nested))
    sound.check(tmp_path / "nowhere").require_refused(str(tmp_path / "nowhere"))
    link = tmp_path / "link"
    link.symlink_to(link)
    sound.check(link).require_refused(str(link))
    (tmp_path / "notes.txt").write_text("features")
    sound.check(tmp_path / "notes.txt").require_refused(str(tmp_path / "notes.txt"))


def test_features_are_as_fine_in_any_order_and_byte_order(sound: Sound, tmp_path: Path) -> None:
    """What a mutation must not be refused for."""
    npy = sound.copy("npy", tmp_path)
    for array in (np.asfortranarray(FINE), FINE.astype(">f8"), FINE.astype(np.float16)):
        np.save(npy / f"{VIDEO}.npy", array)
        said = sound.check(npy)
        said.require_clear()
        assert said.status == 0


RUNS: Final[dict[str, tuple[str, str, Callable[[Path], object]]]] = {
    "a_sentence_without_a_moment": (
        "charades_sta_train.txt",
        ":1",
        lambda path: path.write_bytes(b"train0 5.0##a person runs.\n" + path.read_bytes()),
    ),
    "half_a_table": (
        "Charades_v1_test.csv",
        ":1",
        lambda path: path.write_bytes(path.read_bytes()[:9]),
    ),
    "half_an_hdf5_file": ("c3d.hdf5", "", lambda path: path.write_bytes(path.read_bytes()[:2000])),
    "NaN_in_an_hdf5_file": ("c3d.hdf5", ITEM, lambda path: as_hdf5_with(path, with_number(np.nan))),
    "integers_in_an_hdf5_file": ("c3d.hdf5", ITEM, lambda path: as_hdf5_with(path, FINE.astype(np.int32))),
    "another_width_in_an_hdf5_file": ("c3d.hdf5", ITEM, lambda path: as_hdf5_with(path, FINE[:, 1:])),
}


def as_hdf5_with(path: Path, array: Array) -> None:
    with h5py.File(path, "r+") as file:
        del file[VIDEO]
        file[VIDEO] = array


@pytest.mark.parametrize(("name", "place", "spoil"), RUNS.values(), ids=RUNS)
def test_a_run_says_what_a_check_says(
    sound: Sound, tmp_path: Path, name: str, place: str, spoil: Callable[[Path], object]
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(sound.folder, folder)
    spoil(folder / name)
    out = tmp_path / "run"
    said = say("run", sound.recipe, "--set", f'data.root="{folder}"', "--out", out, "--device", "cpu")
    said.require_refused(f"{folder / name}{place}" if place.startswith(":") else str(folder / name), place)
    assert not (out / "metrics.json").exists()


def test_a_run_shows_no_character_that_a_terminal_obeys(sound: Sound, tmp_path: Path) -> None:
    npz, out = sound.copy("npz", tmp_path), tmp_path / "run"
    np.savez(npz / f"{VIDEO}.npz", **{"a\x1b[2J": FINE, "b\nc": FINE})
    said = say("run", sound.recipe, "--set", f'data.video="{npz}"', "--out", out, "--device", "cpu")
    said.require_refused(str(npz), ITEM)


def test_a_conversion_shows_no_character_that_a_terminal_obeys(tmp_path: Path) -> None:
    path = tmp_path / "c3d.hdf5"
    as_hdf5(path, {"a": FINE, "b\x1b[2J": FINE[:, 1:]})
    convert(path, tmp_path / "store").require_refused(str(path))
