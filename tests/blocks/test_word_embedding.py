"""Words as vectors or as ids."""

from __future__ import annotations

import pytest
import torch

from framework.blocks import WordEmbedding


def test_vectors_pass_through_and_learn_nothing():
    embedding, words = WordEmbedding(vectors=5, vocabulary=None), torch.rand(2, 3, 5)
    assert embedding(words) is words
    assert embedding.width == 5
    assert list(embedding.parameters()) == []


def test_ids_are_looked_up_and_padding_is_zero():
    embedding = WordEmbedding(vectors=None, vocabulary=9, width=4)
    vectors = embedding(torch.tensor([[3, 8, 0]]))
    assert vectors.shape == (1, 3, 4)
    assert not vectors[0, 2].any()
    assert vectors[0, :2].any(dim=1).all()


def test_learned_words_are_as_wide_as_glove_unless_told_otherwise():
    assert WordEmbedding(None, 9).width == 300


def test_words_of_no_kind_are_refused():
    with pytest.raises(ValueError, match="the size of the vocabulary"):
        WordEmbedding(None, None)
