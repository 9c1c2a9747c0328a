"""The data of a recipe: dataset, features and text opened, checked and cut into splits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.core.encoder import Inputs
from framework.data.batch import labelled
from framework.data.cache import VideoCache
from framework.data.clip_length import whole_clips
from framework.data.dataset import Dataset, FeatureSource, Query
from framework.data.features import open_features
from framework.data.holdout import hold_out
from framework.data.loader import Loader
from framework.data.spec import FeatureSpec
from framework.data.text import TextSource
from framework.engine.highlights import Rated
from framework.errors import RecipeError, nearest
from framework.recipe import DataChoice, Recipe

HELD_OUT: Final = "held_out"
"""Name of the split that a recipe's [data] holdout takes from the training videos."""


@attrs.frozen(eq=False)
class Data:
    """All that a method is trained and tested on.

    spec: what weights that are trained on these features must be shown ever after. validation: the split that a choice
    may be made on, if any. reported: the split of the final number.
    """

    recipe: Recipe
    dataset: Dataset
    features: VideoCache
    spec: FeatureSpec
    text: TextSource
    queries: Mapping[str, list[Query]]
    validation: str | None
    reported: str
    fingerprint: str

    @property
    def inputs(self) -> Inputs:
        """What the encoder is built for: sizes, and whether the training queries have labels of saliency."""
        saliency = labelled(self.queries[self.dataset.train])
        columns = sum(self.spec.widths) + self.recipe.data.options.added_columns
        return Inputs(columns, self.text.width, self.text.vocabulary, saliency, self.recipe.data.options.positions)

    def loader(self, split: str, *, training: bool) -> Loader:
        """Batches of one split; in training only full ones, as statistics over a batch need numbers."""
        size = self.recipe.train.batch_size if training else self.recipe.evaluate.batch_size
        queries = self.queries[split]
        return Loader(
            queries,
            self.features,
            self.text,
            self.recipe.data.options,
            batch_size=size,
            training=training,
            seed=self.recipe.seed,
            drop_last=training and len(queries) >= size,
        )

    def truths(self, split: str) -> dict[int | str, NDArray[np.float64]]:
        """Query id -> (g, 2) seconds of every query of a split."""
        return truths_of(self.queries[split])

    def rated(self, split: str) -> Rated | None:
        """What people gave the clips of a split; None where the dataset has no rated clips."""
        return rated_of(self.dataset, self.queries[split])

    def describe(self) -> dict[str, Any]:
        """What the manifest and each checkpoint say of the data."""
        return {
            "name": self.recipe.data.dataset.part.name,
            "fingerprint": self.fingerprint,
            "text": hashlib.sha256(json.dumps(self.text.state(), sort_keys=True).encode()).hexdigest(),
            "splits": {split: len(queries) for split, queries in self.queries.items()},
            "features": {
                "source": self.features.name,
                "width": sum(self.spec.widths),
                **attrs.asdict(self.spec),
            },
        }


def rated_of(dataset: Dataset, queries: Sequence[Query]) -> Rated | None:
    """What people gave the clips of some queries, those without ratings left out; None where clips are not rated.

    A video has as many rated clips as fit into its duration; one that nobody was shown has zeros.
    """
    if (step := dataset.rated_clip_s) is None:
        return None
    found: dict[int | str, NDArray[np.int64]] = {}
    for query in queries:
        clips = whole_clips(query.duration, step)
        if query.ratings and query.saliency and clips:
            table = np.zeros((clips, len(query.ratings[0])), dtype=np.int64)
            table[[round(start / step) for start, _, _ in query.saliency]] = query.ratings
            found[query.id] = table
    return Rated(step, found)


def truths_of(queries: Sequence[Query]) -> dict[int | str, NDArray[np.float64]]:
    """Query id -> (g, 2) start and end in seconds."""
    return {query.id: np.array([moment[:2] for moment in query.moments]).reshape(-1, 2) for query in queries}


def open_dataset(choice: DataChoice) -> Dataset:
    """Build the dataset that a recipe's [data] chooses; nothing is read yet."""
    dataset: Dataset = choice.dataset.part.factory(choice.dataset.options, Path(choice.options.root))
    return dataset


