"""Evaluation: answers to every query of a split, scored by one rule."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framework.core.structures import Batch, Candidates
from framework.data.dataset import Query
from framework.data.loader import Loader
from framework.engine.assemble import Method, Objective
from framework.engine.data import Data
from framework.engine.examples import examples_of
from framework.engine.highlights import Rated, Scores, saliency_of
from framework.engine.predict import predict
from framework.errors import DataError
from framework.metrics.metric import Metric

Lists = dict[int | str, NDArray[np.float64]]


@attrs.frozen(eq=False)
class Evaluation:
    """What one pass over a split gave.

    answers: query id -> (n, 3) start, end in seconds and score, best first. metrics: percent, by name. saliency: query
    id -> (n,) scores of the clips that people have rated, empty where nobody has or the method scores none.
    seconds: wall time of prediction alone; reading features, scoring and examples, which the first pass of a run pays
    more for than later ones, are left out. examples: what a report shows of a few queries.
    """

    answers: Lists
    metrics: dict[str, float]
    seconds: float
    examples: list[dict[str, Any]]
    saliency: Scores = attrs.field(factory=dict)


@attrs.frozen
class Settings:
    """How to evaluate. seed and draws fix the noise; examples: number of queries kept for a report."""

    seed: int
    draws: int = 1
    examples: int = 0


def evaluate(
    method: Method,
    objective: Objective,
    loader: Loader,
    metric: Metric,
    settings: Settings,
    truths: Mapping[int | str, NDArray[np.float64]],
    rated: Rated | None = None,
) -> Evaluation:
    """Answer every query of ``loader`` and score the answers; leaves the method in training mode if it was.

    rated: what people gave the clips, where the dataset has that; the rule's highlight part is scored against it.
    """
    training, spent = method.encoder.training, 0.0
    method.modules.eval()
    answers: Lists = {}
    examples: list[dict[str, Any]] = []
    saliency: Scores = {}
    shown = _shown(truths, settings.examples)
    for batch in loader.batches(0):
        moved = batch.to(method.device)
        began = time.perf_counter()
        found = predict(method, objective, moved, settings.seed, settings.draws)
        # Reading the answers waits for a GPU, whose work would else be counted elsewhere.
        read = list(by_id(found.index.ask, found.candidates, batch))
        if rated is not None:
            saliency |= dict(saliency_of(found, batch, rated.clip_s))
        spent += time.perf_counter() - began
        for query, answer in read:
            if query in answers:
                raise DataError(
                    f"query {query!r} is asked of several videos; localization asks each of its own video alone"
                )
            answers[query] = answer
        if shown & set(batch.meta.ids):
            examples += examples_of(objective, moved, found, shown)
    method.modules.train(training)
    metrics = metric(answers, truths) | ({} if rated is None else rated.score(metric, saliency))
    return Evaluation(answers, metrics, spent, examples, saliency)


def shallow(answers: Mapping[int | str, NDArray[np.float64]], metric: Metric) -> str | None:
    """A line where no list is as long as the rule looks, so that numbers which should differ cannot."""
    longest = max(map(len, answers.values()), default=0)
    if longest >= metric.depth:
        return None
    return (
        f"no query has more than {longest} moments, and the rule looks at the first {metric.depth}: let more of them "
        "pass, as [post] top does"
    )


def require_labels(queries: Sequence[Query], split: str) -> None:
    """Raise DataError where a query has no moment: leaving it out would score another set than everybody else's."""
    without = [query for query in queries if not query.moments]
    if without:
        raise DataError(
            f'{without[0].place}: {len(without)} of {len(queries)} queries of split "{split}" have no moments, from '
            "this one on, so no rule can score it. Name a file that has them."
        )


def require_numbers(data: Data) -> None:
    """Score the truth by the recipe's rule, so that one that has no number for a split is refused before training.

    Raises DataError naming the split.
    """
    chosen = data.recipe.evaluate.metric
    metric: Metric = chosen.part.factory(chosen.options)
    for split in dict.fromkeys((data.validation or data.reported, data.reported)):
        require_labels(data.queries[split], split)
        truths = data.truths(split)
        try:
            metric(truths, truths)
        except DataError as error:
            raise DataError(f'{data.recipe.where("evaluate")} {chosen.name} on split "{split}": {error}') from error


def by_id(ask: Tensor, candidates: Candidates, batch: Batch) -> Iterator[tuple[int | str, NDArray[np.float64]]]:
    """Query id and (n, 3) start, end in seconds and score of each row, best first."""
    table = torch.stack([candidates.start, candidates.end, candidates.score], dim=-1).double().cpu()
    kept = candidates.mask.cpu()
    for row, text in enumerate(ask.tolist()):
        yield batch.meta.ids[text], table[row][kept[row]].numpy()


def _shown(truths: Mapping[int | str, NDArray[np.float64]], count: int) -> set[int | str]:
    """A few queries spread evenly over the split."""
    every = max(len(truths) // max(count, 1), 1)
    return set(list(truths)[::every][:count])
