"""However a file is spoilt, every command ends in clear lines that name file and place: no traceback, hang or skip."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import Phase, given, settings

from tests.datasets.conftest import WRITERS
from tests.datasets.mutations import (
    FORMS,
    MARK,
    RECORDS,
    UNPARSED,
    WHOLE,
    Keys,
    damaged,
    inside,
    spoilt_records,
    spoilt_values,
)
from tests.datasets.refusal import Said, say, spoilt

FILES: Final = {
    "charades_sta": "charades_sta_train.txt",
    "tacos": "train.json",
    "activitynet": "train.json",
    "didemo": "train_data.json",
    "qvhighlights": "highlight_train_release.jsonl",
    "jsonl": "train.jsonl",
}
"""The training file of each dataset."""

CSV: Final = "Charades_v1_train.csv"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One sound folder for each dataset; whoever spoils a file there mends it."""
    found = {}
    for name, write in WRITERS.items():
        found[name] = tmp_path_factory.mktemp(name)
        write(found[name])
        assert say("check", "--data", name, "--root", found[name]).status == 0
    return found


def read_of(said: Said, split: str = "train") -> int:
    """How many queries of a split a check has read, with those that it says were left out."""
    (read,) = re.findall(rf"^split {split}: ([\d,]+) queries", said.out, re.M)
    left_out = len(re.findall(r"^warning: .*: left out, ", said.out, re.M))
    more = sum(map(int, re.findall(r"^warning: \.\.\. and (\d+) more", said.out, re.M)))
    return int(read.replace(",", "")) + left_out + more


def spoil_and_check(folder: Path, name: str, file: str, content: bytes) -> Said:
    with spoilt(folder / file, content):
        return say("check", "--data", name, "--root", folder)


@pytest.mark.parametrize(
    ("name", "keys", "raw"),
    [
        pytest.param(name, keys, raw, id=f"{name}-{mutation}")
        for name, form in FORMS.items()
        for mutation, keys, raw in spoilt_values(form)
    ],
)
def test_a_value_that_breaks_a_rule_is_told_with_its_record(
    folders: dict[str, Path], name: str, keys: Keys, raw: str
) -> None:
    form, path = FORMS[name], folders[name] / FILES[name]
    said = spoil_and_check(folders[name], name, FILES[name], form.put(path.read_text(), keys, raw).encode())
    said.require_refused(form.place(path))


@pytest.mark.parametrize("raw", UNPARSED.values(), ids=UNPARSED)
@pytest.mark.parametrize("name", FORMS)
def test_what_is_no_json_is_told_with_its_line(folders: dict[str, Path], name: str, raw: str) -> None:
    form, path = FORMS[name], folders[name] / FILES[name]
    for keys in list(form.values)[::4]:
        said = spoil_and_check(folders[name], name, FILES[name], form.put(path.read_text(), keys, raw).encode())
        said.require_refused(form.line(path))


@pytest.mark.parametrize(
    ("name", "mutate"),
    [
        pytest.param(name, mutate, id=f"{name}-{mutation}")
        for name, form in FORMS.items()
        for mutation, mutate in spoilt_records(form)
    ],
)
def test_a_key_that_is_missing_or_there_twice_is_told_with_its_record(
    folders: dict[str, Path], name: str, mutate: Callable[[str], str]
) -> None:
    form, path = FORMS[name], folders[name] / FILES[name]
    said = spoil_and_check(folders[name], name, FILES[name], mutate(path.read_text()).encode())
    said.require_clear()
    assert said.status == 2
    assert any(form.place(path) in line or form.line(path) in line for line in said.errors), said.errors


@pytest.mark.parametrize("raw", ["NaN", "-Infinity", "seven", "[1, ", "a_key_twice", "half_a_character"])
@pytest.mark.parametrize("name", [name for name, form in FORMS.items() if not form.lines])
def test_a_document_of_many_lines_is_never_told_with_another_line(
    folders: dict[str, Path], name: str, raw: str
) -> None:
    form, path = FORMS[name], folders[name] / FILES[name]
    raw = UNPARSED.get(raw, raw)
    (*outer, last), document = form.record + next(iter(form.values)), form.load(path.read_text())
    inside(document, tuple(outer))[last] = MARK
    content = json.dumps(document, indent=1).replace(json.dumps(MARK), raw)
    said = spoil_and_check(folders[name], name, FILES[name], content.encode())
    said.require_refused(str(path))
    told = [int(line) for line in re.findall(re.escape(str(path)) + r":(\d+)", said.errors[0])]
    right = content[: content.index(raw)].count("\n") + 1
    # A list that never ends is a mistake of what follows it.
    assert told in ([right], [right + 1]) if raw in ("NaN", "-Infinity", "seven", "[1, ") else told == []


