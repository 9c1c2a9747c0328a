"""Ways to spoil an annotation or prediction file: at its bytes, or at one value of its JSON."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import attrs
from hypothesis import strategies as st

Keys = tuple[str | int, ...]
"""What leads to a value of a JSON document."""

MARK: Final = "\x00here\x00"
DEEP: Final = "[" * 100_000 + "]" * 100_000

UNPARSED: Final[Mapping[str, str]] = {
    "NaN": "NaN",
    "infinity": "Infinity",
    "minus_infinity": "-Infinity",
    "nested_100000_deep": DEEP,
    "5000_digits": "9" * 5000,
    "half_a_character": '"a\\ud800"',
    "a_key_twice": '{"a": 1, "a": 2}',
    "nothing": "",
    "a_bare_word": "seven",
    "single_quotes": "'seven'",
    "half_a_list": "[1, ",
    "a_control_character": '"a\x01"',
}
"""In place of a value, these leave no JSON at all."""

NO_NUMBER: Final[Mapping[str, str]] = {
    "1e400": "1e400",
    "minus_1e400": "-1e400",
    "401_digits": "1" + "0" * 400,
    "a_word": '"seven"',
    "a_quoted_number": '"7"',
    "true": "true",
    "null": "null",
    "a_list": "[1]",
    "an_object": "{}",
    "nested_800_deep": "[" * 800 + "]" * 800,
    "a_long_text": json.dumps("very " * 40_000),
}
NO_LIST: Final[Mapping[str, str]] = {
    "a_word": '"seven"',
    "a_number": "7",
    "true": "true",
    "null": "null",
    "an_object": '{"0": 1}',
    "a_list_of_null": "[null]",
    "a_list_of_objects": "[{}, {}]",
    "nested_800_deep": "[" * 800 + "]" * 800,
}
NO_PAIR: Final[Mapping[str, str]] = {
    **NO_LIST,
    "an_empty_list": "[]",
    "one_number": "[1]",
    "four_numbers": "[1, 2, 3, 4]",
    "quoted_numbers": '["1", "2"]',
    "a_pair_in_a_pair": "[[1, 2], 3]",
}
NO_TEXT: Final[Mapping[str, str]] = {
    "a_number": "7",
    "true": "true",
    "null": "null",
    "a_list": '["a dog"]',
    "an_object": "{}",
    "no_text": '""',
    "blanks": '" \\t "',
    "NUL": '"\\u0000"',
    "punctuation": '"..."',
}
NO_ID: Final[Mapping[str, str]] = {
    "a_half": "1.5",
    "1e400": "1e400",
    "true": "true",
    "null": "null",
    "a_list": "[1]",
    "an_object": "{}",
    "no_text": '""',
}

ILLEGAL: Final[Mapping[str, Mapping[str, str]]] = {
    "number": NO_NUMBER,
    "length": {**NO_NUMBER, "zero": "0", "minus_one": "-1"},
    "seconds of a video": {**NO_NUMBER, "zero": "0", "minus_one": "-1", "1e300": "1e300"},
    "whole": {**NO_NUMBER, "a_half": "1.5", "minus_one": "-1", "far_too_many": "1000000000000"},
    "list": NO_LIST,
    "full list": {**NO_LIST, "an_empty_list": "[]"},
    "pair": NO_PAIR,
    "stretch": {**NO_PAIR, "reversed": "[5, 3]", "negative": "[-2, 3]", "overlong": "[3, 1e5]"},
    "text": NO_TEXT,
    "name": {**NO_TEXT, "2000_letters": f'"{"v" * 2000}"'},
    "id": {**NO_ID, "2000_letters": f'"{"7" * 2000}"', "2000_digits": "7" * 2000},
    "number id": {**NO_ID, "a_word": '"seven"', "a_quoted_number": '"7"'},
    "type of id": {key: raw for key, raw in NO_ID.items() if key != "no_text"},
    "words": {key: raw for key, raw in NO_TEXT.items() if key not in ("no_text", "blanks", "NUL", "punctuation")},
    "answers": {**NO_LIST, "a_window": "[1, 2, 0.5]", "a_window_of_four": "[[1, 2, 0.5, 1]]"},
    "window": {
        **NO_PAIR,
        "no_score": "[1, 2]",
        "reversed": "[5, 3, 0.5]",
        "negative": "[-2, 3, 0.5]",
        "overlong": "[3, 1e5, 0.5]",
        "milliseconds": "[3000, 5000, 0.5]",
        "words": '["1", "2", "0.5"]',
    },
}
"""What breaks the rule of each kind of value, in JSON that parses."""


@attrs.frozen
class Form:
    """How a JSON file holds its records.

    lines: one record a line, else one document. record: keys of the record that is spoilt. values: kind of each value
    of it that its dataset reads.
    """

    lines: bool
    record: Keys
    values: Mapping[Keys, str]

    def load(self, text: str) -> Any:
        return [json.loads(line) for line in text.splitlines()] if self.lines else json.loads(text)

    def dump(self, document: Any) -> str:
        return "".join(json.dumps(each) + "\n" for each in document) if self.lines else json.dumps(document)

    def put(self, text: str, keys: Keys, raw: str) -> str:
        """The file with other JSON in place of one value."""
        document = self.load(text)
        *outer, last = self.record + keys
        inside(document, tuple(outer))[last] = MARK
        return self.dump(document).replace(json.dumps(MARK), raw)

    def without(self, text: str, keys: Keys) -> str:
        document = self.load(text)
        *outer, last = self.record + keys
        del inside(document, tuple(outer))[last]
        return self.dump(document)

    def renamed(self, text: str, keys: Keys, name: str) -> str:
        document = self.load(text)
        *outer, last = self.record + keys
        record = inside(document, tuple(outer))
        record[name] = record.pop(last)
        return self.dump(document)

    def twice(self, text: str, keys: Keys) -> str:
        """The file with one key of the record a second time, in front of the others."""
        document = self.load(text)
        record = inside(document, self.record)
        again = json.dumps({keys[0]: record[keys[0]]}).removesuffix("}") + ", "
        whole = json.dumps(record)
        return self.dump(document).replace(whole, again + whole.removeprefix("{"))

    def exchanged(self, text: str, one: Keys, other: Keys) -> str:
        document = self.load(text)
        first, second = (copy.deepcopy(inside(document, self.record + keys)) for keys in (one, other))
        for (*outer, last), value in ((one, second), (other, first)):
            inside(document, self.record + tuple(outer))[last] = value
        return self.dump(document)

    def place(self, path: object) -> str:
        """What a message calls the record."""
        first = self.record[0]
        if self.lines:
            assert isinstance(first, int)
            return f"{path}:{first + 1}"
        return f"{path} [{json.dumps(first)}]"

    def line(self, path: object) -> str:
        """What a message calls the text that is no JSON."""
        return self.place(path) if self.lines else f"{path}:1"


def inside(document: Any, keys: Keys) -> Any:
    for key in keys:
        document = document[key]
    return document


MOMENT: Final[Mapping[Keys, str]] = {
    ("timestamps",): "list",
    ("timestamps", 0): "pair",
    ("timestamps", 0, 0): "number",
    ("timestamps", 0, 1): "number",
    ("sentences",): "list",
    ("sentences", 0): "text",
}
LINE: Final[Mapping[Keys, str]] = {
    ("qid",): "id",
    ("query",): "text",
    ("vid",): "name",
    ("duration",): "seconds of a video",
    ("relevant_windows",): "full list",
    ("relevant_windows", 1): "stretch",
    ("relevant_windows", 1, 0): "number",
    ("relevant_windows", 1, 1): "number",
    ("relevant_clip_ids",): "full list",
    ("relevant_clip_ids", 2): "whole",
    ("saliency_scores",): "full list",
    ("saliency_scores", 2): "full list",
    ("saliency_scores", 2, 1): "whole",
}
FORMS: Final[Mapping[str, Form]] = {
    "tacos": Form(False, ("train3.avi",), {**MOMENT, ("fps",): "length", ("num_frames",): "length"}),
    "activitynet": Form(False, ("v_train3",), {**MOMENT, ("duration",): "seconds of a video"}),
    "didemo": Form(
        False,
        (3,),
        {
            ("num_segments",): "whole",
            ("description",): "text",
            ("times",): "full list",
            ("times", 2): "pair",
            ("times", 2, 0): "whole",
            ("times", 2, 1): "whole",
            ("video",): "name",
            ("annotation_id",): "number id",
        },
    ),
    "qvhighlights": Form(True, (3,), LINE),
    "jsonl": Form(True, (3,), LINE),
}
"""The training file that each dataset reads, but Charades-STA's, which is text."""

