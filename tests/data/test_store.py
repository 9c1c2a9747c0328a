from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from framework.data.cache import VideoCache
from framework.data.dataset import FeatureSource
from framework.data.features import open_features
from framework.data.store import FEATURES, INDEX, JOURNAL, StoreFeatures, is_store
from framework.data.store_writing import Written, plan_store, write_store
from framework.errors import DataError

Arrays = dict[str, NDArray[np.float32]]
ROOT = Path(__file__).parents[2]


class ReadTooOftenError(Exception):
    """More was read than a test allows."""


class Made(FeatureSource):
    """Arrays in memory, of which only as many are read as ``patience`` says; ``then`` is raised after those."""

    def __init__(
        self, arrays: Arrays, patience: int | None = None, then: type[BaseException] = ReadTooOftenError
    ) -> None:
        self.name, self.arrays, self.patience, self.then = "made", arrays, patience, then

    def videos(self) -> frozenset[str]:
        return frozenset(self.arrays)

    def shape(self, video: str) -> tuple[int, int]:
        return self.arrays[video].shape[0], self.arrays[video].shape[1]

    def read(self, video: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        if self.patience is not None:
            self.patience -= 1
            if self.patience < 0:
                raise self.then
        return self.arrays[video][start:stop]


def written(arrays: Arrays, folder: Path, dtype: str = "float32", **options: object) -> Written | None:
    return write_store(plan_store(Made(arrays), "made", dtype=dtype), folder, **options)  # type: ignore[arg-type]


def interrupted(arrays: Arrays, folder: Path, after: int, dtype: str = "float32") -> None:
    with pytest.raises(KeyboardInterrupt):
        write_store(plan_store(Made(arrays, after, KeyboardInterrupt), "made", dtype=dtype), folder)


def refused(message: str, work: Callable[[], object]) -> None:
    with pytest.raises(DataError, match=message) as caught:
        work()
    assert "\n" not in str(caught.value)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def store(clips: Arrays, tmp_path: Path) -> Path:
    written(clips, tmp_path / "store")
    return tmp_path / "store"


def test_a_store_gives_the_numbers_of_its_source(store: Path, clips: Arrays) -> None:
    source = open_features(store)
    assert isinstance(source, StoreFeatures)
    assert source.videos() == set(clips)
    for video, values in clips.items():
        assert source.shape(video) == values.shape
        np.testing.assert_array_equal(source.read(video), values)
    assert sorted(content(store)) == [FEATURES, INDEX]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from("abcdef"), st.integers(0, 25), st.none() | st.integers(0, 25))
def test_any_stretch_is_that_of_the_source_and_never_of_the_next_video(
    store: Path, clips: Arrays, video: str, start: int, stop: int | None
) -> None:
    np.testing.assert_array_equal(open_features(store).read(video, start, stop), clips[video][start:stop])


def test_anybody_can_load_the_array_with_numpy_alone(store: Path, clips: Arrays) -> None:
    index = json.loads((store / INDEX).read_text())
    rows = np.load(store / FEATURES)
    assert (rows.shape, rows.dtype) == ((59, 3), np.float32)
    assert (index["dtype"], index["width"], index["rows"], index["origin"]) == ("float32", 3, 59, "made")
    assert index["source"] == str(Path("made").resolve())
    for video, (first, count, _) in index["videos"].items():
        np.testing.assert_array_equal(rows[first : first + count], clips[video])


def test_a_slice_is_no_copy_and_cannot_be_written_to(store: Path) -> None:
    source = open_features(store)
    one, other = source.read("f", 2, 9), source.read("f", 8, 12)
    assert np.shares_memory(one, other)
    with pytest.raises(ValueError, match="read-only"):
        one[0] = 0


