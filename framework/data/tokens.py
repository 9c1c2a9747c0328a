"""Token features that were computed beforehand, such as CLIP's (QVHighlights)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.core.options import at_least, option
from framework.data.cache import unit_rows
from framework.data.dataset import FeatureSource
from framework.data.features import open_features
from framework.data.text import TextSource
from framework.errors import DataError


@attrs.frozen
class TokensOptions:
    """Options of precomputed token features."""

    file: str = option(
        "clip_text", doc="token features, from the data's root: HDF5, or a folder of .npz or of .npy files"
    )
    max_tokens: int = option(32, doc="tokens of a sentence that are used, the first ones", rule=at_least(1))
    normalize: bool = option(True, doc="scale each token's vector to length 1")


class TokensText(TextSource):
    """Token features from a file: one array (L, D) a query, named ``<query id>`` or ``qid<query id>``.

    An .npz file or HDF5 group holds it as ``last_hidden_state`` or ``token``. The language model is not here, so a
    sentence that has no features yet cannot be encoded.
    """

    options: TokensOptions

    def __init__(self, options: TokensOptions, root: Path) -> None:
        super().__init__(options, root)
        self.path = root / options.file
        self._opened: FeatureSource | None = None

    def prepare(self, train_sentences: Iterable[str], all_sentences: Iterable[str]) -> None:
        """Only the width is to be learned; it is that of any sentence."""
        self.width = self._source.shape(min(self._source.videos()))[1]

    def expect(self, queries: Sequence[tuple[int | str, str]]) -> None:
        for query_id, _ in queries:
            self._name(query_id)

    def encode(self, query_id: int | str, sentence: str) -> NDArray[np.float32]:
        tokens = self._source.read(self._name(query_id), 0, self.options.max_tokens)
        if tokens.shape[1] != self.width:
            raise DataError(
                f"{self.path}: query {query_id} has {tokens.shape[1]} columns, others have {self.width}; "
                "all must come from the same language model"
            )
        return unit_rows(tokens) if self.options.normalize else tokens

    def state(self) -> dict[str, Any]:
        return {"width": self.width}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.width = state["width"]

    @property
    def _source(self) -> FeatureSource:
        if self._opened is None:
            self._opened = open_features(self.path, keys=("last_hidden_state", "token"), noun="query")
        return self._opened

    def _name(self, query_id: int | str) -> str:
        for name in (str(query_id), f"qid{query_id}"):
            if name in self._source.videos():
                return name
        raise DataError(
            f"{self.path}: has no token features of query {query_id}, neither as {query_id} nor as qid{query_id}; "
            "they are computed beforehand with the language model of the others"
        )
