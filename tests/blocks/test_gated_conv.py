"""Gated convolution with the mask before it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from framework.blocks import GatedConv


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("gate", "gates"), [("single", 1), ("channel", 6)])
def test_it_is_relu_of_features_times_sigmoid_of_gates(gate: str, gates: int):
    torch.manual_seed(0)
    conv, x, mask = GatedConv(6, 3, gate), drawn(0, 2, 7, 4, 6), drawn(1, 2, 7, 4) > 0
    image = (x * mask[..., None]).permute(0, 3, 1, 2).contiguous()
    weight, bias = conv.conv.weight, conv.conv.bias
    assert len(weight) == 6 + gates
    feature = F.conv2d(image, weight[:6].contiguous(), bias[:6], padding=1)
    opening = F.conv2d(image, weight[6:].contiguous(), bias[6:], padding=1)
    expected = (feature.relu() * opening.sigmoid()).permute(0, 2, 3, 1)
    torch.testing.assert_close(conv(x, mask), expected)


@pytest.mark.parametrize("gate", ["single", "channel"])
def test_two_layers_let_nothing_in_from_padding_however_wide_it_is(gate: str):
    torch.manual_seed(0)
    first, second = GatedConv(4, 5, gate), GatedConv(4, 5, gate)
    x, mask = drawn(0, 1, 6, 4, 4), torch.ones(1, 6, 4, dtype=torch.bool)
    padded = torch.cat([x, 1e3 * drawn(1, 1, 5, 4, 4)], dim=1)
    padded_mask = torch.cat([mask, torch.zeros(1, 5, 4, dtype=torch.bool)], dim=1)
    found = second(first(padded, padded_mask), padded_mask)[:, :6]
    torch.testing.assert_close(found, second(first(x, mask), mask))


def test_a_layer_at_full_size_has_the_weights_of_ms_2d_tan():
    with torch.device("meta"):
        conv = GatedConv(512, 17)
    # Two such layers on three scales are MS-2D-TAN's 455,448,582 map weights.
    assert 6 * sum(weight.numel() for weight in conv.parameters()) == 455_448_582


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match=r"odd kernel.*got 4"):
        GatedConv(4, 4)
