from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.errors import DataError
from framework.metrics import Didemo, DidemoOptions, didemo
from framework.metrics.didemo import per_query

few = settings(deadline=None, max_examples=60)
SEGMENTS = [(first, last) for first in range(6) for last in range(first, 6)]
Segment = tuple[int, int]
segment = st.sampled_from(SEGMENTS)
query = st.tuples(st.lists(segment, max_size=21), st.lists(segment, min_size=3, max_size=7))
Lists = dict[int | str, Any]


def seconds(segments: list[Segment] | list[list[int]]) -> list[list[float]]:
    """Inclusive chunks of 5 s as moments."""
    return [[5.0 * first, 5.0 * (last + 1)] for first, last in segments]


def by_definition(listed: list[Segment], annotated: list[Segment]) -> tuple[float, float, float]:
    """R1, R5 and IoU of one query."""
    different = list(dict.fromkeys(listed))
    ranks = sorted(different.index(each) + 1 if each in different else float("inf") for each in annotated)
    first = set(range(listed[0][0], listed[0][1] + 1)) if listed else set()
    chunks = [set(range(each[0], each[1] + 1)) for each in annotated]
    ious = sorted(len(first & own) / len(first | own) for own in chunks)
    mean_rank = sum(ranks[:3]) / 3
    return float(mean_rank <= 1), float(mean_rank <= 5), sum(ious[-3:]) / 3


@few
@given(st.lists(query, min_size=1, max_size=6))
def test_it_is_what_its_definition_gives(queries: list[tuple[list[Segment], list[Segment]]]) -> None:
    predictions: Lists = {at: seconds(listed) for at, (listed, _) in enumerate(queries)}
    truths: Lists = {at: seconds(annotated) for at, (_, annotated) in enumerate(queries)}
    values = per_query(predictions, truths)
    for at, each in enumerate(queries):
        assert [value[at] for value in values.values()] == pytest.approx(by_definition(*each))
    assert didemo(predictions, truths) == {name: 100 * value.mean() for name, value in values.items()}


@few
@given(st.permutations(SEGMENTS), st.lists(segment, min_size=3, max_size=7), st.randoms())
def test_seconds_within_half_a_chunk_are_the_segment(
    listed: list[Segment], annotated: list[Segment], chance: random.Random
) -> None:
    moved = [[time + chance.uniform(-2.4, 2.4) for time in moment] for moment in seconds(listed)]
    truths: Lists = {1: seconds(annotated)}
    assert didemo({1: moved}, truths) == didemo({1: seconds(listed)}, truths)


def test_a_short_moment_is_the_chunk_of_its_middle() -> None:
    truths: Lists = {1: seconds([(1, 1)] * 3)}
    assert didemo({1: [[6.0, 7.0]]}, truths)["mIoU"] == 100
    assert didemo({1: [[9.5, 9.5]]}, truths)["mIoU"] == 100
    assert didemo({1: [[9.5, 11.0]]}, truths)["mIoU"] == 0


def test_moments_that_become_one_segment_take_one_rank() -> None:
    truths: Lists = {1: seconds([(1, 1)] * 3)}
    near: list[list[float]] = [[0.0, 5.0], [0.2, 5.1], [20.0, 30.0], [20.1, 30.0], [0.0, 10.0], [0.1, 9.0]]
    assert didemo({1: [*near, [10.0, 15.0], [5.0, 10.0]]}, truths)["R5"] == 100
    assert didemo({1: [*near, [10.0, 15.0], [10.0, 20.0], [5.0, 10.0]]}, truths)["R5"] == 0


def test_one_annotator_of_four_is_forgiven_and_two_are_not() -> None:
    listed: Lists = {1: seconds(SEGMENTS[::-1])}
    last, first = SEGMENTS[-1], SEGMENTS[0]
    assert didemo(listed, {1: seconds([last, last, first, last])}) == {"R1": 100, "R5": 100, "mIoU": 100}
    assert didemo(listed, {1: seconds([last, last, first, first])}) == {
        "R1": 0,
        "R5": 0,
        "mIoU": pytest.approx(200 / 3),
    }


