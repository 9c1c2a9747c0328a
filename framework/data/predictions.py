"""Predictions on disk: the QVHighlights submission form, JSON Lines with one query a line.

    {"qid": 7, "query": "a dog runs", "vid": "v1", "pred_relevant_windows": [[0.0, 2.5, 0.9], ...]}

Windows are start and end in seconds and a score, best first. Numbers are written in full, where submissions are
customarily rounded to four decimals: a rounded moment can cross an IoU threshold, and scoring the file must give the
very metrics of the run that wrote it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from framework.data.dataset import Query
from framework.errors import DataError, nearest

DURATION_SLACK_S = 1e-3
"""How far an end may exceed its video: float32 seconds and rounding to four decimals both lie above by less."""

SHOWN = 3
"""Query ids that a message lists."""


@attrs.frozen
class QueryPrediction:
    """The answer to one query. windows: start and end in seconds and a score of each moment, best first."""

    qid: int | str
    query: str
    vid: str
    windows: tuple[tuple[float, float, float], ...]


@attrs.frozen(eq=False)
class Joined:
    """Predictions brought to the queries of a split.

    windows: query id -> (k, 3) of start, end, score, in the order of the split, (0, 3) for a missing query.
    missing: ids of queries without a prediction, which count as misses.
    """

    windows: dict[int | str, NDArray[np.float64]]
    missing: tuple[int | str, ...]


def write_predictions(path: Path | str, queries: Sequence[Query], answers: Mapping[int | str, ArrayLike]) -> None:
    """Write one line a query, in the order of ``queries``.

    answers: query id -> (k, 3) of start and end in seconds and score, best first. Raises DataError, before the file is
    touched, for a query without an answer and for whatever ``read_predictions`` refuses.
    """
    lines = []
    for number, query in enumerate(queries, 1):
        if query.id not in answers:
            raise DataError(f"{path}:{number} qid = {query.id!r}: has no answer; give an empty list for none")
        windows = np.asarray(answers[query.id], dtype=np.float64).tolist()
        record = {"qid": query.id, "query": query.text, "vid": query.video, "pred_relevant_windows": windows}
        _parse(record, f"{path}:{number}", {query.video: query.duration})
        lines.append(json.dumps(record) + "\n")
    Path(path).write_text("".join(lines), encoding="utf-8")


def read_predictions(
    path: Path | str, durations: Mapping[str, float] | None = None
) -> dict[int | str, QueryPrediction]:
    """Read and check a prediction file: query id -> prediction, in the order of the file.

    durations: video id -> seconds; where a video is known, no window may end after it. Other keys, such as
    ``pred_saliency_scores``, are passed over. Raises DataError with file, line, value and rule.
    """
    found: dict[int | str, QueryPrediction] = {}
    first: dict[int | str, int] = {}
    for number, line in _lines(path):
        place = f"{path}:{number}"
        prediction = _parse(_load(line, place), place, durations or {})
        qid = prediction.qid
        if qid in found:
            raise DataError(f"{place} qid = {qid!r}: already on line {first[qid]}; keep one line a query")
        found[qid], first[qid] = prediction, number
    return found


def join(
    predictions: Mapping[int | str, QueryPrediction],
    queries: Sequence[Query],
    *,
    source: Path | str = "predictions",
    allow_missing: bool = False,
) -> Joined:
    """Bring predictions to the queries of a split, refusing those of another split or dataset.

    source: the name for messages. Raises DataError for an unknown query, for one whose video differs (releases of one
    split number its queries differently, so equal ids alone prove nothing) and, unless ``allow_missing``, for a query
    without a prediction.
    """
    known = {query.id: query for query in queries}
    unknown = [qid for qid in predictions if qid not in known]
    missing = [qid for qid in known if qid not in predictions]
    if unknown:
        hint = _type_hint(unknown, missing) or "check that dataset and split are those of the predictions"
        share = f"{len(unknown)} of {len(predictions)} queries are not in the ground truth"
        raise DataError(f"{source}: {share} ({_listing(unknown)}); {hint}")
    if missing and not allow_missing:
        raise DataError(
            f"{source}: {len(missing)} of {len(known)} queries have no prediction ({_listing(missing)}); give each a "
            "line (an empty list if nothing is found), or count them as misses by --allow-missing"
        )
    for qid, prediction in predictions.items():
        if prediction.vid != known[qid].video:
            raise DataError(
                f"{source}: qid {qid!r} has vid {prediction.vid!r} but the ground truth has {known[qid].video!r}; the "
                "query ids are of another release of the dataset"
            )
    windows = {qid: predictions[qid].windows if qid in predictions else () for qid in known}
    arrays = {qid: np.array(window, dtype=np.float64).reshape(-1, 3) for qid, window in windows.items()}
    return Joined(arrays, tuple(missing))


def _listing(qids: Sequence[int | str]) -> str:
    shown = ", ".join(repr(qid) for qid in qids[:SHOWN])
    return f"{shown}{', ...' if len(qids) > SHOWN else ''}"


def _type_hint(unknown: Sequence[int | str], missing: Sequence[int | str]) -> str:
    """A remedy where the ids of both sides differ only in being numbers or strings."""
    if {str(qid) for qid in unknown}.isdisjoint(str(qid) for qid in missing):
        return ""
    return f"the file writes ids as {type(unknown[0]).__name__}, the ground truth as {type(missing[0]).__name__}"


def _lines(path: Path | str) -> Iterator[tuple[int, bytes]]:
    """Numbered lines; bytes, as text that is not UTF-8 should be told with its line."""
    try:
        with open(path, "rb") as file:
            yield from enumerate(file, 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _load(line: bytes, place: str) -> Any:
    def refuse(word: str) -> float:
        raise ValueError(f"{word} is no number of JSON")

    try:
        return json.loads(line.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: must be one JSON object in UTF-8: {error}") from error


def _parse(record: Any, place: str, durations: Mapping[str, float]) -> QueryPrediction:
    """Check the value of one line; the same rules for reading and writing."""
    if not isinstance(record, dict):
        raise DataError(f"{place}: must be one JSON object; got {type(record).__name__}")
    for key in ("qid", "query", "vid", "pred_relevant_windows"):
        if key not in record:
            raise DataError(f'{place}: has no key "{key}", which every line needs.{nearest(key, record)}')
    qid, query, vid = record["qid"], record["query"], record["vid"]
    if not isinstance(qid, (int, str)) or isinstance(qid, bool):
        raise DataError(f"{place} qid = {qid!r}: must be a whole number or a string")
    for key, value in (("query", query), ("vid", vid)):
        if not isinstance(value, str):
            raise DataError(f"{place} {key} = {value!r}: must be a string")
    windows = record["pred_relevant_windows"]
    if not isinstance(windows, list):
        raise DataError(f"{place} pred_relevant_windows = {windows!r}: must be a list of [start, end, score]")
    limit = durations.get(vid, math.inf)
    checked = (_window(window, limit, f"{place} pred_relevant_windows[{at}]") for at, window in enumerate(windows))
    return QueryPrediction(qid, query, vid, tuple(checked))


def _window(window: Any, duration: float, place: str) -> tuple[float, float, float]:
    if not isinstance(window, list) or len(window) != 3 or not all(_finite(number) for number in window):
        raise DataError(f"{place} = {window!r}: must be three finite numbers, start and end in seconds and a score")
    start, end, score = (float(number) for number in window)
    if not 0 <= start <= end:
        raise DataError(f"{place} = {window!r}: must have 0 <= start <= end")
    if end > duration + DURATION_SLACK_S:
        raise DataError(f"{place} = {window!r}: must end within its video of {duration:g} s; times are in seconds")
    return start, end, score


def _finite(number: Any) -> bool:
    """Whether a JSON value is a number that a float can hold."""
    if not isinstance(number, (int, float)) or isinstance(number, bool):
        return False
    try:
        return math.isfinite(number)
    except OverflowError:
        return False
