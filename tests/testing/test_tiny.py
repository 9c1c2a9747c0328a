from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings

from framework.core.structures import Batch, Slots
from framework.diffusion import schedule
from framework.testing import strategies, tiny
from framework.testing.tiny import Case, Row
from framework.testing.toys import ToyCells, ToyCellsOptions


def test_a_tiny_batch_has_the_dimensions_and_lengths_that_it_states() -> None:
    batch = tiny.batch(seed=0, videos=6, clips=32)
    (video, video_mask), (text, text_mask) = batch.feats["video"], batch.feats["text"]
    assert video.shape == (*video_mask.shape, tiny.VIDEO) == (6, video_mask.shape[1], 16)
    assert text.shape == (*text_mask.shape, tiny.TEXT) == (6, text_mask.shape[1], 12)
    lengths = video_mask.sum(1)
    assert 20 <= int(lengths.min()) < int(lengths.max()) <= 32
    assert torch.equal(batch.extent, tiny.CLIP_S * lengths)
    assert batch.meta.durations == tuple(batch.extent.tolist())
    assert batch.pairs.tolist() == [[place, place] for place in range(6)]
    assert batch.gold.shape == (6, 5)
    assert len(set(batch.key.tolist())) == 6
    assert bool((video[~video_mask] == 0).all())


def test_a_tiny_batch_is_the_same_every_time_and_another_for_another_seed() -> None:
    first, again, other = tiny.batch(seed=1), tiny.batch(seed=1), tiny.batch(seed=2)
    assert torch.equal(first.feats["video"][0], again.feats["video"][0])
    assert torch.equal(first.gold, again.gold)
    assert not torch.equal(first.gold, other.gold)
    assert set(first.key.tolist()).isdisjoint(other.key.tolist())


def test_words_come_as_ids_or_as_the_vectors_of_the_same_ids() -> None:
    ids, mask = tiny.batch(seed=3, ids=True).feats["text"]
    vectors, _ = tiny.batch(seed=3).feats["text"]
    assert ids.dtype == torch.long
    assert tiny.INPUTS_OF_IDS.vocabulary is not None
    assert 2 <= int(ids[mask].min()) <= int(ids[mask].max()) < tiny.INPUTS_OF_IDS.vocabulary
    assert bool((ids[~mask] == 0).all())
    table = dict(zip(ids[mask].tolist(), vectors[mask], strict=True))
    assert all(torch.equal(table[word], vector) for word, vector in zip(ids[mask].tolist(), vectors[mask], strict=True))


def test_the_words_of_a_query_show_in_the_clips_of_its_moment() -> None:
    batch = tiny.batch(seed=0, videos=40)
    (video, mask), (_, start, end) = batch.feats["video"], batch.gold[:, [0, 2, 3]].T
    middle = (torch.arange(video.shape[1]) + 0.5) / mask.sum(1, keepdim=True)
    inside = (middle >= start[:, None]) & (middle <= end[:, None]) & mask
    query = torch.stack([video[row][inside[row]].mean(0) for row in range(40)])
    likeness = torch.einsum("vtd,vd->vt", video, query) / query.norm(dim=1, keepdim=True)
    assert float(likeness[inside].mean()) > 3 > 0.5 > float(likeness[mask & ~inside].mean())


@settings(deadline=None, max_examples=20)
@given(strategies.cases(least=2))
def test_a_row_holds_the_same_in_every_batch(case: Case) -> None:
    together, alone = tiny.collate(case), tiny.collate(case[1:2])
    for side in ("video", "text"):
        x, mask = together.feats[side]
        assert torch.equal(x[1][mask[1]], alone.feats[side][0][0])
    assert torch.equal(together.extent[1:2], alone.extent)
    assert torch.equal(together.gold[together.gold[:, 0] == 1][:, 2:], alone.gold[:, 2:])


def test_padding_may_be_longer_and_hold_anything() -> None:
    row = Row(key=5, clips=3, words=2)
    batch = tiny.collate([row], clips=6, words=4, fill=7.0)
    assert [tuple(mask.shape) for _, mask in batch.feats.values()] == [(1, 6), (1, 4)]
    assert all(bool((x[~mask] == 7).all()) for x, mask in batch.feats.values())
    assert bool((tiny.collate([row], ids=True, words=4, fill=7.0).feats["text"][0][0, 2:] == 0).all())


def test_rows_and_gold_hold_the_same_moments() -> None:
    case = (Row(1, moments=()), Row(2, moments=((0.0, 0.5), (0.25, 1.0))), Row(3))
    rows, batch = tiny.rows(case), tiny.collate(case)
    assert [len(moments) for moments in rows.moments] == [0, 2, 1]
    assert torch.equal(torch.cat(list(rows.moments))[:, 1:], batch.gold[:, 2:])
    assert torch.equal(rows.index.key, batch.key)


def test_a_tiny_condition_holds_what_a_target_requires() -> None:
    target = ToyCells(ToyCellsOptions())
    cond = tiny.condition(target, (Row(0, clips=4), Row(1, clips=10)))
    assert cond.rows == 2
    assert cond.feats["clips"].tolist() == [4, 10]
    assert cond.feats["clips"].dtype == torch.long
    assert cond.feats["clip"].tolist() == pytest.approx([0.25, 0.1])
    assert tiny.condition({"clips"}, 3).feats.keys() == {"clips"}
    assert tiny.condition((), 3).rows == 3


def test_a_tiny_condition_refuses_what_only_an_encoder_can_give() -> None:
    with pytest.raises(ValueError, match="not map; pass a function of your own"):
        tiny.condition({"clips", "map"}, 1)


@settings(deadline=None, max_examples=60)
@given(strategies.cases((2, 9)))
def test_drawn_cases_have_moments_inside_that_last_a_clip_and_keys_of_their_own(case: Case) -> None:
    assert len({row.key for row in case}) == len(case) <= 3
    for row in case:
        assert 2 <= row.clips <= 9
        assert all(start >= 0 and end <= 1 and end - start >= 1 / row.clips - 1e-9 for start, end in row.moments)


@settings(deadline=None, max_examples=60)
@given(strategies.cases(cut=True))
def test_cut_moments_may_lie_anywhere_but_are_never_empty(case: Case) -> None:
    assert all(-1 <= start < end <= 2 for row in case for start, end in row.moments)


@settings(deadline=None, max_examples=30)
@given(strategies.slots())
def test_drawn_slots_are_consistent(slots: Slots) -> None:
    assert slots.mask.shape == slots.place.shape == (len(slots.mask), sum(slots.sizes))


@settings(deadline=None, max_examples=20)
@given(strategies.schedules())
def test_drawn_schedules_exist(drawn: tuple[str, int]) -> None:
    assert len(schedule(*drawn)) == drawn[1]


@settings(deadline=None, max_examples=20)
@given(strategies.batches((1, 6), ids=True))
def test_drawn_batches_hold_a_text_a_video(batch: Batch) -> None:
    assert len(batch.feats["video"][0]) == len(batch.feats["text"][0]) == len(batch.key) == len(batch.extent)
