"""The benchmark program: that both sides of every pair agree, and what it prints. Nothing here depends on a time."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

TOOL = Path(__file__).parents[2] / "tools" / "benchmark.py"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    specification = importlib.util.spec_from_file_location("benchmark", TOOL)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    # Its attrs classes look their annotations up in the module they were defined in.
    monkeypatch.setitem(sys.modules, "benchmark", module)
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "TURN_S", 0.0001)
    return module


@pytest.fixture
def pair(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replaces all benchmarks by one, named sum."""

    def set_up(**found: Tensor) -> None:
        def obvious() -> Mapping[str, Tensor]:
            return {"sum": torch.tensor(6.0)}

        made = tool.Pair("1 + 2 + 3", obvious, lambda: found or obvious())
        monkeypatch.setattr(tool, "BENCHMARKS", {"sum": lambda: [made]})

    return set_up


def test_the_loss_by_row_is_that_of_the_target(tool: ModuleType) -> None:
    for pair in tool.matching(rows=6, proposals=12, moments=5):
        assert {"class", "l1", "iou", "of spans", "of logits"} == pair.ours().keys()
        tool.check("matching", pair)


def test_the_crops_by_span_are_those_of_roi_align(tool: ModuleType) -> None:
    (pair,) = tool.roi(rows=3, spans=9, clips=11, width=4)
    assert pair.ours()["crops"].shape == (3, 9, 7, 4)
    assert pair.ours()["gradient"].shape == (3, 11, 4)
    tool.check("roi_align", pair)


def test_the_scores_by_query_are_those_of_the_rules(tool: ModuleType) -> None:
    moments, clips, listed, suppressed = tool.scoring(queries=30, sentences=30)
    assert len(moments.ours()) == 4 * 21
    assert len(clips.ours()) == 6
    for pair in (moments, clips, listed, suppressed):
        between = [0 < float(value) < 100 for value in pair.ours().values()]
        assert sum(between) > len(between) / 2
        tool.check("scoring", pair)
    assert listed.ours() != suppressed.ours()


