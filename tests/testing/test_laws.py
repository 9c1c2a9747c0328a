"""The laws hold for the toys and for the samplers, and each of them can fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor, nn

from framework.core.denoiser import Denoiser, Site
from framework.core.encoder import Inputs
from framework.core.noise import Noise
from framework.core.sampler import Denoise, Sampler
from framework.core.space import Space
from framework.core.structures import Candidates, Condition, Index, Prediction, Rows, Slots
from framework.core.target import Target
from framework.samplers import Gaussian, GaussianOptions, OneStep, OneStepOptions
from framework.testing import LawError, check_denoiser, check_encoder, check_sampler, check_target, tiny
from framework.testing.laws import DENOISER_LAWS, ENCODER_LAWS, SAMPLER_LAWS, TARGET_LAWS, Law
from framework.testing.toys import (
    ToyCells,
    ToyCellsOptions,
    ToyDenoiser,
    ToyEncoder,
    ToyNetworkOptions,
    ToySpans,
    ToySpansOptions,
)

CELLS = ToyCells(ToyCellsOptions(lengths=24))
WIDTHS = {"frames": 8, "clip": 1}


def toy_encoder(inputs: Inputs = tiny.INPUTS) -> ToyEncoder:
    torch.manual_seed(0)
    return ToyEncoder(ToyNetworkOptions(), inputs)


def toy_denoiser() -> ToyDenoiser:
    torch.manual_seed(0)
    return ToyDenoiser(ToyNetworkOptions(), Site(WIDTHS, channels=1))


# What keeps the laws.


@pytest.mark.parametrize("target", [CELLS, ToySpans(ToySpansOptions())])
def test_toy_targets_keep_every_law(target: Target) -> None:
    check_target(target, examples=12)


@pytest.mark.parametrize("ids", [False, True])
def test_the_toy_encoder_keeps_every_law(ids: bool) -> None:
    check_encoder(toy_encoder(tiny.INPUTS_OF_IDS if ids else tiny.INPUTS), ids=ids)


def test_the_toy_denoiser_keeps_every_law() -> None:
    check_denoiser(toy_denoiser(), target=CELLS, encoder=toy_encoder())


def test_a_target_may_bring_a_condition_of_its_own() -> None:
    class Hungry(ToyCells):
        requires = frozenset({"clips", "clip", "similarity"})

        def slots(self, cond: Condition, rows: Rows | None) -> Slots:
            assert cond.feats["similarity"].shape == (cond.rows,)
            return super().slots(cond, rows)

    def condition(case: tiny.Case) -> Condition:
        cond = tiny.condition(CELLS, case)
        return Condition({**cond.feats, "similarity": torch.zeros(cond.rows)}, cond.rows)

    hungry = Hungry(ToyCellsOptions(lengths=24))
    check_target(hungry, condition=condition, examples=3)
    with pytest.raises(LawError, match="not similarity; pass a function of your own"):
        check_target(hungry, examples=3)


def test_a_denoiser_may_be_checked_on_random_features_of_its_slots() -> None:
    class PerSlot(Denoiser):
        requires = frozenset({"map"})

        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(3 + 1, 1)

        def forward(
            self, x_t: Tensor, t: Tensor, cond: Condition, slots: Slots, previous: Prediction | None = None
        ) -> Prediction:
            return Prediction(self.net(torch.cat([x_t, cond.feats["map"]], dim=-1)))

    check_denoiser(PerSlot(), target=CELLS, widths={"map": 3}, examples=5)


# What breaks them: one law and one part a row.


class UnmaskedX0(ToyCells):
    def encode(self, rows: Rows, slots: Slots, noise: Noise) -> Tensor:
        return super().encode(rows, slots, noise) + 0.1


class LossPerBatch(ToyCells):
    def loss(self, pred: Prediction, x0: Tensor, slots: Slots, rows: Rows) -> dict[str, Tensor]:
        return {"mse": ((pred.x0 - x0) ** 2 * slots.mask[..., None]).mean()}


class ForgetsScale(Space):
    def natural(self, signal: Tensor) -> Tensor:
        return super().natural(signal * 2)


class WrongSpace(ToyCells):
    def __init__(self, options: ToyCellsOptions) -> None:
        super().__init__(options)
        self.space = ForgetsScale()


class OneCellLate(ToyCells):
    def decode(self, preds: Sequence[Prediction], cond: Condition, slots: Slots) -> Candidates:
        found = super().decode(preds, cond, slots)
        late = 2 * cond.feats["clip"][:, None]
        return attrs.evolve(found, start=(found.start + late).clamp(max=1), end=(found.end + late).clamp(max=1))


class CountsRows(ToyCells):
    def encode(self, rows: Rows, slots: Slots, noise: Noise) -> Tensor:
        place = torch.arange(len(rows))[:, None, None]
        return (super().encode(rows, slots, noise) + 0.01 * place) * slots.mask[..., None]


class LossBesideOthers(ToyCells):
    def loss(self, pred: Prediction, x0: Tensor, slots: Slots, rows: Rows) -> dict[str, Tensor]:
        error = ((pred.x0 - x0) ** 2).squeeze(-1) * slots.mask
        return {"mse": error.sum(1) / slots.mask.sum() * len(rows)}


class NeedsTruth(ToyCells):
    def slots(self, cond: Condition, rows: Rows | None) -> Slots:
        return super().slots(cond, rows if len(rows.moments) else None)  # type: ignore[union-attr]


class RemembersTruth(ToyCells):
    seen = 0

    def encode(self, rows: Rows, slots: Slots, noise: Noise) -> Tensor:
        self.seen = sum(len(moments) for moments in rows.moments)
        return super().encode(rows, slots, noise)

    def decode(self, preds: Sequence[Prediction], cond: Condition, slots: Slots) -> Candidates:
        found = super().decode(preds, cond, slots)
        return attrs.evolve(found, score=found.score + self.seen)


class RefinesToNothing(ToyCells):
    def refine(self, x: Tensor, pred: Prediction, slots: Slots, noise: Noise) -> Tensor:
        return x / 0


class AveragesSteps(ToyCells):
    def decode(self, preds: Sequence[Prediction], cond: Condition, slots: Slots) -> Candidates:
        longest = torch.arange(slots.mask.shape[1])[None, :, None]
        worse = [Prediction(pred.x0 + longest * step) for step, pred in enumerate(preds)]
        return super().decode(worse, cond, slots)


class DividesByMoments(ToyCells):
    def loss(self, pred: Prediction, x0: Tensor, slots: Slots, rows: Rows) -> dict[str, Tensor]:
        counts = torch.tensor([len(moments) for moments in rows.moments])
        return {name: value / counts for name, value in super().loss(pred, x0, slots, rows).items()}


class RegressesPlaceholders(ToySpans):
    def loss(self, pred: Prediction, x0: Tensor, slots: Slots, rows: Rows) -> dict[str, Tensor]:
        return super().loss(pred, x0, slots, rows) | {"l1": (pred.x0 - x0).abs().mean((1, 2))}


class WorstFirst(ToyCells):
    def decode(self, preds: Sequence[Prediction], cond: Condition, slots: Slots) -> Candidates:
        found = super().decode(preds, cond, slots)
        return attrs.evolve(found, score=-found.score)


class OutsideTheVideo(ToySpans):
    def decode(self, preds: Sequence[Prediction], cond: Condition, slots: Slots) -> Candidates:
        found = super().decode(preds, cond, slots)
        return attrs.evolve(found, end=found.end + 0.01)


class Reversed(ToySpans):
    def decode(self, preds: Sequence[Prediction], cond: Condition, slots: Slots) -> Candidates:
        found = super().decode(preds, cond, slots)
        return attrs.evolve(found, start=found.end, end=found.start)


class OutsideThePool(ToyCells):
    def decode(self, preds: Sequence[Prediction], cond: Condition, slots: Slots) -> Candidates:
        found = super().decode(preds, cond, slots)
        return attrs.evolve(found, place=found.place + 1)


BROKEN_TARGETS: list[tuple[str, type[Target]]] = [
    ("slots_need_no_ground_truth", NeedsTruth),
    ("slots_need_no_ground_truth", RemembersTruth),
    ("shapes_and_masks", UnmaskedX0),
    ("shapes_and_masks", LossPerBatch),
    ("natural_undoes_signal", WrongSpace),
    ("ideal_ranks_the_truth_first", OneCellLate),
    ("permuting_rows_permutes_results", CountsRows),
    ("rows_do_not_see_their_batch", LossBesideOthers),
    ("perfect_denoiser_is_a_fixed_point", RefinesToNothing),
    ("perfect_denoiser_is_a_fixed_point", AveragesSteps),
    ("no_moments_give_a_finite_loss", DividesByMoments),
    ("no_moments_give_a_finite_loss", RegressesPlaceholders),
    ("decoded_moments_are_sorted_and_inside", WorstFirst),
    ("decoded_moments_are_sorted_and_inside", OutsideTheVideo),
    ("decoded_moments_are_sorted_and_inside", Reversed),
    ("decoded_moments_are_sorted_and_inside", OutsideThePool),
]


class NoisesPadding(Gaussian):
    def corrupt(self, x0: Tensor, slots: Slots, noise: Noise, t: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        x_t, t, weight = super().corrupt(x0, slots, noise, t)
        return x_t + 0.1, t, weight


class WeighsOnce(Gaussian):
    def corrupt(self, x0: Tensor, slots: Slots, noise: Noise, t: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        x_t, t, weight = super().corrupt(x0, slots, noise, t)
        return x_t, t, weight.mean()


class NeverQuiteNoise(Gaussian):
    def corrupt(self, x0: Tensor, slots: Slots, noise: Noise, t: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        return super().corrupt(x0, slots, noise, None if t is None else 0.9 * t)


class NeverQuiteClean(Gaussian):
    def corrupt(self, x0: Tensor, slots: Slots, noise: Noise, t: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        return super().corrupt(x0, slots, noise, None if t is None else 0.1 + 0.9 * t)


class RemembersX0(OneStep):
    def corrupt(self, x0: Tensor, slots: Slots, noise: Noise, t: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        _, t, weight = super().corrupt(x0, slots, noise, t)
        return 0.01 * x0, t, weight


class AnswersWithItsState(Gaussian):
    def sample(self, denoise: Denoise, slots: Slots, target: Target, noise: Noise) -> list[Prediction]:
        answers = super().sample(denoise, slots, target, noise)
        state = 0.99 * target.space.signal(answers[-1].x0)
        return [*answers[:-1], Prediction(target.space.natural(state) * slots.mask[..., None])]


class WalksUp(Gaussian):
    def __init__(self, options: GaussianOptions) -> None:
        super().__init__(options)
        self.pairs = [*((t, after) for after, t in self.pairs[-2::-1]), (self.pairs[0][0], -1)]


class LeavesNoiseInPadding(Gaussian):
    def start(self, slots: Slots, channels: int, noise: Noise) -> tuple[Tensor, Tensor]:
        x, t = super().start(slots, channels, noise)
        return x + 0.1, t


class ReturnsTheFirst(Gaussian):
    def sample(self, denoise: Denoise, slots: Slots, target: Target, noise: Noise) -> list[Prediction]:
        return super().sample(denoise, slots, target, noise)[::-1]


class ForgetsTheLast(Gaussian):
    def sample(self, denoise: Denoise, slots: Slots, target: Target, noise: Noise) -> list[Prediction]:
        def forgetful(x_t: Tensor, t: Tensor, previous: Prediction | None = None) -> Prediction:
            return denoise(x_t, t)

        return super().sample(forgetful, slots, target, noise)


class StartsElsewhere(OneStep):
    def sample(self, denoise: Denoise, slots: Slots, target: Target, noise: Noise) -> list[Prediction]:
        x, t = self.start(slots, target.space.channels, noise)
        return [denoise(x + slots.mask[..., None], t)]


class CentresItsBatch(OneStep):
    def start(self, slots: Slots, channels: int, noise: Noise) -> tuple[Tensor, Tensor]:
        x, t = super().start(slots, channels, noise)
        return x + noise.normal(slots, channels).mean() * slots.mask[..., None], t


class CorruptsByItsBatch(OneStep):
    def corrupt(self, x0: Tensor, slots: Slots, noise: Noise, t: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        _, t, weight = super().corrupt(x0, slots, noise, t)
        return noise.normal(slots, 1).flip(0) * slots.mask[..., None], t, weight


FOUR = GaussianOptions(steps=4)
BROKEN_SAMPLERS: list[tuple[str, Sampler]] = [
    ("corrupt_and_start_keep_shapes_and_masks", NoisesPadding(FOUR)),
    ("corrupt_and_start_keep_shapes_and_masks", WeighsOnce(FOUR)),
    ("corrupt_keeps_x0_as_the_schedule_says", NeverQuiteNoise(FOUR)),
    ("corrupt_keeps_x0_as_the_schedule_says", NeverQuiteClean(FOUR)),
    ("corrupt_keeps_x0_as_the_schedule_says", RemembersX0(OneStepOptions())),
    ("perfect_denoiser_is_a_fixed_point", AnswersWithItsState(FOUR)),
    ("states_are_masked_and_time_falls", WalksUp(FOUR)),
    ("states_are_masked_and_time_falls", LeavesNoiseInPadding(FOUR)),
    ("result_is_the_last_network_call", ReturnsTheFirst(FOUR)),
    ("previous_is_the_last_answer", ForgetsTheLast(FOUR)),
    ("sampling_begins_where_start_says", StartsElsewhere(OneStepOptions())),
    ("rows_do_not_see_their_batch", CentresItsBatch(OneStepOptions())),
    ("rows_do_not_see_their_batch", CorruptsByItsBatch(OneStepOptions())),
]


class MisstatesWidths(ToyEncoder):
    def __init__(self, options: ToyNetworkOptions, inputs: Inputs) -> None:
        super().__init__(options, inputs)
        self.widths = {**self.widths, "frames": 9}


class GivesMore(ToyEncoder):
    def join(self, encoded: Mapping[str, Mapping[str, Tensor]], index: Index) -> Condition:
        cond = super().join(encoded, index)
        return Condition({**cond.feats, "surplus": cond.feats["clip"]}, cond.rows)


class NormalizesItsBatch(ToyEncoder):
    def join(self, encoded: Mapping[str, Mapping[str, Tensor]], index: Index) -> Condition:
        cond = super().join(encoded, index)
        return Condition({**cond.feats, "frames": cond.feats["frames"] / cond.feats["clips"].max()}, cond.rows)


class CountsPadding(ToyEncoder):
    def encode(self, side: str, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        return super().encode(side, x, torch.ones_like(mask) if side == "text" else mask)


class HasAnIdleLayer(ToyEncoder):
    def __init__(self, options: ToyNetworkOptions, inputs: Inputs) -> None:
        super().__init__(options, inputs)
        self.idle = nn.Linear(2, 2)


class LearnsNothing(ToyEncoder):
    def encode(self, side: str, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in super().encode(side, x, mask).items()}


BROKEN_ENCODERS: list[tuple[str, type[ToyEncoder]]] = [
    ("condition_is_what_widths_says", MisstatesWidths),
    ("condition_is_what_widths_says", GivesMore),
    ("rows_do_not_see_their_batch", NormalizesItsBatch),
    ("padding_changes_nothing", CountsPadding),
    ("every_parameter_learns", HasAnIdleLayer),
    ("every_parameter_learns", LearnsNothing),
]


class ToyVariant(ToyDenoiser):
    """What one broken denoiser changes: the noisy value on its way in."""

    def forward(
        self, x_t: Tensor, t: Tensor, cond: Condition, slots: Slots, previous: Prediction | None = None
    ) -> Prediction:
        return super().forward(self.spoil(x_t, cond, slots, previous), t, cond, slots, previous)

    def spoil(self, x_t: Tensor, cond: Condition, slots: Slots, previous: Prediction | None) -> Tensor:
        return x_t


class AnswersTwice(ToyVariant):
    def forward(
        self, x_t: Tensor, t: Tensor, cond: Condition, slots: Slots, previous: Prediction | None = None
    ) -> Prediction:
        answer = super().forward(x_t, t, cond, slots, previous)
        return Prediction(torch.cat([answer.x0, answer.x0], dim=-1))


class CentresBatch(ToyVariant):
    def spoil(self, x_t: Tensor, cond: Condition, slots: Slots, previous: Prediction | None) -> Tensor:
        real = slots.mask[..., None]
        return x_t - (x_t * real).sum() / real.sum()


class ReadsPadding(ToyVariant):
    def spoil(self, x_t: Tensor, cond: Condition, slots: Slots, previous: Prediction | None) -> Tensor:
        return x_t - x_t.mean(1, keepdim=True)


class KeepsTheFirstState(ToyVariant):
    def spoil(self, x_t: Tensor, cond: Condition, slots: Slots, previous: Prediction | None) -> Tensor:
        first: Tensor = cond.memo.setdefault("x_t", x_t)
        return first


class HidesItsPast(ToyVariant):
    reads_previous = False


class HasAnIdleHead(ToyVariant):
    def __init__(self, options: ToyNetworkOptions, site: Site) -> None:
        super().__init__(options, site)
        self.idle = nn.Linear(2, 2)


class Explodes(ToyVariant):
    def forward(
        self, x_t: Tensor, t: Tensor, cond: Condition, slots: Slots, previous: Prediction | None = None
    ) -> Prediction:
        answer = super().forward(x_t, t, cond, slots, previous)
        return Prediction((answer.x0 * 0).sqrt())


BROKEN_DENOISERS: list[tuple[str, type[ToyDenoiser]]] = [
    ("answers_have_the_shape_of_the_question", AnswersTwice),
    ("rows_do_not_see_their_batch", CentresBatch),
    ("padded_slots_are_not_read", ReadsPadding),
    ("memo_never_changes_an_answer", KeepsTheFirstState),
    ("previous_matters_only_where_it_is_read", HidesItsPast),
    ("every_parameter_learns", HasAnIdleHead),
    ("every_parameter_learns", Explodes),
]


@pytest.mark.parametrize(("law", "broken"), BROKEN_TARGETS)
def test_a_broken_target_is_caught_by_the_law_it_breaks(law: str, broken: Any) -> None:
    options = ToySpansOptions() if issubclass(broken, ToySpans) else ToyCellsOptions(lengths=8)
    with pytest.raises(LawError) as caught:
        check_target(broken(options), clips=(1, 8), only=[law])
    assert caught.value.law == law
    assert str(caught.value).startswith(f"{broken.__name__} breaks the law {law}: ")


@pytest.mark.parametrize(("law", "broken"), BROKEN_SAMPLERS)
def test_a_broken_sampler_is_caught_by_the_law_it_breaks(law: str, broken: Sampler) -> None:
    with pytest.raises(LawError) as caught:
        check_sampler(broken, only=[law])
    assert caught.value.law == law


@pytest.mark.parametrize(("law", "broken"), BROKEN_ENCODERS)
def test_a_broken_encoder_is_caught_by_the_law_it_breaks(law: str, broken: type[ToyEncoder]) -> None:
    with pytest.raises(LawError) as caught:
        check_encoder(broken(ToyNetworkOptions(), tiny.INPUTS), only=[law])
    assert caught.value.law == law


@pytest.mark.parametrize(("law", "broken"), BROKEN_DENOISERS)
def test_a_broken_denoiser_is_caught_by_the_law_it_breaks(law: str, broken: type[ToyDenoiser]) -> None:
    torch.manual_seed(0)
    denoiser = broken(ToyNetworkOptions(), Site(WIDTHS, channels=1))
    with pytest.raises(LawError) as caught:
        check_denoiser(denoiser, target=CELLS, encoder=toy_encoder(), clips=(1, 8), only=[law])
    assert caught.value.law == law


@pytest.mark.parametrize(
    ("laws", "broken"),
    [
        (TARGET_LAWS, BROKEN_TARGETS),
        (SAMPLER_LAWS, BROKEN_SAMPLERS),
        (ENCODER_LAWS, BROKEN_ENCODERS),
        (DENOISER_LAWS, BROKEN_DENOISERS),
    ],
)
def test_every_law_is_broken_by_some_part_above(laws: list[Law[Any]], broken: list[tuple[str, object]]) -> None:
    assert {law for law, _ in broken} == {one.name for one in laws}


@pytest.mark.parametrize("one", [*TARGET_LAWS, *SAMPLER_LAWS, *ENCODER_LAWS, *DENOISER_LAWS], ids=lambda one: one.name)
def test_every_law_states_itself_in_a_sentence_and_names_a_remedy(one: Law[Any]) -> None:
    assert one.statement.endswith(".")
    assert len(one.statement) > 40
    assert one.remedy.endswith(".")


# What a violation says.


def test_a_violation_names_part_law_finding_smallest_case_and_remedy() -> None:
    with pytest.raises(LawError) as caught:
        check_target(UnmaskedX0(ToyCellsOptions(lengths=24)))
    assert str(caught.value) == (
        "UnmaskedX0 breaks the law shapes_and_masks: Every value has its shape, is finite, and is zero where a slot is "
        "padding, for cut-off moments too. Found: x0 is not zero where a slot is padding. Smallest counterexample: "
        "Row(key=0, clips=1, words=1, moments=()). To do: return slots (R, M), x0 (R, M, C) multiplied with "
        "slots.mask, a loss (R,) a term, candidates (R, n) padded last."
    )


def test_a_part_that_raises_breaks_the_law_and_keeps_its_own_error() -> None:
    with pytest.raises(LawError, match="Found: it raised AttributeError: 'NoneType' object") as caught:
        check_target(NeedsTruth(ToyCellsOptions(lengths=24)))
    assert isinstance(caught.value.__cause__, AttributeError)


def test_a_law_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match=r"no such law: shapes; known: .*shapes_and_masks"):
        check_target(CELLS, only=["shapes"])


def test_a_check_leaves_a_module_in_the_mode_in_which_it_was() -> None:
    encoder, denoiser = toy_encoder().train(), toy_denoiser().eval()
    check_denoiser(denoiser, target=CELLS, encoder=encoder, examples=2)
    assert encoder.training
    assert not denoiser.training
    assert all(parameter.grad is None for parameter in denoiser.parameters())
