"""Sentence vector: a bidirectional LSTM over words, averaged."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from framework.blocks import WordEmbedding


class SentenceEncoder(nn.Module):
    """BiLSTM, mean over words, linear (MS-2D-TAN).

    The authors run the LSTM over the padded batch, so their backward direction reads padding first and a sentence's
    vector depends on the longest one beside it. Packing avoids that.
    """

    def __init__(self, words: WordEmbedding, width: int, layers: int) -> None:
        super().__init__()
        self.words = words
        self.lstm = nn.LSTM(words.width, width // 2, layers, batch_first=True, bidirectional=True)
        self.project = nn.Linear(width, width)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        """Words (Q, L, D) or ids (Q, L), real first, where mask (Q, L); returns (Q, width)."""
        lengths = mask.sum(dim=1).clamp(min=1)
        # On a GPU autocast would run an LSTM in float16, bfloat16 or not, and nothing scales its gradients then.
        with torch.autocast(mask.device.type, enabled=False):
            packed = nn.utils.rnn.pack_padded_sequence(
                self.words(words).float(), lengths.cpu(), batch_first=True, enforce_sorted=False
            )
            states, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return self.project(torch.sum(states, dim=1) / lengths[:, None])