def test_a_cache_reads_no_more_of_a_store_than_it_is_asked_for(
    store: Path, clips: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int | None]] = []
    read = StoreFeatures.read

    def counted(self: StoreFeatures, video: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        asked.append((start, stop))
        return read(self, video, start, stop)

    monkeypatch.setattr(StoreFeatures, "read", counted)
    videos = VideoCache(open_features(store), normalize=False)
    for _ in range(2):
        np.testing.assert_array_equal(videos.read("f", 3, 11), clips["f"][3:11])
    assert asked == [(3, 11), (3, 11)]


def test_a_store_beside_another_source_is_kept_like_any(store: Path, clips: Arrays) -> None:
    videos = VideoCache(open_features(store), Made(clips, 1), normalize=False)
    for _ in range(2):
        np.testing.assert_array_equal(videos.read("b", 1, 3), np.tile(clips["b"][1:3], 2))


ELSEWHERE = """
import json, os, pickle, sys

source = pickle.loads(open(sys.argv[1], "rb").read())
print(json.dumps(source.read("b", 4, 5)[0].tolist()), flush=True)
if os.fork() == 0:
    print(json.dumps(source.read("b", 4, 5)[0].tolist()), flush=True)
    os._exit(0)
os.wait()
"""


def test_a_store_works_in_another_process_pickled_and_forked(store: Path, clips: Arrays, tmp_path: Path) -> None:
    source = open_features(store)
    source.read("a")
    sent = pickle.dumps(source)
    assert len(sent) < 2000
    np.testing.assert_array_equal(pickle.loads(sent).read("b"), clips["b"])
    (tmp_path / "sent").write_bytes(sent)
    # A program of its own: a fork of this one would inherit other tests' threads.
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path / "sent")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [clips["b"][4].tolist()] * 2


def test_float16_is_read_as_float32_and_its_largest_error_is_told(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    done = written({"v": values}, tmp_path / "store", "float16")
    assert done is not None
    assert 0 < done.error == np.abs(values.astype(np.float16).astype(np.float32) - values).max() < 1e-3
    read = open_features(tmp_path / "store").read("v")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values.astype(np.float16))
    assert np.load(tmp_path / "store" / FEATURES).dtype == np.float16


def test_a_number_too_large_for_float16_is_refused(tmp_path: Path) -> None:
    values = np.array([[1.0, -70000.0]], dtype=np.float32)
    message = r'made: video "v" holds 70000, and the largest float16 is 65504; use float32'
    refused(message, lambda: written({"v": values}, tmp_path / "store", "float16"))
    refused("is not finished", lambda: open_features(tmp_path / "store"))


def test_numbers_that_are_not_finite_are_refused_in_writing_and_in_reading(store: Path, tmp_path: Path) -> None:
    broken = np.array([[1.0], [np.nan]], dtype=np.float32)
    np.save(tmp_path / "v.npy", broken)
    refused("row 1", lambda: write_store(plan_store(open_features(tmp_path), "npy"), tmp_path / "other"))
    refused('video "v" holds nan', lambda: written({"v": broken}, tmp_path / "third"))
    rows = np.load(store / FEATURES, mmap_mode="r+")
    first = json.loads((store / INDEX).read_text())["videos"]["b"][0]
    rows[first + 4, 1] = np.inf
    rows.flush()
    source = open_features(store)
    assert len(source.read("b", 0, 4)) == 4
    refused(r'video "b" has NaN or infinity in row 4, and had none', lambda: source.read("b", 2, 6))


def test_bytes_that_went_bad_are_found_by_their_sums(store: Path) -> None:
    source = open_features(store)
    assert isinstance(source, StoreFeatures)
    assert source.damaged() == []
    damaged = bytearray((store / FEATURES).read_bytes())
    damaged[-2] ^= 1
    (store / FEATURES).write_bytes(damaged)
    again = open_features(store)
    assert isinstance(again, StoreFeatures)
    assert again.damaged() == ["f"]


# Each interruption is a call of its own: at any read of converting or of verifying, with any tail of the journal lost.
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 60)), max_size=3), st.sampled_from(["float32", "float16"]))
def test_however_often_it_is_interrupted_the_store_is_the_same(
    clips: Arrays, tmp_path_factory: pytest.TempPathFactory, stops: list[tuple[int, int]], dtype: str
) -> None:
    folder = tmp_path_factory.mktemp("store")
    written(clips, folder / "whole", dtype)
    for reads, lost in stops:
        journal = folder / "parts" / JOURNAL
        left = len(clips) - max(0, len(journal.read_bytes().splitlines()) - 1) if journal.exists() else len(clips)
        # Verifying reads every video once more, so as many reads as this cannot be the end of it.
        interrupted(clips, folder / "parts", min(reads, left + len(clips) - 1), dtype)
        assert is_store(folder / "parts")
        refused("is not finished, its writing was interrupted", lambda: open_features(folder / "parts"))
        journal.write_bytes(journal.read_bytes()[: -lost or None])
    done = written(clips, folder / "parts", dtype)
    assert done is not None
    assert (done.videos, done.rows) == (6, 59)
    assert content(folder / "parts") == content(folder / "whole")


