from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.core.noise import GeneratorNoise
from framework.core.part import Part
from framework.core.structures import Batch, Meta, Rows
from framework.data import PARTS
from framework.data.rows import (
    AllPairsOptions,
    AllPairsRows,
    OwnOptions,
    OwnPlusOptions,
    OwnPlusRows,
    OwnRows,
    rows_of,
)

Gold = list[tuple[int, int, float, float, float]]


def _batch(own: list[int], gold: Gold, videos: int, saliency: Gold | None = None) -> Batch:
    texts = len(own)
    return Batch(
        feats={},
        extent=torch.ones(videos),
        pairs=torch.tensor(list(enumerate(own))),
        key=torch.arange(texts) * 11,
        gold=torch.tensor(gold).reshape(-1, 5),
        meta=Meta(tuple(range(texts)), ("",) * texts, ("",) * videos, (1.0,) * videos),
        saliency=None if saliency is None else torch.tensor(saliency).reshape(-1, 5),
    )


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    videos = draw(st.integers(1, 4))
    own = draw(st.lists(st.integers(0, videos - 1), min_size=1, max_size=6))
    moments = st.tuples(st.integers(0, len(own) - 1), st.integers(0, videos - 1), *[st.floats(-1, 2, width=32)] * 3)
    labels = draw(st.none() | st.lists(moments, max_size=8))
    return _batch(own, draw(st.lists(moments, max_size=8)), videos, labels)


def _noise(seed: int = 0) -> GeneratorNoise:
    return GeneratorNoise(torch.Generator().manual_seed(seed))


def _pairs(rows: Rows) -> list[tuple[int, int]]:
    return list(zip(rows.index.ask.tolist(), rows.index.pool[:, 0].tolist(), strict=True))


def _consistent(batch: Batch, rows: Rows) -> None:
    """Each row has its text's key and exactly the gold and labels of its pair, in the order of the batch."""
    assert rows.index.key.tolist() == [11 * ask for ask in rows.index.ask.tolist()]
    for pair, moments in zip(_pairs(rows), rows.moments, strict=True):
        assert moments.tolist() == [[0.0, *g[2:]] for g in batch.gold.tolist() if tuple(g[:2]) == pair]
    assert (rows.saliency is None) == (batch.saliency is None)
    for pair, labels in zip(_pairs(rows), rows.saliency or (), strict=batch.saliency is not None):
        assert batch.saliency is not None
        assert labels.tolist() == [[0.0, *g[2:]] for g in batch.saliency.tolist() if tuple(g[:2]) == pair]


@settings(deadline=None, max_examples=40)
@given(batches())
def test_own_rows_are_the_pairs_with_all_their_moments(batch: Batch) -> None:
    for noise in (None, _noise()):
        rows = OwnRows(OwnOptions()).rows(batch, noise)
        assert _pairs(rows) == [tuple(pair) for pair in batch.pairs.tolist()]
        _consistent(batch, rows)


@settings(deadline=None, max_examples=40)
@given(batches(), st.integers(1, 4), st.integers(0, 99))
def test_own_plus_adds_distinct_texts_that_do_not_belong_to_the_video(batch: Batch, k: int, seed: int) -> None:
    policy = OwnPlusRows(OwnPlusOptions(k=k))
    rows, again = (policy.rows(batch, _noise(seed)) for _ in range(2))
    assert _pairs(rows) == _pairs(again)
    _consistent(batch, rows)
    own = [tuple(pair) for pair in batch.pairs.tolist()]
    belongs = {*own, *((int(g[0]), int(g[1])) for g in batch.gold.tolist())}
    assert _pairs(rows)[: len(own)] == own
    negatives = _pairs(rows)[len(own) :]
    assert belongs.isdisjoint(negatives)
    assert all(len(moments) == 0 for moments in rows.moments[len(own) :])
    texts = len(batch.key)
    start = 0
    for _, video in own:
        wanted = min(k, sum((text, video) not in belongs for text in range(texts)))
        drawn = negatives[start : start + wanted]
        assert [pool for _, pool in drawn] == [video] * wanted
        assert len(set(drawn)) == wanted
        start += wanted
    assert start == len(negatives)


@settings(deadline=None, max_examples=20)
@given(batches(), st.sampled_from([part for part in PARTS if part.kind == "rows"]))
def test_every_policy_asks_the_own_pairs_only_in_evaluation(batch: Batch, part: Part) -> None:
    rows = part.factory(part.options()).rows(batch, None)
    assert _pairs(rows) == [tuple(pair) for pair in batch.pairs.tolist()]
    _consistent(batch, rows)


@settings(deadline=None, max_examples=40)
@given(batches())
def test_all_pairs_asks_every_text_against_every_video_in_training(batch: Batch) -> None:
    rows = AllPairsRows(AllPairsOptions()).rows(batch, _noise())
    assert _pairs(rows) == [(text, video) for text in range(len(batch.key)) for video in range(len(batch.extent))]
    _consistent(batch, rows)


def test_the_draw_of_negatives_changes_with_the_noise() -> None:
    batch = _batch([0, 1, 2, 3, 4, 5], [], 6)
    policy = OwnPlusRows(OwnPlusOptions(k=2))
    noise = _noise()
    assert _pairs(policy.rows(batch, noise)) != _pairs(policy.rows(batch, noise))


def test_the_gold_of_the_batch_is_not_written_to() -> None:
    batch = _batch([1], [(0, 1, 0.25, 0.5, 1.0)], 2)
    rows = rows_of(batch, torch.tensor([0]), torch.tensor([1]))
    assert rows.moments[0].tolist() == [[0, 0.25, 0.5, 1]]
    assert batch.gold.tolist() == [[0, 1, 0.25, 0.5, 1]]


def test_a_row_gets_the_scored_stretches_of_its_own_pair() -> None:
    batch = _batch([0, 1], [], 2, [(1, 1, 0.5, 0.75, 9.0), (0, 0, 0.0, 0.25, 3.0), (1, 1, 0.75, 1.0, 12.0)])
    rows = AllPairsRows(AllPairsOptions()).rows(batch, _noise())
    assert rows.saliency is not None
    assert [labels.tolist() for labels in rows.saliency] == [
        [[0, 0, 0.25, 3]],
        [],
        [],
        [[0, 0.5, 0.75, 9], [0, 0.75, 1, 12]],
    ]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_rows_follow_the_device_of_the_batch() -> None:
    batch = _batch([0, 1, 2], [(0, 0, 0.25, 0.5, 1.0)], 3).to("cuda")
    for policy in (OwnRows(OwnOptions()), OwnPlusRows(OwnPlusOptions(k=1)), AllPairsRows(AllPairsOptions())):
        rows = policy.rows(batch, _noise())
        assert {rows.index.ask.device.type, rows.index.pool.device.type, rows.moments[0].device.type} == {"cuda"}
