"""Run a command in this process, and hold what it says of a spoilt file against the rules for messages."""

from __future__ import annotations

import io
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Final

import attrs

from framework.cli import main

LONGEST_S: Final = 20
"""Seconds after which a command counts as hanging; they take hundredths of one."""

LONGEST_LINE: Final = 600


class Hang(BaseException):
    """No Exception, which a command might take for a damaged file."""


@attrs.frozen
class Said:
    """What a command said. errors: the lines of stderr."""

    status: int
    out: str
    errors: list[str]

    def require_clear(self) -> None:
        """Done, or refused in lines that a person can read, of which none is the bare name of an exception."""
        told = "\n".join(self.errors)
        assert "Traceback" not in self.out + told
        assert self.status in (0, 2), told
        assert bool(self.errors) == (self.status == 2), told
        for line in self.errors:
            assert line.startswith("error: "), line
            assert line.isprintable(), line
            assert len(line) < LONGEST_LINE, line
            assert not re.fullmatch(r"error: *\w*(Error|Exception|Warning)?:? *", line), line

    def require_refused(self, *parts: str) -> None:
        """Refused, with one line that holds all of ``parts``."""
        self.require_clear()
        assert self.status == 2, self.out
        assert any(all(part in line for part in parts) for line in self.errors), (parts, self.errors)


@contextmanager
def no_hang() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        raise Hang(f"still busy after {LONGEST_S} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(LONGEST_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def say(*arguments: object, main: Callable[[Sequence[str]], int] = main) -> Said:
    """Run a command of the command line, or a tool's ``main``, in this process."""
    out, errors = io.StringIO(), io.StringIO()
    with no_hang(), redirect_stdout(out), redirect_stderr(errors):
        status = main([str(argument) for argument in arguments])
    *lines, last = errors.getvalue().split("\n")
    assert not last
    return Said(status, out.getvalue(), lines)


@contextmanager
def spoilt(path: Path, content: bytes) -> Iterator[None]:
    before = path.read_bytes()
    assert content != before
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)
