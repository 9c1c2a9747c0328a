from __future__ import annotations

import torch
from torch import Tensor

from framework.core.noise import KeyedNoise
from framework.core.structures import Prediction
from framework.samplers import OneStep, OneStepOptions
from framework.testing import check_sampler, tiny
from framework.testing.toys import ToyCells, ToyCellsOptions, ToySpans, ToySpansOptions

TARGET = ToyCells(ToyCellsOptions(lengths=8))
PROCESS = OneStep(OneStepOptions())


def test_the_one_step_process_keeps_every_law_of_samplers() -> None:
    check_sampler(PROCESS, examples=10)
    check_sampler(PROCESS, target=ToySpans(ToySpansOptions()), examples=5)


def test_corrupt_forgets_x0_whatever_time_is_asked_for() -> None:
    case = tiny.case(videos=2, clips=6)
    slots = TARGET.slots(tiny.condition(TARGET, case), None)
    x0 = TARGET.space.signal(TARGET.encode(tiny.rows(case), slots, KeyedNoise(0, torch.arange(2))))
    for t in (None, torch.tensor([0.0, 0.5])):
        x_t, time, weight = PROCESS.corrupt(x0, slots, KeyedNoise(0, torch.arange(2)), t)
        assert torch.equal(x_t, torch.zeros_like(x0))
        assert time.tolist() == weight.tolist() == [1.0, 1.0]


def test_the_network_is_called_once_on_zeros_at_the_noisy_end() -> None:
    slots = TARGET.slots(tiny.condition(TARGET, 2), None)
    calls: list[tuple[Tensor, Tensor, Prediction | None]] = []

    def network(x_t: Tensor, t: Tensor, previous: Prediction | None = None) -> Prediction:
        calls.append((x_t, t, previous))
        return Prediction(x_t + 3)

    answers = PROCESS.sample(network, slots, TARGET, KeyedNoise(0, torch.arange(2)))
    ((x_t, t, previous),) = calls
    assert not x_t.any()
    assert x_t.shape == (*slots.mask.shape, 1)
    assert t.tolist() == [1.0, 1.0]
    assert previous is None
    assert [answer.x0.unique().tolist() for answer in answers] == [[3.0]]
