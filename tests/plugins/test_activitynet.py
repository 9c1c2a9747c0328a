"""ActivityNet Captions: the field's counts on the real files, and one clear line for every malformed record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.dataset import Query
from framework.errors import DataError
from plugins.datasets.activitynet import ActivityNet
from plugins.datasets.timed_sentences import TimedSentencesOptions

FINE = {"duration": 55.15, "timestamps": [[0.28, 55.15]], "sentences": ["A weight lifting tutorial is given."]}


def write(folder: Path, content: Any) -> ActivityNet:
    """A folder with the same content for every split; text is written as it is."""
    for split in ActivityNet.splits:
        (folder / f"{split}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return ActivityNet(TimedSentencesOptions(), folder)


@pytest.fixture(scope="module")
def real(shared: Path) -> ActivityNet:
    return ActivityNet(TimedSentencesOptions(annotations="activitynet"), shared / "data")


@pytest.mark.parametrize(
    ("split", "pairs", "kept", "videos", "clamped"),
    [("train", 37421, 37417, 10009, 261), ("val", 17505, 17505, 4917, 134), ("test", 17031, 17031, 4885, 111)],
)
def test_the_real_files_give_the_counts_of_the_official_loader(
    real: ActivityNet, split: str, pairs: int, kept: int, videos: int, clamped: int
) -> None:
    """Counts: MS-2D-TAN's loader, run on these files. Moments: an own reading of its rule."""
    found = real.queries(split)
    assert (len(found), len({query.video for query in found}), len(real.dropped(split))) == (kept, videos, pairs - kept)
    written = json.loads((real.folder / f"{split}.json").read_text())
    assert sum(end > each["duration"] for each in written.values() for _, end in each["timestamps"]) == clamped
    expected = [
        (video, each["duration"], max(start, 0), min(end, each["duration"]), sentence.strip())
        for video, each in written.items()
        for (start, end), sentence in zip(each["timestamps"], each["sentences"], strict=True)
        if start < end
    ]
    assert [(q.video, q.duration, *q.moments[0][:2], q.text) for q in found] == expected
    assert all(query.moments[0][2] == 1.0 for query in found)


def test_the_dropped_moments_are_those_that_are_empty_or_reversed_as_written(real: ActivityNet) -> None:
    places = [place.partition(" ")[2] for place, _ in real.dropped("train")]
    assert places == [
        '["v_N7ppHQNikv8"] timestamps[2]',
        '["v_4rKTw99bM8g"] timestamps[1]',
        '["v_0bosp4-pyTM"] timestamps[3]',
        '["v_rhOtqArO-3Y"] timestamps[5]',
    ]


def test_ids_of_all_real_queries_differ_though_two_splits_ask_of_the_same_videos(real: ActivityNet) -> None:
    assert {query.video for query in real.queries("test")} < {query.video for query in real.queries("val")}
    ids = [query.id for split in real.splits for query in real.queries(split)]
    assert len(set(ids)) == len(ids) == 37417 + 17505 + 17031


def test_a_query_is_named_by_its_video_and_its_place_there(real: ActivityNet) -> None:
    wanted = "v_uqiMw7tQ1Cc"
    first = next(query for query in real.queries("val") if query.video == wanted)
    assert (first.id, first.text, first.duration) == (f"{wanted}_0", "A weight lifting tutorial is given.", 55.15)
    assert first.moments == ((0.28, 55.15, 1.0),)
    assert first.place.endswith(f'val.json ["{wanted}"] timestamps[0]')
    assert next(query.id for query in real.queries("test") if query.video == wanted) == f"{wanted}_test_0"
    # The third of this video's moments is dropped; those behind it keep their places.
    ids = [query.id for query in real.queries("train") if query.video == "v_N7ppHQNikv8"]
    assert [str(name).rpartition("_")[2] for name in ids][:3] == ["0", "1", "3"]


def test_the_real_folder_lacks_nothing(real: ActivityNet) -> None:
    assert real.missing() == []
    assert (real.train, real.validation, real.rated_clip_s, real.features()) == ("train", "val", None, None)


TIMES = st.floats(-5, 25, allow_nan=False)