def test_what_is_done_is_not_done_again(clips: Arrays, tmp_path: Path) -> None:
    interrupted(clips, tmp_path / "store", 4)
    # Two videos are left, and all six are compared.
    done = write_store(plan_store(Made(clips, 8), "made"), tmp_path / "store")
    assert done is not None
    assert done.resumed == 4


def test_a_finished_video_whose_bytes_were_lost_is_written_again(clips: Arrays, tmp_path: Path) -> None:
    interrupted(clips, tmp_path / "store", 4)
    rows = np.load(tmp_path / "store" / FEATURES, mmap_mode="r+")
    rows[0] = 7
    rows.flush()
    done = written(clips, tmp_path / "store")
    assert done is not None
    assert done.resumed == 3
    np.testing.assert_array_equal(open_features(tmp_path / "store").read("a"), clips["a"])


def test_a_conversion_of_something_else_is_not_gone_on_with(clips: Arrays, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    interrupted(clips, folder, 4)
    fewer = {video: clips[video] for video in "ab"}
    renamed = plan_store(Made(clips), "made", rename=str.upper)
    moved = plan_store(Made(clips), "elsewhere/made")
    other = plan_store(Made(clips), "made", key="flow")
    for _ in range(2):
        refused(r"another dtype \(float32, now float16\); name another", lambda: written(clips, folder, "float16"))
        refused(r"another origin \(made, now there\)", lambda: write_store(plan_store(Made(clips), "there"), folder))
        refused(r"another source \(.*made, now .*elsewhere.made\)", lambda: write_store(moved, folder))
        refused(r"another origin \(made, now made:flow\)", lambda: write_store(other, folder))
        refused(r"another rows \(59, now 15\)", lambda: written(fewer, folder))
        refused(r"begun with other videos or rows; name another", lambda: write_store(renamed, folder))
        # The second round asks the same of the finished store.
        written(clips, folder)
    assert written(clips, folder) is None
    done = written(fewer, folder, force=True)
    assert done is not None
    assert open_features(folder).videos() == {"a", "b"}


def test_force_begins_an_interrupted_conversion_again(clips: Arrays, tmp_path: Path) -> None:
    interrupted(clips, tmp_path / "store", 4)
    done = written(clips, tmp_path / "store", force=True)
    assert done is not None
    assert done.resumed == 0


def test_a_source_that_changes_meanwhile_is_refused(clips: Arrays, tmp_path: Path) -> None:
    interrupted(clips, tmp_path / "store", 4)
    changed = {**clips, "b": clips["b"] + 1}
    refused('video "b" does not read back as the source has it', lambda: written(changed, tmp_path / "store"))
    source = Made(dict(clips))
    plan = plan_store(source, "made")
    source.arrays["c"] = clips["c"][1:]
    refused(r'video "c" is \(6, 3\) now and was \(7, 3\)', lambda: write_store(plan, tmp_path / "other"))


def test_nothing_but_a_store_is_written_over(clips: Arrays, folder: Path, tmp_path: Path) -> None:
    before = content(folder)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "lone").mkdir()
    np.save(tmp_path / "lone" / FEATURES, clips["a"])
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / INDEX).write_text("{}")
    for path in (folder, tmp_path / "file", tmp_path / "lone", tmp_path / "foreign"):
        for force in (False, True):
            refused(
                "exists and is no store; name a folder that is new or empty",
                lambda path=path, force=force: written(clips, path, force=force),
            )
    assert content(folder) == before
    (tmp_path / "empty").mkdir()
    assert written(clips, tmp_path / "empty") is not None


def test_a_store_is_not_converted_into_itself(store: Path) -> None:
    plan = plan_store(open_features(store), str(store))
    refused("is what shall be converted", lambda: write_store(plan, store, force=True))


def test_a_disk_that_is_too_small_is_known_before_anything_is_written(tmp_path: Path) -> None:
    class Huge(Made):
        def shape(self, video: str) -> tuple[int, int]:
            return 10**12, 1024

    refused(
        r"the store needs 4096000\.0 GB, and the disk has",
        lambda: write_store(plan_store(Huge({"v": np.ones((1, 1), np.float32)}), "made"), tmp_path / "store"),
    )
    assert list((tmp_path / "store").iterdir()) == []


