"""Answers made elsewhere, scored by the rule of their dataset; what is odd about a file is said beside its numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from framework.cli import main
from framework.data import Query
from framework.registry import load_registry
from tests.datasets.conftest import WRITERS, json_lines


def folder_of(name: str, to: Path) -> tuple[Path, Callable[[str], list[Query]]]:
    root = to / "data"
    root.mkdir()
    WRITERS[name](root)
    part = load_registry().part("dataset", name, "test")
    dataset = part.factory(part.options(), root)
    return root, dataset.queries


def write(
    path: Path, queries: Iterable[Query], change: Callable[[dict[str, Any]], object] = lambda record: None
) -> Path:
    """Perfect answers, each line changed as asked."""
    lines = []
    for query in queries:
        windows = [[start, end, 1 - number / 10] for number, (start, end, _) in enumerate(query.moments)]
        record = {"qid": query.id, "query": query.text, "vid": query.video, "pred_relevant_windows": windows}
        change(record)
        lines.append(json.dumps(record) + "\n")
    path.write_text("".join(lines))
    return path


@pytest.mark.parametrize(
    ("name", "split", "rule", "number"),
    [
        ("charades_sta", "test", "rank", "R1@0.7"),
        ("tacos", "test", "rank", "R1@0.7"),
        ("activitynet", "val", "rank", "R1@0.7"),
        ("didemo", "test", "didemo", "mIoU"),
        ("qvhighlights", "val", "qvhighlights", "mAP"),
        ("jsonl", "test", "rank", "R1@0.7"),
    ],
)
def test_perfect_answers_are_scored_by_the_rule_of_their_dataset(
    name: str, split: str, rule: str, number: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, queries = folder_of(name, tmp_path)
    path = write(tmp_path / "answers.jsonl", queries(split))
    ask = ["eval", str(path), "--data", name, "--root", str(root), "--split", split, "--json", str(tmp_path / "m.json")]
    assert main(ask) == 0
    metric = load_registry().part("metric", rule, "test")
    rules = metric.factory(metric.options()).rule
    assert f"rule: {rules}\n" in capsys.readouterr().out
    # Of DiDeMo's four annotators one contradicts the others, of whom three count.
    assert json.loads((tmp_path / "m.json").read_text())["metrics"][number] == pytest.approx(100)


def eval_of(root: Path, path: Path, *more: str) -> int:
    return main(["eval", str(path), "--data", "qvhighlights", "--root", str(root), "--split", "val", *more])


def test_highlights_are_scored_where_the_file_scores_clips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, queries = folder_of("qvhighlights", tmp_path)
    path = write(tmp_path / "a.jsonl", queries("val"))
    assert eval_of(root, path) == 0
    said = capsys.readouterr().out
    assert "HL-Good-mAP" not in said
    assert "note: no pred_saliency_scores in the file, so highlights are not scored" in said
    write(path, queries("val"), lambda record: record.update(pred_saliency_scores=[0.5, 0.25]))
    assert eval_of(root, path) == 0
    assert "HL-Good-mAP" in capsys.readouterr().out


def test_lists_out_of_order_or_too_short_for_the_rule_are_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, queries = folder_of("qvhighlights", tmp_path)
    path = write(tmp_path / "a.jsonl", queries("val"), lambda record: record["pred_relevant_windows"].reverse())
    assert eval_of(root, path) == 0
    said = capsys.readouterr().out
    assert "note: 3 lists are not best first" in said
    assert "note: no query has more than 2 moments, and the rule looks at the first 10" in said
    assert eval_of(root, path, "--rule", "rank", "--set", "n=[1, 2]") == 0
    assert "looks at the first" not in capsys.readouterr().out


def test_windows_behind_the_video_are_refused_or_scored_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, queries = folder_of("qvhighlights", tmp_path)
    path = write(
        tmp_path / "a.jsonl", queries("val"), lambda record: record["pred_relevant_windows"].append([0, 150, 0])
    )
    assert eval_of(root, path) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 6
    assert all("must end within its video" in line and "--allow-overlong" in line for line in said)
    assert eval_of(root, path, "--allow-overlong") == 0
    assert "6 windows end after their video and are scored as they are" in capsys.readouterr().out


def test_answers_that_are_missing_are_counted_where_that_is_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, queries = folder_of("qvhighlights", tmp_path)
    path = write(tmp_path / "a.jsonl", queries("val")[:-2])
    assert eval_of(root, path) == 2
    assert "highlight_val_release.jsonl:5" in capsys.readouterr().err
    assert eval_of(root, path, "--allow-missing") == 0
    said = capsys.readouterr().out
    assert "2 queries without an answer counted as misses" in said
    assert " 66.67\n" in said


def test_ids_of_another_release_come_with_the_way_to_score_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, queries = folder_of("charades_sta", tmp_path)
    path = write(tmp_path / "a.jsonl", queries("test"), lambda record: record.update(qid=len(record["vid"])))
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line.replace('"qid": 5', f'"qid": {12404 + n}') for n, line in enumerate(lines)))
    ask = ["eval", str(path), "--data", "charades_sta", "--root", str(root), "--split", "test"]
    assert main(ask) == 2
    assert "its ids are of another release: score it against that release's own" in capsys.readouterr().err


def test_a_split_without_labels_cannot_be_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, queries = folder_of("jsonl", tmp_path)
    path = write(tmp_path / "a.jsonl", queries("test"))
    records = [json.loads(line) for line in json_lines("test").splitlines()]
    records[2]["relevant_windows"] = None
    (root / "test.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert main(["eval", str(path), "--data", "jsonl", "--root", str(root), "--split", "test"]) == 2
    said = capsys.readouterr().err
    assert 'test.jsonl:3: 1 of 6 queries of split "test" have no moments' in said


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--rule", "qvhighlight"), 'eval --rule = "qvhighlight": no such metric. Did you mean "qvhighlights"?'),
        (("--set", "lenghts=true"), "--set lenghts"),
        (("--set", "data.annotation=x"), "--set data.annotation"),
        (("--split", "vall"), 'Did you mean "val"?'),
        (("--split", "test"), "highlight_test_release.jsonl: not found"),
    ],
)
def test_a_mistake_of_the_command_is_told_in_its_own_words(
    more: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, queries = folder_of("qvhighlights", tmp_path)
    assert eval_of(root, write(tmp_path / "a.jsonl", queries("val")), *more) == 2
    assert words in capsys.readouterr().err
