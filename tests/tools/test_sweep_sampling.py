"""The program that scores a trained run under other settings."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import framework

TOOL = Path(__file__).parents[2] / "tools" / "sweep_sampling.py"
SMALL = (
    *("data.name=synthetic", "data.train_queries=16", "data.val_queries=8", "data.test_queries=8", "data.width=8"),
    *("layout.clips=8", "layout.scales=1", "layout.anchors=4", "encoder.width=16", "encoder.lstm_layers=1"),
    *("denoiser.width=16", "denoiser.map_width=8", "denoiser.kernel=3", "denoiser.time_width=16"),
    *("train.epochs=0", "train.batch_size=8", "sampler.steps=2"),
)
Program = Callable[..., int]


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Program:
    """Run the program with arguments and return its exit status."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", [str(TOOL), *arguments])
        with pytest.raises(SystemExit) as status:
            runpy.run_path(str(TOOL), run_name="__main__")
        return int(status.value.code or 0)

    return run


def test_a_row_is_the_run_scored_again_and_several_settings_may_share_one(
    tmp_path: Path, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    result = framework.run("ms2d_charades_small", overrides=SMALL, out=tmp_path / "run", device="cpu")
    capsys.readouterr()
    more = "sampler.steps=1 sampler.temperature=1.0"
    assert program(str(result.folder), "--set", "sampler.steps=2", "--set", more) == 0
    head, line, same, other = capsys.readouterr().out.splitlines()
    assert head == f"| setting | {' | '.join(result.metrics)} |"
    assert line == "|---" * (len(result.metrics) + 1) + "|"
    assert same == f"| sampler.steps=2 | {' | '.join(f'{value:.2f}' for value in result.metrics.values())} |"
    assert other.startswith(f"| {more} | ")
    assert program(str(result.folder)) == 0
    assert capsys.readouterr().out.splitlines()[2] == same.replace("sampler.steps=2", "as trained")
    assert program(str(result.folder), "--set", "denoiser.map_width=16") == 2
    assert "made by another recipe" in capsys.readouterr().err


def test_a_folder_without_a_run_is_one_line(
    tmp_path: Path, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program(str(tmp_path)) == 2
    assert capsys.readouterr().err.count("\n") == 1
