"""Scoring a predictions file without a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs

from framework.data.dataset import Dataset, Query
from framework.data.predictions import DURATION_SLACK_S, Joined, QueryPrediction, join, read_predictions
from framework.engine.data import HELD_OUT, open_dataset, rated_of, truths_of
from framework.engine.evaluate import require_labels, shallow
from framework.engine.highlights import Rated
from framework.errors import DataError, Problems, UserError, nearest
from framework.metrics.metric import Metric
from framework.recipe import Chosen, Recipe, load_recipe
from framework.recipe.files import override
from framework.recipe.structure import Structurer
from framework.recipe.tree import Tree
from framework.recipe.values import plain
from framework.registry import Registry, load_registry


@attrs.frozen
class Scored:
    """Metrics of a file.

    metrics: percent, by name. missing: queries without an answer, counted as misses. overlong: windows that end after
    their video, scored as they are. notes: what a reader of the numbers should know, a line each.
    """

    dataset: str
    profile: str
    split: str
    rule: str
    queries: int
    missing: int
    overlong: int
    notes: tuple[str, ...]
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
    allow_overlong: bool = False,
) -> Scored:
    """Score a file in the QVHighlights submission form against the annotations of a dataset.

    data: name of a dataset part, whose files lie in ``root``; None takes dataset, rule and options from the run folder
    that the file lies in, and ``root`` then says where its files have gone. overrides: ``data.key=value`` for an option
    of the dataset, ``key=value`` for one of the rule. allow_missing: queries without an answer count as misses.
    allow_overlong: windows that end after their video are scored as they are, as the field's scripts do.
    Raises DataError with file and line for anything malformed.
    """
    if not predictions.is_file():
        inside = f" Name {predictions / 'predictions'}/SPLIT.jsonl." if predictions.is_dir() else ""
        raise DataError(f"{predictions}: no such file.{inside}")
    registry = load_registry()
    recipe = _recipe_beside(predictions, registry) if data is None else None
    of_data, of_rule = split_overrides(overrides)
    if recipe is not None and of_data:
        raise UserError(f"--set data.{of_data[0]}: the dataset is that of the run; name another by --data NAME.")
    if recipe is not None:
        name = recipe.data.dataset.part.name
        options = recipe.data.options if root is None else attrs.evolve(recipe.data.options, root=str(root))
        dataset = open_dataset(attrs.evolve(recipe.data, options=options))
    else:
        name = str(data)
        chosen = choose(registry, "dataset", name, "eval", of_data, key="--data")
        dataset = chosen.part.factory(chosen.options, root or Path())
    metric = _metric(registry, recipe, rule or (dataset.rule if recipe is None else None), of_rule)
    wanted = split or predictions.stem
    queries = _queries(dataset, name, wanted, root)
    durations = {query.video: query.duration for query in queries}
    found = read_predictions(predictions, None if allow_overlong else durations)
    joined = join(found, queries, source=predictions, allow_missing=allow_missing)
    metrics = metric(joined.windows, truths_of(queries))
    highlights, notes = _highlights(metric, joined, rated_of(dataset, queries))
    return Scored(
        name,
        "full" if recipe is None else recipe.profile,
        wanted,
        metric.rule,
        len(queries),
        len(joined.missing),
        _overlong(found, durations),
        (*notes, *_order(joined), *filter(None, [shallow(joined.windows, metric)])),
        metrics | highlights,
    )


def _highlights(metric: Metric, joined: Joined, rated: Rated | None) -> tuple[dict[str, float], list[str]]:
    """Scores of clips against people's ratings, where the rule has any use for them and both sides are there."""
    if rated is None or not metric.highlight_names or not rated.ratings:
        return {}, []
    if not joined.saliency:
        return {}, ["no pred_saliency_scores in the file, so highlights are not scored"]
    if absent := [qid for qid in rated.ratings if qid not in joined.saliency]:
        return {}, [f"highlights are not scored, as {len(absent)} rated queries have no pred_saliency_scores"]
    return rated.score(metric, joined.saliency), []


def _overlong(found: Mapping[int | str, QueryPrediction], durations: Mapping[str, float]) -> int:
    limits = ((answer.windows, durations[answer.vid] + DURATION_SLACK_S) for answer in found.values())
    return sum(end > limit for windows, limit in limits for _, end, _ in windows)


def _order(joined: Joined) -> Iterator[str]:
    if joined.unsorted:
        yield (
            f"{joined.unsorted:,} lists are not best first: rules that ask for the first moment take the one listed "
            "first, whatever its score"
        )


def split_overrides(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options of the dataset, their ``data.`` taken off, and options of the rule."""
    return (
        [text.removeprefix("data.") for text in overrides if text.startswith("data.")],
        [text for text in overrides if not text.startswith("data.")],
    )


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
        chosen = choose(registry, "metric", rule or "rank", "eval", overrides, key="--rule")
    metric: Metric = chosen.part.factory(chosen.options)
    return metric


def choose(
    registry: Registry,
    kind: str,
    name: str,
    place: str,
    overrides: Sequence[str] = (),
    given: Mapping[str, Any] = MappingProxyType({}),
    key: str = "rule",
) -> Chosen:
    """Look up a part that the command line names, with options ``key=value`` laid over those that are ``given``.

    place, key: what messages name. Options of a dataset are written data.KEY, those of a rule KEY alone, also there.
    """
    part = registry.part(kind, name, place, key)
    written = "data" if kind == "dataset" else kind
    tree = Tree(place, {written: dict(given)})
    override(tree, [f"{written}.{text}" for text in overrides])
    structure = Structurer(tree, [])
    structure.refuse_unknown((written,), attrs.fields_dict(part.options), name)
    options = structure.build(part.options, (written,))
    if structure.problems:
        raise Problems([line.replace(f"--set {kind}.", "--set ") for line in structure.problems])
    return Chosen(part, options)


def _queries(dataset: Dataset, name: str, split: str, root: Path | None) -> list[Query]:
    if split not in dataset.splits:
        remedy = f"a {HELD_OUT} split is only known to its run" if split == HELD_OUT else "name one by --split"
        close = nearest(split, dataset.splits)
        raise DataError(f'split "{split}": {name} has {", ".join(dataset.splits)}; {remedy}.{close}')
    if lacking := dataset.missing([split]):
        hint = "They are looked for in the current folder, or where the run had them; name another by --root DIR."
        raise Problems([*lacking, *([] if root else [hint])])
    queries = dataset.queries(split)
    require_labels(queries, split)
    return queries
