"""DiDeMo: the field's counts on the real files, which annotators are learned from, and one line for each mistake."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.dataset import Query
from framework.errors import DataError
from plugins.datasets.didemo import Didemo, DidemoOptions, learned

FINE = {
    "num_segments": 6,
    "description": "the man briefly bends over the machine",
    "dl_link": "https://example.org",
    "times": [[1, 1], [1, 1], [1, 2], [0, 0]],
    "video": "35034348999@N01_6060447507_dc1a90b8ef.mov",
    "annotation_id": 49152,
}


def write(folder: Path, content: Any, **options: Any) -> Didemo:
    """A folder with the same content for every split; text is written as it is."""
    for split in Didemo.splits:
        (folder / f"{split}_data.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return Didemo(DidemoOptions(**options), folder)


@pytest.fixture(scope="module")
def real(shared: Path) -> Didemo:
    return Didemo(DidemoOptions(annotations="didemo"), shared / "data")


@pytest.mark.parametrize(
    ("split", "queries", "videos", "annotators", "short"),
    [("val", 4180, 1094, {4: 4165, 7: 15}, 723), ("test", 4021, 1037, {4: 4009, 5: 1, 7: 11}, 473)],
)
def test_the_real_files_are_read_as_written(
    real: Didemo, split: str, queries: int, videos: int, annotators: dict[int, int], short: int
) -> None:
    found = real.queries(split)
    written = json.loads((real.folder / f"{split}_data.json").read_text())
    assert (len(found), len({query.video for query in found})) == (queries, videos)
    assert Counter(len(query.moments) for query in found) == annotators
    assert sum(record["num_segments"] == 5 for record in written) == short
    assert {query.duration for query in found} == {30.0}
    for query, record in zip(found, written, strict=True):
        assert (query.id, query.video, query.text) == (
            record["annotation_id"],
            record["video"],
            record["description"].strip(),
        )
        assert [moment[:2] for moment in query.moments] == [(5.0 * a, 5.0 * b + 5.0) for a, b in record["times"]]


@pytest.mark.parametrize(("split", "most"), [("val", {1: 3851, 2: 327, 3: 2}), ("test", {1: 3704, 2: 317})])
def test_every_real_query_has_a_segment_that_two_annotators_chose(
    real: Didemo, split: str, most: dict[int, int]
) -> None:
    """Numbers of such segments a query, counted here from the file."""
    written = json.loads((real.folder / f"{split}_data.json").read_text())
    agreed = [{pair for pair, n in Counter(map(tuple, each["times"])).items() if n > 1} for each in written]
    assert Counter(map(len, agreed)) == most
    for query, wanted in zip(real.queries(split), agreed, strict=True):
        seen = [(start / 5, end / 5 - 1) for start, end, weight in query.moments if weight]
        assert len(seen) == len(set(seen))
        assert set(seen) == wanted


def test_ids_of_all_real_queries_differ(real: Didemo) -> None:
    ids = [query.id for split in ("val", "test") for query in real.queries(split)]
    assert len(set(ids)) == len(ids) == 4180 + 4021
    assert (real.train, real.validation, real.rated_clip_s) == ("train", "val", None)


def test_the_training_file_that_is_not_there_keeps_nobody_from_scoring(real: Didemo) -> None:
    if (real.folder / "train_data.json").exists():
        pytest.skip("the training file is there")
    assert real.missing(["val", "test"]) == []
    (line,) = real.missing()
    assert line.startswith(f"{real.folder / 'train_data.json'}: not found. ")
    assert "https://" in line
    assert len(real.fingerprint()) == 64


SEGMENTS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5)).map(lambda pair: (min(pair), max(pair))), min_size=1, max_size=8
)


@given(SEGMENTS, st.integers(1, 4))
@settings(deadline=None, max_examples=200)
def test_each_segment_that_enough_annotators_chose_is_learned_from_once(
    segments: list[tuple[int, int]], agree: int
) -> None:
    weights = learned(segments, agree)
    chosen = [segment for segment, weight in zip(segments, weights, strict=True) if weight]
    counts = Counter(segments)
    enough = {segment for segment, count in counts.items() if count >= agree}
    most = {segment for segment, count in counts.items() if count == max(counts.values())}
    assert set(weights) <= {0.0, 1.0}
    assert len(chosen) == len(set(chosen))
    assert set(chosen) == (enough or most)


@pytest.mark.parametrize(("agree", "weights"), [(1, (1, 0, 1, 1)), (2, (1, 0, 0, 0)), (3, (1, 0, 0, 0))])
def test_the_option_agree_says_how_many_must_have_chosen_a_segment(
    tmp_path: Path, agree: int, weights: tuple[int, ...]
) -> None:
    (query,) = write(tmp_path, [FINE], agree=agree).queries("train")
    assert query == Query(
        49152,
        "the man briefly bends over the machine",
        "35034348999@N01_6060447507_dc1a90b8ef.mov",
        30.0,
        tuple(
            (start, end, float(weight))
            for (start, end), weight in zip([(5.0, 10.0), (5.0, 10.0), (5.0, 15.0), (0.0, 5.0)], weights, strict=True)
        ),
        f"{tmp_path / 'train_data.json'} [0] annotation_id 49152",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotation_id": "49153"}, ' annotation_id = "49153": must be a whole number'),
        ({"annotation_id": True}, " annotation_id = true: must be a whole number"),
        ({"annotation_id": 49152}, " annotation_id = 49152: is that of "),
        ({"description": ""}, ' annotation_id 7 description = "": must be a text that says something'),
        ({"video": None}, " annotation_id 7 video = null: must be a text"),
        ({"num_segments": 7}, " annotation_id 7 num_segments = 7: must be a whole number, 1 to 6"),
        ({"num_segments": 6.0}, " annotation_id 7 num_segments = 6.0: must be a whole number"),
        ({"times": []}, " annotation_id 7 times = []: must have a segment at least"),
        ({"times": "1 1"}, ' annotation_id 7 times = "1 1": must be a list'),
        (
            {"times": [[1, 1], [2, 1]]},
            " times[1] = [2, 1]: must be [first, last] with whole numbers 0 <= first <= last",
        ),
        ({"times": [[5, 6]]}, " times[0] = [5, 6]: must be [first, last] with whole numbers 0 <= first <= last < 6"),
        ({"times": [[5, 5]], "num_segments": 5}, " times[0] = [5, 5]: must be [first, last] with whole numbers"),
        ({"times": [[-1, 0]]}, " times[0] = [-1, 0]: must be [first, last]"),
        ({"times": [[0, 10**400]]}, " times[0] = [0, 1000"),
        ({"times": [[0, 1.0]]}, " times[0] = [0, 1.0]: must be [first, last]"),
        ({"times": [[0, False]]}, " times[0] = [0, false]: must be [first, last]"),
        ({"times": [3]}, " times[0] = 3: must be [first, last]"),
        ({"times": [[1, 2, 3]]}, " times[0] = [1, 2, 3]: must be [first, last]"),
    ],
)
def test_a_malformed_record_is_one_message_with_file_and_place(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    data = write(tmp_path, [FINE, {**FINE, "annotation_id": 7, **change}])
    with pytest.raises(DataError) as caught:
        data.queries("val")
    assert str(caught.value).startswith(f"{tmp_path / 'val_data.json'} [1]")
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("key", [key for key in FINE if key != "dl_link"])
def test_an_absent_key_is_named(tmp_path: Path, key: str) -> None:
    data = write(tmp_path, [{name: value for name, value in FINE.items() if name != key}])
    with pytest.raises(DataError, match=rf'test_data.json \[0\].*: has no "{key}", which every record needs'):
        data.queries("test")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("{}", r":1: must be one JSON list, \[...\]; got {}"),
        ("[]", "no query in this split"),
        ("[3]", r" \[0\] = 3: must be an object"),
        ("[[]]", r" \[0\] = \[\]: must be an object"),
        ('[{"a": 1, "a": 2}]', '"a" is there twice'),
        ('[{"times": [[NaN, 1]]}]', "NaN is no number of JSON"),
        ('[{"video": "\\ud83d"}]', "is half of a character"),
        ("[\n{},\n", ":3: not JSON"),
        ("[" * 100000, "not JSON"),
    ],
)
def test_a_file_of_another_form_is_one_message(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=f"train_data.json{message}|train_data.json.*{message}") as caught:
        write(tmp_path, content).queries("train")
    assert str(caught.value).isprintable()


def test_a_byte_order_mark_is_no_part_of_the_list_and_other_bytes_are_told(tmp_path: Path) -> None:
    data = write(tmp_path, [FINE])
    path = tmp_path / "val_data.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(data.queries("val")) == 1
    (tmp_path / "test_data.json").write_bytes(b"\xff\xfe[]")
    with pytest.raises(DataError, match=r"test_data.json:1: byte 0xff is not UTF-8"):
        data.queries("test")


def test_the_fingerprint_changes_with_any_file_and_a_wrong_split_is_refused(tmp_path: Path) -> None:
    data = write(tmp_path, [FINE])
    found = {data.fingerprint()}
    for path in sorted(tmp_path.iterdir()):
        path.write_text(path.read_text() + " ")
        found.add(data.fingerprint())
    assert len(found) == 4
    with pytest.raises(DataError, match='split "validation": must be one of train, val, test'):
        data.queries("validation")
