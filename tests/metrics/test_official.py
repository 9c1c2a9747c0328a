"""The golden record of QVHighlights' official evaluator: 200 real queries with made predictions of ten kinds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch

from framework.core.structures import Candidates
from framework.errors import DataError
from framework.metrics import official
from framework.metrics.average_precision import THRESHOLDS
from framework.metrics.highlights import by_annotator, per_query
from framework.metrics.lists import overlaps, tables
from framework.metrics.qvhighlights import by_length
from framework.post.rounding import rounded

Lists = dict[int | str, Any]


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Any]:
    file = shared / "golden" / "qvhighlights_eval.json"
    if not file.exists():
        pytest.skip(f"no {file}")
    record: dict[str, Any] = json.loads(file.read_text())
    return record


@attrs.frozen
class Set:
    """Both sides, and what the official program says of them."""

    predictions: Lists
    truths: Lists
    scores: Lists
    ratings: Lists
    official: dict[str, Any]
    per_query: list[dict[str, Any]]


@pytest.fixture(scope="module")
def generated(golden: dict[str, Any]) -> Set:
    """The full validation split is in the record as numbers alone, without predictions to score."""
    record = golden["sets"]["generated_200"]
    ratings: Lists = {}
    for each in record["ground_truth"]:
        table = ratings[each["qid"]] = np.zeros((int(each["duration"] / 2), 3), dtype=np.int64)
        table[each["relevant_clip_ids"]] = each["saliency_scores"]
    return Set(
        {each["qid"]: each["pred_relevant_windows"] for each in record["predictions"]},
        {each["qid"]: each["relevant_windows"] for each in record["ground_truth"]},
        {each["qid"]: each["pred_saliency_scores"] for each in record["predictions"]},
        ratings,
        record["official"],
        [record["per_query"][str(each["qid"])] for each in record["ground_truth"]],
    )


def test_the_file_is_the_official_one_letter_by_letter(generated: Set) -> None:
    found = official(generated.predictions, generated.truths, generated.scores, generated.ratings)
    assert json.dumps(found) == json.dumps(generated.official)


def test_without_scores_there_is_no_highlight_part(generated: Set) -> None:
    found = official(generated.predictions, generated.truths)
    wanted = {name: part for name, part in generated.official.items() if not name.startswith("HL")}
    wanted["brief"] = {name: value for name, value in wanted["brief"].items() if not name.startswith("HL")}
    assert found == wanted


def test_the_file_has_the_numbers_of_the_full_split(golden: dict[str, Any], generated: Set) -> None:
    """Its predictions are not in the record, so the structure alone is compared."""
    found = official(generated.predictions, generated.truths, generated.scores, generated.ratings)

    def names(part: Any) -> Any:
        return {name: names(each) for name, each in part.items()} if isinstance(part, dict) else None

    assert names(found) == names(golden["official_full_val_1550"]["official"])


def test_moments_of_each_query_score_what_the_official_program_gives(generated: Set, golden: dict[str, Any]) -> None:
    assert list(THRESHOLDS) == golden["iou_thresholds_ap"]
    precisions = by_length(generated.predictions, generated.truths)["full"].precision
    np.testing.assert_allclose(precisions, [each["ap"] for each in generated.per_query], rtol=0, atol=1e-11)
    found, truth = tables(generated.predictions, generated.truths)
    best = overlaps(*found.first(1).padded(), *truth.padded()).max(axis=(1, 2))
    np.testing.assert_allclose(best, [each["top1_best_iou"] for each in generated.per_query], rtol=0, atol=1e-11)


def test_clips_of_each_query_score_what_the_official_program_gives_to_each_annotator(generated: Set) -> None:
    for level, values in by_annotator(generated.scores, generated.ratings).items():
        wanted = [each["hl_ap_per_annotator"][level] for each in generated.per_query]
        np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-11)


def test_the_best_clip_of_each_query_is_the_official_one(generated: Set) -> None:
    values = per_query(generated.scores, generated.ratings)
    for level, low in (("Fair", 2), ("Good", 3), ("VeryGood", 4)):
        hits = [
            each["hl_argmax"] < len(table) and table[each["hl_argmax"]].max() >= low
            for each, table in zip(generated.per_query, generated.ratings.values(), strict=True)
        ]
        assert values[f"HL-{level}-Hit1"].tolist() == hits


@pytest.mark.parametrize("clip_s", [2, 1])
def test_rounding_to_clips_is_the_official_one(golden: dict[str, Any], clip_s: int) -> None:
    record = golden["rounding"]
    start, end, score = torch.tensor(record["raw"], dtype=torch.float32).T[:, None]
    candidates = Candidates(score.long() * 0, start.clamp(0, 150), end.clamp(0, 150), score, score > 0)
    found = rounded(candidates, clip_s)
    wanted = torch.tensor(record[f"clip_length_{clip_s}"])
    assert torch.equal(torch.stack([found.start[0], found.end[0]], dim=-1), wanted[:, :2])


def test_what_the_official_program_lets_through_is_refused(generated: Set) -> None:
    """It counts a NaN boundary as a hit, accepts reversed windows, and drops a query without any from mAP."""
    query = next(iter(generated.truths))
    for moment in ([float("nan"), 4.0, 0.5], [4.0, 2.0, 0.5], [2.0, 4.0, float("nan")]):
        with pytest.raises(DataError, match=f"prediction of query {query}: moment"):
            official(generated.predictions | {query: [moment]}, generated.truths)
    nothing = official(generated.predictions | {query: []}, generated.truths)["full"]["MR-mAP"]["average"]
    lost = generated.per_query[0]["ap"]
    assert nothing == pytest.approx(
        generated.official["full"]["MR-mAP"]["average"] - 100 * np.mean(lost) / 200, abs=0.01
    )
    scores = generated.scores | {query: [float("nan")] * 75}
    with pytest.raises(DataError, match=f"scores of query {query}: clip 0 has nan"):
        official(generated.predictions, generated.truths, scores, generated.ratings)


def test_scores_without_ratings_are_refused(generated: Set) -> None:
    with pytest.raises(DataError, match="there are no ratings"):
        official(generated.predictions, generated.truths, generated.scores)
    with pytest.raises(DataError, match="there are no scores"):
        official(generated.predictions, generated.truths, ratings=generated.ratings)
