"""The keys of a recipe's [train] and [evaluate] tables that belong to no part."""

from __future__ import annotations

from typing import Final

import attrs

from framework.core.options import above, at_least, one_of, option


def _share(value: float) -> str | None:
    return None if 0 <= value < 1 else "must be at least 0 and less than 1"


def _shares(values: tuple[float, ...]) -> str | None:
    broken = [found for value in values if (found := _share(value))]
    return f"each {broken[0]}" if broken else None


@attrs.frozen
class OptimizerOptions:
    """The update rule."""

    name: str = option("adam", doc="adam, or adamw with decoupled weight decay", rule=one_of("adam", "adamw"))
    lr: float = option(1e-4, doc="learning rate, before warm-up and schedule", rule=above(0))
    weight_decay: float = option(0.0, doc="weight decay", rule=at_least(0))
    betas: tuple[float, float] = option((0.9, 0.999), doc="decay of the two running moments", rule=_shares)


ADAM: Final = OptimizerOptions()


@attrs.frozen
class TrainOptions:
    """How the weights are learned."""

    epochs: int = option(100, doc="passes over the training split", rule=at_least(0))
    batch_size: int = option(32, doc="queries a batch", rule=at_least(1))
    optimizer: OptimizerOptions = option(ADAM, doc="update rule")  # noqa: RUF009  frozen: may be shared
    schedule: str = option("constant", doc="learning rate after warm-up", rule=one_of("constant", "cosine", "step"))
    drop: float = option(
        0.5,
        doc="with the schedule `step`, the rate falls to a tenth each time another such share of training is done",
        rule=above(0),
    )
    warmup: int = option(0, doc="optimizer steps of linear warm-up", rule=at_least(0))
    clip: float = option(0.0, doc="largest norm of the gradient; 0 does not clip", rule=at_least(0))
    accumulate: int = option(1, doc="batches an optimizer step", rule=at_least(1))
    precision: str = option(
        "auto",
        doc="type that networks compute in; auto: float32 on a CPU, half precision on a GPU",
        rule=one_of("auto", "float32", "bf16", "fp16"),
    )
    ema: float = option(0.0, doc="decay of the moving average of weights; 0 keeps none", rule=_share)
    select: str = option(
        "auto",
        doc="checkpoint that is reported; auto: the best where there is a validation split, else the last",
        rule=one_of("auto", "best", "last"),
    )
    metric: str | None = option(None, doc="metric that chooses the best checkpoint; none: the rule's primary one")
    patience: int = option(0, doc="evaluations without a better one that end training; 0: never", rule=at_least(0))


@attrs.frozen
class EvaluateOptions:
    """How answers are made; the options of the rule stand in the same table."""

    every: int = option(1, doc="epochs between two evaluations in training; 0: none before the end", rule=at_least(0))
    batch_size: int = option(32, doc="queries a batch; no answer depends on it", rule=at_least(1))
    split: str = option("auto", doc="split of the final number; auto: the one that choices are made on")
    draws: int = option(1, doc="noise draws whose candidates are averaged", rule=at_least(1))
