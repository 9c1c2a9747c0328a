"""Everything that is wrong with a recipe or a dataset, found before any training."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Iterator, Sequence
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
from framework.engine.data import (
    Data,
    missing,
    missing_features,
    open_data,
    open_dataset,
    open_video,
    splits_of,
    video_paths,
)
from framework.engine.evaluate import require_numbers
from framework.engine.loss import losses, total
from framework.engine.predict import condition
from framework.engine.score import choose, split_overrides
from framework.engine.seeding import seed_everything
from framework.engine.sweep import require_inference
from framework.errors import UserError, told, visible
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
            self.problems.extend(line for line in told(error) if line not in self.problems)


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
            _check_files(choice, recipe, found)
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


def check_dataset(name: str, root: Path, overrides: Sequence[str] = ()) -> Findings:
    """Check the annotations of one dataset folder: counts, lengths, what its rule leaves out, what training lacks."""
    found, registry = Findings(), load_registry()
    found.warnings.extend(str(failure) for failure in registry.failures)
    with found.collecting():
        of_data, others = split_overrides(overrides)
        if others:
            raise UserError(f"--set {others[0]}: a dataset has options of [data] alone, as in --set data.KEY=VALUE.")
        chosen = choose(registry, "dataset", name, "check", of_data, key="--data")
        dataset: Dataset = chosen.part.factory(chosen.options, root)
        absent = {split: lines for split in dataset.splits if (lines := dataset.missing([split]))}
        lines = list(dict.fromkeys(line for several in absent.values() for line in several))
        if len(absent) == len(dataset.splits):
            found.problems.extend(lines)
            return found
        found.warnings.extend(lines)
        for split in dataset.splits:
            if split not in absent:
                _check_split(dataset, split, found)
        found.facts.append(_to_train(dataset, absent))
    return found


def _check_split(dataset: Dataset, split: str, found: Findings) -> None:
    with found.collecting():
        _describe_split(split, dataset.queries(split), found)
        _shorten(found.warnings, [f"{place}: left out, {reason}" for place, reason in dataset.dropped(split)])


def _to_train(dataset: Dataset, absent: Container[str]) -> str:
    """What stands between these files and a training run."""
    needed = [f"the split {split}" for split in (dataset.train, dataset.validation) if split and split in absent]
    if dataset.features() is None:
        needed.append("video features, which a recipe names by [data] video")
    return f"missing to train: {' and '.join(needed) or 'nothing'}"


def _check_files(choice: DataChoice, recipe: Recipe | None, found: Findings) -> None:
    """Read every annotation and every feature that a run needs and that is there, once."""
    dataset = open_dataset(choice)
    needed = list(dataset.splits) if recipe is None else splits_of(recipe, dataset)
    found.problems.extend(missing_features(choice) if recipe is None else missing(recipe))
    everything: list[Query] = []
    for split in needed:
        if dataset.missing([split]):
            continue
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
    first = next(iter(data.loader(data.reported, training=False).batches()))
    found.facts.append(f"padding: {_padding(first):.0f} % of the first evaluation batch")
    few = data.loader(data.reported, training=False)
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
    """Counts, lengths in seconds, and, where not every query has the one moment of the field, how many they have."""
    lengths = [end - start for query in queries for start, end, _ in query.moments]
    durations = {query.video: query.duration for query in queries}
    counts = Counter(len(query.moments) for query in queries)
    line = f"split {split}: {len(queries):,} queries, {len(durations):,} videos of {_spread(list(durations.values()))}"
    line += f", {len(lengths):,} moments of {_spread(lengths)}" if lengths else ", no moments"
    if set(counts) != {1}:
        line += f"; {counts[0]:,} queries without a moment" if counts[0] else ""
        line += f"; up to {max(counts)} moments a query" if max(counts) > 1 else ""
    if rated := sum(query.saliency is not None for query in queries):
        line += f"; clips of {rated:,} queries are rated"
    found.facts.append(line)


def _spread(seconds: Sequence[float]) -> str:
    return f"{mean(seconds):.2f} s on average (median {median(seconds):.2f}, {min(seconds):.2f} to {max(seconds):.2f})"


def _shorten(into: list[str], lines: Sequence[str], shown: int = SHOWN) -> None:
    into.extend(map(visible, lines[:shown]))
    if len(lines) > shown:
        into.append(f"... and {len(lines) - shown} more of that kind")
