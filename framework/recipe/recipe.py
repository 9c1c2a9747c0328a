"""A recipe: everything that affects a number, checked and frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from framework.core.part import Part
from framework.data.options import DataOptions
from framework.errors import RecipeError
from framework.recipe.options import EvaluateOptions, TrainOptions
from framework.recipe.sweep import Sweep
from framework.recipe.toml import write_toml
from framework.recipe.tree import OBJECTIVE_TABLES, Tree
from framework.recipe.values import plain
from framework.registry import Registry

MAIN: Final = "main"
"""Name of the objective of a recipe that has one only, written as [rows], [target], [denoiser] and [sampler]."""


@attrs.frozen
class Chosen:
    """A part and its options, an instance of ``part.options``."""

    part: Part
    options: Any

    @property
    def name(self) -> str:
        """Name of the part."""
        return self.part.name


@attrs.frozen
class Objective:
    """One task on the encoder: who is asked, what is diffused, by which network and process."""

    name: str
    rows: Chosen
    target: Chosen
    denoiser: Chosen
    sampler: Chosen


@attrs.frozen
class DataChoice:
    """The [data] table: what every dataset has, the dataset and the text source."""

    options: DataOptions
    dataset: Chosen
    text: Chosen


@attrs.frozen
class EvaluateChoice(EvaluateOptions):
    """The [evaluate] table: how answers are made, and the rule that scores them."""

    metric: Chosen = attrs.field(kw_only=True)


@attrs.frozen
class Recipe:
    """A resolved recipe. Two are equal if they compute the same, wherever they were read from.

    layout: the [layout] table as written. weights: factor of a loss term, by name. expected: published numbers by
    metric, and their source. sweeps: settings of inference that the trained weights are scored under again. profile:
    "full", or "embedded" once the overlay is applied. source: the file that was asked for.
    """

    name: str
    seed: int
    profile: str
    data: DataChoice
    layout: Mapping[str, Any]
    encoder: Chosen
    objectives: tuple[Objective, ...]
    weights: Mapping[str, float]
    post: Chosen
    train: TrainOptions
    evaluate: EvaluateChoice
    expected: Mapping[str, float | str]
    sweeps: tuple[Sweep, ...]
    source: Path = attrs.field(eq=False)
    tree: Tree = attrs.field(eq=False, repr=False)
    overlay: Callable[[Registry | None], Recipe] | None = attrs.field(eq=False, repr=False)

    def where(self, table: str) -> str:
        """Where a table was written, for messages: ``where("target")`` is ``charades.toml [target]``."""
        return self.tree.table(tuple(table.split(".")))

    def with_embedded(self, registry: Registry | None = None) -> Recipe:
        """Apply the overlay: the small instance for when the dataset's files are absent.

        Raises RecipeError where the recipe has none. An embedded recipe is returned as it is.
        """
        if self.profile == "embedded":
            return self
        if self.overlay is None:
            raise RecipeError(
                f"{self.source}: there is no [embedded] overlay. Point to the dataset by --set data.root=FOLDER, "
                "or write the overlay, a small instance that needs no files."
            )
        return self.overlay(registry)

    @property
    def resolved(self) -> dict[str, Any]:
        """The recipe with every default written out; the overlay, which did not run, is left out."""
        return {
            "name": self.name,
            "seed": self.seed,
            "profile": self.profile,
            "data": {**self._table(self.data.dataset), **plain(self.data.options), "text": self._table(self.data.text)},
            "layout": dict(self.layout),
            "encoder": self._table(self.encoder),
            **self._objectives(),
            "weights": dict(self.weights),
            "post": self._table(self.post),
            "train": plain(self.train),
            "evaluate": self._evaluate(),
            "expected": dict(self.expected),
            **({"sweep": [sweep.table for sweep in self.sweeps]} if self.sweeps else {}),
        }

    def to_toml(self) -> str:
        """The resolved recipe as TOML; read again, it gives an equal recipe."""
        return write_toml(self.resolved)

    def _table(self, chosen: Chosen, key: str = "name") -> dict[str, Any]:
        return {key: chosen.part.name, **self._own(chosen.options)}

    def _own(self, options: Any) -> dict[str, Any]:
        """Options that [layout] does not give."""
        fields = attrs.fields_dict(type(options))
        return {
            name: value
            for name, value in plain(options).items()
            if not (fields[name].metadata.get("shared") and name in self.layout)
        }

    def _objectives(self) -> dict[str, Any]:
        tables = [
            {"name": each.name, **{key: self._table(getattr(each, key)) for key in OBJECTIVE_TABLES}}
            for each in self.objectives
        ]
        if [table["name"] for table in tables] == [MAIN]:
            return {key: value for key, value in tables[0].items() if key != "name"}
        return {"objective": tables}

    def _evaluate(self) -> dict[str, Any]:
        own = {name: plain(getattr(self.evaluate, name)) for name in attrs.fields_dict(EvaluateOptions)}
        return {**self._table(self.evaluate.metric, "rule"), **own}
