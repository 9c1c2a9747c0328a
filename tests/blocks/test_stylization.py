"""The block by which the diffusion time enters."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from framework.blocks import Stylization


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def trained(block: Stylization) -> Stylization:
    """Weights as after training: the last layer is no longer zero."""
    torch.manual_seed(0)
    nn.init.normal_(block.out[-1].weight)
    nn.init.normal_(block.out[-1].bias)
    return block


@pytest.mark.parametrize("groups", [None, 2])
def test_a_fresh_block_adds_nothing(groups: int | None):
    block = Stylization(8, 16, groups)
    x, mask = drawn(0, 3, 5, 8), torch.ones(3, 5, dtype=torch.bool)
    assert torch.equal(x + block(x, drawn(1, 3, 16), mask), x)


@pytest.mark.parametrize("groups", [None, 2])
def test_it_is_the_papers_equation_with_one_plus_lambda(groups: int | None):
    block, x, time = trained(Stylization(8, 16, groups)), drawn(0, 3, 2, 4, 8), drawn(1, 3, 16)
    plain = nn.LayerNorm(8) if groups is None else nn.GroupNorm(groups, 8)
    normal = plain(x) if groups is None else plain(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    lambda_w, lambda_b = block.project(time)[:, None, None].chunk(2, dim=-1)
    expected = block.out[-1](nn.functional.silu(normal * (1 + lambda_w) + lambda_b))
    found = block(x, time, torch.ones(3, 2, 4, dtype=torch.bool))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("groups", [None, 2])
def test_time_changes_a_trained_block(groups: int | None):
    block, x = trained(Stylization(8, 16, groups)), drawn(0, 2, 5, 8)
    mask = torch.ones(2, 5, dtype=torch.bool)
    change = block(x, drawn(1, 2, 16), mask) - block(x, drawn(2, 2, 16), mask)
    assert change.abs().amax(dim=(1, 2)).min() > 0.1


def test_dropout_acts_in_training_only():
    block, x, mask = (
        trained(Stylization(8, 16, None, dropout=0.5)),
        drawn(0, 2, 5, 8),
        torch.ones(2, 5, dtype=torch.bool),
    )
    time = drawn(1, 2, 16)
    assert not torch.equal(block(x, time, mask), block(x, time, mask))
    block.eval()
    assert torch.equal(block(x, time, mask), block(x, time, mask))
