"""Run records to tables, plots and a self-contained page."""

from __future__ import annotations

from framework.report.page import write_report
from framework.report.records import RunRecord, read_run
from framework.report.tables import print_summary, summary_table

__all__ = ["RunRecord", "print_summary", "read_run", "summary_table", "write_report"]
