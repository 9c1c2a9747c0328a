"""QVHighlights: the release's counts on the real files, and one clear line for every malformed one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.dataset import Query
from framework.errors import DataError
from plugins.datasets.qvhighlights import TEST_LABELLED, QVHighlights, QVHighlightsOptions

FINE: dict[str, Any] = {
    "qid": 7,
    "query": "A dog runs.",
    "duration": 150,
    "vid": "v_0.0_150.0",
    "relevant_windows": [[2, 6], [10, 12]],
    "relevant_clip_ids": [1, 2, 5],
    "saliency_scores": [[4, 3, 2], [0, 0, 1], [4, 4, 4]],
}


def write(folder: Path, *records: Any, end: str = "") -> QVHighlights:
    """A folder with the same lines for all splits; text is written as it is."""
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    for split in QVHighlights.splits:
        (folder / f"highlight_{split}_release.jsonl").write_text("\n".join(lines) + end)
    return QVHighlights(QVHighlightsOptions(), folder)


@pytest.fixture(scope="module")
def real(shared: Path) -> QVHighlights:
    return QVHighlights(QVHighlightsOptions(annotations="qvhighlights"), shared / "data")


@pytest.mark.parametrize(
    ("split", "queries", "videos", "windows", "single", "clips"),
    [("train", 7218, 7100, 12803, 4855, 160573), ("val", 1550, 1519, 2803, 1020, 32549)],
)
def test_the_real_files_give_the_counts_of_the_release(
    real: QVHighlights, split: str, queries: int, videos: int, windows: int, single: int, clips: int
) -> None:
    found = real.queries(split)
    assert (len(found), len({query.video for query in found})) == (queries, videos)
    assert sum(len(query.moments) for query in found) == windows
    assert sum(len(query.moments) == 1 for query in found) == single
    assert sum(len(query.saliency or ()) for query in found) == clips
    assert real.dropped(split) == []
    assert all(120 <= query.duration <= 150 for query in found)


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_scored_clips_of_the_real_files_are_those_of_the_moments(real: QVHighlights, split: str) -> None:
    for query in real.queries(split):
        assert query.saliency is not None
        clips = [(start, end) for start, end, _ in query.saliency]
        assert clips == [(s, s + 2.0) for start, end, _ in query.moments for s in range(int(start), int(end), 2)]
        assert all(score in range(13) for _, _, score in query.saliency)


def test_the_first_real_training_query_is_as_written(real: QVHighlights) -> None:
    first = real.queries("train")[0]
    written = json.loads((real.folder / "highlight_train_release.jsonl").read_text().split("\n")[0])
    assert (first.id, first.text, first.video) == (written["qid"], written["query"], written["vid"])
    assert isinstance(first.id, int)
    assert [list(moment[:2]) for moment in first.moments] == written["relevant_windows"]
    assert first.saliency is not None
    assert [score for *_, score in first.saliency] == [sum(scores) for scores in written["saliency_scores"]]
    assert first.place.endswith("highlight_train_release.jsonl:1")


@pytest.mark.parametrize("split", ["train", "val"])
def test_moments_and_ratings_of_the_real_files_are_as_written(real: QVHighlights, split: str) -> None:
    text = (real.folder / f"highlight_{split}_release.jsonl").read_text()
    for query, record in zip(real.queries(split), map(json.loads, filter(None, text.split("\n"))), strict=True):
        assert (query.id, query.video, query.duration) == (record["qid"], record["vid"], record["duration"])
        assert [list(moment) for moment in query.moments] == [[*window, 1] for window in record["relevant_windows"]]
        assert query.ratings == tuple(map(tuple, record["saliency_scores"]))
        assert [start for start, _, _ in query.saliency or ()] == [2 * clip for clip in record["relevant_clip_ids"]]


def test_choices_are_made_on_val_and_ids_of_all_real_queries_differ(real: QVHighlights) -> None:
    assert (real.splits, real.train, real.validation) == (("train", "val", "test"), "train", "val")
    assert real.rated_clip_s == 2.0
    assert real.missing(["train", "val"]) == []
    ids = [query.id for split in ("train", "val") for query in real.queries(split)]
    assert len(set(ids)) == len(ids) == 7218 + 1550


def test_the_test_split_is_read_without_labels_and_with_them_where_there_are(tmp_path: Path) -> None:
    """Without them its queries have no moments, which no rule scores."""
    data = write(tmp_path, FINE)
    bare = {key: FINE[key] for key in ("qid", "query", "duration", "vid")}
    release, labelled = tmp_path / "highlight_test_release.jsonl", tmp_path / TEST_LABELLED
    release.write_text(json.dumps(bare))
    (query,) = data.queries("test")
    assert (query.id, query.moments, query.saliency, query.ratings) == (7, (), None, None)
    assert query.place == f"{release}:1"
    before = data.fingerprint()
    labelled.write_text(json.dumps(FINE))
    again = QVHighlights(QVHighlightsOptions(), tmp_path)
    (query,) = again.queries("test")
    assert query.moments == ((2.0, 6.0, 1.0), (10.0, 12.0, 1.0))
    assert query.ratings == ((4, 3, 2), (0, 0, 1), (4, 4, 4))
    assert query.place == f"{labelled}:1"
    assert again.fingerprint() != before
    labelled.write_text(json.dumps(bare))
    with pytest.raises(DataError, match='has no "relevant_windows"'):
        QVHighlights(QVHighlightsOptions(), tmp_path).queries("test")


def test_an_absent_test_file_is_named_with_the_other_and_keeps_nobody_from_training(tmp_path: Path) -> None:
    data = write(tmp_path, FINE)
    (tmp_path / "highlight_test_release.jsonl").unlink()
    assert data.missing(["train", "val"]) == []
    assert len(data.fingerprint()) == 64
    (line,) = data.missing()
    assert data.missing(["test"]) == [line]
    assert "highlight_test_release.jsonl: not found" in line
    assert TEST_LABELLED in line
    assert "https://" in line
    (tmp_path / TEST_LABELLED).write_text(json.dumps(FINE))
    assert data.missing() == []


CLIPS = st.lists(
    st.tuples(st.integers(0, 59), st.tuples(*[st.integers(0, 4)] * 3)), max_size=5, unique_by=lambda c: c[0]
)
WINDOWS = st.lists(
    st.tuples(st.integers(0, 100), st.integers(1, 20)).map(lambda w: (w[0], w[0] + w[1])), min_size=1, max_size=3
)


@settings(deadline=None, max_examples=50)
@given(WINDOWS, CLIPS, st.booleans(), st.integers() | st.from_regex("[a-z0-9]{1,8}", fullmatch=True), st.booleans())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    windows: list[tuple[int, int]],
    clips: list[tuple[int, tuple[int, int, int]]],
    labelled: bool,
    qid: int | str,
    last: bool,
) -> None:
    folder = tmp_path_factory.mktemp("round")
    path = folder / "highlight_val_release.jsonl"
    record: dict[str, Any] = {"qid": qid, "query": " a dog ", "duration": 120, "vid": "v", "relevant_windows": windows}
    if labelled:
        record |= {"relevant_clip_ids": [i for i, _ in clips], "saliency_scores": [scores for _, scores in clips]}
    data = write(folder, record, end="\n" * last)
    saliency = tuple((2.0 * i, 2.0 * i + 2, float(sum(scores))) for i, scores in clips)
    assert data.queries("val") == [
        Query(
            qid,
            "a dog",
            "v",
            120.0,
            tuple((float(start), float(end), 1.0) for start, end in windows),
            f"{path}:1",
            saliency if labelled else None,
            tuple(ratings for _, ratings in clips) if labelled else None,
        )
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"qid": None}, "qid = null: must be a whole number or a text"),
        ({"qid": True}, "qid = true: must be a whole number or a text"),
        ({"qid": 1.5}, "qid = 1.5: must be a whole number or a text"),
        ({"qid": "7"}, 'qid = "7": is that of'),
        ({"query": ""}, 'query = "": must be a text that says something'),
        ({"vid": 3}, "vid = 3: must be a text"),
        ({"duration": 0}, "duration = 0: must be a number above 0"),
        ({"duration": "150"}, 'duration = "150": must be a number above 0'),
        ({"duration": 140}, "duration = 140: the same video lasts 150 s at "),
        ({"duration": 1e300}, "duration = 1e+300: must be seconds, at most 1e+06"),
        ({"relevant_windows": []}, "relevant_windows = []: must have a window at least"),
        ({"relevant_windows": None}, "relevant_windows = null: must be a list"),
        ({"relevant_windows": [[2, 6], [8]]}, "relevant_windows[1] = [8]: must be [start, end]"),
        ({"relevant_windows": [[6, 2]]}, "relevant_windows[0] = [6, 2]: must be seconds with 0 <= start < end <= 150"),
        ({"relevant_windows": [[2, 2]]}, "must be seconds with 0 <= start < end"),
        ({"relevant_windows": [[-2, 2]]}, "must be seconds with 0 <= start < end"),
        ({"relevant_windows": [[148, 152]]}, "must be seconds with 0 <= start < end <= 150"),
        ({"relevant_clip_ids": [1, 2]}, "has 2 relevant_clip_ids and 3 saliency_scores"),
        (
            {"relevant_clip_ids": [1, 2, 75]},
            "relevant_clip_ids[2] = 75: must be one of the 75 clips of 2 s in a video of 150 s",
        ),
        ({"relevant_clip_ids": [1, 2, 2.0]}, "relevant_clip_ids[2] = 2.0: must be one of the 75 clips"),
        ({"relevant_clip_ids": [1, 2, 1]}, "relevant_clip_ids[2] = 1: must be one of the 75 clips"),
        ({"saliency_scores": [[4, 3, 2], [0, 0, 1], [4, 4]]}, "saliency_scores[2] = [4, 4]: must be 3 whole numbers"),
        ({"saliency_scores": [[4, 3, 2], [0, 0, 5], [4, 4, 4]]}, "saliency_scores[1] = [0, 0, 5]: must be 3 whole"),
        ({"saliency_scores": [[4, 3, 2], 3, [4, 4, 4]]}, "saliency_scores[1] = 3: must be 3 whole numbers, 0 to 4"),
    ],
)
def test_a_malformed_line_is_one_message_with_file_and_line(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    data = write(tmp_path, FINE, {**FINE, "qid": 8, **change})
    with pytest.raises(DataError) as caught:
        data.queries("train")
    assert str(caught.value).startswith(f"{tmp_path / 'highlight_train_release.jsonl'}:2")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", list(FINE))
def test_an_absent_key_is_named(tmp_path: Path, key: str) -> None:
    data = write(tmp_path, {name: value for name, value in FINE.items() if name != key})
    with pytest.raises(DataError, match=f'release.jsonl:1: has no "{key}", which every record needs'):
        data.queries("val")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", ":2: is empty"),
        ("{", ":2: not JSON"),
        ("[1]", r":2: must be one JSON object, \{...\}; got \[1\]"),
        ('{"qid": 1, "qid": 2}', ':2: not JSON .*"qid" is there twice'),
        ('{"qid": 1, "duration": Infinity}', ":2: not JSON .*Infinity is no number of JSON"),
    ],
)
def test_a_line_that_is_no_object_is_one_message(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        write(tmp_path, FINE, line, {**FINE, "qid": 8}).queries("train")
    assert "\n" not in str(caught.value)


def test_an_empty_file_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    data = QVHighlights(QVHighlightsOptions(), tmp_path)
    names = [Path(line.split(": not found")[0]).name for line in data.missing()]
    assert names == [f"highlight_{split}_release.jsonl" for split in ("train", "val", "test")]
    with pytest.raises(DataError, match=r"cannot be read .*https://"):
        data.queries("val")
    with pytest.raises(DataError, match="no query in this split"):
        write(tmp_path).queries("train")


def test_the_fingerprint_changes_with_any_file(tmp_path: Path) -> None:
    data = write(tmp_path, FINE)
    found = {data.fingerprint()}
    for path in sorted(tmp_path.iterdir()):
        path.write_text(path.read_text() + " ")
        found.add(data.fingerprint())
    assert len(found) == 4