@pytest.mark.parametrize(
    ("rows", "free", "told"),
    [
        (59, 42, "needs 708 bytes, and the disk has 42 bytes left"),
        (1667, 0, r"needs 20\.0 kB, and the disk has 0 bytes left"),
        (10**6, 7_000_000, r"needs 12\.0 MB, and the disk has 7\.0 MB left"),
        (2 * 10**8, 1_200_000_000, r"needs 2\.4 GB, and the disk has 1\.2 GB left"),
    ],
)
def test_what_a_disk_lacks_is_told_in_a_unit_that_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, free: int, told: str
) -> None:
    class Long(Made):
        def shape(self, video: str) -> tuple[int, int]:
            return rows, 3

    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    plan = plan_store(Long({"v": np.ones((1, 3), np.float32)}), "made")
    refused(told, lambda: write_store(plan, tmp_path / "store"))


def test_a_folder_that_cannot_be_written_is_one_line(clips: Arrays, tmp_path: Path) -> None:
    refused(r"cannot be written \(No such file or directory\)", lambda: written(clips, tmp_path / "absent" / "store"))


@pytest.mark.parametrize(
    ("arrays", "videos", "message"),
    [
        ({}, None, "there is no video to convert"),
        ({"a": (2, 3)}, [], "there is no video to convert"),
        ({"a": (2, 3)}, ["a", "z"], r'1 of 2 wanted videos are not there: z; it holds videos such as "a"'),
        ({"a": (2, 3), "b": (2, 4)}, None, r'video "b" has 4 columns, "a" has 3'),
        ({"a.x": (2, 3), "a.y": (2, 3)}, None, r'"a\.x" and "a\.y" would both be "a"'),
    ],
)
def test_what_makes_no_store_is_refused(
    arrays: dict[str, tuple[int, int]], videos: list[str] | None, message: str
) -> None:
    source = Made({video: np.ones(shape, dtype=np.float32) for video, shape in arrays.items()})
    refused(message, lambda: plan_store(source, "made", videos, rename=lambda name: name.split(".")[0]))


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def _lengthen(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"0")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_cut, r"features\.npy: cannot be read \(mmap length"),
        (_lengthen, r"holds \(59, 3\) of float32 in 837 bytes, and the index describes \(59, 3\) of float32 in 836;"),
        (Path.unlink, r"features\.npy: cannot be read \(.*No such file"),
        (lambda file: file.write_bytes(b""), r"features\.npy: cannot be read"),
        (lambda file: np.save(file, np.ones((59, 4), "f4")), r"holds \(59, 4\) of float32"),
        (lambda file: np.save(file, np.ones((59, 3), "f2")), r"holds \(59, 3\) of float16"),
        (lambda file: np.save(file, np.ones((3, 59), "f4").T), r"holds \(59, 3\) of float32"),
    ],
)
def test_an_array_that_contradicts_the_index_is_one_line(
    store: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(store / FEATURES)
    refused(message, lambda: open_features(store))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "nlvl feature store 1"}, 'does not say schema = "nlvl feature store 2", so this is no store or'),
        ({"dtype": "int8"}, "dtype must be one of float32, float16"),
        ({"dtype": []}, "dtype must be one of float32, float16"),
        ({"width": 0}, "rows and width must be whole numbers above 0"),
        ({"rows": True}, "rows and width must be whole numbers above 0"),
        ({"rows": 58}, "its videos have 59 rows together, but rows = 58"),
        ({"clip_s": -1}, "clip_s must be a number of seconds above 0, or null"),
        ({"clip_s": float("nan")}, "clip_s must be a number"),
        ({"origin": 3}, "origin must be what the features are called"),
        ({"origin": ""}, "origin must be what the features are called"),
        ({"origin": None}, "origin must be what the features are called"),
        ({"videos": {"v" * 100: [0, 3]}}, r'video "v{57}\.\.\." must be'),
        ({"videos": {"v" * 100: [1, 3, 1]}}, r'video "v{57}\.\.\." must have a row'),
        ({"videos": {}}, "videos must be an object with at least one video"),
        ({"videos": {"a": [0, 3]}}, r'video "a" must be \[first row, rows, crc32\]'),
        ({"videos": {"a": [0, 3.0, 1]}}, r'video "a" must be \[first row, rows, crc32\]'),
        ({"videos": {"a": [0, 3, 1], "b": [2, 57, 1]}}, 'video "b" must have a row at least and begin at row 3'),
        ({"videos": {"a": [0, 0, 1]}}, 'video "a" must have a row at least'),
    ],
)
def test_an_index_that_breaks_a_rule_is_one_line(store: Path, change: dict[str, object], message: str) -> None:
    index = json.loads((store / INDEX).read_text())
    (store / INDEX).write_text(json.dumps({**index, **change}))
    refused(rf"index\.json: {message}.*; copy or write the store again", lambda: open_features(store))


