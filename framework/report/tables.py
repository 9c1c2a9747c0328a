"""What a run measured, as rows of text: for the terminal and for the page."""

from __future__ import annotations

import math
import shlex
import statistics
from typing import Final

import attrs
from rich.console import Console
from rich.table import Table
from rich.text import Text

from framework.report.records import RunRecord

EMBEDDED: Final = "Measured on the embedded synthetic data: not a result on the dataset."

Facts = list[tuple[str, str]]
"""Rows of (what, value), in the order to show them."""


@attrs.frozen
class ScoreRow:
    """One metric in percent. published, difference: None where nothing was published or nothing can be compared."""

    metric: str
    value: float
    published: float | None
    difference: float | None


def score_rows(record: RunRecord) -> list[ScoreRow]:
    """Every metric that was measured or published. A run on the embedded profile has no difference to a paper."""
    measured, published = record.scores.metrics, record.scores.expected or {}
    rows = []
    for metric in dict.fromkeys([*measured, *published]):
        value, paper = measured.get(metric, math.nan), published.get(metric)
        comparable = paper is not None and not record.embedded
        rows.append(ScoreRow(metric, value, paper, value - paper if paper is not None and comparable else None))
    return rows


def show(value: float | None, form: str = ".2f") -> str:
    """A number for people; a dash where there is none, ``n/a`` where it is not finite."""
    if value is None:
        return "-"
    return format(value, form) if math.isfinite(value) else "n/a"


def show_time(seconds: float) -> str:
    """Seconds as people say them."""
    if not math.isfinite(seconds):
        return "n/a"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def rule_facts(record: RunRecord) -> Facts:
    """What a reader must know before believing a number."""
    scores = record.scores
    return [
        ("rule", scores.rule),
        ("split", f"{scores.split}, {scores.queries:,} queries"),
        ("profile", f"{scores.profile}, data {record.manifest.data.name}"),
        ("seed", str(scores.seed)),
        ("sampler", f"{scores.sampler}; {scores.draws} {'draw' if scores.draws == 1 else 'draws'} a query"),
        ("post-processing", scores.post),
        ("checkpoint", f"{scores.checkpoint}; {record.manifest.selection}"),
    ]


def cost_facts(record: RunRecord) -> Facts:
    """How large the network is and how long the run took."""
    parameters = record.manifest.parameters
    facts = [(f"parameters, {part}", f"{count:,}") for part, count in parameters.items()]
    facts += [("parameters, all", f"{sum(parameters.values()):,}"), ("whole run", show_time(record.manifest.seconds))]
    facts += [("evaluation", f"{show_time(record.scores.seconds)} for {record.scores.queries:,} queries")]
    if record.history:
        last = record.history[-1]
        typical = statistics.median(epoch.seconds for epoch in record.history)
        facts += [("epochs", f"{last.epoch:,}"), ("optimizer steps", f"{last.step:,}")]
        facts += [("one epoch (median)", show_time(typical))]
    return facts


def data_facts(record: RunRecord) -> Facts:
    """Which data the run read."""
    data = record.manifest.data
    splits = [(f"queries, {split}", f"{count:,}") for split, count in data.splits.items()]
    features = [(f"features, {name}", str(value)) for name, value in data.features.items()]
    return [("name", data.name), ("fingerprint", data.fingerprint), *splits, *features]


def environment_facts(record: RunRecord) -> Facts:
    """What the run ran on, and the command that repeats it."""
    manifest = record.manifest
    return [
        ("command", shlex.join(manifest.command)),
        ("started", manifest.started),
        ("status", manifest.status),
        ("device", f"{manifest.device}, {manifest.precision}, {manifest.threads} threads"),
        ("nlvl", manifest.framework),
        ("python", manifest.python),
        ("torch", manifest.torch),
        ("numpy", manifest.numpy),
        ("plugins", ", ".join(manifest.plugins) or "none"),
        ("git revision", manifest.git or "none"),
    ]


def summary_table(record: RunRecord) -> Table:
    """The end-of-run table: each metric beside the published number, and below it the rule it was measured by."""
    scores = Table(title=Text(f"{record.scores.recipe}, percent"), title_justify="left")
    scores.add_column("metric")
    for column in ("measured", "published", "difference"):
        scores.add_column(column, justify="right")
    for row in score_rows(record):
        scores.add_row(Text(row.metric), show(row.value), show(row.published), show(row.difference, "+.2f"))
    facts = Table.grid(padding=(0, 2))
    for what, value in rule_facts(record):
        facts.add_row(Text(what, style="dim"), Text(value))
    # One grid around both, as a caption would be wrapped to the width of the few columns above it.
    both = Table.grid()
    both.add_row(scores)
    both.add_row(facts)
    return both


def print_summary(record: RunRecord, console: Console | None = None) -> None:
    """Print the summary table, with a loud line where the data were the embedded ones or the run is not finished."""
    console = console or Console()
    if record.embedded:
        console.print(Text(f" EMBEDDED PROFILE. {EMBEDDED} ", style="bold black on yellow"))
    if record.manifest.status != "finished":
        console.print(
            Text(f" The run is {record.manifest.status}: these are not its final numbers. ", style="bold red")
        )
    console.print(summary_table(record))
