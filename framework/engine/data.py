"""The data of a recipe: dataset, features and text opened, checked and cut into splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.core.encoder import Inputs
from framework.data.batch import labelled
from framework.data.cache import VideoCache
from framework.data.dataset import Dataset, FeatureSource, Query
from framework.data.features import open_features
from framework.data.holdout import hold_out
from framework.data.loader import Loader
from framework.data.text import TextSource
from framework.errors import RecipeError
from framework.recipe import DataChoice, Recipe

HELD_OUT: Final = "held_out"
"""Name of the split that a recipe's [data] holdout takes from the training videos."""


@attrs.frozen(eq=False)
class Data:
    """All that a method is trained and tested on. validation: the split that a choice may be made on, if any."""

    recipe: Recipe
    dataset: Dataset
    features: VideoCache
    text: TextSource
    queries: Mapping[str, list[Query]]
    validation: str | None
    test: str
    fingerprint: str

    @property
    def inputs(self) -> Inputs:
        """What the encoder is built for: sizes, and whether the training queries have labels of saliency."""
        saliency = labelled(self.queries[self.dataset.train])
        return Inputs(sum(self.widths), self.text.width, self.text.vocabulary, saliency)

    @property
    def widths(self) -> list[int]:
        """Columns of each source of video features, in the recipe's order."""
        return self.features.widths(self.queries[self.dataset.train][0].video)

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

    def describe(self) -> dict[str, Any]:
        """What the manifest and each checkpoint say of the data."""
        options = self.recipe.data.options
        return {
            "name": self.recipe.data.dataset.part.name,
            "fingerprint": self.fingerprint,
            "splits": {split: len(queries) for split, queries in self.queries.items()},
            "features": {
                "source": self.features.name,
                "width": sum(self.widths),
                **({"widths": self.widths} if len(self.widths) > 1 else {}),
                "clip_s": options.clip_s,
                "mode": options.mode,
                "window": options.window,
                "normalize": options.normalize,
            },
        }


def truths_of(queries: Sequence[Query]) -> dict[int | str, NDArray[np.float64]]:
    """Query id -> (g, 2) start and end in seconds."""
    return {query.id: np.array([moment[:2] for moment in query.moments]).reshape(-1, 2) for query in queries}


def open_dataset(choice: DataChoice) -> Dataset:
    """Build the dataset that a recipe's [data] chooses; nothing is read yet."""
    dataset: Dataset = choice.dataset.part.factory(choice.dataset.options, Path(choice.options.root))
    return dataset


def missing(choice: DataChoice) -> list[str]:
    """What the data of a recipe lack on this machine, one line each; empty where they can be used."""
    dataset, options = open_dataset(choice), choice.options
    lines = list(dataset.missing())
    several = "" if isinstance(options.video, str) else " (a list of them in brackets)"
    lines += [
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
            f"[data] video is not set, and {choice.dataset.part.name} brings no features along. Name an HDF5 file, or "
            f"a folder of .npy or .npz files, relative to {dataset.root}."
        )
    return VideoCache(*sources, normalize=options.normalize, cache_mb=options.cache_mb)


def open_data(recipe: Recipe) -> Data:
    """Open everything, prepare the text source on the training split, hold out a share where the recipe asks."""
    dataset, share = open_dataset(recipe.data), recipe.data.options.holdout
    features = open_video(recipe.data, dataset)
    test = dataset.test if recipe.evaluate.split == "auto" else recipe.evaluate.split
    if test not in dataset.splits:
        raise RecipeError(
            f'{recipe.where("evaluate")} split = "{test}": {recipe.data.dataset.part.name} has '
            f"{', '.join(dataset.splits)}."
        )
    queries = {dataset.train: dataset.queries(dataset.train)}
    validation = dataset.validation
    if share:
        queries[dataset.train], queries[HELD_OUT] = hold_out(queries[dataset.train], share, recipe.seed)
        validation = HELD_OUT
    for split in (validation, test):
        if split is not None and split not in queries:
            queries[split] = dataset.queries(split)
    text = open_text(recipe.data)
    sentences = {query.text for found in queries.values() for query in found}
    text.prepare([query.text for query in queries[dataset.train]], sorted(sentences))
    return Data(recipe, dataset, features, text, queries, validation, test, dataset.fingerprint())
