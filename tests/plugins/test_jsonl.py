"""Anybody's data, one JSON object a line: the lines that other projects write are read, and mistakes are told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.dataset import Query
from framework.errors import DataError, RecipeError
from plugins.datasets.jsonl import JsonLines, JsonLinesOptions
from plugins.datasets.qvhighlights import QVHighlights, QVHighlightsOptions

FINE: dict[str, Any] = {"qid": 7, "query": "A dog runs.", "duration": 20.5, "vid": "v", "relevant_windows": [[2, 6.5]]}
RATED = {**FINE, "relevant_clip_ids": [1, 9], "saliency_scores": [[4, 3], [0, 1]]}

QVH = """{"qid": 9769, "query": "some military patriots takes us through their safety procedures and measures.", \
"duration": 150, "vid": "j7rJstUseKg_360.0_510.0", "relevant_clip_ids": [36, 37], "saliency_scores": [[4, 3, 2], \
[4, 1, 3]], "relevant_windows": [[72, 76]]}"""
CHARADES = (
    '{"qid": 12404, "query": "person turn a light on.", "duration": 30.96, "vid": "3MSZA", '
    '"relevant_windows": [[24.3, 30.4]]}'
)
TACOS = """{"qid": "s30-d52_0", "query": "She took out kiwi", "duration": 249.8639455782313, "vid": "s30-d52", \
"relevant_windows": [[4.795918367346939, 12.040816326530614]]}"""
ACTIVITYNET = """{"qid": 37421, "query": "A weight lifting tutorial is given.", "duration": 55.15, \
"vid": "v_uqiMw7tQ1Cc", "relevant_windows": [[0.28, 55.15]]}"""
NLQ = """{"qid": "val0", "query": "what did I put in the black dustbin?", "duration": 480.03667399088545, \
"vid": "93231c7e-1cf4-4a20-b1f8-9cc9428915b2", "video_uid": "38737402-19bd-4689-9e74-3af391b15feb", \
"relevant_windows": [[425.0, 431.0]]}"""
SHIFTED = '{"qid": 1, "query": "a person sits.", "duration": 35.44, "vid": "A1", "relevant_windows": [[28.0, 36.0]]}'
TVSUM = """{"qid": 2, "query": "changing tire", "duration": 30, "vid": "AwmHb44_ouw", "relevant_windows": null, \
"domain": "VT", "label": [[1, 5], [2, 4]]}"""


def lines(*records: Mapping[str, Any] | str) -> str:
    """One record a line, the last one without a line break; text is written as it is."""
    return "\n".join(record if isinstance(record, str) else json.dumps(record) for record in records)


def make(folder: Path, files: Mapping[str, str | bytes], **options: Any) -> JsonLines:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return JsonLines(JsonLinesOptions(**options), folder)


def read(folder: Path, *records: Mapping[str, Any] | str, split: str = "train", **options: Any) -> list[Query]:
    return make(folder, {f"{split}.jsonl": lines(*records)}, **options).queries(split)


def refused(folder: Path, *records: Mapping[str, Any] | str, split: str = "train", **options: Any) -> str:
    """What is said of a file, which must be one line that any terminal shows, and name the file."""
    with pytest.raises(DataError) as caught:
        read(folder, *records, split=split, **options)
    assert str(caught.value).isprintable()
    assert str(caught.value).startswith(f"{folder / split}.jsonl")
    return str(caught.value).removeprefix(f"{folder / split}.jsonl")


@pytest.mark.parametrize(
    ("line", "qid", "video", "duration", "moment"),
    [
        (QVH, 9769, "j7rJstUseKg_360.0_510.0", 150.0, (72.0, 76.0, 1.0)),
        (CHARADES, 12404, "3MSZA", 30.96, (24.3, 30.4, 1.0)),
        (TACOS, "s30-d52_0", "s30-d52", 249.8639455782313, (4.795918367346939, 12.040816326530614, 1.0)),
        (ACTIVITYNET, 37421, "v_uqiMw7tQ1Cc", 55.15, (0.28, 55.15, 1.0)),
        (NLQ, "val0", "93231c7e-1cf4-4a20-b1f8-9cc9428915b2", 480.03667399088545, (425.0, 431.0, 1.0)),
    ],
)
def test_the_lines_of_other_projects_are_read(
    tmp_path: Path, line: str, qid: int | str, video: str, duration: float, moment: tuple[float, float, float]
) -> None:
    (query,) = read(tmp_path, line)
    assert (query.id, query.video, query.duration, query.moments) == (qid, video, duration, (moment,))
    assert type(query.id) is type(qid)
    assert query.place == f"{tmp_path / 'train.jsonl'}:1"
    assert (query.saliency is None) == (query.ratings is None) == (line != QVH)


def test_the_real_lines_of_qvhighlights_give_what_its_own_dataset_gives(shared: Path) -> None:
    folder = shared / "data" / "qvhighlights"
    names = {"train": "highlight_train_release.jsonl", "val": "highlight_val_release.jsonl"}
    data, theirs = JsonLines(JsonLinesOptions(**names), folder), QVHighlights(QVHighlightsOptions(), folder)
    assert (data.validation, data.missing(["train", "val"])) == ("val", [])
    assert data.queries("val") == theirs.queries("val")


@pytest.mark.parametrize("windows", [None, [], "absent"])
def test_a_line_without_windows_is_a_query_without_moments_but_in_training(tmp_path: Path, windows: Any) -> None:
    line = {key: value for key, value in FINE.items() if key != "relevant_windows"}
    line |= {} if windows == "absent" else {"relevant_windows": windows}
    files = {name: lines(line) for name in ("train.jsonl", "val.jsonl", "test.jsonl", "more.jsonl")}
    data = make(tmp_path, files, val="val.jsonl", others=("more.jsonl",))
    for split in ("val", "test", "more"):
        (query,) = data.queries(split)
        assert query.moments == ()
    with pytest.raises(DataError, match=r'train.jsonl:1.* "?relevant_windows'):
        data.queries("train")


def test_keys_that_are_not_of_the_form_are_left_alone(tmp_path: Path) -> None:
    (query,) = read(tmp_path, TVSUM, split="test")
    assert (query.id, query.moments, query.saliency) == (2, (), None)


def test_the_option_overlong_says_what_becomes_of_a_window_that_ends_after_its_video(tmp_path: Path) -> None:
    said = refused(tmp_path, SHIFTED)
    assert said.startswith(":1 relevant_windows[0] = [28.0, 36.0]: must be seconds with 0 <= start < end <= 35.44")
    assert 'set [data] overlong = "clip"' in said
    (query,) = read(tmp_path, SHIFTED, overlong="clip")
    assert query.moments == ((28.0, 35.44, 1.0),)


@pytest.mark.parametrize("window", [[35.44, 36], [40, 41], [-1, 5], [6, 5], [5, 5]])
def test_a_window_that_is_wrong_without_its_end_is_refused_all_the_same(tmp_path: Path, window: list[float]) -> None:
    said = refused(tmp_path, {**FINE, "duration": 35.44, "relevant_windows": [window]}, overlong="clip")
    assert "must be seconds with 0 <= start < end" in said
    assert "overlong" not in said


def test_splits_are_those_that_the_options_name(tmp_path: Path) -> None:
    names = ["a/train.jsonl", "b/dev.jsonl", "c/charades_test.jsonl", "c/charades_test_ood.jsonl", "c/iid.v2.jsonl"]
    files = {name: lines({**FINE, "qid": number}) for number, name in enumerate(names)}
    data = make(tmp_path, files, train=names[0], val=names[1], test=names[2], others=tuple(names[3:]))
    assert data.splits == ("train", "val", "test", "charades_test_ood", "iid.v2")
    assert (data.train, data.validation, data.missing()) == ("train", "val", [])
    assert [data.queries(split)[0].id for split in data.splits] == [0, 1, 2, 3, 4]
    with pytest.raises(DataError, match=r'split "charades_test_od": must be one of .*Did you mean "charades_test_ood"'):
        data.queries("charades_test_od")


def test_without_val_there_is_no_validation_split(tmp_path: Path) -> None:
    data = make(tmp_path, {})
    assert (data.splits, data.validation) == (("train", "test"), None)


def test_a_test_file_alone_can_be_scored_and_absent_files_are_named_by_split(tmp_path: Path) -> None:
    data = make(tmp_path, {"test.jsonl": lines(FINE)}, others=("ood.jsonl",))
    assert data.missing(["test"]) == []
    assert len(data.queries("test")) == 1
    assert len(data.fingerprint()) == 64
    assert data.missing() == [
        f"{tmp_path / 'train.jsonl'}: not found. [data] train names the file of this split, from the data root.",
        f"{tmp_path / 'ood.jsonl'}: not found. [data] others names the file of this split, from the data root.",
    ]
    with pytest.raises(DataError, match=r"train.jsonl: cannot be read .*\[data\] train names"):
        data.queries("train")


@pytest.mark.parametrize(
    "options",
    [
        {"train": "a.jsonl", "test": "a.jsonl"},
        {"val": "sub/../test.jsonl"},
        {"train": "real.jsonl", "test": "link.jsonl"},
        {"test": "real.jsonl", "others": ("link.jsonl",)},
    ],
)
def test_two_splits_are_never_one_file(tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "real.jsonl").write_text(lines(FINE))
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "real.jsonl")
    with pytest.raises(RecipeError, match=r"\[data\] \w+ and \w+ are the same file, .*\. Each split needs"):
        make(tmp_path, {}, **options)


@pytest.mark.parametrize("others", [("train.json",), ("auto.jsonl",), ("held_out.jsonl",), ("a.jsonl", "b/a.jsonl")])
def test_a_further_file_never_takes_a_name_that_means_something_else(tmp_path: Path, others: tuple[str, ...]) -> None:
    with pytest.raises(RecipeError, match=r"\[data\] others: .* is taken. Rename the file"):
        make(tmp_path, {}, others=others)


def test_ratings_are_read_for_any_number_of_annotators_and_their_sum_is_the_saliency(tmp_path: Path) -> None:
    (query,) = read(tmp_path, RATED)
    assert query.ratings == ((4, 3), (0, 1))
    assert query.saliency == ((2.0, 4.0, 7.0), (18.0, 20.0, 1.0))


def test_the_option_rated_clip_s_is_the_length_of_the_rated_clips(tmp_path: Path) -> None:
    line = {**RATED, "relevant_clip_ids": [0, 40], "saliency_scores": [[1], [2]]}
    data = make(tmp_path, {"train.jsonl": lines(line)}, rated_clip_s=0.5)
    assert data.queries("train")[0].saliency == ((0.0, 0.5, 1.0), (20.0, 20.5, 2.0))
    assert data.rated_clip_s == 0.5
    assert "relevant_clip_ids[1] = 40: must be one of the 10 clips of 2 s" in refused(tmp_path, line)


@pytest.mark.parametrize("split", ["train", "test"])
def test_clips_are_rated_where_a_split_that_was_read_has_ratings(tmp_path: Path, split: str) -> None:
    data = make(tmp_path, {"train.jsonl": lines(FINE), "test.jsonl": lines(FINE)} | {f"{split}.jsonl": lines(RATED)})
    assert data.rated_clip_s is None
    for name in ("train", "test"):
        data.queries(name)
        assert data.rated_clip_s == (2.0 if split in (name, "train") else None)


def test_a_file_that_nobody_asks_for_is_not_opened(tmp_path: Path) -> None:
    data = make(tmp_path, {"train.jsonl": lines(FINE)})
    before = data.fingerprint(["train"])
    (tmp_path / "test.jsonl").mkdir()
    assert data.queries("train")
    assert data.fingerprint(["train"]) == before


QIDS = st.integers() | st.text(min_size=1, max_size=6)
NAMES = st.text(min_size=1, max_size=8).filter(lambda text: any(map(str.isalnum, text)))


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    duration = draw(st.floats(1, 1000) | st.integers(1, 1000))
    windows = draw(st.lists(st.tuples(st.floats(0, 0.4), st.floats(0.5, 1)), min_size=1, max_size=3))
    clips = draw(st.lists(st.integers(0, 10**6), unique=True, max_size=4))
    clips = [clip for clip in clips if clip < int(duration / 2)]
    several = draw(st.integers(1, 5))
    record = {
        "qid": draw(QIDS),
        "query": draw(NAMES),
        "vid": draw(NAMES),
        "duration": duration,
        "relevant_windows": [[start * duration, end * duration] for start, end in windows],
    }
    ratings = [draw(st.lists(st.integers(0, 9), min_size=several, max_size=several)) for _ in clips]
    return record | draw(st.sampled_from([{}, {"relevant_clip_ids": clips, "saliency_scores": ratings}]))


@settings(deadline=None, max_examples=50)
@given(
    st.lists(records(), min_size=1, max_size=4, unique_by=(lambda r: str(r["qid"]), lambda r: r["vid"])),
    st.booleans(),
    st.booleans(),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, written: Sequence[dict[str, Any]], ascii: bool, last: bool, mark: bytes
) -> None:
    folder = tmp_path_factory.mktemp("round")
    text = "\n".join(json.dumps(record, ensure_ascii=ascii) for record in written) + "\n" * last
    found = make(folder, {"train.jsonl": mark + text.encode()}).queries("train")
    assert found == [
        Query(
            record["qid"],
            record["query"].strip(),
            record["vid"],
            float(record["duration"]),
            tuple((start, end, 1.0) for start, end in record["relevant_windows"]),
            f"{folder / 'train.jsonl'}:{number}",
            tuple(
                (2.0 * clip, 2.0 * clip + 2, float(sum(rating)))
                for clip, rating in zip(record["relevant_clip_ids"], record["saliency_scores"], strict=True)
            )
            if "saliency_scores" in record
            else None,
            tuple(map(tuple, record["saliency_scores"])) if "saliency_scores" in record else None,
        )
        for number, record in enumerate(written, 1)
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"qid": [1]}, "qid = [1]: must be a whole number or a text"),
        ({"qid": ""}, 'qid = "": must be a whole number or a text'),
        ({"qid": "7"}, 'qid = "7": is that of'),
        ({"query": "?!"}, 'query = "?!": must be a text that says something'),
        ({"vid": ["v"]}, 'vid = ["v"]: must be a text'),
        ({"duration": 21}, "duration = 21: the same video lasts 20.5 s at "),
        ({"duration": -3}, "duration = -3: must be a number above 0"),
        ({"duration": 10**400}, "duration = 1000"),
        ({"duration": 20500000}, "duration = 20500000: must be seconds, at most 1e+06"),
        ({"relevant_windows": None}, "relevant_windows = null: must be a list"),
        ({"relevant_windows": [[]]}, "relevant_windows[0] = []: must be [start, end]"),
        ({"relevant_windows": [2, 6]}, "relevant_windows[0] = 2: must be [start, end]"),
        ({"relevant_windows": [["2", 6]]}, 'relevant_windows[0][0] = "2": must be a number'),
        ({"relevant_clip_ids": [1]}, 'has no "saliency_scores", which every record needs'),
        ({"saliency_scores": [[1]]}, 'has no "relevant_clip_ids", which every record needs'),
        ({"relevant_clip_ids": [1], "saliency_scores": [1]}, "saliency_scores[0] = 1: must be a list of whole numbers"),
        ({"relevant_clip_ids": [1], "saliency_scores": [[]]}, "saliency_scores[0] = []: must be a list of whole"),
        ({"relevant_clip_ids": [1], "saliency_scores": [[-1]]}, "saliency_scores[0] = [-1]: must be a list of whole"),
        ({"relevant_clip_ids": [1], "saliency_scores": [[10**30]]}, "must be a list of whole numbers, 0 to 1000"),
        ({"relevant_clip_ids": [1, 2], "saliency_scores": [[1, 2], [3]]}, "saliency_scores[1] = [3]: must be 2 whole"),
        ({"relevant_clip_ids": [1, 1], "saliency_scores": [[1], [3]]}, "relevant_clip_ids[1] = 1: must be one of the"),
        ({"relevant_clip_ids": [10**400], "saliency_scores": [[1]]}, "relevant_clip_ids[0] = 1000"),
    ],
)
def test_a_malformed_line_is_one_message_with_file_and_line(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    said = refused(tmp_path, FINE, {**FINE, "qid": 8, **change})
    assert said.startswith(":2")
    assert message in said


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", ":2: is empty"),
        ("null", ":2: must be one JSON object, {...}; got null"),
        ("[" * 100000, ":2: not JSON"),
        ("[" * 400 + "]" * 400, ":2: must be one JSON object, {...}; got "),
        ('{"qid": 1' + "0" * 6000 + "}", ":2"),
        ('{"qid": NaN}', ":2: not JSON (NaN is no number of JSON)"),
        ('{"a\\u2028b": 1, "a\\u2028b": 2}', ':2: not JSON ("a\\u2028b" is there twice)'),
        ('{"query": "\\uDC00"}', ':2: "\\udc00" is half of a character'),
        ('{"qids\\n": 1}', ':2: has no "qid"'),
        ("\x00", ":2: not JSON"),
    ],
)
def test_a_line_that_is_no_annotation_is_one_message(tmp_path: Path, line: str, message: str) -> None:
    assert refused(tmp_path, FINE, line, {**FINE, "qid": 9}).startswith(message)


def test_both_halves_of_an_escaped_character_are_a_character(tmp_path: Path) -> None:
    (query,) = read(tmp_path, {**FINE, "query": "a \N{DOG} runs"})
    assert query.text == "a \N{DOG} runs"


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"train.jsonl: no query in this split. Is the file complete\?"):
        make(tmp_path, {"train.jsonl": content}).queries("train")


def test_bytes_that_are_not_utf8_and_a_folder_in_place_of_a_file_are_told(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").mkdir()
    data = make(tmp_path, {"train.jsonl": json.dumps(FINE).encode() + b'\n{"qid": "caf\xe9"}'})
    with pytest.raises(DataError, match=r"train.jsonl:2: byte 0xe9 is not UTF-8"):
        data.queries("train")
    assert [line.partition(":")[0] for line in data.missing()] == [str(tmp_path / "test.jsonl")]
    with pytest.raises(DataError, match=r"test.jsonl: cannot be read"):
        data.queries("test")


def test_windows_line_ends_are_line_ends(tmp_path: Path) -> None:
    text = lines(FINE, {**FINE, "qid": 8}).replace("\n", "\r\n") + "\r\n"
    assert [query.id for query in make(tmp_path, {"train.jsonl": text}).queries("train")] == [7, 8]


def test_the_fingerprint_changes_with_any_file(tmp_path: Path) -> None:
    files = {name: lines(FINE) for name in ("train.jsonl", "val.jsonl", "test.jsonl", "ood.jsonl")}
    data = make(tmp_path, files, val="val.jsonl", others=("ood.jsonl",))
    found = {data.fingerprint()}
    for path in sorted(tmp_path.iterdir()):
        path.write_text(path.read_text() + " ")
        found.add(data.fingerprint())
    assert len(found) == 5
