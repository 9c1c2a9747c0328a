from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from framework.engine.interrupt import Interrupt

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_ctrl_c_leaves_a_run_that_resumes(recipe_file: Path, tmp_path: Path) -> None:
    """A real process, a real signal: status 130, then the same command with --resume finishes."""
    out = tmp_path / "run"
    ask = [sys.executable, "-m", "framework", "run", str(recipe_file), "--out", str(out), "--device", "cpu"]
    ask += ["--set", "train.epochs=30"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        ask, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    for _ in range(600):
        if (out / "history.jsonl").exists() and (out / "history.jsonl").stat().st_size:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "--resume" in said
    assert json.loads((out / "manifest.json").read_text())["status"] == "interrupted"
    done = len((out / "history.jsonl").read_text().splitlines())
    assert 1 <= done < 30
    again = subprocess.run(
        [*ask, "--resume"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert again.returncode == 0, again.stderr
    lines = [json.loads(line)["epoch"] for line in (out / "history.jsonl").read_text().splitlines()]
    assert lines == list(range(1, 31))


def test_a_second_ctrl_c_stops_at_once_and_the_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
