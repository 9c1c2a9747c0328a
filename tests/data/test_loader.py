from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from framework.core.structures import Batch
from framework.data.batch import query_key
from framework.data.cache import VideoCache, unit_rows
from framework.data.dataset import Query
from framework.data.features import open_features
from framework.data.glove import GloveOptions, GloveText
from framework.data.loader import Loader
from framework.data.options import DataOptions
from framework.data.sampling import RESAMPLING
from framework.data.store import StoreFeatures
from framework.data.store_writing import plan_store, write_store
from framework.data.text import LearnedText
from framework.errors import DataError

DATA = DataOptions(clip_s=0.5, window=8, normalize=False, prefetch=0)


@pytest.fixture(scope="session")
def videos(folder: Path) -> VideoCache:
    return VideoCache(open_features(folder), normalize=False)


def said(batch: Batch) -> dict[int | str, tuple[object, ...]]:
    """What a batch says of each query, with all padding taken off."""
    video, video_mask = batch.feats["video"]
    text, text_mask = batch.feats["text"]
    found: dict[int | str, tuple[object, ...]] = {}
    for ask, pool in batch.pairs.tolist():
        moments = [g[2:] for g in batch.gold.tolist() if g[:2] == [ask, pool]]
        found[batch.meta.ids[ask]] = (
            batch.meta.queries[ask],
            batch.meta.videos[pool],
            batch.meta.durations[pool],
            int(batch.key[ask]),
            float(batch.extent[pool]),
            moments,
            video[pool][video_mask[pool]].tolist(),
            text[ask][text_mask[ask]].tolist(),
        )
    return found


def same(one: Batch, other: Batch) -> bool:
    tensors = [
        [*batch.feats["video"], *batch.feats["text"], batch.extent, batch.pairs, batch.key, batch.gold]
        for batch in (one, other)
    ]
    return attrs.astuple(one.meta) == attrs.astuple(other.meta) and all(
        torch.equal(a, b) for a, b in zip(*tensors, strict=True)
    )


