"""Answers as JSON, CSV or subtitles."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from framework.engine.localizer import Moment


def render(form: str, queries: Sequence[str], answers: Sequence[Sequence[Moment]]) -> str:
    """Write the moments of each query in the form ``json``, ``csv`` or ``srt``, ending in a newline."""
    return {"json": _json, "csv": _csv, "srt": _srt}[form](queries, answers)


def _json(queries: Sequence[str], answers: Sequence[Sequence[Moment]]) -> str:
    found = [
        {"query": query, "moments": [[moment.start_s, moment.end_s, moment.score] for moment in moments]}
        for query, moments in zip(queries, answers, strict=True)
    ]
    return json.dumps(found, indent=2) + "\n"


def _csv(queries: Sequence[str], answers: Sequence[Sequence[Moment]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["query", "rank", "start_s", "end_s", "score"])
    for query, moments in zip(queries, answers, strict=True):
        for place, moment in enumerate(moments, 1):
            writer.writerow([query, place, f"{moment.start_s:.3f}", f"{moment.end_s:.3f}", f"{moment.score:.6f}"])
    return text.getvalue()


def _srt(queries: Sequence[str], answers: Sequence[Sequence[Moment]]) -> str:
    """Subtitles in order of time; each shows its sentence and score while its moment lasts."""
    cues = sorted(
        (moment.start_s, moment.end_s, f"{query} ({moment.score:.2f})")
        for query, moments in zip(queries, answers, strict=True)
        for moment in moments
    )
    blocks = [
        f"{number}\n{_clock(start)} --> {_clock(end)}\n{text}\n" for number, (start, end, text) in enumerate(cues, 1)
    ]
    return "\n".join(blocks)


def _clock(seconds: float) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d},{thousandths:03d}"
