from __future__ import annotations

from types import SimpleNamespace

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.core.noise import GeneratorNoise, KeyedNoise
from framework.core.structures import Batch, Candidates
from framework.engine import evaluate as evaluation
from framework.engine.assemble import Method, assemble
from framework.engine.data import Data, open_data
from framework.engine.evaluate import Evaluation, Settings, evaluate
from framework.engine.examples import examples_of
from framework.engine.loss import losses, total
from framework.engine.predict import condition, inside, predict
from framework.engine.seeding import seed_everything
from framework.errors import RecipeError
from framework.metrics import Rank, RankOptions
from framework.recipe import load_recipe
from framework.registry import Registry
from framework.testing import tiny

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
    loader = data.loader(data.reported, training=False)
    loader.batch_size = size
    return evaluate(
        method, method.objectives[0], loader, Rank(RankOptions()), Settings(seed=5), data.truths(data.reported)
    )


@pytest.mark.parametrize("overrides", SAMPLERS.values(), ids=SAMPLERS.keys())
def test_predictions_are_the_same_at_every_batch_size(overrides, recipe_file, registry) -> None:
    data, method = made(recipe_file, registry, overrides)
    first = evaluated(data, method, 1)
    for size in (7, 32):
        other = evaluated(data, method, size)
        assert other.metrics == pytest.approx(first.metrics)
        for query, answer in first.answers.items():
            torch.testing.assert_close(torch.tensor(other.answers[query]), torch.tensor(answer), rtol=0, atol=1e-5)


