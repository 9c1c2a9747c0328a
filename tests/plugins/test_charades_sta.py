"""Charades-STA: the field's counts on the real files, and one clear line for every malformed one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.dataset import Query
from framework.data.simulation import Interval
from framework.errors import DataError
from plugins.datasets.charades_sta import CharadesSta, CharadesStaOptions, Video, read_queries, read_videos

HEADER = "id,scene,actions,length\n"


def write(
    folder: Path, text: str | bytes, csv: str | bytes = HEADER + "A1,Kitchen,c001 1.00 4.00,20.5\n"
) -> CharadesSta:
    """A folder with the same text and CSV for both splits."""
    for split in ("train", "test"):
        for name, content in ((f"charades_sta_{split}.txt", text), (f"Charades_v1_{split}.csv", csv)):
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return CharadesSta(CharadesStaOptions(), folder)


@pytest.fixture(scope="module")
def real(shared: Path) -> CharadesSta:
    return CharadesSta(CharadesStaOptions(annotations="charades_sta"), shared / "data")


@pytest.mark.parametrize(
    ("split", "lines", "kept", "clamped", "videos"),
    [("train", 12408, 12404, 1805, 5336), ("test", 3720, 3720, 562, 1334)],
)
def test_the_real_files_give_the_counts_of_the_official_loader(
    real: CharadesSta, split: str, lines: int, kept: int, clamped: int, videos: int
) -> None:
    """Counts: MS-2D-TAN's loader, run on these files."""
    (text, _), (csv_file, _) = real.files(split)
    queries, durations = real.queries(split), read_videos(csv_file)
    written = [line.split("##")[0].split() for line in text.read_text().splitlines()]
    assert len(written) == lines
    assert sum(float(end) > durations[video].duration for video, _, end in written) == clamped
    assert len(queries) == kept
    assert len(real.dropped(split)) == lines - kept
    for query in queries:
        video, start, end = written[int(str(query.id).split("_")[1]) - 1]
        expected = (float(start), min(float(end), durations[video].duration), 1.0)
        assert (query.video, query.duration, query.moments) == (video, durations[video].duration, (expected,))
    assert len({query.video for query in queries}) == videos
    assert not any(query.text.endswith((".", "\n")) for query in queries)


def test_the_four_dropped_lines_are_those_that_end_before_they_start(real: CharadesSta) -> None:
    assert [place.rpartition(":")[2] for place, _ in real.dropped("train")] == ["8252", "8440", "9623", "9624"]


def test_the_first_real_test_query_is_as_written(real: CharadesSta) -> None:
    first = real.queries("test")[0]
    assert (first.id, first.text, first.video, first.duration) == ("test_1", "person turn a light on", "3MSZA", 30.96)
    assert first.moments == ((24.3, 30.4, 1.0),)
    assert first.place.endswith("charades_sta_test.txt:1")


def test_ids_of_all_real_queries_differ(real: CharadesSta) -> None:
    ids = [query.id for split in real.splits for query in real.queries(split)]
    assert len(set(ids)) == len(ids) == 12404 + 3720


def test_every_real_moment_is_one_of_the_labelled_actions(real: CharadesSta) -> None:
    """What lets features simulated from actions answer the sentences."""
    videos = read_videos(real.files("test")[1][0])
    for query in real.queries("test"):
        start, end, _ = query.moments[0]
        ends = [(action.start, min(action.end, query.duration)) for action in videos[query.video].actions]
        assert any(abs(a - start) < 0.06 and abs(b - end) < 0.06 for a, b in ends), query


def test_the_real_folder_lacks_nothing_and_its_fingerprint_is_stable(real: CharadesSta, shared: Path) -> None:
    assert real.missing() == []
    again = CharadesSta(CharadesStaOptions(), shared / "data" / "charades_sta")
    assert again.fingerprint() == real.fingerprint()
    assert real.features() is None


MOMENTS = st.tuples(st.integers(0, 300), st.integers(1, 300)).map(lambda m: (m[0] / 10, (m[0] + m[1]) / 10))


