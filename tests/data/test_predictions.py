from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from framework.data.dataset import Query
from framework.data.predictions import join, read_predictions, write_predictions
from framework.errors import DataError, Problems
from framework.metrics import rank

few = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def query(qid: int | str, video: str = "v1", duration: float = 30.0, text: str = "a dog runs") -> Query:
    return Query(qid, text, video, duration, ((2.0, 9.0, 1.0),), f"train.jsonl:{qid}")


times = st.floats(0, 150, width=32)
windows = st.lists(
    st.tuples(times, times, st.floats(allow_nan=False, allow_infinity=False)).map(
        lambda w: (min(w[:2]), max(w[:2]), w[2])
    ),
    max_size=4,
)
ids = st.one_of(st.integers(), st.text(max_size=5))
answers = st.dictionaries(ids, st.tuples(st.text(), st.text(), windows), max_size=4)


@few
@given(answers)
def test_what_is_written_is_read_back_to_the_last_bit(tmp_path: Path, entries: dict[int | str, Any]) -> None:
    path = tmp_path / "test.jsonl"
    queries = [query(qid, video, 150.0, text) for qid, (text, video, _) in entries.items()]
    write_predictions(path, queries, {qid: found for qid, (_, _, found) in entries.items()})
    read = read_predictions(path)
    assert list(read) == list(entries)
    for qid, (text, video, found) in entries.items():
        assert (read[qid].query, read[qid].vid, read[qid].windows) == (text, video, tuple(found))


def test_a_file_scores_exactly_as_the_answers_it_was_written_from(tmp_path: Path) -> None:
    """Rounding to four decimals, as submissions do, would lift this IoU from just below 0.5 to 0.5."""
    queries = [query(1)]
    found = {1: torch.tensor([[2.0, 5.499999, 0.7]])}
    truths = {1: [[2.0, 9.0]]}
    path = tmp_path / "test.jsonl"
    write_predictions(path, queries, found)
    joined = join(read_predictions(path), queries)
    assert joined.missing == ()
    assert rank(joined.windows, truths, strict=False) == rank(found, truths, strict=False)
    assert rank({1: np.round(found[1].double().numpy(), 4)}, truths, strict=False) != rank(found, truths, strict=False)


def test_the_form_is_that_of_a_qvhighlights_submission(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    write_predictions(path, [query("s1", text="né à")], {"s1": [[0.0, 2.5, 0.75]]})
    assert path.read_bytes().endswith(b"}\n")
    assert json.loads(path.read_text()) == {
        "qid": "s1",
        "query": "né à",
        "vid": "v1",
        "pred_relevant_windows": [[0.0, 2.5, 0.75]],
    }


def line(**changes: Any) -> dict[str, Any]:
    record = {"qid": 1, "query": "a dog runs", "vid": "v1", "pred_relevant_windows": [[0, 2.5, 0.9]]}
    return {key: value for key, value in (record | changes).items() if value is not ...}


def read_text(tmp_path: Path, text: str | bytes, durations: dict[str, float] | None = None) -> dict[int | str, Any]:
    path = tmp_path / "p.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return dict(read_predictions(path, durations))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"qid": ...}, 'has no key "qid"'),
        ({"vid": ..., "video": "v1"}, 'has no key "vid".*Did you mean "video"'),
        ({"pred_relevant_windows": ..., "relevant_windows": []}, 'Did you mean "relevant_windows"'),
        ({"qid": True}, "qid = true: must be a whole number or a string"),
        ({"qid": 1.0}, "qid = 1.0: must be a whole number or a string"),
        ({"qid": None}, "qid = null: must be a whole number or a string"),
        ({"query": 3}, "query = 3: must be a string"),
        ({"vid": ["v1"]}, r"vid = \[.v1.\]: must be a string"),
        ({"pred_relevant_windows": {}}, r"pred_relevant_windows = {}: must be a list"),
        ({"pred_relevant_windows": [[0, 1, 1], [0, 1]]}, r"pred_relevant_windows\[1\] = \[0, 1\]: must be three"),
        ({"pred_relevant_windows": [[0, "1", 1]]}, "must be three finite numbers"),
        ({"pred_relevant_windows": [[0, True, 1]]}, "must be three finite numbers"),
        ({"pred_relevant_windows": [[0, 10**400, 1]]}, "must be three finite numbers"),
        ({"pred_relevant_windows": [7]}, r"pred_relevant_windows\[0\] = 7: must be three finite numbers"),
        ({"pred_relevant_windows": [[5, 3, 0.9]]}, r"= \[5, 3, 0.9\]: must have 0 <= start <= end"),
        ({"pred_relevant_windows": [[-0.1, 3, 0.9]]}, "must have 0 <= start <= end"),
        ({"pred_relevant_windows": [[0, 31, 0.9]]}, "must end within its video of 30 s"),
    ],
)
def test_a_line_that_breaks_a_rule_is_named_with_file_line_value_and_rule(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    text = json.dumps(line(qid=0)) + "\n" + json.dumps(line(**changes)) + "\n"
    with pytest.raises(DataError, match=rf"p\.jsonl:2.*{message}") as caught:
        read_text(tmp_path, text, {"v1": 30.0})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (b'{"qid": 1', "not JSON"),
        (b"", "is empty"),
        (b"[]", "must be one JSON object"),
        (b'"text"', "must be one JSON object"),
        (b"\xff\xfe", "byte 0xff is not UTF-8"),
        (b"[" * 100_000, "not JSON"),
        (b'{"qid": NaN}', "NaN is no number of JSON"),
        (b"null", "must be one JSON object"),
        (b"1" * 5000, "not JSON"),
    ],
    ids=["cut", "empty", "list", "string", "not-utf8", "deep", "nan", "null", "long-number"],
)
def test_a_line_that_is_no_json_object_is_refused(tmp_path: Path, broken: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"p\.jsonl:2: .*{message}"):
        read_text(tmp_path, json.dumps(line()).encode() + b"\n" + broken + b"\n")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, number: str) -> None:
    """A NaN boundary counts as a hit in the official QVHighlights evaluation."""
    text = json.dumps(line(pred_relevant_windows=[["x", 3, 0.9]])).replace('"x"', number)
    with pytest.raises(DataError, match=r"p\.jsonl:1"):
        read_text(tmp_path, text)