def test_the_time_of_an_evaluation_is_that_of_prediction_alone(recipe_file, registry, monkeypatch) -> None:
    data, method = made(recipe_file, registry, [])
    loader, clock = data.loader(data.reported, training=False), [0.0]

    def lasting(seconds, function):
        def call(*given, **named):
            clock[0] += seconds
            return function(*given, **named)

        return call

    def slow_batches(epoch: int):
        for batch in list(made_batches(epoch)):
            clock[0] += 100
            yield batch

    made_batches, rule = loader.batches, lasting(1000, Rank(RankOptions()))
    monkeypatch.setattr(loader, "batches", slow_batches)
    monkeypatch.setattr(evaluation, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(evaluation, "predict", lasting(1, predict))
    monkeypatch.setattr(evaluation, "examples_of", lasting(10, examples_of))
    found = evaluate(method, method.objectives[0], loader, rule, Settings(5, examples=3), data.truths(data.reported))
    assert (len(found.examples), found.seconds) == (3, len(loader))


def test_predictions_depend_neither_on_order_nor_on_padding(recipe_file, registry) -> None:
    data, method = made(recipe_file, registry, ["sampler.eta=1.0"])
    batch = next(iter(data.loader(data.reported, training=False).batches()))
    objective = method.objectives[0]
    found = predict(method, objective, batch, seed=5).candidates
    turned = predict(method, objective, _reversed(batch), seed=5).candidates
    padded = predict(method, objective, _padded(batch, 17, 3), seed=5).candidates
    for name in ("start", "end", "score"):
        torch.testing.assert_close(getattr(turned, name).flip(0), getattr(found, name), rtol=0, atol=1e-5)
        torch.testing.assert_close(getattr(padded, name), getattr(found, name), rtol=0, atol=1e-5)


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
    batch = next(iter(data.loader(data.reported, training=False).batches()))
    one = predict(method, method.objectives[0], batch, seed=5).predictions[-1].x0
    four = predict(method, method.objectives[0], batch, seed=5, draws=4).predictions[-1].x0
    assert not torch.allclose(one, four)
    objective, index = method.objectives[0], method.objectives[0].rows.rows(batch, None).index
    with torch.no_grad():
        cond = condition(method, batch, index)
        slots = objective.target.slots(cond, None)
        denoise = method.denoise(objective, cond, slots)
        draws = [
            objective.sampler.sample(denoise, slots, objective.target, KeyedNoise(5, index.key, draw))[-1].x0
            for draw in range(4)
        ]
    torch.testing.assert_close(four, torch.stack(draws).mean(0))


def test_the_ground_truth_is_out_of_reach_of_prediction(recipe_file, registry) -> None:
    data, method = made(recipe_file, registry, [])
    batch = next(iter(data.loader(data.reported, training=False).batches()))
    blind = attrs.evolve(batch, gold=batch.gold[:0])
    seen, unseen = (predict(method, method.objectives[0], each, seed=5).candidates for each in (batch, blind))
    assert torch.equal(seen.start, unseen.start)
    assert torch.equal(seen.score, unseen.score)


@pytest.mark.parametrize("name", ["self_condition", "own_predictions"])
def test_the_first_of_two_training_passes_leaves_nothing_behind(name, recipe_file, registry) -> None:
    changes = [f"sampler.{name}=1.0"] + (["denoiser.previous=true"] if name == "self_condition" else [])
    data, method = made(recipe_file, registry, changes)
    batch = next(iter(data.loader("train", training=True).batches()))
    calls: list[tuple[bool, int]] = []
    denoiser = method.objectives[0].denoiser
    denoiser.register_forward_hook(lambda _, given, __: calls.append((torch.is_grad_enabled(), len(given[2].memo))))
    terms = losses(method, batch, GeneratorNoise(torch.Generator().manual_seed(0)))
    assert calls[0][0] is False
    assert calls[1] == (True, 0)
    total(terms, method).backward()
    assert all(weight.grad is not None for weight in method.encoder.parameters())


def test_a_weight_of_no_loss_is_refused(recipe_file, registry) -> None:
    data, method = made(recipe_file, registry, [])
    method.weights = {"main/mes": 2.0}
    batch = next(iter(data.loader("train", training=True).batches()))
    with pytest.raises(RecipeError, match=r'"main/mes": there is no such loss. Did you mean "main/mse"'):
        total(losses(method, batch, GeneratorNoise(torch.Generator())), method)


def test_a_denoiser_that_reads_no_previous_answer_refuses_self_conditioning(recipe_file, registry) -> None:
    for change, words in (
        ("sampler.self_condition=0.5", r"self_condition = 0\.5.*does not read its previous answer"),
        ("denoiser.previous=true", r"reads its previous answer, but gaussian never gives one"),
    ):
        recipe = load_recipe(recipe_file, [change], registry)
        with pytest.raises(RecipeError, match=words):
            assemble(recipe, open_data(recipe).inputs)


def test_too_many_steps_are_refused_with_file_and_table(recipe_file, registry) -> None:
    recipe = load_recipe(recipe_file, ["sampler.steps=5000"], registry)
    with pytest.raises(RecipeError, match=r"tiny\.toml \[sampler\] gaussian: .*5000"):
        assemble(recipe, open_data(recipe).inputs)


def test_a_network_trained_in_half_precision_answers_in_full(recipe_file, registry) -> None:
    data, method = made(recipe_file, registry, [])
    exact = evaluated(data, method, 7)
    method.precision = torch.bfloat16
    half = evaluated(data, method, 7)
    assert all((exact.answers[query] == half.answers[query]).all() for query in exact.answers)


def test_moments_rounded_beyond_the_end_of_a_video_are_brought_back(recipe_file, registry) -> None:
    data, method = made(recipe_file, registry, ["post.round_s=30.0", "post.threshold=1.0", "post.top=200"])
    ends = []
    for batch in data.loader(data.reported, training=False).batches():
        found = predict(method, method.objectives[0], batch, seed=5)
        kept = found.candidates.mask
        duration = torch.tensor(batch.meta.durations)[found.index.pool[:, :1]].expand(kept.shape)[kept]
        start, end = found.candidates.start[kept], found.candidates.end[kept]
        assert ((start >= 0) & (start <= end) & (end <= duration)).all()
        assert ((start % 30 == 0) | (start == duration)).all()
        ends.append(end == duration)
    assert torch.cat(ends).any()


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.floats(-50, 400, width=32), st.floats(0, 300, width=32)), min_size=1, max_size=6))
def test_clipping_keeps_every_candidate_and_leaves_those_inside_as_they_are(pairs) -> None:
    batch = tiny.collate(tiny.case(videos=1, clips=40))
    (duration,) = batch.meta.durations
    start, length = torch.tensor(pairs).T[:, None]
    mask = torch.ones_like(start, dtype=torch.bool)
    given_ones = Candidates(mask.long() * 0, start, start + length, start, mask)
    found = inside(given_ones, batch, tiny.rows(tiny.case(videos=1)).index)
    assert ((found.start >= 0) & (found.start <= found.end) & (found.end <= duration)).all()
    assert torch.equal(found.mask, mask)
    fits = (start >= 0) & (start + length <= duration)
    assert torch.equal(found.start[fits], start[fits])
    assert torch.equal(found.end[fits], (start + length)[fits])
