"""Batches of a split, in an order and with crops that depend on (seed, epoch, query) alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from framework.core.structures import Batch
from framework.data.batch import collate, query_key
from framework.data.cache import VideoCache
from framework.data.clip_length import clip_length_report
from framework.data.dataset import FeatureSource, Query
from framework.data.options import DataOptions
from framework.data.prefetch import prefetched
from framework.data.sampling import Draw, Excerpt, excerpt, prepared
from framework.data.text import TextSource
from framework.errors import DataError


class Loader:
    """Batches of queries with the features of their videos.

    In training the order is shuffled and a long video is cropped anew each epoch and query. In evaluation every video
    is whole and the longest come first, so that little is padded and a batch too large for memory fails at once.
    Queries whose excerpts are the same share one video of the batch.

    features: a VideoCache is shared with whoever else has it; any other source gets a cache of its own. width: columns
    of the video in a batch, with those that the recipe adds to its features. Construction raises DataError where a
    video has no features, where most videos or a store contradict ``clip_s``, where a sentence is empty, and where
    there are fewer queries than one batch needs.
    """

    def __init__(
        self,
        queries: Sequence[Query],
        features: FeatureSource,
        text: TextSource,
        data: DataOptions,
        *,
        batch_size: int,
        training: bool = False,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        self.queries, self.text, self.data = tuple(queries), text, data
        self.videos = VideoCache.over(features, data)
        self.batch_size, self.training, self.seed, self.drop_last = batch_size, training, seed, drop_last
        if not len(self):
            raise DataError(
                f"{len(self.queries)} queries make no batch of {batch_size}; "
                "use a smaller batch_size or do not drop the last batch"
            )
        self.width = self.videos.require(query.video for query in self.queries) + data.added_columns
        if data.mode == "window":
            clip_length_report(self.queries, self.videos, data.clip_s).require()
        text.expect([(query.id, query.text) for query in self.queries])

    def __len__(self) -> int:
        """Number of batches an epoch."""
        whole, rest = divmod(len(self.queries), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def batches(self, epoch: int = 0, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number ``first`` on, the same ones as if it had begun at the first."""
        made = self._made(epoch, first)
        return prefetched(made, self.data.prefetch) if self.data.prefetch else made

    def _made(self, epoch: int, first: int) -> Iterator[Batch]:
        order = self._order(epoch)
        for number in range(first, len(self)):
            members = order[number * self.batch_size : (number + 1) * self.batch_size]
            yield self._batch([self.queries[place] for place in members], epoch)

    def _order(self, epoch: int) -> list[int]:
        if self.training:
            return [int(place) for place in np.random.default_rng([self.seed, epoch]).permutation(len(self.queries))]
        return sorted(range(len(self.queries)), key=self._longest_first)

    def _longest_first(self, place: int) -> tuple[int, str, int]:
        """Queries of one video stand together, so that it is in one batch rather than in several."""
        video = self.queries[place].video
        return -self.videos.shape(video)[0], video, place

    def _batch(self, queries: Sequence[Query], epoch: int) -> Batch:
        number: dict[Excerpt, int] = {}
        own = [number.setdefault(self._excerpt(query, epoch), len(number)) for query in queries]
        words = [self.text.encode(query.id, query.text) for query in queries]
        return collate(queries, words, list(number), [self._clips(entry) for entry in number], own, self.data.window)

    def _excerpt(self, query: Query, epoch: int) -> Excerpt:
        draw = Draw(self.seed, epoch, query_key(query.id)) if self.training else None
        return excerpt(query, self.videos.shape(query.video)[0], self.data, draw)

    def _clips(self, entry: Excerpt) -> NDArray[np.float32]:
        return prepared(self.videos.read(entry.video, entry.start, entry.stop), entry, self.data)