EXCHANGED: Final[list[tuple[str, Keys, Keys]]] = [
    ("tacos", ("timestamps", 0, 0), ("timestamps", 0, 1)),
    ("tacos", ("timestamps",), ("sentences",)),
    ("tacos", ("fps",), ("num_frames",)),
    ("tacos", ("fps",), ("timestamps",)),
    ("activitynet", ("timestamps", 0, 0), ("timestamps", 0, 1)),
    ("activitynet", ("timestamps", 0), ("sentences", 0)),
    ("activitynet", ("duration",), ("timestamps", 0, 1)),
    ("didemo", ("video",), ("description",)),
    ("didemo", ("num_segments",), ("annotation_id",)),
    ("didemo", ("times", 0), ("times", 3)),
    ("jsonl", ("relevant_windows", 1, 0), ("relevant_windows", 1, 1)),
    ("jsonl", ("vid",), ("query",)),
    ("jsonl", ("qid",), ("duration",)),
    ("jsonl", ("relevant_clip_ids",), ("saliency_scores",)),
    ("qvhighlights", ("relevant_windows",), ("relevant_clip_ids",)),
    ("qvhighlights", ("qid",), ("query",)),
    ("qvhighlights", ("duration",), ("relevant_windows", 0, 1)),
]


@pytest.mark.parametrize(("name", "one", "other"), EXCHANGED)
def test_exchanged_values_are_refused_or_read_as_they_stand(
    folders: dict[str, Path], name: str, one: Keys, other: Keys
) -> None:
    form, path = FORMS[name], folders[name] / FILES[name]
    content = form.exchanged(path.read_text(), one, other)
    said = spoil_and_check(folders[name], name, FILES[name], content.encode())
    if said.status == 2:
        said.require_refused(form.place(path))
    else:
        said.require_clear()
        assert read_of(said) == RECORDS[name](content)


@pytest.mark.parametrize("mutation", WHOLE)
@pytest.mark.parametrize("name", FILES)
def test_a_file_of_something_else_is_refused(folders: dict[str, Path], name: str, mutation: str) -> None:
    path = folders[name] / FILES[name]
    said = spoil_and_check(folders[name], name, FILES[name], WHOLE[mutation](path.read_bytes()))
    if name == "charades_sta" and mutation in ("twice", "last_bytes_cut"):
        # Its lines have no ids and end in any words, so these are legal files of 24 and 12 lines.
        assert read_of(said) == {"twice": 24, "last_bytes_cut": 12}[mutation]
    else:
        said.require_refused(str(path))


@pytest.mark.parametrize("mutation", WHOLE)
def test_a_table_of_something_else_is_refused(folders: dict[str, Path], mutation: str) -> None:
    path = folders["charades_sta"] / CSV
    said = spoil_and_check(path.parent, "charades_sta", CSV, WHOLE[mutation](path.read_bytes()))
    if mutation == "last_bytes_cut":
        # The last video is not in the table any more, which the line that needs it tells.
        said.require_refused(str(path.parent))
    else:
        said.require_refused(str(path))


CHARADES_LINES: Final = {
    "empty": "",
    "blank": "  ",
    "a_video_alone": "train3",
    "no_sentence": "train3 5.0 11.0",
    "an_empty_sentence": "train3 5.0 11.0##",
    "punctuation": "train3 5.0 11.0##...",
    "one_hash": "train3 5.0 11.0#he pours water.",
    "two_sentences": "train3 5.0 11.0##he pours##water.",
    "two_lines_in_one": "train3 5.0 11.0##he pours.train4 6.0 12.0##she cuts.",
    "no_end": "train3 5.0##he pours water.",
    "four_columns": "train3 5.0 11.0 12.0##he pours water.",
    "columns_rotated": "5.0 11.0 train3##he pours water.",
    "columns_swapped": "train3 11.0 5.0##he pours water.",
    "an_empty_moment": "train3 5.0 5.0##he pours water.",
    "another_video": "train99 5.0 11.0##he pours water.",
    "an_unseen_letter": "train\u200b3 5.0 11.0##he pours water.",
    "a_terminal_code": "\x1b[2J 5.0 11.0##he pours water.",
    "NaN": "train3 nan 11.0##he pours water.",
    "infinity": "train3 5.0 inf##he pours water.",
    "1e400": "train3 5.0 1e400##he pours water.",
    "milliseconds": "train3 5000000 11000000##he pours water.",
    "negative": "train3 -5.0 11.0##he pours water.",
    "a_comma": "train3 5,0 11,0##he pours water.",
    "grouped_digits": "train3 5 1_1##he pours water.",
    "other_digits": "train3 \u0665 11.0##he pours water.",
    "hexadecimal": "train3 0x5 0xb##he pours water.",
    "minutes": "train3 0:05 0:11##he pours water.",
    "5000_digits": f"train3 5.0 {'9' * 5000}##he pours water.",
    "a_long_video": f"{'v' * 5000} 5.0 11.0##he pours water.",
    "JSON": '{"qid": 3, "vid": "train3", "query": "he pours water"}',
    "half_a_character": b"train3 5.0 11.0##he pours wat\xed\xa0\x80.",
    "cut_in_a_character": b"train3 5.0 11.0##he pours wat\xc3.",
    "NUL": "train3 5.0 11.0##he pours\0 water.",
}


