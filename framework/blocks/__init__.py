"""Modules that two or more denoisers share. Everything here is channel last: (R, ..., D) with mask (R, ...)."""

from framework.blocks.gated_conv import GatedConv
from framework.blocks.masked_group_norm import MaskedGroupNorm
from framework.blocks.stylization import Stylization
from framework.blocks.time_embedding import TimeEmbedding
from framework.blocks.word_embedding import WordEmbedding

__all__ = ["GatedConv", "MaskedGroupNorm", "Stylization", "TimeEmbedding", "WordEmbedding"]
