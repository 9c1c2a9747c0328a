"""Predictions on disk: the QVHighlights submission form, JSON Lines with one query a line.

    {"qid": 7, "query": "a dog runs", "vid": "v1", "pred_relevant_windows": [[0.0, 2.5, 0.9], ...]}

Windows are start and end in seconds and a score, best first. A method that scores clips adds ``pred_saliency_scores``,
one number for each rated clip of the video. Numbers are written in full, where submissions are customarily rounded to
four decimals: a rounded moment can cross an IoU threshold, and scoring the file must give the very metrics of the run
that wrote it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from framework.data.dataset import Query
from framework.data.json_text import decoded, parse, shown
from framework.errors import DataError, Problems, nearest

DURATION_SLACK_S = 1e-3
"""How far an end may exceed its video: float32 seconds and rounding to four decimals both lie above by less."""

SHOWN = 10
"""Lines that are reported of a file that breaks many rules."""

LISTED = 5
"""Query ids that a message lists."""


@attrs.frozen
class QueryPrediction:
    """The answer to one query.

    windows: start and end in seconds and a score of each moment, best first. saliency: the score of each clip of the
    video, None where the file has none. line: where it stands in its file.
    """

    qid: int | str
    query: str
    vid: str
    windows: tuple[tuple[float, float, float], ...]
    saliency: tuple[float, ...] | None = None
    line: int = 0


@attrs.frozen(eq=False)
class Joined:
    """Predictions brought to the queries of a split.

    windows: query id -> (k, 3) of start, end, score, in the order of the split, (0, 3) for a missing query.
    missing: ids of queries without a prediction, which count as misses. saliency: query id -> (n,) score of each clip,
    of the queries that have any. unsorted: number of lists whose scores rise somewhere, so that the moment listed
    first, which most rules ask for, is not the best.
    """

    windows: dict[int | str, NDArray[np.float64]]
    missing: tuple[int | str, ...]
    saliency: dict[int | str, NDArray[np.float64]]
    unsorted: int


def write_predictions(
    path: Path | str,
    queries: Sequence[Query],
    answers: Mapping[int | str, ArrayLike],
    saliency: Mapping[int | str, ArrayLike] = MappingProxyType({}),
) -> None:
    """Write one line a query, in the order of ``queries``.

    answers: query id -> (k, 3) of start and end in seconds and score, best first. saliency: query id -> (n,) score of
    each clip, for methods that give any. Raises DataError, before the file is touched, for a query without an answer
    and for whatever ``read_predictions`` refuses.
    """
    lines = []
    for number, query in enumerate(queries, 1):
        if query.id not in answers:
            raise DataError(f"{path}:{number} qid = {query.id!r}: has no answer; give an empty list for none")
        windows = np.asarray(answers[query.id], dtype=np.float64).tolist()
        record = {"qid": query.id, "query": query.text, "vid": query.video, "pred_relevant_windows": windows}
        if query.id in saliency:
            record["pred_saliency_scores"] = np.asarray(saliency[query.id], dtype=np.float64).tolist()
        _parse(record, f"{path}:{number}", {query.video: query.duration})
        lines.append(json.dumps(record) + "\n")
    Path(path).write_text("".join(lines), encoding="utf-8")


def read_predictions(
    path: Path | str, durations: Mapping[str, float] | None = None
) -> dict[int | str, QueryPrediction]:
    """Read and check a prediction file: query id -> prediction, in the order of the file.

    durations: video id -> seconds; where a video is known, no window may end after it. Other keys are passed over.
    Raises DataError, or Problems where several lines break a rule, with file, line, value and rule of each.
    """
    found: dict[int | str, QueryPrediction] = {}
    problems: list[str] = []
    for number, line in _lines(path):
        place = f"{path}:{number}"
        try:
            record = parse(decoded(line.rstrip(b"\r\n"), path, number), path, number)
            record = parse(decoded(line.rstrip(b"\r\n"), path, number), path, number)
            prediction = attrs.evolve(_parse(record, place, durations or {}), line=number)
            if known := found.get(prediction.qid):
                qid = shown(prediction.qid)
                raise DataError(f"{place} qid = {qid}: already on line {known.line}; keep one line a query")
        except DataError as error:
            # Its text alone: an exception keeps all that was on the stack, and a wrong file has as many as lines.
            problems.append(str(error))
            continue
        found[prediction.qid] = prediction
    if len(problems) > SHOWN:
        raise Problems([*problems[:SHOWN], f"{path}: {len(problems) - SHOWN} more lines break a rule"])
    if len(problems) > 1:
        raise Problems(problems)
    if problems:
        raise DataError(problems[0])
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
        hint = _type_hint(unknown, missing) or _release_hint(predictions, known)
        share = f"{len(unknown)} of {len(predictions)} queries are not in the ground truth"
        lines = _listing([f"{shown(qid)} on line {predictions[qid].line}" for qid in unknown[: LISTED + 1]])
        raise DataError(f"{source}: {share} ({lines}); {hint}")
    if missing and not allow_missing:
        lines = _listing([f"{shown(qid)} of {Path(known[qid].place).name}" for qid in missing[: LISTED + 1]])
        raise DataError(
            f"{source}: {len(missing)} of {len(known)} queries have no prediction ({lines}); give each a "
            "line (an empty list if nothing is found), or count them as misses by --allow-missing"
        )
    for qid, prediction in predictions.items():
        if prediction.vid != known[qid].video:
            found, wanted = shown(prediction.vid), f"{shown(known[qid].video)} ({known[qid].place})"
            raise DataError(
                f"{source}:{prediction.line}: qid {shown(qid)} has vid {found} but the ground truth has {wanted}; "
                "the query ids are of another release of the dataset"
            )
    windows = {qid: predictions[qid].windows if qid in predictions else () for qid in known}
    arrays = {qid: np.array(window, dtype=np.float64).reshape(-1, 3) for qid, window in windows.items()}
    return Joined(arrays, tuple(missing), _saliency(predictions, known, source), sum(map(_rises, arrays.values())))


def _saliency(
    predictions: Mapping[int | str, QueryPrediction], order: Iterable[int | str], source: Path | str
) -> dict[int | str, NDArray[np.float64]]:
    """Scores of clips, of all predictions or of none: a mean over whoever has some would not say what it is over."""
    without = [found.line for found in predictions.values() if found.saliency is None]
    if without and len(without) < len(predictions):
        raise DataError(
            f"{source}:{without[0]}: has no pred_saliency_scores, as {len(without)} of {len(predictions)} lines have "
            "none; give every line some, or none at all"
        )
    kept = {qid: predictions[qid].saliency for qid in order if qid in predictions}
    return {qid: np.array(scores, dtype=np.float64) for qid, scores in kept.items() if scores is not None}


def _rises(windows: NDArray[np.float64]) -> bool:
    return bool((np.diff(windows[:, 2]) > 0).any())


def _listing(named: Sequence[str]) -> str:
    return f"{', '.join(named[:LISTED])}{', ...' if len(named) > LISTED else ''}"


def _type_hint(unknown: Sequence[int | str], missing: Sequence[int | str]) -> str:
    """A remedy where the ids of both sides differ only in being numbers or strings."""
    if {str(qid) for qid in unknown}.isdisjoint(str(qid) for qid in missing):
        return ""
    return f"the file writes ids as {type(unknown[0]).__name__}, the ground truth as {type(missing[0]).__name__}"


def _release_hint(predictions: Mapping[int | str, QueryPrediction], known: Mapping[int | str, Query]) -> str:
    """A remedy where no id is known: the same videos under other ids are another project's release of the dataset."""
    videos = {query.video for query in known.values()}
    if known.keys().isdisjoint(predictions) and any(found.vid in videos for found in predictions.values()):
        return (
            "its videos are those of this split, so its ids are of another release: score it against that release's "
            "own annotations by --data jsonl"
        )
    return "check that dataset and split are those of the predictions"


