"""Annotations, features, text, batches and row policies."""

from __future__ import annotations

from typing import Final

from framework.core.part import Part
from framework.data.batch import collate, query_key
from framework.data.cache import VideoCache
from framework.data.clip_length import ClipLengths, clip_length_report, whole_clips
from framework.data.dataset import Dataset, FeatureSource, Query
from framework.data.features import open_features
from framework.data.glove import GLOVE, GloveOptions, GloveText
from framework.data.holdout import hold_out
from framework.data.loader import Loader
from framework.data.options import DataOptions
from framework.data.pretrained import PretrainedOptions, PretrainedText
from framework.data.query_features import QueryFeatures, QueryFeaturesOptions
from framework.data.rows import (
    AllPairsOptions,
    AllPairsRows,
    OwnOptions,
    OwnPlusOptions,
    OwnPlusRows,
    OwnRows,
    rows_of,
)
from framework.data.sampling import Excerpt, crop_start, excerpt, middle_rows, prepared
from framework.data.store import StoreFeatures
from framework.data.store_writing import plan_store, write_store
from framework.data.text import LearnedOptions, LearnedText, TextSource, split_words

PARTS: Final = (
    Part("text", "learned", LearnedText, LearnedOptions),
    Part("text", "glove", GloveText, GloveOptions, (GLOVE,)),
    Part("text", "features", QueryFeatures, QueryFeaturesOptions),
    Part("text", "pretrained", PretrainedText, PretrainedOptions),
    Part("rows", "own", OwnRows, OwnOptions),
    Part("rows", "own_plus", OwnPlusRows, OwnPlusOptions),
    Part("rows", "all_pairs", AllPairsRows, AllPairsOptions),
)

__all__ = [
    "PARTS",
    "ClipLengths",
    "DataOptions",
    "Dataset",
    "Excerpt",
    "FeatureSource",
    "Loader",
    "Query",
    "StoreFeatures",
    "TextSource",
    "VideoCache",
    "clip_length_report",
    "collate",
    "crop_start",
    "excerpt",
    "hold_out",
    "middle_rows",
    "open_features",
    "plan_store",
    "prepared",
    "query_key",
    "rows_of",
    "split_words",
    "whole_clips",
    "write_store",
]
