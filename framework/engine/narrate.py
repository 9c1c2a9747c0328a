"""What a run tells its user: lines on the screen and in log.txt, and a progress bar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Narrator:
    """Says each line on the console and, once there is a run folder, in its log.txt too."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._log: Path | None = None
        self._early: list[str] = []

    def log_to(self, folder: Path) -> None:
        """Keep every line, those said so far included, in ``folder``/log.txt."""
        self._log = folder / "log.txt"
        self._append("".join(line + "\n" for line in self._early))
        self._early = []

    def say(self, line: str, style: str | None = None) -> None:
        """Say one line."""
        self.console.print(line, style=style, markup=False)
        if self._log is None:
            self._early.append(line)
        else:
            self._append(line + "\n")

    def _append(self, text: str) -> None:
        if self._log is not None:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(text)

    @contextmanager
    def bar(self, total: int, done: int, what: str) -> Iterator[Bar]:
        """Show a bar with rate and time left while the block runs; on a plain stream only the lines that are said."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as progress:
            yield Bar(progress, total, done, what)


class Bar:
    """The bar of a training run."""

    def __init__(self, progress: Progress, total: int, done: int, what: str) -> None:
        self.progress = progress
        self.task = progress.add_task(what, total=total, completed=done, rate="")

    def step(self, done: int, what: str) -> None:
        """Move to ``done`` steps."""
        speed = self.progress.tasks[0].speed
        rate = f"{speed:.1f} steps/s" if speed else ""
        self.progress.update(self.task, completed=done, description=what, rate=rate)
