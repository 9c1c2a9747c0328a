"""TACoS: the field's counts on the real files, and one clear line for every malformed record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.dataset import Query
from framework.errors import DataError
from plugins.datasets.tacos import Tacos
from plugins.datasets.timed_sentences import TimedSentencesOptions

FINE = {"timestamps": [[10, 20]], "sentences": ["He cuts it"], "fps": 10, "num_frames": 100}


def write(folder: Path, content: Any) -> Tacos:
    """A folder with the same content for every split; text is written as it is."""
    for split in Tacos.splits:
        (folder / f"{split}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return Tacos(TimedSentencesOptions(), folder)


@pytest.fixture(scope="module")
def real(shared: Path) -> Tacos:
    return Tacos(TimedSentencesOptions(annotations="tacos"), shared / "data")


@pytest.mark.parametrize(
    ("split", "queries", "videos", "clamped"), [("train", 9790, 75, 43), ("val", 4436, 27, 0), ("test", 4001, 25, 5)]
)
def test_the_real_files_give_the_counts_of_the_official_loader(
    real: Tacos, split: str, queries: int, videos: int, clamped: int
) -> None:
    """Counts: MS-2D-TAN's loader, run on these files, which drops nothing."""
    found = real.queries(split)
    assert (len(found), len({query.video for query in found})) == (queries, videos)
    assert real.dropped(split) == []
    written = json.loads((real.folder / f"{split}.json").read_text())
    assert sum(end > each["num_frames"] for each in written.values() for _, end in each["timestamps"]) == clamped
    assert all(0 <= start < end <= query.duration for query in found for start, end, _ in query.moments)
    assert not any(query.text != query.text.strip() for query in found)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_real_moment_is_its_frames_over_the_frames_a_second(real: Tacos, split: str) -> None:
    written = json.loads((real.folder / f"{split}.json").read_text())
    expected = [
        (name.removesuffix(".avi"), frames["num_frames"] / frames["fps"], start / frames["fps"], text.strip())
        for name, frames in written.items()
        for (start, _), text in zip(frames["timestamps"], frames["sentences"], strict=True)
    ]
    ends = [min(end, each["num_frames"]) / each["fps"] for each in written.values() for _, end in each["timestamps"]]
    found = real.queries(split)
    assert [(query.video, query.duration, query.moments[0][0], query.text) for query in found] == expected
    assert [query.moments[0][1] for query in found] == ends


def test_the_first_real_test_query_is_that_of_the_detr_family(real: Tacos) -> None:
    """Id, duration and moment as the QVHighlights form of TACoS has them."""
    first = real.queries("test")[0]
    assert (first.id, first.text, first.video) == ("s30-d52_0", "She took out kiwi", "s30-d52")
    assert first.duration == 249.8639455782313
    assert first.moments == ((4.795918367346939, 12.040816326530614, 1.0),)
    assert first.saliency is None
    assert first.place.endswith('test.json ["s30-d52.avi"] timestamps[0]')


def test_ids_of_all_real_queries_differ(real: Tacos) -> None:
    ids = [query.id for split in real.splits for query in real.queries(split)]
    assert len(set(ids)) == len(ids) == 9790 + 4436 + 4001


def test_the_real_folder_lacks_nothing_and_its_fingerprint_is_stable(real: Tacos, shared: Path) -> None:
    assert real.missing() == []
    assert Tacos(TimedSentencesOptions(), shared / "data" / "tacos").fingerprint() == real.fingerprint()
    assert (real.train, real.validation, real.features()) == ("train", "val", None)