PREDICTION: Final = Form(
    True,
    (3,),
    {
        ("qid",): "type of id",
        ("query",): "words",
        ("vid",): "name",
        ("pred_relevant_windows",): "answers",
        ("pred_relevant_windows", 1): "window",
        ("pred_relevant_windows", 1, 0): "number",
        ("pred_relevant_windows", 1, 1): "number",
        ("pred_relevant_windows", 1, 2): "number",
        ("pred_saliency_scores",): "list",
        ("pred_saliency_scores", 5): "number",
    },
)

WHOLE: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "empty": lambda content: b"",
    "one_byte": lambda content: content[:1],
    "half": lambda content: content[: len(content) // 2],
    "a_third": lambda content: content[: len(content) // 3],
    "last_bytes_cut": lambda content: content[:-9],
    "a_line_break": lambda content: b"\n",
    "blanks": lambda content: b" \t \n \n",
    "NULs": lambda content: b"\0" * len(content),
    "NUL_inside": lambda content: content[:100] + b"\0" + content[100:],
    "no_UTF-8": lambda content: content[:100] + b"\xff\xfe" + content[100:],
    "latin-1": lambda content: content[:100] + "\u00e9".encode("latin-1") + content[100:],
    "UTF-16": lambda content: content.decode().encode("utf-16"),
    "UTF-32": lambda content: content.decode().encode("utf-32"),
    "gzip": gzip.compress,
    "twice": lambda content: content + content,
    "null": lambda content: b"null",
    "true": lambda content: b"true",
    "a_number": lambda content: b"7",
    "a_text": lambda content: b'"a dog runs"',
    "an_empty_list": lambda content: b"[]",
    "an_empty_object": lambda content: b"{}",
    "a_list_of_null": lambda content: b"[null]",
    "an_object_of_null": lambda content: b'{"a": null}',
    "a_list_in_a_list": lambda content: b"[[]]",
    "nested_100000_deep": lambda content: DEEP.encode(),
    "objects_100000_deep": lambda content: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "XML": lambda content: b'<?xml version="1.0"?><a/>',
    "a_page": lambda content: b"<!DOCTYPE html>\n<html><body>404: Not Found</body></html>\n",
    "a_pointer": lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "one_long_line": lambda content: b"a" * 2_000_000,
    "many_lines": lambda content: b"a\n" * 100_000,
}
"""What may stand in a file instead: none of it is annotations or predictions of the field."""

INSERTED: Final = [b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\n", b'"', b"\\", b"##", b"1e999", b"-"]
INSERTED.extend([b"{", b"}", b"[", b"]", b",", b":", b" ", "\u2028\u202e\U0001f600".encode(), b"9" * 400, b"NaN"])


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The content cut off, or with bytes removed, added or overwritten; never as it was."""
    start = draw(st.integers(0, len(content) - 1))
    kind = draw(st.sampled_from(["cut", "remove", "insert", "overwrite", "repeat"]))
    stop = start + draw(st.integers(1, 40))
    if kind == "cut":
        return content[:start]
    if kind == "remove":
        return content[:start] + content[stop:]
    if kind == "repeat":
        return content[:stop] + content[start:]
    added = draw(st.one_of(st.sampled_from(INSERTED), st.binary(min_size=1, max_size=4)))
    rest = start if kind == "insert" else start + len(added)
    found = content[:start] + added + content[rest:]
    return found if found != content else content[:start]


def spoilt_values(form: Form) -> Iterator[tuple[str, Keys, str]]:
    """Name, keys and JSON to put there of each mutation that leaves JSON and breaks the rule of one value."""
    for keys, kind in form.values.items():
        for name, raw in ILLEGAL[kind].items():
            yield f"{'.'.join(map(str, keys))}={name}", keys, raw


def spoilt_records(form: Form) -> Iterator[tuple[str, Callable[[str], str]]]:
    """Name and function on the file's text of each mutation of the keys of one record; all break a rule."""
    top = [keys for keys in form.values if len(keys) == 1]
    for keys in top:
        (key,) = keys
        assert isinstance(key, str)
        yield f"{key}_dropped", partial(form.without, keys=keys)
        yield f"{key}_in_capitals", partial(form.renamed, keys=keys, name=key.upper())
        yield f"{key}_with_a_line_break", partial(form.renamed, keys=keys, name=f"{key}\n")
        yield f"{key}_and_half_a_character", partial(form.renamed, keys=keys, name=f"{key}\ud800")
        yield f"{key}_twice", partial(form.twice, keys=keys)


def _queries_of_lines(text: str) -> int:
    *lines, last = text.split("\n")
    return len(lines) + bool(last)


RECORDS: Final[Mapping[str, Callable[[str], int]]] = {
    "charades_sta": _queries_of_lines,
    "tacos": lambda text: sum(len(record["sentences"]) for record in json.loads(text).values()),
    "activitynet": lambda text: sum(len(record["sentences"]) for record in json.loads(text).values()),
    "didemo": lambda text: len(json.loads(text)),
    "qvhighlights": _queries_of_lines,
    "jsonl": _queries_of_lines,
}
"""The plainest count of what a file asks, to hold that of a reader against."""
