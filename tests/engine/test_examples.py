"""What a report is told of a few queries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from framework.core.structures import Batch
from framework.engine.assemble import Method, assemble
from framework.engine.data import open_data
from framework.engine.examples import PROPOSALS, examples_of
from framework.engine.predict import Answers, predict
from framework.engine.seeding import seed_everything
from framework.recipe import load_recipe
from framework.registry import Registry


def answered(path: Path, overrides: list[str], registry: Registry, draws: int = 1) -> tuple[Method, Batch, Answers]:
    recipe = load_recipe(path, overrides, registry)
    data = open_data(recipe)
    seed_everything(0, torch.device("cpu"))
    method = assemble(recipe, data.inputs)
    method.modules.eval()
    batch = next(iter(data.loader(data.reported, training=False).batches()))
    return method, batch, predict(method, method.objectives[0], batch, seed=5, draws=draws)


def described(path: Path, overrides: list[str], registry: Registry, draws: int = 1) -> list[dict[str, Any]]:
    method, batch, found = answered(path, overrides, registry, draws)
    examples = examples_of(method.objectives[0], batch, found, set(batch.meta.ids[:3]))
    assert json.loads(json.dumps(examples)) == examples
    return examples


def test_free_spans_are_told_step_by_step_in_seconds_best_first(spans_file: Path, toys: Registry) -> None:
    examples = described(spans_file, [], toys)
    assert len(examples) == 3
    for example in examples:
        assert example["scales"] == []
        assert len(example["steps"]) == 3
        for step in example["steps"]:
            assert 0 < len(step) <= 4
            assert all(0 <= start < end <= example["duration"] for start, end, _ in step)
            scores = [score for _, _, score in step]
            assert scores == sorted(scores, reverse=True)


def test_the_last_step_of_a_target_that_reads_it_alone_is_the_answer(spans_file: Path, toys: Registry) -> None:
    for example in described(spans_file, [], toys):
        assert example["steps"][-1] == example["moments"]
        assert example["steps"][0] != example["steps"][-1]


@pytest.mark.parametrize(("proposals", "kept"), [(1, 1), (50, PROPOSALS)])
def test_few_of_many_proposals_are_told(spans_file: Path, toys: Registry, proposals: int, kept: int) -> None:
    examples = described(spans_file, [f"target.proposals={proposals}", "sampler.steps=2"], toys)
    assert [[len(step) for step in example["steps"]] for example in examples] == [[kept, kept]] * 3


def test_maps_are_told_cell_by_cell_and_have_no_spans(recipe_file: Path, registry: Registry) -> None:
    for example in described(recipe_file, [], registry, draws=2):
        assert example["steps"] == []
        assert [scale["stride"] for scale in example["scales"]] == [1, 2]
        assert [len(scale["steps"]) for scale in example["scales"]] == [3, 3]
