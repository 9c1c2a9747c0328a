"""Both denoisers of IoU maps: what must hold for every variant."""

from __future__ import annotations

import attrs
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framework.core.denoiser import Denoiser, Site
from framework.core.encoder import Inputs
from framework.core.structures import Condition, Prediction, Slots
from plugins.ms2d.conv import ConvDenoiser, ConvOptions
from plugins.ms2d.encoder import TanEncoder, TanOptions
from plugins.ms2d.iou_maps import IouMaps, IouMapsOptions
from plugins.ms2d.transformer import TransformerDenoiser, TransformerOptions

LAYOUT = {"clips": 8, "scales": 2, "anchors": 4}
SITE = Site({"cells": 6, "clips": 1, "clip": 1}, channels=1)
CONV = ConvOptions(width=8, map_width=5, kernel=3, groups=2, time_width=12, scales=2)
TAN = attrs.evolve(CONV, width=6, use_map=False, stylize_fusion=False, stylize_conv=False, residual=False)
ATTENTION = TransformerOptions(width=8, layers=2, heads=2, ffn=10, time_width=12, **LAYOUT)

DIFFUSION = {
    "conv": CONV,
    "conv_channel_gate": attrs.evolve(CONV, gate="channel"),
    "conv_multiply": attrs.evolve(CONV, condition="multiply", map_width=6),
    "conv_fusion": attrs.evolve(CONV, stylize_conv=False),
    "conv_layers": attrs.evolve(CONV, stylize_fusion=False),
    "cross": ATTENTION,
    "cross_all": attrs.evolve(ATTENTION, condition="cross_all"),
    "concat": attrs.evolve(ATTENTION, condition="concat"),
}
TIMELESS = {
    "conv_timeless": attrs.evolve(CONV, stylize_fusion=False, stylize_conv=False),
    "conv_timeless_plain": attrs.evolve(CONV, stylize_fusion=False, stylize_conv=False, residual=False),
}
ALL = DIFFUSION | TIMELESS | {"tan": TAN}


def build(options: ConvOptions | TransformerOptions, *, trained: bool = True) -> Denoiser:
    """A denoiser; ``trained`` gives the weights that start at zero a value."""
    torch.manual_seed(0)
    kind = ConvDenoiser if isinstance(options, ConvOptions) else TransformerDenoiser
    denoiser = kind(options, SITE)
    for weight in denoiser.parameters() if trained else ():
        if not weight.any():
            nn.init.normal_(weight, std=0.3)
    return denoiser.eval()


def setting(clips: list[int]) -> tuple[Condition, Slots, Tensor, Tensor]:
    """Condition, slots, x_t and t of videos of that many clips; a row is the same whatever stands beside it."""
    lengths = torch.tensor(clips)
    bare = Condition({"clips": lengths, "clip": 1 / lengths}, len(clips))
    slots = IouMaps(IouMapsOptions(**LAYOUT)).slots(bare, None)
    drawn = [[torch.empty(0)] * len(clips) for _ in slots.shapes]
    for row in range(len(clips)):
        for scale, (rows, _) in enumerate(slots.shapes):
            generator = torch.Generator().manual_seed(10 * row + scale)
            drawn[scale][row] = torch.randn(64, 4, 7, generator=generator)[:rows]
    values = slots.merge([torch.stack(grids) for grids in drawn]) * slots.mask[..., None]
    cond = Condition({**bare.feats, "cells": values[..., 1:]}, len(clips))
    return cond, slots, values[..., :1], torch.linspace(1, 0.1, len(clips))


def bare(cond: Condition) -> Condition:
    """The same condition, nothing remembered."""
    return Condition(cond.feats, cond.rows)


@pytest.mark.parametrize("name", ALL)
def test_what_lies_outside_a_video_changes_nothing_inside(name: str):
    denoiser, (cond, slots, x_t, t) = build(ALL[name]), setting([8, 5, 3])
    outside = ~slots.mask[..., None]
    junk = Condition({**cond.feats, "cells": cond.feats["cells"] + 9 * outside}, cond.rows)
    with torch.no_grad():
        clean, soiled = denoiser(x_t, t, cond, slots), denoiser(x_t + 9 * outside, t, junk, slots)
    torch.testing.assert_close(clean.x0, soiled.x0, rtol=0, atol=1e-5)
    assert not clean.x0[~slots.mask].any()


