"""Everything that is wrong with a recipe or a dataset, found before any training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median

import attrs
import torch

from framework.core.noise import GeneratorNoise
from framework.data.clip_length import clip_length_report
from framework.data.dataset import Dataset, Query
from framework.engine.assemble import assemble
from framework.engine.data import Data, missing, open_data
from framework.engine.loss import losses, total
from framework.engine.predict import predict
from framework.engine.score import choose
from framework.engine.seeding import seed_everything
from framework.errors import Problems, UserError
from framework.recipe import Recipe, load_recipe
from framework.registry import Registry, load_registry

SHOWN = 5
"""Lines of one kind that are shown; the others are counted."""


@attrs.frozen
class Findings:
    """What a check found, one line each.

    facts: what is there. warnings: what a run tolerates. problems: what it refuses.
    """

    facts: list[str] = attrs.field(factory=list)
    warnings: list[str] = attrs.field(factory=list)
    problems: list[str] = attrs.field(factory=list)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Note a user's mistake instead of stopping at it."""
        try:
            yield
        except Problems as error:
            self.problems.extend(error.problems)
        except UserError as error:
            self.problems.append(str(error))


def check_recipe(path: str, overrides: Sequence[str] = (), profile: str = "full") -> Findings:
    """Check parts, options, files, features and one step of training and of prediction, on CPU."""
    found, registry = Findings(), load_registry()
    _check_plugins(registry, found)
    with found.collecting():
        recipe = load_recipe(path, overrides, registry)
        recipe = recipe.with_embedded(registry) if profile == "embedded" else recipe
        found.facts.append(f"recipe {recipe.name}: {len(recipe.objectives)} objective(s), profile {recipe.profile}")
        found.problems.extend(missing(recipe))
        if not found.problems:
            _check_data(recipe, found)
    return found


def check_dataset(name: str, root: Path) -> Findings:
    """Check the annotations of one dataset folder: counts, lengths, what its rule leaves out."""
    found, registry = Findings(), load_registry()
    with found.collecting():
        chosen = choose(registry, "dataset", name, "--data")
        dataset: Dataset = chosen.part.factory(chosen.options, root)
        found.problems.extend(dataset.missing())
        for split in dataset.splits if not found.problems else ():
            with found.collecting():
                _describe_split(split, dataset.queries(split), found)
                _shorten(found.warnings, [f"{place}: left out, {reason}" for place, reason in dataset.dropped(split)])
        if dataset.features() is None:
            found.facts.append("features: none come along; a recipe names them by [data] video")
    return found


def _check_plugins(registry: Registry, found: Findings) -> None:
    found.warnings.extend(str(failure) for failure in registry.failures)


def _check_data(recipe: Recipe, found: Findings) -> None:
    data = open_data(recipe)
    for split, queries in data.queries.items():
        _describe_split(split, queries, found)
    everything = [query for queries in data.queries.values() for query in queries]
    before = len(found.problems)
    with found.collecting():
        width = data.features.require(query.video for query in everything)
        found.facts.append(f"features {data.features.name}: {width} columns")
        _check_values(data, everything, found)
        if recipe.data.options.mode == "window":
            report = clip_length_report(everything, data.features, recipe.data.options.clip_s)
            _shorten(found.warnings, list(report.warnings))
            report.require()
    if len(found.problems) == before:
        with found.collecting():
            _check_step(data, found)


def _check_values(data: Data, queries: Sequence[Query], found: Findings) -> None:
    """Read every video once; the source refuses what is not finite."""
    wrong: list[str] = []
    for video in sorted({query.video for query in queries}):
        try:
            data.features.read(video)
        except UserError as error:
            wrong.append(str(error))
    _shorten(found.problems, wrong)


def _check_step(data: Data, found: Findings) -> None:
    """One training step and one prediction on the longest videos: shapes fit, numbers are finite."""
    seed_everything(data.recipe.seed, torch.device("cpu"))
    method = assemble(data.recipe, data.inputs)
    weights = sum(weight.numel() for weight in method.modules.parameters())
    found.facts.append(f"method: {weights:,} weights")
    for split in data.queries:
        data.loader(split, training=split == data.dataset.train)
    batch = next(iter(data.loader(data.test, training=False).batches()))
    real = sum(float(mask.sum()) for _, mask in batch.feats.values())
    room = sum(mask.numel() for _, mask in batch.feats.values())
    found.facts.append(f"padding: {100 * (1 - real / room):.0f} % of the first evaluation batch")
    method.modules.train()
    loss = total(losses(method, batch, GeneratorNoise(torch.Generator().manual_seed(data.recipe.seed))), method)
    loss.backward()  # type: ignore[no-untyped-call]
    value = float(loss.detach())
    if not math.isfinite(value):
        found.problems.append(
            f"{data.recipe.where('train')} the loss of the first batch is {value}; look at the features."
        )
    method.modules.eval()
    answers = predict(method, method.objectives[0], batch, data.recipe.seed)
    found.facts.append(f"one step: loss {value:.4f}, {int(answers.candidates.mask.sum())} moments decoded")


def _describe_split(split: str, queries: Sequence[Query], found: Findings) -> None:
    lengths = [end - start for query in queries for start, end, _ in query.moments]
    durations = {query.video: query.duration for query in queries}
    lasting = _spread(list(durations.values()))
    line = f"split {split}: {len(queries):,} queries, {len(durations):,} videos, videos {lasting}"
    found.facts.append(line + (f", moments {_spread(lengths)}" if lengths else ", no moments"))


def _spread(seconds: Sequence[float]) -> str:
    return f"{mean(seconds):.2f} s on average (median {median(seconds):.2f}, {min(seconds):.2f} to {max(seconds):.2f})"


def _shorten(into: list[str], lines: Sequence[str], shown: int = SHOWN) -> None:
    into.extend(lines[:shown])
    if len(lines) > shown:
        into.append(f"... and {len(lines) - shown} more of that kind")