@given(st.lists(MOMENTS, min_size=1, max_size=6), st.sampled_from(["\n", "\r\n"]), st.booleans())
@settings(deadline=None, max_examples=30)
def test_what_is_written_is_read_but_for_ends_and_starts_beyond_the_video(
    tmp_path_factory: pytest.TempPathFactory, moments: list[tuple[float, float]], newline: str, last: bool
) -> None:
    lines = [f"A1 {start} {end}##a sentence ## no".replace(" ## ", " # ") for start, end in moments]
    path = tmp_path_factory.mktemp("round") / "charades_sta_test.txt"
    path.write_bytes((newline.join(lines) + newline * last).encode())
    videos = {"A1": Video("A1", 20.5, "Kitchen", (), "csv:2")}
    within = [(n, start, end) for n, (start, end) in enumerate(moments, 1) if start < 20.5]
    if not within:
        with pytest.raises(DataError, match="no query left"):
            read_queries(path, "test", videos)
        return
    queries, dropped = read_queries(path, "test", videos)
    assert queries == [
        Query(f"test_{n}", "a sentence # no", "A1", 20.5, ((start, min(end, 20.5), 1.0),), f"{path}:{n}")
        for n, start, end in within
    ]
    assert len(dropped) == len(moments) - len(within)


def test_a_dropped_line_is_told_with_place_and_reason(tmp_path: Path) -> None:
    data = write(tmp_path, "A1 1.0 2.0##kept.\nA1 21.0 30.0##dropped.\n")
    assert [query.id for query in data.queries("test")] == ["test_1"]
    ((place, reason),) = data.dropped("test")
    assert place == f"{tmp_path / 'charades_sta_test.txt'}:2"
    assert "21.0" in reason
    assert "20.5" in reason


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("A1 1.0 2.0 no mark.", "VIDEO START END##SENTENCE"),
        ("A1 1.0 2.0##one.##two.", "VIDEO START END##SENTENCE"),
        ("", "VIDEO START END##SENTENCE"),
        ("A1 1.0##no end.", "VIDEO START END##SENTENCE"),
        ("A1 1.0 2.0 3.0##too many.", "VIDEO START END##SENTENCE"),
        ("A1 one 2.0##words.", 'start "one": must be a number of seconds, 0 or more'),
        ("A1 1.0 2,0##comma.", 'end "2,0": must be a number'),
        ("A1 1.0 1_0##grouped.", 'end "1_0": must be a number'),
        ("A1 nan 2.0##not a number.", 'start "nan": must be a number'),
        ("A1 1.0 inf##endless.", 'end "inf": must be a number'),
        ("A1 -1.0 2.0##before the video.", 'start "-1.0": must be a number of seconds, 0 or more'),
        ("A1 3.0 2.0##reversed.", "start 3.0 s, end 2.0 s: a moment must end after it starts"),
        ("A1 30.0 25.0##reversed beyond the video.", "must end after it starts"),
        ("A1 3.0 3.0##empty.", "must end after it starts"),
        ("A1 1.0 \u0662##another script.", 'end "\u0662": must be a number'),
        ("A1 1.0 1e7##milliseconds.", 'end "1e7": must be a number of seconds, 0 or more and at most 1e+06'),
        ("A1 1.0 2.0##", "the sentence after ## is empty"),
        ("A1 1.0 2.0##\t", "the sentence after ## is empty"),
        ("A1 1.0 2.0##?!", "the sentence after ## is empty"),
        ("B\u2028 1.0##two lines to some.", '"B\\u2028 1.0##two lines'),
        ("B\x1b[2J 1.0 2.0##who.", 'video "B\\x1b[2J" is not in the CSV'),
        ("A1 1.0 2.0## .", "the sentence after ## is empty"),
        ("B2 1.0 2.0##who.", 'video "B2" is not in the CSV of this split'),
    ],
)
def test_a_malformed_line_is_one_message_with_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    data = write(tmp_path, f"A1 1.0 2.0##fine.\n{line}\nA1 1.0 2.0##fine.\n")
    with pytest.raises(DataError) as caught:
        data.queries("test")
    assert str(caught.value).startswith(f"{tmp_path / 'charades_sta_test.txt'}:2: ")
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("B2,Kitchen,c001 1.00 4.00", "must have the 4 fields"),
        ("B2,Kitchen,c001 1.00 4.00,9.5,more", "must have the 4 fields"),
        (",Kitchen,,9.5", "must have the 4 fields"),
        ("B2,Kitchen,,long", 'length "long": must be a number of seconds, more than 0'),
        ("B2,Kitchen,,0", 'length "0": must be a number of seconds, more than 0'),
        ("B2,Kitchen,,nan", 'length "nan": must be a number'),
        ("B2,Kitchen,c157 1.00 4.00,9.5", 'action "c157 1.00 4.00": must be class (c000 to c156)'),
        ("B2,Kitchen,1 1.00 4.00,9.5", "must be class"),
        ("B2,Kitchen,c001 1.00,9.5", "must be class"),
        (f"B2,Kitchen,c{'1' * 5000} 1.00 4.00,9.5", "must be class"),
        ("B2,Kitchen,,1e9", 'length "1e9": must be a number of seconds, more than 0 and at most 1e+06'),
        ("B2,Kitchen,c001 1.00 x,9.5", 'action "x": must be a number'),
        ("A1,Kitchen,,9.5", 'video "A1" has length 9.5 s here, 20.5 s at '),
        ('B2,"Kit"chen,,9.5', "not a CSV line"),
        ('B2,"Kitchen,,9.5\nC3,Kitchen,,9.5', "not a CSV line"),
    ],
)
def test_a_malformed_csv_line_is_one_message_with_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    data = write(tmp_path, "A1 1.0 2.0##fine.\n", f"{HEADER}A1,Kitchen,,20.5\n{line}\n")
    with pytest.raises(DataError) as caught:
        data.queries("train")
    assert str(caught.value).startswith(f"{tmp_path / 'Charades_v1_train.csv'}:3: ")
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "header", ["", "id,scene,actions\n", 'id,"scene"x,actions,length\n', "id,length,scene,actions,length\n"]
)
def test_a_csv_without_its_header_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(DataError, match=r"Charades_v1_test.csv:1: (no column|not a CSV|the header names)"):
        write(tmp_path, "A1 1.0 2.0##fine.\n", header).queries("test")