def test_a_second_line_of_a_query_is_refused_with_both_places(tmp_path: Path) -> None:
    text = "\n".join(json.dumps(line(qid=qid)) for qid in (5, 6, 5))
    with pytest.raises(DataError, match=r"p\.jsonl:3 qid = 5: already on line 1"):
        read_text(tmp_path, text)


def test_ids_that_are_a_number_and_its_digits_are_two_queries(tmp_path: Path) -> None:
    assert list(read_text(tmp_path, json.dumps(line(qid=5)) + "\n" + json.dumps(line(qid="5")))) == [5, "5"]


def test_foreign_submissions_are_read(tmp_path: Path) -> None:
    """No final newline, Windows line ends, a saliency list, an end that rounding put above the duration."""
    second = line(qid=2, pred_saliency_scores=[0.1, -0.2], pred_relevant_windows=[[1.5, 30.0001, -0.3]])
    text = json.dumps(line(query="a\u2028b"), ensure_ascii=False) + "\r\n" + json.dumps(second)
    found = read_text(tmp_path, text, {"v1": 30.0})
    assert found[1].query == "a\u2028b"
    assert found[2].windows == ((1.5, 30.0001, -0.3),)
    assert (found[1].saliency, found[2].saliency) == (None, (0.1, -0.2))


def test_all_broken_lines_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    wrong = [line(qid=qid, pred_relevant_windows=[[qid, 0, 1]]) for qid in range(1, 4)]
    text = "\n".join(json.dumps(each) for each in [line(qid=0), *wrong, line(qid=0)])
    with pytest.raises(Problems) as caught:
        read_text(tmp_path, text)
    assert [problem.split("p.jsonl:")[1][:1] for problem in caught.value.problems] == ["2", "3", "4", "5"]


def test_a_file_that_breaks_every_rule_is_told_in_a_few_lines(tmp_path: Path) -> None:
    with pytest.raises(Problems) as caught:
        read_text(tmp_path, "x\n" * 1000)
    assert len(caught.value.problems) == 11
    assert caught.value.problems[-1].endswith("p.jsonl: 990 more lines break a rule")


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (0.5, "must be a list of numbers"),
        ([0.1, "x"], r"pred_saliency_scores\[1\] = .x.: must be a finite number"),
        ([True], r"pred_saliency_scores\[0\] = true: must be a finite number"),
        ([10**400], r"pred_saliency_scores\[0\] = 1000"),
    ],
)
def test_scores_of_clips_must_be_finite_numbers(tmp_path: Path, scores: Any, message: str) -> None:
    with pytest.raises(DataError, match=rf"p\.jsonl:1.*{message}"):
        read_text(tmp_path, json.dumps(line(pred_saliency_scores=scores)))


