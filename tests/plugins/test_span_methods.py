"""The span methods as a whole: from a recipe's small instance to answers, on a tiny batch."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import torch

from framework.core.noise import GeneratorNoise
from framework.engine.assemble import Method, assemble
from framework.engine.loss import losses, total
from framework.engine.predict import predict
from framework.errors import Problems, RecipeError
from framework.recipe import load_recipe
from framework.testing import tiny

FOLDER = Path(__file__).parents[2] / "recipes"
SMALL = sorted(
    path.stem for path in FOLDER.glob("*_charades_small*.toml") if not path.stem.startswith(("ms2d_", "ms2dtan_"))
)
CASE = tiny.case(seed=3, videos=5, clips=40)


def method(name: str, *overrides: str) -> Method:
    torch.manual_seed(0)
    made = assemble(load_recipe(FOLDER / f"{name}.toml", overrides), tiny.INPUTS_OF_IDS)
    made.modules.eval()
    return made


def answers(made: Method, case: tiny.Case) -> dict[int, torch.Tensor]:
    """Start, end in seconds and score of the first answers of each row, by the key of its query."""
    batch = tiny.collate(case, ids=True)
    found = predict(made, made.objectives[0], batch, seed=0).candidates
    table = torch.stack([found.start, found.end, found.score], dim=-1)
    return {row.key: table[place][found.mask[place]] for place, row in enumerate(case)}


@pytest.mark.parametrize("name", SMALL)
def test_no_answer_depends_on_what_else_is_in_its_batch(name: str):
    made = method(name)
    together = answers(made, CASE)
    for row in CASE:
        alone = answers(made, (row,))[row.key]
        # Seconds, of videos of up to 20: rounding, which each layer of an untrained cascade multiplies.
        torch.testing.assert_close(together[row.key], alone, atol=5e-4, rtol=0)


@pytest.mark.parametrize("name", SMALL)
def test_a_method_learns_from_every_term_that_its_recipe_weighs(name: str):
    made = method(name)
    made.modules.train()
    terms = losses(made, tiny.collate(CASE, ids=True), GeneratorNoise(torch.Generator().manual_seed(0)))
    assert made.weights.keys() <= terms.keys()
    total(terms, made).backward()
    assert all(weight.grad is None or torch.isfinite(weight.grad).all() for weight in made.modules.parameters())
    assert sum(float(weight.grad.abs().sum()) for weight in made.modules.parameters() if weight.grad is not None) > 0


@pytest.mark.parametrize("name", [name for name in SMALL if "one_step" not in name and "momentdetr" not in name])
def test_a_method_is_trained_on_one_number_of_proposals_and_asked_with_another(name: str):
    made = method(name, "target.train_proposals=3", 'target.first_proposals="none"', "target.proposals=50")
    made.modules.train()
    terms = losses(made, tiny.collate(CASE, ids=True), GeneratorNoise(torch.Generator().manual_seed(0)))
    assert torch.isfinite(total(terms, made))
    made.modules.eval()
    found = predict(made, made.objectives[0], tiny.collate(CASE, ids=True), seed=0)
    assert found.predictions[-1].x0.shape == (len(CASE), 50, 2)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_one_step_of_the_cascade_is_its_last_layer_whatever_eta_renewal_and_ensemble(layers: int):
    settings = [
        ("sampler.eta=0.0", "target.renew=0.0", 'target.ensemble="all"'),
        ("sampler.eta=1.0", "target.renew=0.5", 'target.ensemble="but_last"'),
    ]
    name = "diffusionvmr_charades_small"
    found = [answers(method(name, f"denoiser.exit_layer={layers}", *given), CASE) for given in settings]
    for row in CASE:
        torch.testing.assert_close(found[0][row.key], found[1][row.key])


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("target.proposals=0", "--set target.proposals = 0: must be at least 1 (proposals at inference"),
        ("target.first_proposals=-1", "--set target.first_proposals = -1: must be at least 1 (proposals in the first"),
        ("target.train_proposals=0", "--set target.train_proposals = 0: must be at least 1 (proposals in training"),
    ],
)
def test_numbers_of_proposals_that_cannot_be_are_one_clear_line(override: str, line: str):
    with pytest.raises(Problems) as refused:
        method("diffusionvmr_charades_small", override)
    assert [problem.startswith(line) for problem in refused.value.problems] == [True]


@pytest.mark.parametrize(
    ("name", "override", "words"),
    [
        ("diffusionvmr_charades_small", 'encoder.saliency="labels"', r"\[encoder\].*these do not; set saliency = "),
        ("momentdiff_charades_small", 'encoder.saliency="labels"', r"\[encoder\].*label no clips; set saliency = "),
        (
            "diffusionvg_charades_small",
            'target.match="hungarian"',
            "reads logit of the answer, and diffusionvg",
        ),
        ("diffusionvmr_charades_small", "target.first_proposals=21", r"\[target\].*must be at most train_proposals"),
        ("diffusionvmr_charades_small_one_step", "target.proposals=50", r"\[denoiser\].*up to 50 proposals"),
        ("momentdetr_charades_small", "target.proposals=11", r"\[denoiser\].*up to 11 proposals"),
        ("diffusionvmr_charades_small", "denoiser.exit_layer=4", r"\[denoiser\].*must be at most layers = 3"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_anything_is_trained(name: str, override: str, words: str):
    with pytest.raises(RecipeError, match=words):
        method(name, override)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("diffusionvmr_charades_small", "encoder.endpoints=true"),
        ("momentdiff_charades_small", "encoder.endpoints=true"),
        ("diffusionvg_charades_small", "encoder.endpoints=true"),
    ],
)
def test_time_positions_are_added_once(name: str, option: str):
    inputs = attrs.evolve(tiny.INPUTS_OF_IDS, positions=True)
    recipe = load_recipe(FOLDER / f"{name}.toml", [option])
    with pytest.raises(RecipeError, match=r"endpoints = true: \[data\] positions adds the same two columns"):
        assemble(recipe, inputs)
    assemble(load_recipe(FOLDER / f"{name}.toml", [option.replace("true", "false")]), inputs)