@given(st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=6))
@settings(deadline=None, max_examples=60)
def test_a_moment_is_dropped_if_empty_as_written_and_clipped_to_the_video_otherwise(
    tmp_path_factory: pytest.TempPathFactory, moments: list[tuple[float, float]]
) -> None:
    folder = tmp_path_factory.mktemp("activitynet")
    data = write(
        folder, {"v_a": {"duration": 20, "timestamps": moments, "sentences": ["  One lifts. "] * len(moments)}}
    )
    kept = [(n, max(s, 0.0), min(e, 20.0)) for n, (s, e) in enumerate(moments) if s < e and s < 20 and e > 0]
    if not kept:
        with pytest.raises(DataError, match="no query left"):
            data.queries("train")
        return
    place = f'{folder / "train.json"} ["v_a"] timestamps'
    assert data.queries("train") == [
        Query(f"v_a_{n}", "One lifts.", "v_a", 20.0, ((start, end, 1.0),), f"{place}[{n}]") for n, start, end in kept
    ]
    assert len(data.dropped("train")) == len(moments) - len(kept)
    assert all("holds nothing of a video of 20 s" in reason for _, reason in data.dropped("train"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"duration": 0}, "duration = 0: must be a number above 0"),
        ({"duration": "55"}, 'duration = "55": must be a number above 0'),
        ({"duration": 55150000}, "duration = 55150000: must be seconds, at most 1e+06"),
        ({"duration": 10**400}, "duration = 1000"),
        ({"duration": [[]]}, "duration = [[]]: must be a number above 0"),
        ({"timestamps": [[0.28, None]]}, "timestamps[0][1] = null: must be a number"),
        ({"timestamps": {"0": 1}}, 'timestamps = {"0": 1}: must be a list'),
        ({"timestamps": []}, "has 0 timestamps and 1 sentences"),
        ({"sentences": [" "]}, 'sentences[0] = " ": must be a text that says something'),
        ({"sentences": [["A"]]}, 'sentences[0] = ["A"]: must be a text'),
    ],
)
def test_a_malformed_record_is_one_message_with_file_and_video(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    data = write(tmp_path, {"v_a": FINE, "v_b": {**FINE, **change}})
    with pytest.raises(DataError) as caught:
        data.queries("test")
    assert str(caught.value).startswith(f'{tmp_path / "test.json"} ["v_b"]')
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("key", list(FINE))
def test_an_absent_key_is_named(tmp_path: Path, key: str) -> None:
    data = write(tmp_path, {"v_a": {name: value for name, value in FINE.items() if name != key}})
    with pytest.raises(DataError, match=f'has no "{key}", which every record needs'):
        data.queries("val")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "train.json:1: is empty"),
        ('{"v_a": ', "train.json:1: not JSON"),
        ("[{}]", "train.json:1: must be one JSON object"),
        ('{"v_a": {"duration": 1, "duration": 2}}', '"duration" is there twice'),
        ('{"v_a": {"duration": -Infinity}}', "-Infinity is no number of JSON"),
        ('{"v_a": {"sentences": ["\\udc00"]}}', "is half of a character"),
        ('{"v_a": []}', r'\["v_a"\]: must be an object'),
        ("[" * 100000, "not JSON"),
        ('{"v_a": ' + "[" * 400 + "]" * 400 + "}", "must be an object"),
    ],
)
def test_a_file_of_another_form_is_one_message(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        write(tmp_path, content).queries("train")
    assert str(caught.value).isprintable()


def test_a_folder_in_place_of_a_file_and_a_link_to_nowhere_are_told(tmp_path: Path) -> None:
    (tmp_path / "train.json").mkdir()
    (tmp_path / "val.json").symlink_to(tmp_path / "val.json")
    data = ActivityNet(TimedSentencesOptions(), tmp_path)
    assert [line.partition(": not found")[0] for line in data.missing()] == [
        str(tmp_path / f"{split}.json") for split in data.splits
    ]
    for split in data.splits:
        with pytest.raises(DataError, match=f"{split}.json: cannot be read .*https://"):
            data.queries(split)