@pytest.mark.parametrize("line", CHARADES_LINES.values(), ids=CHARADES_LINES)
def test_a_spoilt_line_of_text_is_told_with_its_number(folders: dict[str, Path], line: str | bytes) -> None:
    path = folders["charades_sta"] / FILES["charades_sta"]
    lines = path.read_bytes().split(b"\n")
    lines[3] = line if isinstance(line, bytes) else line.encode()
    said = spoil_and_check(path.parent, "charades_sta", path.name, b"\n".join(lines))
    said.require_refused(f"{path}:4")


CHARADES_ROWS: Final = {
    "a_field_less": "train3,Kitchen,26.0",
    "a_field_more": "train3,Kitchen,c001 1.00 5.00,26.0,1",
    "an_open_quote": 'train3,"Kitchen,c001 1.00 5.00,26.0',
    "a_quote_inside": 'train3,"Kit"chen,c001 1.00 5.00,26.0',
    "semicolons": "train3;Kitchen;c001 1.00 5.00;26.0",
    "columns_swapped": "train3,Kitchen,26.0,c001 1.00 5.00",
    "no_id": ",Kitchen,c001 1.00 5.00,26.0",
    "a_long_id": f"{'v' * 2000},Kitchen,c001 1.00 5.00,26.0",
    "a_huge_field": f"train3,{'K' * 200_000},c001 1.00 5.00,26.0",
    "no_length": "train3,Kitchen,c001 1.00 5.00,",
    "a_word": "train3,Kitchen,c001 1.00 5.00,long",
    "NaN": "train3,Kitchen,c001 1.00 5.00,nan",
    "infinity": "train3,Kitchen,c001 1.00 5.00,inf",
    "1e400": "train3,Kitchen,c001 1.00 5.00,1e400",
    "zero": "train3,Kitchen,c001 1.00 5.00,0",
    "negative": "train3,Kitchen,c001 1.00 5.00,-26.0",
    "milliseconds": "train3,Kitchen,c001 1.00 5.00,26000000",
    "an_unknown_action": "train3,Kitchen,c157 1.00 5.00,26.0",
    "half_an_action": "train3,Kitchen,c001 1.00,26.0",
    "an_action_without_times": "train3,Kitchen,c001 one five,26.0",
    "another_length": "train2,Kitchen,c001 1.00 5.00,26.0",
    "NUL": "train3,Kit\0chen,c001 1.00 5.00,26.0",
    "no_UTF-8": b"train3,Kitch\xe9n,c001 1.00 5.00,26.0",
}


@pytest.mark.parametrize("row", CHARADES_ROWS.values(), ids=CHARADES_ROWS)
def test_a_spoilt_row_of_a_table_is_told_with_its_number(folders: dict[str, Path], row: str | bytes) -> None:
    path = folders["charades_sta"] / CSV
    rows = path.read_bytes().split(b"\n")
    rows[4] = row if isinstance(row, bytes) else row.encode()
    said = spoil_and_check(path.parent, "charades_sta", CSV, b"\n".join(rows))
    said.require_refused(f"{path}:5")


@pytest.mark.parametrize(
    "header", ["id,scene,actions", "id,scene,actions,length,id", "id;scene;actions;length", "", "\0"]
)
def test_a_spoilt_header_of_a_table_is_told(folders: dict[str, Path], header: str) -> None:
    path = folders["charades_sta"] / CSV
    _, *rows = path.read_text().split("\n")
    said = spoil_and_check(path.parent, "charades_sta", CSV, "\n".join([header, *rows]).encode())
    said.require_refused(f"{path}:1")


@pytest.mark.parametrize(("name", "file"), [*FILES.items(), ("charades_sta", CSV)])
def test_damaged_bytes_are_refused_or_all_that_is_left_is_read(folders: dict[str, Path], name: str, file: str) -> None:
    path, seen = folders[name] / file, set[bytes]()
    asks = path.parent / FILES[name]

    @settings(max_examples=60, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(damaged(path.read_bytes()))
    def attack(content: bytes) -> None:
        seen.add(content)
        with spoilt(path, content):
            said = say("check", "--data", name, "--root", path.parent)
            said.require_clear()
            if said.status == 0:
                assert read_of(said) == RECORDS[name](asks.read_text("utf-8-sig"))
            else:
                # A damaged table lacks videos, which is a mistake of the line that asks for one.
                assert any(str(path) in line or str(asks) in line for line in said.errors), said.errors

    attack()
    assert len(seen) >= 40