def missing(recipe: Recipe) -> list[str]:
    """What the data of a recipe lack on this machine, one line each; empty where they can be used."""
    dataset = open_dataset(recipe.data)
    return dataset.missing(splits_of(recipe, dataset)) + missing_features(recipe.data)


def splits_of(recipe: Recipe, dataset: Dataset) -> list[str]:
    """The splits that a run of the recipe reads, each once.

    Raises RecipeError where [evaluate] split is none of the dataset's, or is left open and nothing decides it.
    """
    held_out = recipe.data.options.holdout > 0
    validation = None if held_out else dataset.validation
    named = [dataset.train, validation, reported_split(recipe, dataset)]
    return list(dict.fromkeys(split for split in named if split in dataset.splits))


def reported_split(recipe: Recipe, dataset: Dataset) -> str:
    """The split of the final number; ``splits_of`` says when it raises."""
    place, wanted = f"{recipe.where('evaluate')} split", recipe.evaluate.split
    held_out = recipe.data.options.holdout > 0
    if wanted == "auto":
        chosen = HELD_OUT if held_out else dataset.validation
        if chosen is None:
            raise RecipeError(
                f"{place} is not set, and {recipe.data.dataset.part.name} has no validation split. Name one of "
                f"{', '.join(dataset.splits)}, or hold out a share of the training videos by [data] holdout."
            )
        return chosen
    known = [*dataset.splits, *([HELD_OUT] if held_out else [])]
    if wanted not in known:
        raise RecipeError(
            f'{place} = "{wanted}": {recipe.data.dataset.part.name} has {", ".join(known)}.{nearest(wanted, known)}'
        )
    return wanted


def missing_features(choice: DataChoice) -> list[str]:
    """Which features, of video or text, are not where the recipe says, one line each."""
    options = choice.options
    several = "" if isinstance(options.video, str) else " (a list of them in brackets)"
    lines = [
        f"{path}: no video features there. Point to them by --set data.root=FOLDER "
        f"--set data.video=FILE_OR_FOLDER{several}."
        for path in video_paths(choice)
        if not path.exists()
    ]
    return lines + open_text(choice).missing()


def video_paths(choice: DataChoice) -> list[Path]:
    """Where the recipe says that video features lie; none where it leaves that to the dataset."""
    return [Path(choice.options.root) / source for source in choice.options.sources]


def open_text(choice: DataChoice) -> TextSource:
    """Build the text source of a recipe; it still has to be prepared or restored."""
    source: TextSource = choice.text.part.factory(choice.text.options, Path(choice.options.root))
    return source


def open_video(choice: DataChoice, dataset: Dataset) -> VideoCache:
    """Open the features that a recipe names, else those that its dataset brings along."""
    options = choice.options
    sources: list[FeatureSource] = [open_features(path) for path in video_paths(choice)]
    if not sources and (own := dataset.features()) is not None:
        sources = [own]
    if not sources:
        raise RecipeError(
            f"[data] video is not set, and {choice.dataset.part.name} brings no features along. Name an HDF5 file, a "
            f"folder of .npy or .npz files, or a store, relative to {dataset.root}."
        )
    return VideoCache(*sources, normalize=options.normalize, cache_mb=options.cache_mb)


def open_data(recipe: Recipe) -> Data:
    """Open everything, prepare the text source on the training split, hold out a share where the recipe asks."""
    dataset, share = open_dataset(recipe.data), recipe.data.options.holdout
    features = open_video(recipe.data, dataset)
    reported = reported_split(recipe, dataset)
    queries = {dataset.train: dataset.queries(dataset.train)}
    validation = dataset.validation
    if share:
        queries[dataset.train], queries[HELD_OUT] = hold_out(queries[dataset.train], share, recipe.seed)
        validation = HELD_OUT
    for split in (validation, reported):
        if split is not None and split not in queries:
            queries[split] = dataset.queries(split)
    features.require(query.video for found in queries.values() for query in found)
    learned_from = list(dict.fromkeys(query.video for query in queries[dataset.train]))
    spec = FeatureSpec.of(recipe.data.options, features, learned_from)
    text = open_text(recipe.data)
    sentences = {query.text for found in queries.values() for query in found}
    text.prepare([query.text for query in queries[dataset.train]], sorted(sentences))
    fingerprint = dataset.fingerprint(splits_of(recipe, dataset))
    return Data(recipe, dataset, features, spec, text, queries, validation, reported, fingerprint)
