"""Word vectors that were computed beforehand for each query, such as CLIP's of Moment-DETR."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.core.options import at_least, option
from framework.data.cache import unit_rows
from framework.data.dataset import FeatureSource
from framework.data.features import open_features
from framework.data.text import TextSource
from framework.errors import DataError

KEYS: Final = ("last_hidden_state", "token", "features")
"""Names of the wanted array where a file or group holds several; a pooled sentence vector is none of them."""

QID: Final = "{qid}"


def _holds_qid(value: str) -> str | None:
    return None if QID in value else f"must hold {QID}, which stands for the query's id"


@attrs.frozen
class QueryFeaturesOptions:
    """Options of precomputed word vectors."""

    file: str = option(
        "clip_text", doc="word vectors, from the data's root: HDF5, or a folder of .npz or of .npy files", movable=True
    )
    item: str = option(
        "qid{qid}",
        doc="name of a query's array or file, as in qid{qid} (Moment-DETR) or {qid}",
        rule=_holds_qid,
        movable=True,
    )
    words: int | None = option(32, doc="words of a query that are used, the first ones; none: all", rule=at_least(1))
    normalize: bool = option(True, doc="scale each word's vector to length 1")


class QueryFeatures(TextSource):
    """Word vectors of each query by its id, from a file: one array (L, D) a query.

    The language model that made them is not here, so a sentence that is not in the file cannot be encoded: a run can
    be evaluated and loaded, but not asked anything new.
    """

    options: QueryFeaturesOptions

    def __init__(self, options: QueryFeaturesOptions, root: Path) -> None:
        super().__init__(options, root)
        self.path = root / options.file
        self._fitting: set[int | str] = set()

    def missing(self) -> list[str]:
        if self.path.exists():
            return []
        return [
            f"{self.path}: no word vectors there. Point to them by --set data.text.file=FILE_OR_FOLDER, or learn word "
            "vectors instead by --set data.text=learned."
        ]

    def prepare(self, train_sentences: Iterable[str], all_sentences: Iterable[str]) -> None:
        """Only the width is to be learned; it is that of any query."""
        self.width = self._source.shape(min(self._source.videos()))[1]

    def expect(self, queries: Sequence[tuple[int | str, str]]) -> None:
        known = self._source.videos()
        absent = [query_id for query_id, _ in queries if self._item(query_id) not in known]
        if absent:
            raise DataError(
                f"{self.path}: {len(absent)} of {len(queries)} queries have no word vectors, first {absent[0]!r}, "
                f'looked for as "{self._item(absent[0])}"; it holds items such as "{min(known)}". Set [data] text.item '
                "to how they are named, or make the missing ones with the language model of the others"
            )
        # A loader asks again before each evaluation; what a file says of its width is read once.
        for query_id, _ in queries:
            if query_id not in self._fitting:
                self._require_width(query_id, self._source.shape(self._item(query_id))[1])
                self._fitting.add(query_id)

    def encode(self, query_id: int | str, sentence: str) -> NDArray[np.float32]:
        item = self._item(query_id)
        # A loaded checkpoint is asked new sentences, often where the file is not.
        if not self.path.exists() or item not in self._source.videos():
            raise DataError(
                f'query {query_id!r}: has no word vectors in {self.path}, and text = "features" cannot make any, since '
                "the language model is not here; ask queries of its dataset, or train with text = "
                '"learned" or "glove" to ask new sentences'
            )
        words = self._source.read(item, 0, self.options.words)
        self._require_width(query_id, words.shape[1])
        return unit_rows(words) if self.options.normalize else words

    def _require_width(self, query_id: int | str, width: int) -> None:
        if width != self.width:
            raise DataError(
                f"{self.path}: query {query_id!r} has {width} columns, others have {self.width}; "
                "all must come from the same language model"
            )

    def state(self) -> dict[str, Any]:
        return {"width": self.width}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.width = state["width"]

    @cached_property
    def _source(self) -> FeatureSource:
        return open_features(self.path, keys=KEYS, noun="query")

    def _item(self, query_id: int | str) -> str:
        return self.options.item.replace(QID, str(query_id))
