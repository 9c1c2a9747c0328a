"""Every part of the plugin keeps the framework's laws."""

from __future__ import annotations

import attrs
import pytest
import torch

from framework.core.denoiser import Site
from framework.testing import check_denoiser, check_encoder, check_target, tiny
from plugins.ms2d.conv import ConvDenoiser, ConvOptions
from plugins.ms2d.encoder import TanEncoder, TanOptions
from plugins.ms2d.iou_maps import IouMaps, IouMapsOptions
from plugins.ms2d.transformer import TransformerDenoiser, TransformerOptions

LAYOUT = {"clips": 16, "scales": 3, "anchors": 4}
FULL = IouMapsOptions(**LAYOUT)
CONV = ConvOptions(width=8, map_width=4, kernel=3, groups=2, time_width=16, scales=3)
ATTENTION = TransformerOptions(width=8, layers=1, heads=2, ffn=12, time_width=16, **LAYOUT)


@pytest.mark.parametrize("value", ["full", "rescaled"])
@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_the_target_keeps_every_law(value: str, loss: str):
    # 16 clips is the longest cell: a longer moment has no cell of its length, which the ceiling states.
    check_target(IouMaps(attrs.evolve(FULL, value=value, loss=loss)), clips=(1, 16), examples=8)


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("pool", [1, 2])
def test_the_encoder_keeps_every_law(ids: bool, pool: int):
    torch.manual_seed(0)
    options = TanOptions(width=8, lstm_layers=1, pool=pool, **LAYOUT)
    encoder = TanEncoder(options, tiny.INPUTS_OF_IDS if ids else tiny.INPUTS)
    check_encoder(encoder, ids=ids, target=IouMaps(FULL), clips=(1, 40), examples=5)


@pytest.mark.parametrize("options", [CONV, attrs.evolve(CONV, previous=True, output="sigmoid"), ATTENTION])
def test_the_denoisers_keep_every_law(options: ConvOptions | TransformerOptions):
    torch.manual_seed(0)
    encoder = TanEncoder(TanOptions(width=8, lstm_layers=1, **LAYOUT), tiny.INPUTS)
    kind = ConvDenoiser if isinstance(options, ConvOptions) else TransformerDenoiser
    check_denoiser(kind(options, Site(encoder.widths, 1)), target=IouMaps(FULL), encoder=encoder, examples=5)