def test_the_same_video_twice_with_the_same_length_is_no_error(tmp_path: Path) -> None:
    data = write(tmp_path, "A1 1.0 2.0##fine.\n", f"{HEADER}A1,Kitchen,,20.5\nA1,Kitchen,,20.50\n")
    assert data.queries("test")[0].duration == 20.5


def test_bytes_that_are_not_utf8_are_told_with_their_line(tmp_path: Path) -> None:
    data = write(tmp_path, b"\xef\xbb\xbfA1 1.0 2.0##fine.\nA1 1.0 2.0##caf\xe9.\n")
    with pytest.raises(DataError, match=r"charades_sta_test.txt:2: byte 0xe9 is not UTF-8"):
        data.queries("test")


def test_a_byte_order_mark_is_not_part_of_the_first_id(tmp_path: Path) -> None:
    assert write(tmp_path, b"\xef\xbb\xbfA1 1.0 2.0##fine.\n").queries("test")[0].video == "A1"


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no query left"):
        write(tmp_path, "").queries("test")


def test_a_split_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='split "val": must be one of train, test'):
        write(tmp_path, "A1 1.0 2.0##fine.\n").queries("val")


def test_files_that_are_not_there_are_listed_one_a_line_with_where_to_get_them(tmp_path: Path) -> None:
    data = CharadesSta(CharadesStaOptions(), tmp_path)
    lines = data.missing()
    assert [Path(line.split(": not found")[0]).name for line in lines] == [
        "charades_sta_train.txt",
        "Charades_v1_train.csv",
        "charades_sta_test.txt",
        "Charades_v1_test.csv",
    ]
    assert all("https://" in line and "\n" not in line for line in lines)
    assert data.missing(["train"]) == lines[:2]
    assert data.missing(["test"]) == lines[2:]
    assert data.missing([]) == []
    with pytest.raises(DataError, match="cannot be read"):
        data.queries("test")
    with pytest.raises(DataError, match='split "val": must be one of'):
        data.missing(["val"])


def test_a_folder_with_the_test_split_alone_can_be_scored(tmp_path: Path) -> None:
    data = write(tmp_path, "A1 1.0 2.0##fine.\n")
    whole = data.fingerprint()
    for path in tmp_path.glob("*train*"):
        path.unlink()
    assert data.missing(["test"]) == []
    assert len(data.queries("test")) == 1
    assert data.fingerprint() != whole


def test_the_fingerprint_changes_with_any_file(tmp_path: Path) -> None:
    data = write(tmp_path, "A1 1.0 2.0##fine.\n")
    found = {data.fingerprint()}
    for path in sorted(tmp_path.iterdir()):
        path.write_text(path.read_text() + " ")
        found.add(data.fingerprint())
    assert len(found) == 5


def test_actions_of_the_csv_are_read_as_written(tmp_path: Path) -> None:
    path = tmp_path / "Charades_v1_test.csv"
    path.write_text(HEADER + 'A1,"Stairs, outside",c156 12.10 18.00;c000 8.00 7.00,16.62\nB2,Other,,9\n')
    videos = read_videos(path)
    assert videos["A1"] == Video(
        "A1", 16.62, "Stairs, outside", (Interval(156, 12.1, 18.0), Interval(0, 8.0, 7.0)), f"{path}:2"
    )
    assert videos["B2"].actions == ()
