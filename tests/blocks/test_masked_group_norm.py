"""Group normalisation over real cells."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from framework.blocks import MaskedGroupNorm


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 3 + 1


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 999), groups=st.sampled_from([1, 2, 4, 8]))
def test_without_padding_it_is_torch_group_norm(seed: int, groups: int):
    x = drawn(seed, 3, 5, 4, 8)
    ours, theirs = MaskedGroupNorm(groups, 8), nn.GroupNorm(groups, 8)
    for norm in (ours, theirs):
        norm.weight.data, norm.bias.data = drawn(1, 8), drawn(2, 8)
    expected = theirs(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(ours(x, torch.ones(3, 5, 4, dtype=torch.bool)), expected, rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 999), extra=st.integers(1, 6))
def test_padding_changes_no_real_cell(seed: int, extra: int):
    norm, x = MaskedGroupNorm(2, 8), drawn(seed, 2, 5, 8)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    padded = torch.cat([x, 1e3 * drawn(seed + 1, 2, extra, 8)], dim=1)
    padded_mask = torch.cat([mask, torch.zeros(2, extra, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(norm(padded, padded_mask)[padded_mask], norm(x, mask)[mask])


def test_scale_and_shift_act_on_the_normalised_value():
    x, mask = drawn(0, 2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    norm, scale, shift = MaskedGroupNorm(4, 8), drawn(1, 2, 8), drawn(2, 2, 8)
    norm.weight.data, norm.bias.data = drawn(3, 8), drawn(4, 8)
    expected = norm(x, mask) * (1 + scale[:, None]) + shift[:, None]
    torch.testing.assert_close(norm(x, mask, scale, shift), expected, rtol=1e-4, atol=1e-5)


def test_a_row_without_a_real_cell_stays_finite():
    x = drawn(0, 1, 5, 8).requires_grad_()
    out = MaskedGroupNorm(2, 8)(x, torch.zeros(1, 5, dtype=torch.bool))
    out.sum().backward()
    assert out.isfinite().all()
    assert x.grad.isfinite().all()


def test_half_precision_outside_does_not_reach_the_statistics():
    x, mask = drawn(0, 1, 4000, 8) + 100, torch.ones(1, 4000, dtype=torch.bool)
    norm = MaskedGroupNorm(2, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found = norm(x, mask)
    torch.testing.assert_close(found, norm(x, mask))


def test_groups_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="3 groups for 8"):
        MaskedGroupNorm(3, 8)


def test_statistics_keep_their_digits_under_autocast() -> None:
    torch.manual_seed(0)
    norm, x, mask = MaskedGroupNorm(2, 8), 100 + torch.randn(2, 300, 8), torch.ones(2, 300, dtype=torch.bool)
    exact = norm(x, mask)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(norm(x, mask), exact, rtol=0, atol=1e-5)
