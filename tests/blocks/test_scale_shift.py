"""Modulation by the diffusion time."""

from __future__ import annotations

import torch
from torch import Tensor

from framework.blocks import ScaleShift


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def modulation() -> ScaleShift:
    torch.manual_seed(0)
    return ScaleShift(6, 4)


def test_each_channel_is_scaled_by_one_plus_the_first_half_and_shifted_by_the_second():
    block, x, time = modulation(), drawn(0, 2, 3, 4), drawn(1, 2, 6)
    weight, bias = block.project[-1].weight, block.project[-1].bias
    for row in range(2):
        both = weight @ (time[row] * torch.sigmoid(time[row])) + bias
        torch.testing.assert_close(block(x, time)[row], x[row] * (1 + both[:4]) + both[4:])


def test_a_row_is_changed_by_its_own_time_alone():
    block, x, time = modulation(), drawn(0, 3, 5, 4), drawn(1, 3, 6)
    torch.testing.assert_close(block(x, time)[1:2], block(x[1:2], time[1:2]))


def test_without_weights_it_changes_nothing():
    block, x = modulation(), drawn(0, 2, 3, 4)
    with torch.no_grad():
        for weight in block.parameters():
            weight.zero_()
    assert torch.equal(block(x, drawn(1, 2, 6)), x)
