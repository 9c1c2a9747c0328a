"""Modules that two or more parts share. Everything here is channel last: (R, ..., D) with mask (R, ...)."""

from framework.blocks.attention import (
    AttentionLayer,
    FeedForward,
    TransformerLayer,
    attend,
    mlp,
    project_inputs,
    with_endpoints,
)
from framework.blocks.gated_conv import GatedConv
from framework.blocks.masked_group_norm import MaskedGroupNorm
from framework.blocks.positions import clip_code, sine_code
from framework.blocks.roi_align import roi_align
from framework.blocks.scale_shift import ScaleShift
from framework.blocks.set_decoder import layers_to_run, require_exit, require_spans
from framework.blocks.slot_queries import SlotQueries, require_queries
from framework.blocks.stylization import Stylization
from framework.blocks.time_embedding import TimeEmbedding, sinusoids
from framework.blocks.word_embedding import WordEmbedding
from framework.blocks.xavier import xavier

__all__ = [
    "AttentionLayer",
    "FeedForward",
    "GatedConv",
    "MaskedGroupNorm",
    "ScaleShift",
    "SlotQueries",
    "Stylization",
    "TimeEmbedding",
    "TransformerLayer",
    "WordEmbedding",
    "attend",
    "clip_code",
    "layers_to_run",
    "mlp",
    "project_inputs",
    "require_exit",
    "require_queries",
    "require_spans",
    "roi_align",
    "sine_code",
    "sinusoids",
    "with_endpoints",
    "xavier",
]