@pytest.mark.parametrize("spoiled", [b"", b"{", b"[]", b"\xff\xfe", b'{"schema": 1}', b"[" * 100_000])
def test_an_index_that_is_no_index_is_one_line(store: Path, spoiled: bytes) -> None:
    (store / INDEX).write_bytes(spoiled)
    refused(r"index\.json: ", lambda: open_features(store))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2000), st.integers(0, 255), st.sampled_from([FEATURES, INDEX]))
def test_a_changed_byte_is_refused_or_leaves_rows_that_are_finite(
    clips: Arrays, tmp_path_factory: pytest.TempPathFactory, at: int, byte: int, name: str
) -> None:
    folder = tmp_path_factory.mktemp("damaged") / "store"
    written(clips, folder)
    damaged = bytearray((folder / name).read_bytes())
    damaged[at % len(damaged)] = byte
    (folder / name).write_bytes(damaged)
    told = ""
    try:
        source = open_features(folder)
        for video in source.videos():
            assert np.isfinite(source.read(video)).all()
    except DataError as error:
        told = str(error)
    assert "\n" not in told
    assert told == "" or str(folder) in told


@pytest.mark.parametrize(
    "line", [b"{}", b"[", b"[]", b'["z", 0, 3, 1]', b'["a", 1, 3, 1]', b'["a", 0, 3]', b"[[], 0, 3, 1]", b"\xff"]
)
def test_a_damaged_journal_is_one_line_with_its_number(clips: Arrays, tmp_path: Path, line: bytes) -> None:
    interrupted(clips, tmp_path / "store", 2)
    journal = tmp_path / "store" / JOURNAL
    journal.write_bytes(journal.read_bytes() + line + b"\n")
    refused(r"index\.jsonl:4: is damaged; add --force", lambda: written(clips, tmp_path / "store"))