@pytest.mark.parametrize("name", ALL)
def test_a_row_does_not_depend_on_the_rest_of_its_batch(name: str):
    clips = [8, 3, 20, 1, 8, 6, 2]
    denoiser, (cond, slots, x_t, t) = build(ALL[name]), setting(clips)
    with torch.no_grad():
        together = slots.split(denoiser(x_t, t, cond, slots).x0)
        for row, n in enumerate(clips):
            own = IouMaps(IouMapsOptions(**LAYOUT)).slots(
                Condition({"clips": torch.tensor([n]), "clip": torch.tensor([1 / n])}, 1), None
            )

            def alone(x: Tensor, own: Slots = own, row: int = row) -> Tensor:
                return own.merge(
                    [grid[row : row + 1, : s[0]] for grid, s in zip(slots.split(x), own.shapes, strict=True)]
                )

            single = Condition({"cells": alone(cond.feats["cells"])}, 1)
            found = denoiser(alone(x_t), t[row : row + 1], single, own).x0
            expected = own.merge([grid[row : row + 1, : s[0]] for grid, s in zip(together, own.shapes, strict=True)])
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_remembered_work_gives_the_same_answer(name: str):
    denoiser, (cond, slots, x_t, t) = build(ALL[name]), setting([8, 5])
    fresh = [denoiser(x, t, bare(cond), slots).x0 for x in (x_t, -x_t)]
    assert not cond.memo
    with torch.no_grad():
        again = [denoiser(x, t, cond, slots).x0 for x in (x_t, -x_t)]
    assert len(cond.memo) == len(denoiser.decoders)
    for first, second in zip(fresh, again, strict=True):
        torch.testing.assert_close(first, second)


def test_nothing_is_remembered_while_gradients_are_on():
    denoiser, (cond, slots, x_t, t) = build(CONV), setting([8, 5])
    with torch.no_grad():
        denoiser(x_t, t, cond, slots)
    denoiser(x_t, t, cond, slots).x0.sum().backward()
    assert all(decoder.fusion.condition.weight.grad.any() for decoder in denoiser.decoders)


@pytest.mark.parametrize("name", DIFFUSION)
def test_time_and_noisy_map_reach_the_answer(name: str):
    denoiser, (cond, slots, x_t, t) = build(DIFFUSION[name]), setting([8, 8])
    answer = denoiser(x_t, t, cond, slots).x0
    assert (denoiser(x_t, t / 2, cond, slots).x0 - answer).abs().max() > 1e-3
    assert (denoiser(-x_t, t, cond, slots).x0 - answer).abs().max() > 1e-3


@pytest.mark.parametrize("name", TIMELESS)
def test_without_stylization_time_is_gone_and_the_noisy_map_is_not(name: str):
    denoiser, (cond, slots, x_t, t) = build(TIMELESS[name]), setting([8, 8])
    answer = denoiser(x_t, t, cond, slots).x0
    assert torch.equal(denoiser(x_t, t / 2, cond, slots).x0, answer)
    assert not torch.allclose(denoiser(-x_t, t, cond, slots).x0, answer)
    assert not any("time" in weight for weight, _ in denoiser.named_parameters())


def test_without_the_map_neither_noise_nor_time_is_read():
    denoiser, (cond, slots, x_t, t) = build(TAN), setting([8, 8])
    assert torch.equal(denoiser(x_t, t, cond, slots).x0, denoiser(-x_t, t / 2, cond, slots).x0)


def test_without_the_map_it_is_the_map_module_and_head_of_ms_2d_tan():
    denoiser, (cond, slots, x_t, t) = build(attrs.evolve(TAN, output="sigmoid")), setting([8, 5])
    expected = []
    parts = zip(denoiser.decoders, slots.split(cond.feats["cells"]), slots.split(slots.mask), strict=True)
    for decoder, cells, mask in parts:
        x, real = cells.permute(0, 3, 1, 2).contiguous(), mask[:, None]
        for layer in decoder.layers:
            both = F.conv2d(x * real, layer.conv.weight.contiguous(), layer.conv.bias, padding=1)
            x = both[:, :6].relu() * both[:, 6:].sigmoid()
        score = F.conv2d(x, decoder.out.weight[..., None, None], decoder.out.bias).sigmoid() * real
        expected.append(score.permute(0, 2, 3, 1))
    torch.testing.assert_close(denoiser(x_t, t, cond, slots).x0, slots.merge(expected))


