from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.errors import DataError
from framework.metrics import highlights
from framework.metrics.highlights import by_annotator, per_query

few = settings(deadline=None, max_examples=60)
Lists = dict[int | str, Any]
Clips = list[list[int]]
# Few different scores, so that there are ties; lists of any length beside the rated clips.
scores = st.lists(st.integers(-3, 3).map(lambda value: value / 2), min_size=1, max_size=9)
annotators = st.shared(st.integers(1, 3), key="annotators")
ratings = annotators.flatmap(
    lambda people: st.lists(st.lists(st.integers(0, 4), min_size=people, max_size=people), min_size=1, max_size=7)
)
query = st.tuples(scores, ratings)


def apart(queries: list[tuple[list[float], Clips]]) -> tuple[Lists, Lists]:
    """Scores and ratings."""
    return {at: own for at, (own, _) in enumerate(queries)}, {at: table for at, (_, table) in enumerate(queries)}


@few
@given(st.lists(query, min_size=1, max_size=5))
def test_each_number_is_what_its_definition_gives(
    by_loop: ModuleType, queries: list[tuple[list[float], Clips]]
) -> None:
    given_scores, rated = apart(queries)
    assert highlights(given_scores, rated) == pytest.approx(by_loop.highlights(given_scores, rated))


@few
@given(st.lists(query, min_size=1, max_size=5))
def test_each_number_is_the_mean_over_queries_scored_alone(queries: list[tuple[list[float], Clips]]) -> None:
    given_scores, rated = apart(queries)
    values = per_query(given_scores, rated)
    assert highlights(given_scores, rated) == {name: 100 * value.mean() for name, value in values.items()}
    for at in range(len(queries)):
        alone = highlights({at: given_scores[at]}, {at: rated[at]})
        assert alone == pytest.approx({name: 100 * value[at] for name, value in values.items()})


def test_distinct_points_of_the_curve_weigh_alike() -> None:
    """Points (recall, precision): (1/3, 1), (1, 3/4); by recall gained the value would be 5/6."""
    found = highlights({1: [0.9, 0.5, 0.5, 0.5]}, {1: [[4], [4], [4], [0]]})
    assert found["HL-VeryGood-mAP"] == pytest.approx(100 * (1 + 3 / 4) / 2)


def test_no_positive_clip_scores_nothing_and_only_positive_ones_everything() -> None:
    found = highlights({1: [0.5, 0.9]}, {1: [[2, 2], [2, 0]]})
    assert found["HL-Fair-mAP"] == pytest.approx(100 * (1 + 1 / 2) / 2)
    assert (found["HL-Good-mAP"], found["HL-Good-Hit1"]) == (0, 0)


def test_the_best_clip_hits_where_any_annotator_rates_it_and_misses_beyond_the_rated_ones() -> None:
    table = [[0, 4], [4, 4]]
    assert highlights({1: [0.9, 0.9]}, {1: table})["HL-VeryGood-Hit1"] == 100
    assert highlights({1: [0.1, 0.2, 0.9]}, {1: table})["HL-VeryGood-Hit1"] == 0
    # A score that is not there counts 0 in the order, but is not the best clip.
    assert highlights({1: [-0.5]}, {1: [[0], [4]]}) == {
        name: 100 if name.endswith("mAP") else 0 for name in highlights({1: [-0.5]}, {1: table})
    }


def test_every_query_weighs_alike_whatever_its_annotators() -> None:
    found = highlights({1: [1.0, 0.0], 2: [0.0, 1.0]}, {1: [[4, 4], [0, 0]], 2: [[4], [0]]})
    assert found["HL-Fair-mAP"] == 75
    values = by_annotator({1: [1.0, 0.0], 2: [0.0, 1.0]}, {1: [[4, 4], [0, 0]], 2: [[4], [0]]})
    np.testing.assert_array_equal(values["Fair"], [[1, 1], [0.5, np.nan]])


def test_lists_arrays_and_tensors_are_the_same() -> None:
    table = [[0, 4], [3, 2], [0, 0]]
    forms: list[Any] = [[0, 1, 2], np.array([0.0, 1.0, 2.0], dtype=np.float16), torch.tensor([0.0, 1.0, 2.0])]
    rated: list[Any] = [table, np.array(table), torch.tensor(table)]
    assert len({str(highlights({1: form}, {1: each})) for form in forms for each in rated}) == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "not empty"),
        ([0.1, float("nan")], "clip 1 has nan; must be finite"),
        ([float("inf"), 0.1], "clip 0 has inf; must be finite"),
        ([[0.1], [0.2]], r"a number a clip, and not empty; got shape \(2, 1\)"),
        (["a", "b"], "a number a clip"),
        ([None, 0.1], "a number a clip"),
        ([[0.1], 0.2], "a number a clip"),
        (0.5, r"got shape \(\)"),
    ],
)
def test_scores_that_are_none_are_refused_with_their_query(values: Any, message: str) -> None:
    ratings: Lists = {3: [[1, 2]], "q9": [[1, 2]]}
    with pytest.raises(DataError, match=f"scores of query 'q9': .*{message}"):
        highlights({3: [0.5], "q9": values}, ratings)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], "not empty"),
        ([[], []], "not empty"),
        ([1, 2], r"\(clips, annotators\)"),
        ([[1, 2], [3]], r"\(clips, annotators\)"),
        ([[1.0, float("nan")]], r"clip 0 has \[1.0, nan\]; must be finite"),
    ],
)
def test_ratings_that_are_none_are_refused_with_their_query(table: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"ratings of query 'q9': .*{message}"):
        highlights({3: [0.5], "q9": [0.5]}, {3: [[1, 2]], "q9": table})


def test_queries_must_be_the_same_on_both_sides() -> None:
    with pytest.raises(DataError, match="1 queries have no scores, first 2; leave them out of the ratings"):
        highlights({1: [0.5]}, {1: [[1]], 2: [[1]]})
    with pytest.raises(DataError, match="1 scores are of queries without ratings, first '1'"):
        highlights({1: [0.5], "1": [0.5]}, {1: [[1]]})
    with pytest.raises(DataError, match="no queries to score: ratings of none"):
        highlights({}, {})
