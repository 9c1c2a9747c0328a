"""Scoring a predictions file without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs

from framework.data.dataset import Dataset, Query
from framework.data.predictions import join, read_predictions
from framework.engine.data import HELD_OUT, open_dataset, truths_of
from framework.errors import DataError, Problems, UserError
from framework.metrics.metric import Metric
from framework.recipe import Chosen, Recipe, load_recipe
from framework.recipe.files import override
from framework.recipe.structure import Structurer
from framework.recipe.tree import Tree
from framework.recipe.values import plain
from framework.registry import Registry, load_registry


@attrs.frozen
class Scored:
    """Metrics of a file. metrics: percent, by name. missing: queries without an answer, counted as misses."""

    dataset: str
    profile: str
    split: str
    rule: str
    queries: int
    missing: int
    metrics: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return attrs.asdict(self)


def score_file(
    predictions: Path,
    *,
    data: str | None = None,
    root: Path | None = None,
    split: str | None = None,
    rule: str | None = None,
    overrides: Sequence[str] = (),
    allow_missing: bool = False,
) -> Scored:
    """Score a file in the QVHighlights submission form against the annotations of a dataset.

    data: name of a dataset part, whose files lie in ``root``; None takes dataset, rule and options from the run folder
    that the file lies in, and ``root`` then says where its files have gone.
    Raises DataError with file and line for anything malformed.
    """
    if not predictions.is_file():
        inside = f" Name {predictions / 'predictions'}/SPLIT.jsonl." if predictions.is_dir() else ""
        raise DataError(f"{predictions}: no such file.{inside}")
    registry = load_registry()
    recipe = _recipe_beside(predictions, registry) if data is None else None
    if recipe is not None:
        name = recipe.data.dataset.part.name
        options = recipe.data.options if root is None else attrs.evolve(recipe.data.options, root=str(root))
        dataset = open_dataset(attrs.evolve(recipe.data, options=options))
    else:
        name = str(data)
        chosen = choose(registry, "dataset", name, "--data")
        dataset = chosen.part.factory(chosen.options, root or Path())
    if lacking := dataset.missing():
        raise DataError("\n".join(lacking))
    metric = _metric(registry, recipe, rule, overrides)
    wanted = split or predictions.stem
    queries = _queries(dataset, name, wanted)
    found = read_predictions(predictions, {query.video: query.duration for query in queries})
    truths = truths_of(queries)
    joined = join(found, queries, source=predictions, allow_missing=allow_missing)
    profile = "full" if recipe is None else recipe.profile
    return Scored(name, profile, wanted, metric.rule, len(truths), len(joined.missing), metric(joined.windows, truths))


def _recipe_beside(predictions: Path, registry: Registry) -> Recipe:
    path = predictions.resolve().parent.parent / "recipe.toml"
    if not path.is_file():
        raise UserError(
            f"{predictions}: lies in no run folder, so the dataset is unknown. "
            "Name it by --data NAME --root DIR --split S."
        )
    return load_recipe(path, registry=registry)


def _metric(registry: Registry, recipe: Recipe | None, rule: str | None, overrides: Sequence[str]) -> Metric:
    if recipe is not None and rule is None:
        own = recipe.evaluate.metric
        chosen = choose(registry, "metric", own.name, recipe.where("evaluate"), overrides, plain(own.options))
    else:
        chosen = choose(registry, "metric", rule or "rank", "--rule", overrides)
    metric: Metric = chosen.part.factory(chosen.options)
    return metric


def choose(
    registry: Registry,
    kind: str,
    name: str,
    place: str,
    overrides: Sequence[str] = (),
    given: Mapping[str, Any] = MappingProxyType({}),
) -> Chosen:
    """Look up a part that the command line names, with options ``key=value`` laid over those that are ``given``.

    place: what messages name.
    """
    part = registry.part(kind, name, place, kind)
    tree = Tree(place, {kind: dict(given)})
    override(tree, [f"{kind}.{text}" for text in overrides])
    structure = Structurer(tree, [])
    structure.refuse_unknown((kind,), attrs.fields_dict(part.options), name)
    options = structure.build(part.options, (kind,))
    if structure.problems:
        raise Problems(structure.problems)
    return Chosen(part, options)


def _queries(dataset: Dataset, name: str, split: str) -> list[Query]:
    if split not in dataset.splits:
        remedy = f"a {HELD_OUT} split is only known to its run" if split == HELD_OUT else "name one by --split"
        raise DataError(f'split "{split}": {name} has {", ".join(dataset.splits)}; {remedy}.')
    return dataset.queries(split)
