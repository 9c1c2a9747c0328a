from __future__ import annotations

import attrs
import pytest
import torch

from framework.core.noise import KeyedNoise
from framework.core.structures import Batch
from framework.engine.assemble import Method, assemble
from framework.engine.data import Data, open_data
from framework.engine.evaluate import Evaluation, Settings, evaluate
from framework.engine.loss import losses
from framework.engine.predict import predict
from framework.engine.seeding import seed_everything
from framework.errors import RecipeError
from framework.metrics import Rank, RankOptions
from framework.recipe import load_recipe
from framework.registry import Registry

SAMPLERS = {
    "ddim": ["sampler.steps=3"],
    "stochastic": ["sampler.steps=4", "sampler.eta=1.0"],
    "half temperature": ["sampler.steps=2", "sampler.temperature=0.5"],
    "solver": ["sampler.steps=4", "sampler.solver=dpmpp_2m"],
    "self-conditioned": ["sampler.steps=3", "sampler.self_condition=0.5", "denoiser.previous=true"],
    "one step": ["sampler.name=one_step"],
}


def made(recipe_file, registry: Registry, overrides: list[str]) -> tuple[Data, Method]:
    recipe = load_recipe(recipe_file, overrides, registry)
    data = open_data(recipe)
    seed_everything(0, torch.device("cpu"))
    method = assemble(recipe, data.inputs)
    _disturb(method)
    method.modules.eval()
    return data, method


def _disturb(method: Method) -> None:
    """Layers that start at zero would hide what they let through; statistics of zero and one likewise."""
    generator = torch.Generator().manual_seed(1)
    for weight in method.modules.parameters():
        weight.data += 0.1 * torch.randn(weight.shape, generator=generator)


def evaluated(data: Data, method: Method, size: int) -> Evaluation:
    loader = data.loader(data.test, training=False)
    loader.batch_size = size
    return evaluate(method, method.objectives[0], loader, Rank(RankOptions()), Settings(seed=5), data.truths(data.test))


@pytest.mark.parametrize("overrides", SAMPLERS.values(), ids=SAMPLERS.keys())
def test_predictions_are_the_same_at_every_batch_size(overrides, recipe_file, registry) -> None:
    data, method = made(recipe_file, registry, overrides)
    first = evaluated(data, method, 1)
    for size in (7, 32):
        other = evaluated(data, method, size)
        assert other.metrics == pytest.approx(first.metrics)
        for query, answer in first.answers.items():
            torch.testing.assert_close(torch.tensor(other.answers[query]), torch.tensor(answer), rtol=0, atol=1e-5)


def test_predictions_depend_neither_on_order_nor_on_padding(recipe_file, registry) -> None:
    data, method = made(recipe_file, registry, ["sampler.eta=1.0"])
    batch = next(iter(data.loader(data.test, training=False).batches()))
    objective = method.objectives[0]
    found = predict(method, objective, batch, seed=5).candidates
    turned = predict(method, objective, _reversed(batch), seed=5).candidates
    padded = predict(method, objective, _padded(batch, 17, 3), seed=5).candidates
    for other, order in ((turned, slice(None)), (padded, slice(None))):
        rows = torch.arange(len(batch.meta.ids)).flip(0) if other is turned else torch.arange(len(batch.meta.ids))
        for name in ("start", "end", "score"):
            torch.testing.assert_close(getattr(other, name)[rows][order], getattr(found, name), rtol=0, atol=1e-5)


def _reversed(batch: Batch) -> Batch:
    texts, mask = batch.feats["text"]
    count = len(texts)
    pairs = batch.pairs.clone()
    pairs[:, 0] = count - 1 - pairs[:, 0]
    gold = batch.gold.clone()
    gold[:, 0] = count - 1 - gold[:, 0]
    feats = {**batch.feats, "text": (texts.flip(0), mask.flip(0))}
    meta = attrs.evolve(batch.meta, ids=batch.meta.ids[::-1], queries=batch.meta.queries[::-1])
    order = pairs[:, 0].argsort()
    return attrs.evolve(batch, feats=feats, pairs=pairs[order], key=batch.key.flip(0), gold=gold, meta=meta)


def _padded(batch: Batch, clips: int, words: int) -> Batch:
    def longer(x: torch.Tensor, by: int) -> torch.Tensor:
        return torch.cat([x, x.new_zeros(x.shape[0], by, *x.shape[2:])], dim=1)

    feats = {
        side: (longer(x, by), longer(mask, by))
        for (side, (x, mask)), by in zip(sorted(batch.feats.items()), (words, clips), strict=True)
    }
    return attrs.evolve(batch, feats=feats)


def test_several_draws_are_averaged_and_differ_from_one(recipe_file, registry) -> None:
    data, method = made(recipe_file, registry, [])
    batch = next(iter(data.loader(data.test, training=False).batches()))
    one = predict(method, method.objectives[0], batch, seed=5).predictions[-1].x0
    four = predict(method, method.objectives[0], batch, seed=5, draws=4).predictions[-1].x0
    assert not torch.allclose(one, four)


def test_the_ground_truth_is_out_of_reach_of_prediction(recipe_file, registry) -> None:
    data, method = made(recipe_file, registry, [])
    batch = next(iter(data.loader(data.test, training=False).batches()))
    blind = attrs.evolve(batch, gold=batch.gold[:0])
    seen, unseen = (predict(method, method.objectives[0], each, seed=5).candidates for each in (batch, blind))
    assert torch.equal(seen.start, unseen.start)
    assert torch.equal(seen.score, unseen.score)


@pytest.mark.parametrize("name", ["self_condition", "own_predictions"])
def test_a_second_pass_of_training_changes_the_loss_and_not_the_gradient_of_the_first(
    name, recipe_file, registry
) -> None:
    changes = [f"sampler.{name}=0.999999"] + (["denoiser.previous=true"] if name == "self_condition" else [])
    data, method = made(recipe_file, registry, changes)
    batch = next(iter(data.loader("train", training=True).batches()))
    calls: list[bool] = []
    method.objectives[0].denoiser.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    terms = losses(method, batch, KeyedNoise(0, torch.zeros(1, dtype=torch.long)))
    assert calls == [False, True]
    assert all(torch.isfinite(term) for term in terms.values())


def test_a_denoiser_that_reads_no_previous_answer_refuses_self_conditioning(recipe_file, registry) -> None:
    recipe = load_recipe(recipe_file, ["sampler.self_condition=0.5"], registry)
    with pytest.raises(RecipeError, match=r"self_condition = 0\.5.*does not read its previous answer"):
        assemble(recipe, open_data(recipe).inputs)
