"""Words as vectors, whichever way the data give them."""

from __future__ import annotations

from torch import Tensor, nn


class WordEmbedding(nn.Module):
    """Pass word vectors through, or look token ids up in a learned table.

    vectors: width of the vectors that the data give, or None where they give ids. vocabulary: number of ids, of which
    0 is padding. width: width of a learned vector, by default that of GloVe.
    """

    def __init__(self, vectors: int | None, vocabulary: int | None, width: int = 300) -> None:
        super().__init__()
        if vectors is None and vocabulary is None:
            raise ValueError("WordEmbedding needs the width of the word vectors or the size of the vocabulary")
        learned = vectors is None and vocabulary is not None
        self.table = nn.Embedding(vocabulary or 0, width, padding_idx=0) if learned else None
        self.width = width if vectors is None else vectors

    def forward(self, words: Tensor) -> Tensor:
        """Vectors (Q, L, D) from vectors (Q, L, D) or ids (Q, L)."""
        if self.table is None:
            return words
        looked_up: Tensor = self.table(words)
        return looked_up