def test_the_loop_computes_an_overlap_once_for_all_thresholds(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_loop = sys.modules[tool.scoring.__module__].by_loop
    asked: list[tuple[float, ...]] = []
    overlap = by_loop.overlap

    def counted(one: list[float], other: list[float]) -> float:
        asked.append((*one, *other))
        return float(overlap(one, other))

    monkeypatch.setattr(by_loop, "overlap", counted)
    moments, truths = [[0.0, 9.0, 0.2], [1.0, 4.0, 0.7], [20.0, 22.0, 0.1]], [[0.0, 5.0], [20.0, 29.0]]
    assert by_loop.qvhighlights({7: moments}, {7: truths})["mAP@0.5"] == 50
    # Once for all lengths and once for the short ones, which both truths are; the first moment once more, for R1.
    assert {pair: asked.count(pair) for pair in asked} == {
        (*moment, *truth): 4 if moment is moments[0] else 2 for moment in moments for truth in truths
    }


def test_what_a_line_compares_is_said_in_it(tool: ModuleType) -> None:
    assert all(pair.case.endswith("against our own loop") for pair in tool.scoring(queries=2, sentences=2))
    assert all(pair.case.endswith("files in memory, not scaled") for pair in tool.features(i3d=1, slowfast=1))


def test_features_are_read_alike_from_both_kinds_of_files(tool: ModuleType) -> None:
    for pair in tool.features(i3d=3, slowfast=2):
        assert pair.ours()["batch"].any()
        tool.check("features", pair)


def test_results_may_be_arrays(tool: ModuleType) -> None:
    one, other = (lambda: {"sum": np.array([6.0])}), (lambda: {"sum": np.array([6.1])})
    tool.check("sum", tool.Pair("equal", one, one))
    with pytest.raises(tool.DifferentError, match="sum, not equal: sum: "):
        tool.check("sum", tool.Pair("not equal", one, other))


def test_moments_close_together_contend(tool: ModuleType) -> None:
    asked = sys.modules[tool.matching.__module__]._asked
    apart, close = (asked(20, 5, spread) for spread in (1.0, 0.02))
    for rows, most in ((apart, 1.0), (close, 0.02)):
        moments = torch.stack(list(rows.moments))
        assert ((moments[..., 1] >= 0) & (moments[..., 1] <= moments[..., 2]) & (moments[..., 2] <= 1)).all()
        assert float((moments.amax(1) - moments.amin(1)).amax()) <= most + 1e-6
    assert float((moments[:, 0, 1:3]).std(dim=0).min()) > 0.1


def test_every_benchmark_has_a_pair_and_a_docstring(tool: ModuleType) -> None:
    assert set(tool.BENCHMARKS) == {"features", "matching", "roi_align", "scoring"}
    for made in tool.BENCHMARKS.values():
        assert made.__doc__
        cases = [pair.case for pair in made()]
        assert len(cases) == len(set(cases)) > 0


def test_a_table_names_the_machine_both_times_and_the_ratio(
    tool: ModuleType, pair: Callable[..., None], capsys: Capture, tmp_path: Path
) -> None:
    pair()
    threads = torch.get_num_threads()
    assert tool.main(["--repeat", "3", "--threads", str(threads), "--json", str(tmp_path / "times.json")]) == 0
    machine, _, head, _, line = capsys.readouterr().out.splitlines()
    assert f"{threads} thread" in machine
    assert machine.endswith(f"torch {torch.__version__}; median of 3 turns")
    assert [cell.strip() for cell in head.split("|")[1:-1]] == [
        "benchmark",
        "case",
        "obvious, ms",
        "ours, ms",
        "times faster",
    ]
    assert line.startswith("| sum | 1 + 2 + 3 | ")
    written = json.loads((tmp_path / "times.json").read_text())
    assert {"cpu", "threads", "torch", "repeat", "timings"} == written.keys()
    (timing,) = written["timings"]
    assert timing["ratio"] == pytest.approx(timing["obvious_s"] / timing["ours_s"])
    assert [float(cell) for cell in line.split("|")[3:6]] == [
        pytest.approx(1e3 * timing["obvious_s"], abs=0.006),
        pytest.approx(1e3 * timing["ours_s"], abs=0.006),
        pytest.approx(timing["ratio"], abs=0.06),
    ]


def test_the_median_of_the_turns_counts(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([8.0, 1.0, 4.0, 9.0, 6.0, 2.0])
    monkeypatch.setattr(tool, "turn", lambda work: next(seconds))
    work = dict[str, Tensor]
    timing = tool.measure("none", tool.Pair("nothing", work, work), 3)
    assert (timing.obvious_s, timing.ours_s, timing.ratio) == (6.0, 2.0, 3.0)


def test_a_turn_is_the_mean_of_its_runs(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 0.04, 0.08, 0.12])
    monkeypatch.setattr(tool, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(tool, "TURN_S", 0.1)
    runs: list[None] = []
    assert tool.turn(lambda: runs.append(None)) == pytest.approx(0.04)
    assert len(runs) == 3


@pytest.mark.parametrize("found", [{"sum": torch.tensor(6.001)}, {"total": torch.tensor(6.0)}])
def test_sides_that_differ_end_the_program(
    tool: ModuleType, pair: Callable[..., None], capsys: Capture, found: dict[str, Tensor]
) -> None:
    pair(**found)
    assert tool.main([]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: sum, 1 + 2 + 3: ")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["speed"], "error: NAME = speed: no such benchmark; there are features, matching, roi_align, scoring\n"),
        (["--repeat", "0"], "error: --repeat = 0: must be at least 1\n"),
        (["--threads", "0"], "error: --threads = 0: must be at least 1\n"),
    ],
)
def test_what_cannot_be_timed_is_refused(tool: ModuleType, capsys: Capture, arguments: list[str], told: str) -> None:
    assert tool.main(arguments) == 2
    assert capsys.readouterr().err == told
