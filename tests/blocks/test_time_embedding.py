"""The embedding of the diffusion time."""

from __future__ import annotations

import math

import pytest
import torch

from framework.blocks import TimeEmbedding
from framework.blocks.time_embedding import sinusoids


def test_cosines_come_first_and_the_first_wavelength_is_one_radian_a_timestep():
    code = sinusoids(torch.tensor([0.002]), width=4)
    expected = [math.cos(2), math.cos(2 * 1e-2), math.sin(2), math.sin(2 * 1e-2)]
    torch.testing.assert_close(code, torch.tensor([expected]))


def test_time_zero_is_all_cosines():
    assert sinusoids(torch.zeros(1), width=6).tolist() == [[1, 1, 1, 0, 0, 0]]


def test_neighbouring_timesteps_of_a_thousand_are_told_apart():
    codes = sinusoids(torch.arange(1000) / 999, width=32)
    assert torch.cdist(codes, codes).fill_diagonal_(1).min() > 0.1


def test_a_row_is_embedded_alone():
    torch.manual_seed(0)
    embed = TimeEmbedding(8, 16)
    t = torch.tensor([0.1, 0.5, 1.0])
    torch.testing.assert_close(embed(t)[1:2], embed(t[1:2]))
    assert embed(t).shape == (3, 16)


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match="even width; got 7"):
        TimeEmbedding(7, 16)
