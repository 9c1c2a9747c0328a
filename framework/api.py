"""What a script calls: run, load, report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from framework.engine.announce import FINISHED, announce
from framework.engine.folder import writing
from framework.engine.localizer import Localizer
from framework.engine.localizer import load as load_localizer
from framework.engine.narrate import Narrator
from framework.engine.run import RunResult, execute
from framework.hookspecs import RunView
from framework.recipe import load_recipe
from framework.registry import Registry, load_registry


def run(
    recipe: str | Path,
    *,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    profile: str = "auto",
    device: str = "auto",
    resume: bool = False,
) -> RunResult:
    """Train and evaluate a recipe, and write its report.

    recipe: a file, or the name of one that comes along. overrides: ``table.key=value``. profile: "auto" takes the
    embedded data where the dataset's files are missing, unless an override says where they are; "full" refuses then,
    "embedded" takes them in any case.
    Raises UserError for whatever the user can mend.
    """
    registry, narrator = load_registry(), Narrator()
    for failure in registry.failures:
        narrator.say(f"warning: {failure}", style="yellow")
    chosen = load_recipe(recipe, overrides, registry)
    folder = None if out is None else Path(out)
    result = execute(chosen, registry, out=folder, profile=profile, device=device, resume=resume, narrator=narrator)
    if result.finished:
        from framework.report import print_summary, read_run

        record = read_run(result.folder)
        print_summary(record, narrator.console)
        page = _write_report(result.folder, registry)
        narrator.say(f"run folder  {result.folder}")
        narrator.say(f"report      {page}")
        view = RunView(chosen.name, result.folder, result.profile, chosen.seed)
        announce(
            registry,
            "run_finished",
            FINISHED,
            run=view,
            result=json.loads((result.folder / "metrics.json").read_text("utf-8")),
        )
    return result


def load(run_or_checkpoint: str | Path, device: str = "auto", overrides: Sequence[str] = ()) -> Localizer:
    """Load a run folder or a checkpoint, ready to localize.

    overrides: ``data.key=value``, for files that lie elsewhere now, such as a language model's.
    """
    return load_localizer(run_or_checkpoint, device, overrides)


def report_run(folder: str | Path) -> Path:
    """Write the report of a finished run again; returns its path."""
    return _write_report(Path(folder), load_registry())


def _write_report(folder: Path, registry: Registry) -> Path:
    from framework.report import read_run, write_report

    record = read_run(folder)
    view = RunView(record.scores.recipe, folder, record.manifest.profile, record.manifest.seed)
    sections = [section for found in announce(registry, "report_sections", FINISHED, run=view) for section in found]
    with writing(folder):
        return write_report(folder, sections)