@given(st.lists(st.tuples(st.integers(-20, 120), st.integers(-20, 120)), min_size=1, max_size=6))
@settings(deadline=None, max_examples=60)
def test_a_moment_is_dropped_if_empty_as_written_and_clipped_to_the_video_otherwise(
    tmp_path_factory: pytest.TempPathFactory, moments: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("tacos")
    record = {**FINE, "timestamps": moments, "sentences": [" He cuts it "] * len(moments)}
    data = write(folder, {"a.b.avi": record})
    kept = [(n, s, e) for n, (s, e) in enumerate(moments) if s < e and s < 100 and e > 0]
    if not kept:
        with pytest.raises(DataError, match="no query left"):
            data.queries("train")
        return
    queries, dropped = data.queries("train"), data.dropped("train")
    assert queries == [
        Query(
            f"a.b_{n}",
            "He cuts it",
            "a.b",
            10.0,
            ((max(start, 0) / 10, min(end, 100) / 10, 1.0),),
            f'{folder / "train.json"} ["a.b.avi"] timestamps[{n}]',
        )
        for n, start, end in kept
    ]
    assert len(dropped) == len(moments) - len(kept)
    assert all("holds nothing of a video of 100 frames" in reason for _, reason in dropped)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"timestamps": [[10]]}, "timestamps[0] = [10]: must be [start, end]"),
        ({"timestamps": [[10, "20"]]}, 'timestamps[0][1] = "20": must be a number'),
        ({"timestamps": [[10, 10**400]]}, "timestamps[0][1] = 1000"),
        ({"timestamps": [[True, 20]]}, "timestamps[0][0] = true: must be a number"),
        ({"timestamps": [[10, 20], [30, 40]]}, "has 2 timestamps and 1 sentences"),
        ({"timestamps": 3}, "timestamps = 3: must be a list"),
        ({"sentences": [" . "]}, 'sentences[0] = " . ": must be a text that says something'),
        ({"sentences": [7]}, "sentences[0] = 7: must be a text"),
        ({"fps": 0}, "fps = 0: must be a number above 0"),
        ({"fps": None}, "fps = null: must be a number above 0"),
        ({"num_frames": -1}, "num_frames = -1: must be a number above 0"),
        ({"num_frames": 1e300, "fps": 1e-300}, "num_frames / fps = Infinity: must be a number above 0"),
        ({"num_frames": 10**9}, "num_frames / fps = 100000000.0: must be seconds, at most 1e+06"),
        ({"num_frames": 1e-300, "fps": 1e300}, "num_frames / fps = 0.0: must be a number above 0"),
    ],
)
def test_a_malformed_record_is_one_message_with_file_and_video(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    data = write(tmp_path, {"a.avi": FINE, "b.avi": {**FINE, **change}})
    with pytest.raises(DataError) as caught:
        data.queries("val")
    assert str(caught.value).startswith(f'{tmp_path / "val.json"} ["b.avi"]')
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


def test_an_absent_key_is_named_with_its_nearest(tmp_path: Path) -> None:
    record = {key: value for key, value in FINE.items() if key != "num_frames"} | {"num_frame": 3}
    with pytest.raises(DataError, match=r'has no "num_frames".*Did you mean "num_frame"\?'):
        write(tmp_path, {"a.avi": record}).queries("train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a.avi": {\n"fps": ,}}', "train.json:2: not JSON"),
        ("[]", "train.json:1: must be one JSON object"),
        ("", "train.json:1: is empty"),
        ('{"a.avi": {}, "a.avi": {}}', '"a.avi" is there twice'),
        ('{"a.avi": {"fps": NaN}}', "NaN is no number of JSON"),
        ('{"a.avi": 3}', r'\["a.avi"\]: must be an object with timestamps'),
        ("{}", "no query left of this split"),
        ('{"\\ud800": 3}', r'"\\ud800" is half of a character'),
        ('{"a\\n\\u2028b.avi": 3}', r'\["a\\n\\u2028b.avi"\]: must be an object'),
        ("[" * 5000, "not JSON"),
        (json.dumps({"a.avi": FINE, "a.mp4": FINE}), r'\["a.mp4"\]: is the video "a" of .*\["a.avi"\] again'),
    ],
)
def test_a_file_of_another_form_is_one_message(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        write(tmp_path, content).queries("train")
    assert str(caught.value).isprintable()


def test_files_that_are_not_there_are_listed_with_where_to_get_them(tmp_path: Path) -> None:
    data = Tacos(TimedSentencesOptions(), tmp_path)
    assert [Path(line.split(": not found")[0]).name for line in data.missing()] == [
        "train.json",
        "val.json",
        "test.json",
    ]
    assert all("https://" in line for line in data.missing())
    assert data.missing(["val"]) == data.missing()[1:2]
    with pytest.raises(DataError, match=r"cannot be read .*https://"):
        data.queries("test")


def test_bytes_that_are_not_utf8_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_bytes(b'{\n"caf\xe9": {}}')
    with pytest.raises(DataError, match=r"train.json:2: byte 0xe9 is not UTF-8"):
        Tacos(TimedSentencesOptions(), tmp_path).queries("train")


def test_the_fingerprint_changes_with_any_file_and_a_wrong_split_is_refused(tmp_path: Path) -> None:
    data = write(tmp_path, {"a.avi": FINE})
    found = {data.fingerprint()}
    for split in data.splits:
        path = tmp_path / f"{split}.json"
        path.write_text(path.read_text() + " ")
        found.add(data.fingerprint())
    assert len(found) == 4
    with pytest.raises(DataError, match='split "validation": must be one of train, val, test'):
        data.queries("validation")