def test_a_segment_that_is_not_listed_is_a_miss() -> None:
    assert didemo({1: []}, {1: seconds([(0, 0)] * 3)}) == {"R1": 0, "R5": 0, "mIoU": 0}
    assert didemo({1: seconds([(0, 0)])}, {1: seconds([(0, 0), (0, 0), (0, 1)])}) == {
        "R1": 0,
        "R5": 0,
        "mIoU": pytest.approx(100 * 2.5 / 3),
    }


def test_fewer_than_three_annotators_are_refused() -> None:
    fine: Lists = {1: seconds([(0, 0)] * 3)}
    with pytest.raises(DataError, match=r"ground truth of query 'b': 2 moments; DiDeMo's rule needs 3 annotators"):
        didemo(fine | {"b": []}, fine | {"b": seconds([(0, 0), (1, 1)])})


@pytest.mark.parametrize("moment", [[0.0, 4.0], [1.0, 5.0], [5.0, 5.0]])
def test_annotations_that_are_no_whole_chunks_are_refused(moment: list[float]) -> None:
    truths: Lists = {"a": seconds([(0, 0)] * 3), "b": [*seconds([(0, 0)] * 3), moment]}
    with pytest.raises(DataError, match=rf"query 'b': moment \[{moment[0]}, {moment[1]}\] must begin and end at mult"):
        didemo(truths, truths)
    assert didemo({"a": [[0.0, 5.0]]}, {"a": [[0.0004, 4.9996]] * 3})["R1"] == 100


def test_the_part_reads_the_length_of_a_chunk() -> None:
    metric = Didemo(DidemoOptions(chunk_s=2.0))
    truths: Lists = {1: [[2.0, 4.0]] * 3}
    assert metric({1: [[2.9, 3.1]]}, truths) == {"R1": 100, "R5": 100, "mIoU": 100}
    assert metric.per_query({1: [[0.0, 4.0]]}, truths)["mIoU"].tolist() == [0.5]
    assert "2-s chunks" in metric.rule
    with pytest.raises(DataError, match="multiples of 5 s"):
        Didemo(DidemoOptions())(truths, truths)


def golden(shared: Path) -> Any:
    file = shared / "golden" / "didemo_eval.json"
    if not file.exists():
        pytest.skip(f"no {file}")
    return json.loads(file.read_text())["didemo"]


def test_numbers_are_those_of_the_official_evaluation(shared: Path) -> None:
    record = golden(shared)
    cases = {case["annotation_id"]: case for case in record["cases"]}
    predictions, truths = (
        {query: seconds(case[side]) for query, case in cases.items()} for side in ("ranked", "times")
    )
    official = record["official"]
    assert didemo(predictions, truths) == {
        "R1": pytest.approx(100 * official["rank1"], abs=1e-10),
        "R5": pytest.approx(100 * official["rank5"], abs=1e-10),
        "mIoU": pytest.approx(100 * official["miou"], abs=1e-10),
    }


def test_the_prior_scores_on_the_validation_split_what_the_authors_published(shared: Path) -> None:
    """All 4,180 queries, 15 of them with seven annotators; nobody chose the whole video, which the prior leaves out."""
    prior = golden(shared)["val_prior_all_4180"]
    annotations = json.loads((shared / "data" / "didemo" / "val_data.json").read_text())
    truths: Lists = {each["annotation_id"]: seconds(each["times"]) for each in annotations}
    found = didemo(dict.fromkeys(truths, seconds(prior["ranked"])), truths)
    assert len(truths) == 4180
    assert found == {
        "R1": pytest.approx(100 * prior["rank1"], abs=1e-10),
        "R5": pytest.approx(100 * prior["rank5"], abs=1e-10),
        "mIoU": pytest.approx(100 * prior["miou"], abs=1e-10),
    }
