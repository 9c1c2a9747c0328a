"""The report of a run as one HTML page that needs no network and no other file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2
import numpy as np
from markupsafe import Markup

from framework.report import examples, plots, sweeps, tables
from framework.report.records import RunRecord, read_run

HERE: Final = Path(__file__).parent
HEADLINES: Final = 4
REPORT: Final = "report.html"

Section = tuple[str, str]
"""Title and HTML of a section that a plugin adds; the HTML is shown as it is."""


def write_report(folder: Path | str, sections: Sequence[Section] = ()) -> Path:
    """Write ``report.html`` and the plots of sweeps into a finished run's folder and return the path of the page.

    Raises DataError as ``read_run`` does.
    """
    page, record = Path(folder) / REPORT, read_run(folder)
    html = run_page(record, sections)
    sweeps.write_plots(record)
    # JSON can hold halves of a surrogate pair, which UTF-8 cannot.
    page.write_text(html, encoding="utf-8", errors="replace")
    return page


def run_page(record: RunRecord, sections: Sequence[Section] = ()) -> str:
    """The page of one run as HTML."""
    rows = tables.score_rows(record)
    return render(
        "run.html.j2",
        title=record.scores.recipe,
        embedded=record.embedded,
        record=record,
        rows=rows,
        headlines=rows[:HEADLINES],
        rule_facts=tables.rule_facts(record),
        fact_tables=[
            ("Size and cost", tables.cost_facts(record)),
            ("Data", tables.data_facts(record)),
            ("Environment", tables.environment_facts(record)),
        ],
        plots=plots.curves(record),
        sweeps=[sweeps.view(sweep) for sweep in record.sweeps],
        lane=examples.LANE,
        examples=[examples.view(example) for example in record.examples],
        colours=plots.heat_map(np.ma.MaskedArray(np.linspace(0, 1, 64)[:, None])),
        sections=[(heading, Markup(html)) for heading, html in sections],
    )


def render(template: str, **values: Any) -> str:
    """Render a page template; each extends ``page.html.j2``, which needs ``title`` and ``embedded``."""
    return (
        _environment()
        .get_template(template)
        .render(
            embedded_note=tables.EMBEDDED,
            css=Markup((HERE / "page.css").read_text(encoding="utf-8")),
            script=Markup((HERE / "page.js").read_text(encoding="utf-8")),
            **values,
        )
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["show"] = tables.show
    return environment
