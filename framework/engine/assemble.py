"""From a recipe to a method: parts built, sizes passed on, misfits refused."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from framework.core.denoiser import Denoiser, Site
from framework.core.encoder import Encoder, Inputs
from framework.core.post import PostProcessor
from framework.core.rows import RowPolicy
from framework.core.sampler import Denoise, Sampler
from framework.core.structures import Condition, Prediction, Slots
from framework.core.target import Target
from framework.errors import RecipeError, UserError
from framework.recipe import MAIN, Chosen, Recipe
from framework.recipe import Objective as ChosenObjective


@attrs.frozen(eq=False)
class Objective:
    """One task on the encoder: which rows are asked, what is diffused, by which network and process."""

    name: str
    rows: RowPolicy
    target: Target
    denoiser: Denoiser
    sampler: Sampler


@attrs.define(eq=False)
class Method:
    """A recipe made real. precision: the type that networks are trained in; everything else is float32."""

    encoder: Encoder
    objectives: tuple[Objective, ...]
    post: PostProcessor
    weights: Mapping[str, float]
    precision: torch.dtype = torch.float32

    @property
    def modules(self) -> nn.ModuleDict:
        """All weights: what a checkpoint holds."""
        # A module may not be called what ModuleDict's own attributes are called, such as "type".
        denoisers = nn.ModuleDict({f"of_{objective.name}": objective.denoiser for objective in self.objectives})
        return nn.ModuleDict({"encoder": self.encoder, "denoiser": denoisers})

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.modules.parameters()).device

    def autocast(self) -> AbstractContextManager[object]:
        """The context that networks run in: half precision in training, never in inference.

        Half precision leaves scores three digits, so cells would tie and an answer would depend on its batch.
        """
        if self.precision == torch.float32 or not self.encoder.training:
            return nullcontext()
        return torch.autocast(self.device.type, self.precision)

    def denoise(self, objective: Objective, cond: Condition, slots: Slots) -> Denoise:
        """Close a denoiser over its condition: signal units in, natural units in float32 out."""

        def closure(x_t: Tensor, t: Tensor, previous: Prediction | None = None) -> Prediction:
            given = previous if objective.sampler.self_condition else None
            with self.autocast():
                answer = objective.denoiser(objective.target.space.natural(x_t), t, cond, slots, given)
            return _float32(answer)

        return closure

    def at(self, progress: float) -> None:
        """Tell every part the share of training done, before each epoch."""
        self.encoder.at(progress)
        for objective in self.objectives:
            for part in (objective.target, objective.denoiser, objective.sampler):
                part.at(progress)


def assemble(recipe: Recipe, inputs: Inputs) -> Method:
    """Build every part of ``recipe`` for data of the given sizes.

    Raises RecipeError, naming both parts and the remedy, where two parts do not fit each other.
    """
    encoder: Encoder = _build(recipe, "encoder", recipe.encoder, inputs)
    objectives = []
    for chosen in recipe.objectives:
        at = "" if chosen.name == MAIN else f"objective.{chosen.name}."
        target: Target = _build(recipe, f"{at}target", chosen.target)
        _accepts(recipe, f"{at}denoiser", chosen, target)
        _require(recipe, f"{at}target", chosen.target, target.requires, encoder)
        site = Site(widths=encoder.widths, channels=target.space.channels, slots=target.most_slots)
        denoiser: Denoiser = _build(recipe, f"{at}denoiser", chosen.denoiser, site)
        _require(recipe, f"{at}denoiser", chosen.denoiser, denoiser.requires, encoder)
        _reads(recipe, f"{at}target", chosen, target, denoiser)
        sampler: Sampler = _build(recipe, f"{at}sampler", chosen.sampler)
        _agree(recipe, at, chosen, sampler, denoiser)
        rows: RowPolicy = _build(recipe, f"{at}rows", chosen.rows)
        objectives.append(Objective(chosen.name, rows, target, denoiser, sampler))
    return Method(encoder, tuple(objectives), _build(recipe, "post", recipe.post), dict(recipe.weights))


def _build(recipe: Recipe, table: str, chosen: Chosen, *given: object) -> Any:
    """Make a part; what it refuses is told with file and table."""
    try:
        return chosen.part.factory(chosen.options, *given)
    except (UserError, ValueError) as error:
        own = f"[{table.rpartition('.')[2]}] "
        words = str(error).removeprefix(own) if str(error).startswith(own) else f"{chosen.part.name}: {error}"
        raise RecipeError(f"{recipe.where(table)} {words}") from error


def _require(recipe: Recipe, table: str, chosen: Chosen, required: frozenset[str], encoder: Encoder) -> None:
    if missing := sorted(required - encoder.provides):
        kind = table.rpartition(".")[2]
        raise RecipeError(
            f'{recipe.where(table)} name = "{chosen.name}": needs {", ".join(missing)} from the encoder, but '
            f"{recipe.encoder.name} gives {', '.join(sorted(encoder.provides))}. Choose another encoder or {kind}."
        )


def _accepts(recipe: Recipe, table: str, chosen: ChosenObjective, target: Target) -> None:
    accepted: frozenset[str] = chosen.denoiser.part.factory.accepts  # type: ignore[attr-defined]
    if target.kind not in accepted:
        raise RecipeError(
            f'{recipe.where(table)} name = "{chosen.denoiser.name}": works on slots of kind '
            f"{', '.join(sorted(accepted))}, but target {chosen.target.name} has {target.kind}. "
            "Choose a denoiser for that target, or another target."
        )


def _reads(recipe: Recipe, table: str, chosen: ChosenObjective, target: Target, denoiser: Denoiser) -> None:
    if missing := sorted(target.reads - denoiser.heads):
        given = ", ".join(sorted(denoiser.heads)) or "nothing"
        raise RecipeError(
            f'{recipe.where(table)} name = "{chosen.target.name}": reads {", ".join(missing)} of the answer, and '
            f"{chosen.denoiser.name} gives {given} beside x0. Choose another denoiser, or options that agree."
        )


def _agree(recipe: Recipe, at: str, chosen: ChosenObjective, sampler: Sampler, denoiser: Denoiser) -> None:
    """Self-conditioning takes two: a process that gives the previous answer and a network that reads it."""
    if sampler.self_condition and not denoiser.reads_previous:
        raise RecipeError(
            f"{recipe.where(f'{at}sampler')} self_condition = {sampler.self_condition}: {chosen.denoiser.name} "
            "does not read its previous answer as it is set up. Switch that on in [denoiser], or leave this 0."
        )
    if denoiser.reads_previous and not sampler.self_condition:
        raise RecipeError(
            f"{recipe.where(f'{at}denoiser')} {chosen.denoiser.name} reads its previous answer, but "
            f"{chosen.sampler.name} never gives one. Set self_condition in [sampler], or switch that off."
        )


def _float32(answer: Prediction) -> Prediction:
    return Prediction(
        answer.x0.float(),
        {name: head.float() for name, head in answer.heads.items()},
        tuple(_float32(earlier) for earlier in answer.aux),
    )
