"""Everything that is wrong with a recipe or a dataset, found before any training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median

import attrs
import torch

from framework.core.encoder import Inputs
from framework.core.noise import GeneratorNoise, KeyedNoise
from framework.core.structures import Batch
from framework.data.cache import VideoCache
from framework.data.clip_length import clip_length_report
from framework.data.dataset import Dataset, Query
from framework.engine.about import choose_selection
from framework.engine.assemble import Method, Objective, assemble
from framework.engine.data import Data, missing, open_data, open_dataset, open_video, video_paths
from framework.engine.evaluate import require_numbers
from framework.engine.loss import losses, total
from framework.engine.predict import condition
from framework.engine.score import choose
from framework.engine.seeding import seed_everything
from framework.engine.sweep import require_inference
from framework.errors import Problems, UserError
from framework.recipe import DataChoice, Recipe, load_recipe, peek_data
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
        except UserError as error:
            lines = error.problems if isinstance(error, Problems) else [str(error)]
            self.problems.extend(line for line in lines if line not in self.problems)


def check_recipe(path: str, overrides: Sequence[str] = (), profile: str = "full") -> Findings:
    """Check parts, options, files and features, and one loss and one answer on CPU; what can be checked still is."""
    found, registry = Findings(), load_registry()
    found.warnings.extend(str(failure) for failure in registry.failures)
    recipe = None
    with found.collecting():
        recipe = load_recipe(path, overrides, registry)
        recipe = recipe.with_embedded(registry) if profile == "embedded" else recipe
        found.facts.append(f"recipe {recipe.name}: {len(recipe.objectives)} objective(s), profile {recipe.profile}")
    choice = recipe.data if recipe else None
    if not recipe and profile == "full":
        with found.collecting():
            choice = peek_data(path, overrides, registry)
    if choice is not None:
        with found.collecting():
            _check_files(choice, found)
    if recipe is not None and not found.problems:
        with found.collecting():
            data = open_data(recipe)
            _check_words(data, found)
            with found.collecting():
                require_numbers(data)
            if not found.problems:
                _check_step(data, registry, found)
                return found
    if recipe is not None:
        with found.collecting():
            _check_parts(recipe)
        found.warnings.append("losses, answers and sweeps were not tried, as the data are not in order")
    return found


def _check_parts(recipe: Recipe) -> None:
    """Refuse parts that do not fit each other, whatever the data are; on the meta device no weights are made."""
    with torch.device("meta"):
        assemble(recipe, Inputs(video=2, vocabulary=2, saliency=True))


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


def _check_files(choice: DataChoice, found: Findings) -> None:
    """Read every annotation and every feature that is there, once."""
    found.problems.extend(missing(choice))
    dataset = open_dataset(choice)
    everything: list[Query] = []
    for split in () if dataset.missing() else dataset.splits:
        with found.collecting():
            queries = dataset.queries(split)
            _describe_split(split, queries, found)
            everything += queries
    if all(path.exists() for path in video_paths(choice)):
        _check_features(choice, open_video(choice, dataset), everything, found)


def _check_features(choice: DataChoice, features: VideoCache, everything: Sequence[Query], found: Findings) -> None:
    """Look for videos without features, numbers that are not finite, widths and lengths that do not fit."""
    here = [query for query in everything if query.video in features.videos()]
    broken = _check_values(features, here, found)
    sound = [query for query in everything if query.video not in broken]
    if not sound:
        return
    with found.collecting():
        width = features.require(query.video for query in sound)
        found.facts.append(f"features {features.name}: {width} columns")
    if readable := [query for query in here if query.video not in broken]:
        report = clip_length_report(readable, features, choice.options.clip_s)
        _shorten(found.warnings, list(report.warnings))
        if choice.options.mode == "window":
            with found.collecting():
                report.require()
        elif report.contradiction:
            found.warnings.append(f"{report.contradiction}: predict, not told the duration, would give wrong seconds")


def _check_values(features: VideoCache, queries: Sequence[Query], found: Findings) -> set[str]:
    """Read every video once and return the broken ones; the source refuses, among others, what is not finite."""
    wrong: dict[str, str] = {}
    for video in sorted({query.video for query in queries}):
        try:
            features.read(video)
        except UserError as error:
            wrong[video] = str(error)
    _shorten(found.problems, list(wrong.values()))
    return set(wrong)


def _check_words(data: Data, found: Findings) -> None:
    """Encode every query of the splits that a run reads once; a run would meet a broken one in mid-training."""
    wrong: dict[str, None] = {}
    for queries in data.queries.values():
        try:
            data.text.expect([(query.id, query.text) for query in queries])
            several = queries
        except UserError as error:
            wrong[str(error)], several = None, []
        for query in several:
            try:
                data.text.encode(query.id, query.text)
            except UserError as error:
                wrong[str(error)] = None
    _shorten(found.problems, list(wrong))


def _check_step(data: Data, registry: Registry, found: Findings) -> None:
    """One loss and one answer on the two longest videos: parts fit, shapes agree, numbers are finite.

    Two queries, no gradient and one network call, so that a recipe of full size is checked on a CPU in seconds.
    """
    seed_everything(data.recipe.seed, torch.device("cpu"))
    method = assemble(data.recipe, data.inputs)
    weights = sum(weight.numel() for weight in method.modules.parameters())
    found.facts.append(f"method: {weights:,} weights")
    with found.collecting():
        require_inference(data.recipe, method, data.inputs, registry)
        found.facts.extend(f"sweep {each.name}: {len(each.values)} values of {each.key}" for each in data.recipe.sweeps)
    metric = data.recipe.evaluate.metric
    found.facts.append(f"reported: {choose_selection(data.recipe, data, metric.part.factory(metric.options)).words}")
    data.loader(data.dataset.train, training=True)
    first = next(iter(data.loader(data.test, training=False).batches()))
    found.facts.append(f"padding: {_padding(first):.0f} % of the first evaluation batch")
    few = data.loader(data.test, training=False)
    few.batch_size = 2
    batch = next(iter(few.batches()))
    method.modules.eval()
    with torch.no_grad():
        noise = GeneratorNoise(torch.Generator().manual_seed(data.recipe.seed))
        loss = float(total(losses(method, batch, noise), method))
        decoded = [_one_call(method, objective, batch) for objective in method.objectives]
    if not math.isfinite(loss):
        found.problems.append(f"{data.recipe.where('train')} the first loss is {loss}; look at the features.")
    found.facts.append(f"one step: loss {loss:.4f}, {sum(decoded)} moments decoded")


def _one_call(method: Method, objective: Objective, batch: Batch) -> int:
    """Number of moments decoded from the network's answer to the starting state."""
    index = objective.rows.rows(batch, None).index
    cond = condition(method, batch, index)
    slots = objective.target.slots(cond, None)
    start = objective.sampler.start(slots, objective.target.space.channels, KeyedNoise(0, index.key))
    answer = method.denoise(objective, cond, slots)(*start)
    return int(objective.target.decode([answer], cond, slots).mask.sum())


def _padding(batch: Batch) -> float:
    """Percent of a batch's rows and words that are padding."""
    real = sum(float(mask.sum()) for _, mask in batch.feats.values())
    return 100 * (1 - real / sum(mask.numel() for _, mask in batch.feats.values()))


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