def test_a_folder_of_files_with_an_index_of_its_own_is_no_store(clips: Arrays, tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text("{}")
    np.save(tmp_path / "a.npy", clips["a"])
    assert open_features(tmp_path).videos() == {"a"}


def test_an_absent_video_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    written({"v_abcdef": np.ones((1, 1), np.float32)}, tmp_path / "store")
    refused(
        r'has no video "v_abcdeg" among its 1\. Did you mean "v_abcdef"\?',
        lambda: open_features(tmp_path / "store").read("v_abcdeg"),
    )


def test_progress_sees_every_video_of_every_stage(clips: Arrays, tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    def progress(videos: object, what: str) -> Iterator[str]:
        for video in videos:  # type: ignore[attr-defined]
            seen.append((what, video))
            yield video

    plan = plan_store(Made(clips), "made", progress=progress)
    write_store(plan, tmp_path / "store", progress=progress)
    assert seen == [(what, video) for what in ("looking at headers", "converting", "verifying") for video in "abcdef"]


@pytest.fixture
def npy(clips: Arrays, tmp_path: Path) -> Path:
    """A folder that a test may change."""
    (tmp_path / "i3d_0.64").mkdir()
    for video, values in clips.items():
        np.save(tmp_path / "i3d_0.64" / f"{video}.npy", values)
    return tmp_path / "i3d_0.64"


def converted(path: Path, folder: Path, **options: object) -> Written | None:
    return write_store(plan_store(open_features(path), str(path)), folder, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", ["later", "longer"])
@pytest.mark.parametrize("finished", [True, False])
def test_a_source_that_has_changed_since_is_not_taken_for_the_old_one(
    npy: Path, clips: Arrays, tmp_path: Path, change: str, finished: bool
) -> None:
    store = tmp_path / "store"
    if finished:
        converted(npy, store)
        assert converted(npy, store) is None
    else:
        with pytest.raises(KeyboardInterrupt):
            write_store(plan_store(Made(clips, 2, KeyboardInterrupt), str(npy)), store)
    known = (npy / "b.npy").stat()
    # Of the same shape, type and values: what a file says of its numbers is all the same.
    np.save(npy / "b.npy", clips["b"] if change == "later" else clips["b"].astype(np.float64))
    later = known.st_mtime_ns + (10**9 if change == "later" else 0)
    os.utime(npy / "b.npy", ns=(later, later))
    refused("the source has changed since it was written or begun.*--force", lambda: converted(npy, store))
    assert converted(npy, store, force=True) is not None
    assert converted(npy, store) is None


def test_what_the_system_puts_into_a_folder_is_no_change_and_no_obstacle(npy: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / ".DS_Store").write_bytes(b"Bud1")
    converted(npy, store)
    for folder in (npy, store):
        (folder / ".DS_Store").write_bytes(b"Bud1")
        for file in list(folder.glob("*.npy")):
            (folder / f"._{file.name}").write_bytes(b"\0\5\x16\7")
    assert is_store(store)
    assert open_features(store).videos() == open_features(npy).videos() == set("abcdef")
    assert converted(npy, store) is None
    assert converted(npy, store, force=True) is not None


def test_a_store_that_lost_its_index_is_no_video(store: Path, tmp_path: Path) -> None:
    (store / INDEX).unlink()
    refused(r"holds features\.npy alone, as a store whose index\.json is absent; copy", lambda: open_features(store))
    assert open_features(store / FEATURES).videos() == {"features"}
    np.save(store / "other.npy", np.ones((1, 3), np.float32))
    assert open_features(store).videos() == {"features", "other"}


def test_two_folders_whose_names_hold_dots_are_told_apart(npy: Path) -> None:
    other = npy.rename(npy.with_name("i3d_0.32"))
    assert open_features(other).origin == "i3d_0.32"


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("i3d.hdf5", "i3d"),
        ("i3d_0.64.h5", "i3d_0.64"),
        ("features/v.npy", "v"),
        ("v.npz", "v"),
        ("i3d_0.64", "i3d_0.64"),
        ("i3d.v2", "i3d.v2"),
        ("i3d/", "i3d"),
    ],
)
def test_features_are_called_as_their_file_less_its_ending(clips: Arrays, path: str, origin: str) -> None:
    source = Made(clips)
    source.name = path
    assert source.origin == origin


def test_a_folder_keeps_its_ending_and_one_named_by_dots_has_its_own_name(
    npy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = npy.rename(npy.with_name("i3d.npy"))
    assert open_features(folder).origin == "i3d.npy"
    monkeypatch.chdir(folder)
    assert open_features(Path(".")).origin == "i3d.npy"
    (folder / "inner").mkdir()
    monkeypatch.chdir(folder / "inner")
    assert open_features(Path("..")).origin == "i3d.npy"


def test_a_store_of_a_store_is_called_as_the_first_source(npy: Path, tmp_path: Path) -> None:
    for path, folder in ((npy, "first"), (tmp_path / "first", "second"), (tmp_path / "second", "third")):
        converted(path, tmp_path / folder)
    assert open_features(tmp_path / "third").origin == "i3d_0.64"


def test_a_link_gives_its_own_name(npy: Path, tmp_path: Path) -> None:
    (tmp_path / "slowfast").symlink_to(npy)
    converted(tmp_path / "slowfast", tmp_path / "store")
    assert open_features(tmp_path / "store").origin == open_features(tmp_path / "slowfast").origin == "slowfast"
    assert json.loads((tmp_path / "store" / INDEX).read_text())["source"] == str(npy.resolve())


def test_the_seconds_of_a_row_can_be_said_later_and_not_changed(clips: Arrays, tmp_path: Path) -> None:
    folder = tmp_path / "store"

    def stated(clip_s: float, patience: int | None = None) -> Written | None:
        return write_store(plan_store(Made(clips, patience), "made", clip_s=clip_s), folder)

    interrupted(clips, folder, 2)
    done = stated(0.5)
    assert done is not None
    assert done.resumed == 2
    whole = content(folder)
    written(clips, folder, force=True)
    assert content(folder) != whole
    assert stated(0.5, 0) is None
    assert content(folder) == whole
    source = open_features(folder)
    assert isinstance(source, StoreFeatures)
    assert source.clip_s == 0.5
    refused(r"another clip_s \(0\.5, now 2\)", lambda: stated(2))


def test_a_second_conversion_is_refused_while_the_first_is_at_work(clips: Arrays, tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="this system has no locks that end with their program")
    folder = tmp_path / "store"
    told: list[str] = []

    class Contended(Made):
        def read(self, video: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
            for force in (False, True):
                with pytest.raises(DataError) as caught:
                    written(clips, folder, force=force)
                told.append(str(caught.value))
            return super().read(video, start, stop)

    assert write_store(plan_store(Contended(clips), "made"), folder) is not None
    assert len(told) == 2 * 2 * len(clips)
    assert set(told) == {
        f"{folder}: is being written by another program; wait until that has ended, or name another folder"
    }
    assert written(clips, folder) is None