@settings(deadline=None, max_examples=15)
@given(st.booleans(), st.integers(1, 18), st.integers(0, 3), st.integers(0, 50), st.randoms())
def test_what_a_batch_says_of_a_query_depends_on_seed_epoch_and_query_alone(
    queries: list[Query],
    videos: VideoCache,
    text: LearnedText,
    training: bool,
    batch_size: int,
    epoch: int,
    seed: int,
    random: object,
) -> None:
    shuffled = list(queries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    answers: list[dict[int | str, tuple[object, ...]]] = []
    for order, size in ((queries, 5), (shuffled, batch_size)):
        loader = Loader(order, videos, text, DATA, batch_size=size, training=training, seed=seed)
        answers.append({})
        for batch in loader.batches(epoch):
            answers[-1] |= said(batch)
    assert len(answers[0]) == len(queries)
    assert answers[0] == answers[1]


@settings(deadline=None, max_examples=15)
@given(st.booleans(), st.integers(1, 7), st.integers(0, 3), st.integers(0, 4), st.integers(0, 2))
def test_an_epoch_that_starts_at_a_later_batch_is_the_tail_of_the_whole_one(
    queries: list[Query],
    videos: VideoCache,
    text: LearnedText,
    training: bool,
    batch_size: int,
    epoch: int,
    first: int,
    prefetch: int,
) -> None:
    data = attrs.evolve(DATA, prefetch=prefetch)
    loader = Loader(queries, videos, text, data, batch_size=batch_size, training=training, seed=3)
    whole = list(Loader(queries, videos, text, DATA, batch_size=batch_size, training=training, seed=3).batches(epoch))
    tail = list(loader.batches(epoch, first))
    assert len(whole) == len(loader)
    assert len(tail) == max(0, len(loader) - first)
    assert all(same(one, other) for one, other in zip(tail, whole[first:], strict=True))


def test_an_epoch_is_shuffled_in_training_and_longest_first_in_evaluation(
    queries: list[Query], videos: VideoCache, text: LearnedText
) -> None:
    def order(epoch: int, training: bool, seed: int = 0) -> list[int | str]:
        loader = Loader(queries, videos, text, DATA, batch_size=4, training=training, seed=seed)
        return [query for batch in loader.batches(epoch) for query in batch.meta.ids]

    assert order(0, True) != order(1, True)
    assert order(0, True) != order(0, True, seed=1)
    assert sorted(map(str, order(0, True))) == [str(query.id) for query in queries]
    assert order(0, False) == order(1, False) == [f"{video}{n}" for video in "fbedca" for n in range(3)]


def test_a_training_window_is_a_crop_and_its_moments_move_with_it(
    queries: list[Query], videos: VideoCache, text: LearnedText
) -> None:
    long = [query for query in queries if query.video == "f"]
    starts = set()
    for epoch in range(20):
        (batch,) = Loader(long, videos, text, DATA, batch_size=3, training=True).batches(epoch)
        clips, mask = batch.feats["video"]
        assert clips.shape[1:] == (8, 3)
        assert mask.all()
        assert batch.extent.tolist() == [4.0] * len(batch.extent)
        for ask, pool in batch.pairs.tolist():
            # Query f<n> asks for row n, whose clip holds n + 1; the crop starts at clip number first.
            first = int(clips[pool, 0, 1]) - 1
            wanted = int(str(batch.meta.ids[ask])[1:])
            gold = next(g for g in batch.gold.tolist() if g[:2] == [ask, pool])
            assert gold[2:] == [(wanted - first) / 8, (wanted + 1 - first) / 8, 1.0]
            starts.add(first)
    assert {0, 12} <= starts <= set(range(13))


def test_another_crop_of_the_same_video_has_gold_too(
    queries: list[Query], videos: VideoCache, text: LearnedText
) -> None:
    long = [query for query in queries if query.video == "f"]
    (batch,) = Loader(long, videos, text, DATA, batch_size=3, training=True).batches()
    count = len(batch.extent)
    assert count > 1, "the crops of this seed differ"
    assert len(batch.gold) == 3 * count
    assert len(batch.pairs) == 3


def test_a_video_is_in_a_batch_once_where_it_is_not_cropped(
    queries: list[Query], videos: VideoCache, text: LearnedText
) -> None:
    (batch,) = Loader(queries, videos, text, DATA, batch_size=18).batches()
    assert batch.feats["video"][0].shape == (6, 20, 3)
    assert batch.meta.videos == tuple("fbedca")
    assert batch.pairs.tolist() == [[ask, ask // 3] for ask in range(18)]
    assert batch.extent.tolist() == [10.0, 6.0, 4.5, 4.0, 3.5, 1.5]


@pytest.mark.parametrize("training", [True, False])
def test_a_short_video_is_padded_to_the_window(
    training: bool, queries: list[Query], videos: VideoCache, text: LearnedText
) -> None:
    short = [query for query in queries if query.video == "a"]
    (batch,) = Loader(short, videos, text, DATA, batch_size=3, training=training).batches()
    clips, mask = batch.feats["video"]
    assert clips.shape == (1, 8, 3)
    assert mask.tolist() == [[True] * 3 + [False] * 5]
    assert not clips[~mask].any()
    assert batch.extent.tolist() == [1.5]


def test_sample_mode_gives_the_window_rows_and_the_duration(
    queries: list[Query], videos: VideoCache, text: LearnedText
) -> None:
    sample = attrs.evolve(DATA, mode="sample", clip_s=99.0)
    for training in (True, False):
        for batch in Loader(queries, videos, text, sample, batch_size=18, training=training).batches():
            clips, mask = batch.feats["video"]
            assert clips.shape == (6, 8, 3)
            assert mask.all()
            assert batch.extent.tolist() == list(batch.meta.durations)
            longest = batch.meta.videos.index("f")
            assert clips[longest, :, 1].tolist() == [2, 4, 7, 10, 12, 14, 17, 19]


def test_ids_are_long_and_vectors_are_float(queries: list[Query], videos: VideoCache, tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text("word0 1 2\nword1 3 4\n")
    glove = GloveText(GloveOptions(file="glove.txt"), tmp_path)
    (batch,) = Loader(queries[:3], videos, glove, DATA, batch_size=3).batches()
    vectors, mask = batch.feats["text"]
    assert vectors.tolist() == [[[1, 2], [0, 0], [0, 0]], [[1, 2], [3, 4], [0, 0]], [[1, 2], [3, 4], [0, 0]]]
    assert mask.sum(1).tolist() == [1, 2, 3]
    assert batch.key.dtype == batch.pairs.dtype == torch.long


def test_a_text_of_ids_is_padded_with_zero(queries: list[Query], videos: VideoCache, text: LearnedText) -> None:
    (batch,) = Loader(queries[:2], videos, text, DATA, batch_size=2).batches()
    ids, mask = batch.feats["text"]
    assert (ids.dtype, ids.tolist(), mask.tolist()) == (torch.long, [[2, 0], [2, 3]], [[True, False], [True, True]])


def test_several_windows_of_a_query_and_none_are_both_kept(
    queries: list[Query], videos: VideoCache, text: LearnedText
) -> None:
    several = attrs.evolve(queries[0], moments=((0.0, 0.75, 1.0), (0.75, 1.5, 0.25)))
    (batch,) = Loader([several, attrs.evolve(queries[1], moments=())], videos, text, DATA, batch_size=2).batches()
    assert batch.gold.tolist() == [[0, 0, 0, 0.5, 1], [0, 0, 0.5, 1, 0.25]]
    assert batch.pairs.tolist() == [[0, 0], [1, 0]]
    (batch,) = Loader([attrs.evolve(queries[1], moments=())], videos, text, DATA, batch_size=1).batches()
    assert batch.gold.shape == (0, 5)


def test_scored_stretches_are_placed_as_moments_are(
    queries: list[Query], videos: VideoCache, text: LearnedText
) -> None:
    """Video "a" lasts 1.5 s. Whoever has no labels has no entries; a batch without any has no table."""
    scored = attrs.evolve(queries[0], saliency=((0.0, 0.75, 3.0), (0.75, 1.5, 12.0)))
    (batch,) = Loader([queries[1], scored], videos, text, DATA, batch_size=2).batches()
    assert batch.saliency is not None
    assert batch.saliency.tolist() == [[1, 0, 0, 0.5, 3], [1, 0, 0.5, 1, 12]]
    assert (batch.saliency.dtype, batch.saliency.shape) == (torch.float32, (2, 5))
    (batch,) = Loader(queries[:2], videos, text, DATA, batch_size=2).batches()
    assert batch.saliency is None
    (batch,) = Loader([attrs.evolve(queries[0], saliency=())], videos, text, DATA, batch_size=1).batches()
    assert batch.saliency is not None
    assert batch.saliency.shape == (0, 5)


def test_scored_stretches_move_with_a_crop(queries: list[Query], videos: VideoCache, text: LearnedText) -> None:
    long = [attrs.evolve(query, saliency=query.moments) for query in queries if query.video == "f"]
    for epoch in range(5):
        (batch,) = Loader(long, videos, text, DATA, batch_size=3, training=True).batches(epoch)
        assert batch.saliency is not None
        assert torch.equal(batch.saliency, batch.gold)


def test_the_last_batch_is_short_or_dropped(queries: list[Query], videos: VideoCache, text: LearnedText) -> None:
    kept = Loader(queries, videos, text, DATA, batch_size=4)
    dropped = Loader(queries, videos, text, DATA, batch_size=4, drop_last=True)
    assert [len(batch.key) for batch in kept.batches()] == [4, 4, 4, 4, 2]
    assert [len(batch.key) for batch in dropped.batches()] == [4, 4, 4, 4]
    assert (len(kept), len(dropped)) == (5, 4)


def test_a_key_is_stable_and_the_same_for_a_number_and_its_text() -> None:
    # First 8 bytes of SHA-256 of "7", shifted right by one.
    assert query_key(7) == query_key("7") == 0x7902699BE42C8A8E >> 1
    assert len({query_key(number) for number in range(1000)}) == 1000
    assert all(0 <= query_key(number) < 2**63 for number in range(1000))


def test_an_exception_in_the_thread_reaches_the_caller(queries: list[Query], text: LearnedText, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((3, 2), np.nan))
    loader = Loader(queries[:3], open_features(tmp_path), text, attrs.evolve(DATA, prefetch=2), batch_size=3)
    with pytest.raises(DataError, match='video "a" has NaN or infinity in row 0'):
        list(loader.batches())


def test_features_are_normalised_by_the_recipe_unless_a_cache_is_given(
    queries: list[Query], folder: Path, text: LearnedText
) -> None:
    (batch,) = Loader(queries, open_features(folder), text, attrs.evolve(DATA, normalize=True), batch_size=18).batches()
    clips, mask = batch.feats["video"]
    torch.testing.assert_close(clips[mask].norm(dim=1), torch.ones(int(mask.sum())))


def test_a_loader_refuses_what_cannot_work_before_the_first_batch(
    queries: list[Query], videos: VideoCache, text: LearnedText
) -> None:
    def refused(message: str, asked: list[Query], data: DataOptions = DATA, size: int = 4, drop: bool = False) -> None:
        with pytest.raises(DataError, match=message):
            Loader(asked, videos, text, data, batch_size=size, drop_last=drop)

    refused("1 of 1 videos have no features: zzz", [attrs.evolve(queries[0], video="zzz")])
    refused("query a0: the sentence", [attrs.evolve(queries[0], text=" .")])
    refused("clip_s = 2: 6 of 6 videos", queries, attrs.evolve(DATA, clip_s=2.0))
    refused("18 queries make no batch of 32", queries, size=32, drop=True)
    refused("0 queries make no batch of 4", [])


@pytest.mark.parametrize("resample", ["middle", "mean", "linear"])
def test_sample_mode_resamples_normalised_rows_as_the_recipe_says(
    resample: str, queries: list[Query], folder: Path, text: LearnedText
) -> None:
    data = attrs.evolve(DATA, mode="sample", resample=resample, normalize=True)
    (batch,) = Loader(queries, open_features(folder), text, data, batch_size=18).batches()
    clips, _ = batch.feats["video"]
    for number, video in enumerate(batch.meta.videos):
        rows = unit_rows(np.load(folder / f"{video}.npy"))
        np.testing.assert_array_equal(clips[number].numpy(), RESAMPLING[resample](rows, 8))


@pytest.mark.parametrize("mode", ["window", "sample"])
@pytest.mark.parametrize("training", [True, False])
def test_positions_are_two_more_columns_that_span_each_excerpt(
    mode: str, training: bool, queries: list[Query], folder: Path, text: LearnedText
) -> None:
    data = attrs.evolve(DATA, mode=mode, normalize=True, positions=True)
    loader = Loader(queries, open_features(folder), text, data, batch_size=18, training=training)
    (batch,) = loader.batches()
    clips, mask = batch.feats["video"]
    assert loader.width == clips.shape[2] == 3 + data.added_columns == 5
    for rows, real in zip(clips, mask, strict=True):
        count = int(real.sum())
        torch.testing.assert_close(rows[:count, 3], torch.arange(count) / count)
        torch.testing.assert_close(rows[:count, 4], (torch.arange(count) + 1) / count)
        torch.testing.assert_close(rows[:count, :3].norm(dim=1), torch.ones(count))
        assert not rows[count:].any()


@pytest.mark.parametrize("mode", ["window", "sample"])
@pytest.mark.parametrize("normalize", [True, False])
def test_batches_of_a_store_are_those_of_its_source(
    mode: str, normalize: bool, queries: list[Query], folder: Path, text: LearnedText, tmp_path: Path
) -> None:
    write_store(plan_store(open_features(folder), "npy"), tmp_path / "store")
    data = attrs.evolve(DATA, mode=mode, normalize=normalize)
    found = [
        list(Loader(queries, open_features(path), text, data, batch_size=4, training=True).batches(1))
        for path in (folder, tmp_path / "store")
    ]
    assert all(same(one, other) for one, other in zip(*found, strict=True))


def test_a_window_of_a_store_reads_its_own_rows_alone(
    queries: list[Query], folder: Path, text: LearnedText, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_store(plan_store(open_features(folder), "npy"), tmp_path / "store")
    lengths: list[int] = []
    read = StoreFeatures.read

    def counted(self: StoreFeatures, video: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        values = read(self, video, start, stop)
        lengths.append(len(values))
        return values

    monkeypatch.setattr(StoreFeatures, "read", counted)
    long = [query for query in queries if query.video == "f"]
    loader = Loader(long, open_features(tmp_path / "store"), text, DATA, batch_size=3, training=True)
    for epoch in range(3):
        list(loader.batches(epoch))
    assert len(lengths) > 3
    assert set(lengths) == {8}


def test_a_store_that_states_another_clip_length_is_refused(
    queries: list[Query], folder: Path, text: LearnedText, tmp_path: Path
) -> None:
    write_store(plan_store(open_features(folder), "npy", clip_s=2.0), tmp_path / "store")
    with pytest.raises(DataError, match=r"clip_s = 0\.5: .*store says that its rows last 2 s\. Set clip_s to that"):
        Loader(queries, open_features(tmp_path / "store"), text, DATA, batch_size=4)
    # In the mode sample a clip length has no part in training.
    Loader(queries, open_features(tmp_path / "store"), text, attrs.evolve(DATA, mode="sample"), batch_size=4)