def _lines(path: Path | str) -> Iterator[tuple[int, bytes]]:
    """Numbered lines; bytes, as text that is not UTF-8 should be told with its line."""
    try:
        with open(path, "rb") as file:
            yield from enumerate(file, 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _parse(record: Any, place: str, durations: Mapping[str, float]) -> QueryPrediction:
    """Check the value of one line; the same rules for reading and writing."""
    if not isinstance(record, dict):
        raise DataError(f"{place}: must be one JSON object; got {type(record).__name__}")
    for key in ("qid", "query", "vid", "pred_relevant_windows"):
        if key not in record:
            raise DataError(
                f'{place}: has no key "{key}", which every line needs.{nearest(key, filter(str.isprintable, record))}'
            )
    qid, query, vid = record["qid"], record["query"], record["vid"]
    if not isinstance(qid, (int, str)) or isinstance(qid, bool):
        raise DataError(f"{place} qid = {shown(qid)}: must be a whole number or a string")
    for key, value in (("query", query), ("vid", vid)):
        if not isinstance(value, str):
            raise DataError(f"{place} {key} = {shown(value)}: must be a string")
    windows = record["pred_relevant_windows"]
    if not isinstance(windows, list):
        raise DataError(f"{place} pred_relevant_windows = {shown(windows)}: must be a list of [start, end, score]")
    limit = durations.get(vid, math.inf)
    checked = (_window(window, limit, f"{place} pred_relevant_windows[{at}]") for at, window in enumerate(windows))
    return QueryPrediction(qid, query, vid, tuple(checked), _scores(record.get("pred_saliency_scores"), place))


def _scores(scores: Any, place: str) -> tuple[float, ...] | None:
    """One finite number a clip; None where the line has none."""
    if scores is None:
        return None
    if not isinstance(scores, list):  # It may be empty: a video can be shorter than a clip.
        raise DataError(f"{place} pred_saliency_scores: must be a list of numbers, one a clip; leave it out for none")
    for at, score in enumerate(scores):
        if not _finite(score):
            raise DataError(f"{place} pred_saliency_scores[{at}] = {shown(score)}: must be a finite number")
    return tuple(float(score) for score in scores)


def _window(window: Any, duration: float, place: str) -> tuple[float, float, float]:
    if not isinstance(window, list) or len(window) != 3 or not all(_finite(number) for number in window):
        raise DataError(
            f"{place} = {shown(window)}: must be three finite numbers, start and end in seconds and a score"
        )
    start, end, score = (float(number) for number in window)
    if not 0 <= start <= end:
        raise DataError(f"{place} = {shown(window)}: must have 0 <= start <= end")
    if end > duration + DURATION_SLACK_S:
        raise DataError(
            f"{place} = {shown(window)}: must end within its video of {duration:g} s; times are in seconds; eval "
            "--allow-overlong scores such windows as they are"
        )
    return start, end, score


def _finite(number: Any) -> bool:
    """Whether a JSON value is a number that a float can hold."""
    if not isinstance(number, (int, float)) or isinstance(number, bool):
        return False
    try:
        return math.isfinite(number)
    except OverflowError:
        return False