def test_scores_of_clips_are_written_and_read_back(tmp_path: Path) -> None:
    path, queries = tmp_path / "test.jsonl", [query(1), query(2)]
    saliency = {1: np.array([0.1, -2.5]), 2: np.array([])}
    write_predictions(path, queries, {1: [], 2: []}, saliency)
    joined = join(read_predictions(path), queries)
    assert {qid: scores.tolist() for qid, scores in joined.saliency.items()} == {1: [0.1, -2.5], 2: []}


def test_scores_of_clips_that_only_some_lines_have_are_refused(tmp_path: Path) -> None:
    text = json.dumps(line(qid=1, pred_saliency_scores=[1])) + "\n" + json.dumps(line(qid=2))
    with pytest.raises(DataError, match=r"^p:2: has no pred_saliency_scores, as 1 of 2 lines"):
        join(read_text(tmp_path, text), [query(1), query(2)], source="p")


def test_lists_that_are_not_best_first_are_counted(tmp_path: Path) -> None:
    text = json.dumps(line(pred_relevant_windows=[[0, 1, 0.2], [1, 2, 0.9]])) + "\n" + json.dumps(line(qid=2))
    assert join(read_text(tmp_path, text), [query(1), query(2)]).unsorted == 1


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.jsonl: cannot be read: No such file"):
        read_predictions(tmp_path / "nowhere.jsonl")
    with pytest.raises(DataError, match="cannot be read"):
        read_predictions(tmp_path)


def test_nothing_is_written_that_could_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    for answer, message in [
        ([[0.0, 1.0, float("nan")]], "three finite numbers"),
        ([[0.0, 40.0, 1.0]], "within its video of 30 s"),
        ([[0.0, 1.0]], "three finite numbers"),
    ]:
        with pytest.raises(DataError, match=rf"test\.jsonl:2 pred_relevant_windows\[0\].*{message}"):
            write_predictions(path, [query(1), query(2)], {1: [], 2: answer})
    with pytest.raises(DataError, match="qid = 2: has no answer"):
        write_predictions(path, [query(1), query(2)], {1: []})
    assert not path.exists()


def predictions_of(tmp_path: Path, *qids: int | str) -> dict[int | str, Any]:
    return read_text(tmp_path, "".join(json.dumps(line(qid=qid)) + "\n" for qid in qids))


def test_joining_gives_the_windows_in_the_order_of_the_split(tmp_path: Path) -> None:
    joined = join(predictions_of(tmp_path, 3, 1, 2), [query(1), query(2), query(3)])
    assert list(joined.windows) == [1, 2, 3]
    assert joined.windows[2].tolist() == [[0.0, 2.5, 0.9]]


def test_missing_queries_are_refused_or_counted_as_misses(tmp_path: Path) -> None:
    predictions, queries = predictions_of(tmp_path, 1), [query(qid) for qid in range(1, 6)]
    message = r"^p: 4 of 5 queries have no prediction \(2 of train\.jsonl:2, .*5 of train\.jsonl:5\); .*--allow-missing"
    with pytest.raises(DataError, match=message):
        join(predictions, queries, source="p")
    joined = join(predictions, queries, allow_missing=True)
    assert joined.missing == (2, 3, 4, 5)
    assert joined.windows[5].shape == (0, 3)
    assert rank(joined.windows, {qid: [[0.0, 2.5]] for qid in range(1, 6)})["R1@0.5"] == 20


def test_unknown_queries_are_refused_even_where_missing_ones_are_allowed(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"^p: 1 of 2 queries are not in the ground truth \(9 on line 2\); check that dataset"
    ):
        join(predictions_of(tmp_path, 1, 9), [query(1)], source="p", allow_missing=True)


def test_ids_that_differ_only_in_type_are_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the file writes ids as str, the ground truth as int"):
        join(predictions_of(tmp_path, "1", "2"), [query(1), query(2)])


def test_predictions_of_another_release_with_the_same_ids_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'^p:1: qid 1 has vid "v1" but .* "v7" \(train.jsonl:1\); .*another'):
        join(predictions_of(tmp_path, 1), [attrs.evolve(query(1), video="v7")], source="p")