@pytest.mark.parametrize("name", DIFFUSION)
def test_a_fresh_network_is_not_yet_moved_by_time(name: str):
    denoiser, (cond, slots, x_t, t) = build(DIFFUSION[name], trained=False), setting([8, 5])
    assert torch.equal(denoiser(x_t, t, cond, slots).x0, denoiser(x_t, t / 2, cond, slots).x0)


@pytest.mark.parametrize("name", ALL)
def test_the_gradient_reaches_every_weight(name: str):
    denoiser, (cond, slots, x_t, t) = build(ALL[name]), setting([8, 8])
    answer = denoiser(x_t, t, cond, slots).x0
    (answer * torch.randn_like(answer)).sum().backward()
    assert [each for each, weight in denoiser.named_parameters() if weight.grad is None or not weight.grad.any()] == []


@pytest.mark.parametrize("options", [CONV, ATTENTION])
def test_the_previous_answer_is_read_where_wanted_and_is_zero_at_first(options: ConvOptions | TransformerOptions):
    denoiser, (cond, slots, x_t, t) = build(attrs.evolve(options, previous=True)), setting([8, 5])
    assert denoiser.reads_previous
    first = denoiser(x_t, t, cond, slots).x0
    assert torch.equal(first, denoiser(x_t, t, cond, slots, Prediction(torch.zeros_like(x_t))).x0)
    assert not torch.allclose(first, denoiser(x_t, t, cond, slots, Prediction(torch.ones_like(x_t))).x0)
    deaf = build(options)
    assert torch.equal(deaf(x_t, t, cond, slots).x0, deaf(x_t, t, bare(cond), slots, Prediction(x_t)).x0)


@pytest.mark.parametrize("options", [CONV, ATTENTION])
def test_a_sigmoid_answer_comes_with_its_logit_and_a_linear_one_without(options: ConvOptions | TransformerOptions):
    cond, slots, x_t, t = setting([8, 5])
    linear = build(options)(x_t, t, cond, slots)
    sigmoid = build(attrs.evolve(options, output="sigmoid"))(x_t, t, cond, slots)
    assert not linear.heads
    torch.testing.assert_close(sigmoid.heads["logit"][slots.mask], linear.x0[slots.mask])
    torch.testing.assert_close(sigmoid.x0[slots.mask], linear.x0[slots.mask].sigmoid())


def test_rows_past_the_window_share_the_code_of_its_last_row():
    positions = build(ATTENTION).positions
    short, long = positions(((8, 4), (4, 4))), positions(((12, 4), (6, 4)))
    assert torch.equal(long[: 8 * 4], short[: 8 * 4])
    assert torch.equal(long[8 * 4 : 9 * 4], short[7 * 4 : 8 * 4])
    assert len(short.unique(dim=0)) == len(short)


def test_the_table_of_single_scale_sequences_has_one_decoder():
    assert [len(build(DIFFUSION[name]).decoders) for name in ("cross", "cross_all", "concat")] == [2, 1, 2]


def test_ms_2d_tan_at_full_size_has_its_authors_number_of_weights():
    options = ConvOptions(use_map=False, stylize_fusion=False, stylize_conv=False, residual=False)
    with torch.device("meta"):
        encoder = TanEncoder(TanOptions(), Inputs(video=1024, text=300))
        denoiser = ConvDenoiser(options, Site(encoder.widths, 1))
    total = sum(weight.numel() for part in (encoder, denoiser) for weight in part.parameters())
    assert total == 477_885_449


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (attrs.evolve(CONV, groups=3), "groups = 3 must divide width = 8"),
        (attrs.evolve(CONV, width=9, groups=3), "width = 9 must be even"),
        (attrs.evolve(CONV, residual=False), "needs residual = true"),
        (attrs.evolve(CONV, condition="multiply"), "needs map_width = 6"),
        (attrs.evolve(CONV, use_map=False), "set stylize_fusion, stylize_conv and previous = false"),
        (attrs.evolve(TAN, width=8), "needs width = 6"),
        (attrs.evolve(ATTENTION, heads=3), "width = 8 must be a multiple of 2 \\* heads = 6"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: ConvOptions | TransformerOptions, error: str):
    with pytest.raises(ValueError, match=error):
        build(options)
