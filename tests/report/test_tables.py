"""The summary of a run in the terminal."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from framework.report import print_summary, read_run
from framework.report.tables import EMBEDDED, cost_facts, score_rows, show, show_time

MakeRun = Callable[..., Path]


def printed(folder: Path, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_summary(read_run(folder), console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def cells(summary: str, metric: str) -> list[str]:
    (line,) = [line for line in summary.splitlines() if metric in line]
    return [cell.strip() for cell in line.strip("│ ").split("│")]


def test_the_summary_puts_each_metric_beside_the_published_number(make_run: MakeRun) -> None:
    summary = printed(make_run())
    assert cells(summary, "R1@0.5") == ["R1@0.5", "59.25", "60.30", "-1.05"]
    assert cells(summary, "R1@0.7") == ["R1@0.7", "41.50", "40.80", "+0.70"]
    assert cells(summary, "mIoU") == ["mIoU", "51.00", "-", "-"]


def test_a_published_metric_that_was_not_measured_is_shown_as_such(make_run: MakeRun) -> None:
    assert cells(printed(make_run()), "R5@0.5") == ["R5@0.5", "n/a", "79.70", "n/a"]


def test_the_summary_states_what_the_numbers_depend_on(make_run: MakeRun) -> None:
    summary = printed(make_run())
    for stated in ("rank, IoU > m, NMS 0.49", "test, 3,720 queries", "full, data charades_sta", "gaussian 5 steps"):
        assert stated in summary
    assert "no split was used to choose it" in summary


def test_a_run_without_published_numbers_has_a_summary_too(make_run: MakeRun) -> None:
    assert cells(printed(make_run(scored={"expected": None})), "R1@0.5") == ["R1@0.5", "59.25", "-", "-"]


def test_only_the_embedded_profile_is_announced_and_is_never_compared_with_a_paper(make_run: MakeRun) -> None:
    assert EMBEDDED not in printed(make_run("full"))
    embedded = printed(make_run("embedded"))
    assert embedded.startswith(" EMBEDDED PROFILE")
    assert EMBEDDED in embedded
    assert cells(embedded, "R1@0.5") == ["R1@0.5", "59.25", "60.30", "-"]
    assert all(row.difference is None for row in score_rows(read_run(make_run("embedded"))))


def test_a_run_that_did_not_finish_says_so(make_run: MakeRun) -> None:
    assert "run is interrupted" in printed(make_run(said={"status": "interrupted"}))
    assert "not its final numbers" not in printed(make_run())


def test_names_that_look_like_terminal_markup_are_printed_as_they_are(make_run: MakeRun) -> None:
    hostile = "[red]x[/nothing] :smile:"
    summary = printed(make_run(scored={"rule": hostile, "recipe": hostile, "metrics": {hostile: 1.0}}))
    assert summary.count(hostile) == 3


def test_no_line_of_the_summary_is_wider_than_the_terminal(make_run: MakeRun) -> None:
    assert max(len(line) for line in printed(make_run(), width=60).splitlines()) <= 60


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 01 s"), (8013.2, "2 h 13 min")]
)
def test_times_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert show_time(seconds) == words


def test_what_is_not_a_number_is_never_shown_as_one() -> None:
    assert (show(math.nan), show(math.inf), show(None), show_time(math.nan)) == ("n/a", "n/a", "-", "n/a")


def test_the_parameters_of_the_parts_are_added_up(make_run: MakeRun) -> None:
    facts = dict(cost_facts(read_run(make_run())))
    assert facts["parameters, all"] == "35,200"
    assert facts["one epoch (median)"] == "6.5 s"
    assert "epochs" not in dict(cost_facts(read_run(make_run(epochs=[]))))
