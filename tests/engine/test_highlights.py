from __future__ import annotations

from types import SimpleNamespace

import attrs
import numpy as np
import pytest
import torch

from framework.core.structures import Condition, Index, Rows
from framework.data import Query
from framework.engine.data import rated_of
from framework.engine.highlights import Rated, saliency_of
from framework.metrics import QVHighlights, QVHighlightsOptions, Rank, RankOptions


def asked(scores: list[list[float]], clips: list[int], durations: list[float], extents: list[float]) -> tuple:
    index = Index(torch.arange(len(clips)), torch.arange(len(clips))[:, None], torch.arange(len(clips)))
    feats = {"saliency": torch.tensor(scores)[..., None], "clips": torch.tensor(clips)}
    cond = Condition(feats, Rows(index, [torch.zeros(0, 4)] * len(clips)))
    meta = SimpleNamespace(ids=[f"q{n}" for n in range(len(clips))], durations=durations)
    return SimpleNamespace(cond=cond, index=index), SimpleNamespace(meta=meta, extent=torch.tensor(extents))


def test_rows_as_long_as_rated_clips_are_taken_one_by_one() -> None:
    found, batch = asked([[1, 2, 3, 9], [4, 5, 9, 9]], [3, 2], [6.0, 4.0], [6.0, 4.0])
    assert {query: x.tolist() for query, x in saliency_of(found, batch, 2.0)} == {"q0": [1, 2, 3], "q1": [4, 5]}


def test_a_clip_takes_the_row_that_its_middle_falls_into() -> None:
    found, batch = asked([[1, 2, 3, 4, 5, 6]], [6], [6.0], [6.0])
    assert [x.tolist() for _, x in saliency_of(found, batch, 2.0)] == [[2, 4, 6]]
    found, batch = asked([[1, 2]], [2], [8.0], [8.0])
    assert [x.tolist() for _, x in saliency_of(found, batch, 2.0)] == [[1, 1, 2, 2]]


def test_clips_behind_the_features_have_no_score_and_half_a_clip_is_none() -> None:
    found, batch = asked([[1, 2, 3]], [3], [9.5], [6.0])
    assert [x.tolist() for _, x in saliency_of(found, batch, 2.0)] == [[1, 2, 3]]
    found, batch = asked([[1, 2, 3, 4]], [4], [7.0], [8.0])
    assert [x.tolist() for _, x in saliency_of(found, batch, 2.0)] == [[1, 2, 3]]


def test_an_encoder_that_scores_no_clips_gives_nothing() -> None:
    found, batch = asked([[1.0]], [1], [2.0], [2.0])
    del found.cond.feats["saliency"]
    assert list(saliency_of(found, batch, 2.0)) == []


def rated_query(qid: int, ratings: tuple[tuple[int, ...], ...] | None) -> Query:
    stretches = ((2.0, 4.0, 6.0), (6.0, 8.0, 9.0))
    return Query(qid, "a", "v", 9.0, ((2.0, 4.0, 1.0),), "f:1", stretches, ratings)


def test_ratings_stand_at_their_clips_and_clips_nobody_saw_have_none() -> None:
    dataset = SimpleNamespace(rated_clip_s=2.0)
    queries = [rated_query(1, ((1, 2, 3), (4, 4, 1))), rated_query(2, None)]
    found = rated_of(dataset, queries)
    assert found is not None
    assert list(found.ratings) == [1]
    assert found.ratings[1].tolist() == [[0, 0, 0], [1, 2, 3], [0, 0, 0], [4, 4, 1]]
    assert rated_of(SimpleNamespace(rated_clip_s=None), queries) is None


def test_a_video_shorter_than_a_clip_has_none_to_rate() -> None:
    short = attrs.evolve(rated_query(3, ((1, 2, 3), (4, 4, 1))), duration=1.3)
    found = rated_of(SimpleNamespace(rated_clip_s=2.0), [short])
    assert found is not None
    assert found.ratings == {}
    answers, batch = asked([[1.0]], [1], [1.3], [1.3])
    assert [x.tolist() for _, x in saliency_of(answers, batch, 2.0)] == [[]]


def test_a_rated_query_whose_features_end_before_its_first_clip_scores_as_zeros() -> None:
    rated = Rated(2.0, {1: np.array([[0, 0, 0], [4, 4, 4]])})
    rule = QVHighlights(QVHighlightsOptions())
    assert rated.score(rule, {1: np.array([])}) == rated.score(rule, {1: np.zeros(2)})


def test_highlights_are_scored_where_the_rule_the_data_and_the_method_have_them() -> None:
    rated = Rated(2.0, {1: np.array([[0, 0, 0], [4, 4, 4]])})
    rule = QVHighlights(QVHighlightsOptions())
    perfect = rated.score(rule, {1: np.array([0.0, 1.0])})
    assert set(perfect) == set(rule.highlight_names)
    assert list(perfect.values()) == pytest.approx([100] * len(perfect))
    assert rated.score(rule, {}) == {}
    assert rated.score(Rank(RankOptions()), {1: np.array([0.0, 1.0])}) == {}
    assert Rated(2.0, {}).score(rule, {1: np.array([0.0, 1.0])}) == {}
