"""However a predictions file is spoilt, ``eval`` names its line: no traceback, no hang, no answer passed over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import Phase, given, settings

from tests.datasets.conftest import invented, write_qvhighlights
from tests.datasets.mutations import PREDICTION, UNPARSED, WHOLE, Keys, damaged, spoilt_records, spoilt_values
from tests.datasets.refusal import Said, say, spoilt


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sound predictions for the validation split that lies beside them; whoever spoils them mends them."""
    folder = tmp_path_factory.mktemp("qvhighlights")
    write_qvhighlights(folder)
    path = folder / "val.jsonl"
    lines = []
    for qid, vid, text, duration, windows in invented("val"):
        found = [[0.0, 10.0, 0.9], *([*window, 0.5] for window in windows)]
        record = {"qid": qid, "query": text, "vid": vid, "pred_relevant_windows": found}
        lines.append(json.dumps(record | {"pred_saliency_scores": [0.1 * n for n in range(int(duration / 2))]}) + "\n")
    path.write_text("".join(lines))
    assert score(path).status == 0
    return path


def score(path: Path, *arguments: str) -> Said:
    return say("eval", path, "--data", "qvhighlights", "--root", path.parent, "--rule", "qvhighlights", *arguments)


def spoil_and_score(path: Path, content: bytes, *arguments: str) -> Said:
    with spoilt(path, content):
        return score(path, *arguments)


@pytest.mark.parametrize(
    ("keys", "raw"), [pytest.param(keys, raw, id=name) for name, keys, raw in spoilt_values(PREDICTION)]
)
def test_a_value_that_breaks_a_rule_is_told_with_its_line(answers: Path, keys: Keys, raw: str) -> None:
    said = spoil_and_score(answers, PREDICTION.put(answers.read_text(), keys, raw).encode())
    said.require_refused(f"{answers}:4")


@pytest.mark.parametrize("raw", UNPARSED.values(), ids=UNPARSED)
def test_what_is_no_json_is_told_with_its_line(answers: Path, raw: str) -> None:
    for keys in PREDICTION.values:
        said = spoil_and_score(answers, PREDICTION.put(answers.read_text(), keys, raw).encode())
        said.require_refused(f"{answers}:4")


@pytest.mark.parametrize("mutate", [pytest.param(mutate, id=name) for name, mutate in spoilt_records(PREDICTION)])
def test_a_key_that_is_missing_or_there_twice_is_told_with_its_line(
    answers: Path, mutate: Callable[[str], str]
) -> None:
    spoil_and_score(answers, mutate(answers.read_text()).encode()).require_refused(f"{answers}:4")


@pytest.mark.parametrize("mutation", WHOLE)
def test_a_file_of_something_else_is_refused(answers: Path, mutation: str) -> None:
    said = spoil_and_score(answers, WHOLE[mutation](answers.read_bytes()))
    said.require_refused(str(answers))
    lenient = spoil_and_score(answers, WHOLE[mutation](answers.read_bytes()), "--allow-missing")
    lenient.require_clear()
    assert lenient.status == 2 or "counted as misses" in lenient.out


def edited(edit: Callable[[list[Any]], object]) -> Callable[[str], str]:
    """Edit the list of records of a file."""

    def mutate(text: str) -> str:
        records = PREDICTION.load(text)
        edit(records)
        return PREDICTION.dump(records)

    return mutate


LISTS: Final[dict[str, tuple[Callable[[list[Any]], object], str]]] = {
    "a_query_twice": (lambda records: records.append(records[3]), ":7"),
    "a_query_twice_as_text": (lambda records: records.append(records[3] | {"qid": str(records[3]["qid"])}), ":7"),
    "an_unknown_query": (lambda records: records[3].update(qid=99999), ":4"),
    "a_query_without_a_name": (lambda records: records[3].update(qid=""), ":4"),
    "an_unseen_query": (lambda records: records[3].update(qid="\u202e\n\x1b[2J"), ":4"),
    "a_query_of_2000_letters": (lambda records: records[3].update(qid="7" * 2000), ":4"),
    "a_query_of_2000_digits": (lambda records: records[3].update(qid=int("7" * 2000)), ":4"),
    "one_more_query": (lambda records: records.append(records[3] | {"qid": 99999}), ":7"),
    "a_missing_query": (lambda records: records.pop(), ""),
    "all_but_one_missing": (lambda records: records.__delitem__(slice(1, None)), ""),
    "ids_as_text": (lambda records: [record.update(qid=str(record["qid"])) for record in records], ":1"),
    "one_id_as_text": (lambda records: records[3].update(qid=str(records[3]["qid"])), ":4"),
    "ids_of_two_queries_exchanged": (
        lambda records: records[3].update(qid=records[4]["qid"]) or records[4].update(qid=records[4]["qid"] - 1),
        ":4",
    ),
    "another_video": (lambda records: records[3].update(vid="val4"), ":4"),
    "no_saliency_on_one_line": (lambda records: records[3].pop("pred_saliency_scores"), ":4"),
    "saliency_null_on_one_line": (lambda records: records[3].update(pred_saliency_scores=None), ":4"),
    "all_reversed": (
        lambda records: [
            window.__setitem__(slice(2), window[1::-1]) for each in records for window in each["pred_relevant_windows"]
        ],
        ":4",
    ),
}


@pytest.mark.parametrize(("edit", "place"), LISTS.values(), ids=LISTS)
def test_answers_that_do_not_fit_the_queries_are_told(
    answers: Path, edit: Callable[[list[Any]], object], place: str
) -> None:
    said = spoil_and_score(answers, edited(edit)(answers.read_text()).encode())
    said.require_clear()
    assert said.status == 2
    assert any(f"{answers}{place}" in line or (f"line {place[1:]}" in line) for line in said.errors), said.errors


def test_damaged_bytes_are_refused_or_all_answers_are_scored(answers: Path) -> None:
    seen = set[bytes]()

    @settings(max_examples=150, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(damaged(answers.read_bytes()))
    def attack(content: bytes) -> None:
        seen.add(content)
        said = spoil_and_score(answers, content)
        said.require_clear()
        if said.status == 0:
            assert content.count(b"\n") + (not content.endswith(b"\n")) == 6
            assert "counted as misses" not in said.out
        else:
            assert any(str(answers) in line for line in said.errors), said.errors

    attack()
    assert len(seen) >= 100


@pytest.mark.parametrize("mutation", ["empty", "half", "no_UTF-8", "gzip", "twice", "nested_100000_deep"])
def test_spoilt_annotations_are_told_as_well(answers: Path, mutation: str) -> None:
    path = answers.with_name("highlight_val_release.jsonl")
    with spoilt(path, WHOLE[mutation](path.read_bytes())):
        score(answers).require_refused(str(path))
