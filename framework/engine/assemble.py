"""From a recipe to a method: parts built, sizes passed on, misfits refused."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

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
from framework.errors import RecipeError
from framework.recipe import Chosen, Recipe


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
    """A recipe made real. precision: the type that networks compute in; everything outside them is float32."""

    encoder: Encoder
    objectives: tuple[Objective, ...]
    post: PostProcessor
    weights: Mapping[str, float]
    precision: torch.dtype = torch.float32

    @property
    def modules(self) -> nn.ModuleDict:
        """All weights: what a checkpoint holds."""
        denoisers = nn.ModuleDict({objective.name: objective.denoiser for objective in self.objectives})
        return nn.ModuleDict({"encoder": self.encoder, "denoiser": denoisers})

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.modules.parameters()).device

    def autocast(self) -> AbstractContextManager[object]:
        """The context that networks run in."""
        if self.precision == torch.float32:
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
        target: Target = _build(recipe, "target", chosen.target)
        _require(recipe, "target", chosen.target, target.requires, encoder, recipe.encoder)
        site = Site(widths=encoder.widths, channels=target.space.channels)
        _accepts(recipe, chosen.denoiser, chosen.target, target)
        denoiser: Denoiser = _build(recipe, "denoiser", chosen.denoiser, site)
        _require(recipe, "denoiser", chosen.denoiser, denoiser.requires, encoder, recipe.encoder)
        sampler: Sampler = _build(recipe, "sampler", chosen.sampler)
        if sampler.self_condition and not denoiser.reads_previous:
            raise RecipeError(
                f"{recipe.where('sampler')} self_condition = {sampler.self_condition}: {chosen.denoiser.part.name} "
                "does not read its previous answer as it is set up. Switch that on in [denoiser], or leave this 0."
            )
        rows: RowPolicy = _build(recipe, "rows", chosen.rows)
        objectives.append(Objective(chosen.name, rows, target, denoiser, sampler))
    return Method(encoder, tuple(objectives), _build(recipe, "post", recipe.post), dict(recipe.weights))


def _build(recipe: Recipe, table: str, chosen: Chosen, *given: object):  # type: ignore[no-untyped-def]
    try:
        return chosen.part.factory(chosen.options, *given)
    except RecipeError:
        raise
    except ValueError as error:
        raise RecipeError(f"{recipe.where(table)} {chosen.part.name}: {error}") from error


def _require(
    recipe: Recipe, table: str, chosen: Chosen, required: frozenset[str], encoder: Encoder, encoder_part: Chosen
) -> None:
    if missing := sorted(required - encoder.provides):
        raise RecipeError(
            f'{recipe.where(table)} name = "{chosen.part.name}": needs {", ".join(missing)} from the encoder, but '
            f"{encoder_part.part.name} gives {', '.join(sorted(encoder.provides))}. Choose another encoder or {table}."
        )


def _accepts(recipe: Recipe, denoiser: Chosen, target_part: Chosen, target: Target) -> None:
    accepted: frozenset[str] = denoiser.part.factory.accepts  # type: ignore[attr-defined]
    if target.kind not in accepted:
        raise RecipeError(
            f'{recipe.where("denoiser")} name = "{denoiser.part.name}": works on slots of kind '
            f"{', '.join(sorted(accepted))}, but target {target_part.part.name} has {target.kind}. "
            "Choose a denoiser for that target, or another target."
        )


def _float32(answer: Prediction) -> Prediction:
    return Prediction(
        answer.x0.float(),
        {name: head.float() for name, head in answer.heads.items()},
        tuple(_float32(earlier) for earlier in answer.aux),
    )
