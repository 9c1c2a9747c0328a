"""The target of IoU maps."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framework.core.noise import GeneratorNoise
from framework.core.structures import Condition, Index, Prediction, Rows
from framework.errors import RecipeError
from framework.moments import iou
from plugins.ms2d.iou_maps import IouMaps, IouMapsOptions

LAYOUT = {"clips": 16, "scales": 3, "anchors": 4}
TARGET = IouMaps(IouMapsOptions(**LAYOUT))
NOISE = GeneratorNoise(torch.Generator())


def condition(clips: list[int], used: float = 1.0) -> Condition:
    """Videos of that many map clips, which together last the fraction ``used`` of the extent."""
    lengths = torch.tensor(clips)
    return Condition({"clips": lengths, "clip": used / lengths}, len(clips))


def rows(*moments: list[tuple[float, float]]) -> Rows:
    place = torch.arange(len(moments))
    tensors = [torch.tensor([[0, start, end, 1] for start, end in each]).reshape(-1, 4) for each in moments]
    return Rows(Index(place, place[:, None], place), tensors)


def brute_force(clips: int, moments: list[tuple[float, float]], scales: int = 3, anchors: int = 4) -> Tensor:
    """Equation 1 of the paper, cell by cell, in fractions of the video."""
    values = []
    for scale in range(scales):
        for row in range(16 >> scale):
            for anchor in range(anchors):
                start, end = row * 2**scale, (row + anchor + 1) * 2**scale
                overlaps = [
                    max(0.0, min(end / clips, e) - max(start / clips, s))
                    / (max(end / clips, e) - min(start / clips, s))
                    for s, e in moments
                ]
                values.append(max(overlaps, default=0.0) if end <= clips else 0.0)
    return torch.tensor(values)


moment = st.tuples(st.floats(-0.3, 1.2), st.floats(0.05, 1)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@settings(deadline=None, max_examples=20)
@given(clips=st.integers(1, 16), moments=st.lists(moment, max_size=3))
def test_each_cell_holds_its_best_iou_with_the_moments(clips: int, moments: list[tuple[float, float]]):
    slots = TARGET.slots(condition([clips]), None)
    x0 = TARGET.encode(rows(moments), slots, NOISE)
    torch.testing.assert_close(x0[0, :, 0], brute_force(clips, moments), rtol=0, atol=1e-5)


def test_a_row_without_moments_is_zero():
    slots = TARGET.slots(condition([16, 16]), None)
    x0 = TARGET.encode(rows([], [(0.1, 0.4)]), slots, NOISE)
    assert not x0[0].any()
    assert x0[1].any()


def test_a_full_video_at_full_size_has_904_392_and_136_cells():
    target = IouMaps(IouMapsOptions())
    slots = target.slots(condition([64]), None)
    assert [int(mask.sum()) for mask in slots.split(slots.mask)] == [904, 392, 136]
    assert slots.shapes == ((64, 16), (32, 16), (16, 16))


def test_map_k_is_the_finest_full_map_at_every_second_to_the_k_row_and_column():
    full = IouMaps(IouMapsOptions(clips=16, scales=1, anchors=16))
    asked = rows([(0.23, 0.61)])
    dense = full.encode(asked, full.slots(condition([16]), None), NOISE).reshape(16, 16)
    slots = TARGET.slots(condition([16]), None)
    for scale, grid in enumerate(slots.split(TARGET.encode(asked, slots, NOISE))):
        step = 2**scale
        torch.testing.assert_close(grid[0, ..., 0], dense[::step, step - 1 :: step][:, :4])


def test_maps_equal_those_of_the_authors_of_ms_2d_tan(shared: Path):
    records = json.loads((shared / "golden" / "tan_iou_maps.json").read_text())["records"]
    target = IouMaps(IouMapsOptions())
    for record in records:
        start, end = (time / record["duration"] for time in record["times"])
        slots = target.slots(condition([64]), None)
        x0 = target.encode(rows([(start, end)]), slots, NOISE)
        for grid, golden in zip(slots.split(x0), record["maps"], strict=True):
            torch.testing.assert_close(grid.flatten(), torch.tensor(golden["flat"]).float(), rtol=0, atol=2e-6)


def test_anchors_are_the_moments_of_the_cells_as_fractions():
    slots = TARGET.slots(condition([16, 8], used=0.5), None)
    starts = slots.split(slots.anchor)[1][:, 2, 1]
    # Map 1, row 2, column 1: clips 4 to 8, of 16 in half the first extent and of 8 in half the second.
    torch.testing.assert_close(starts, torch.tensor([[0.125, 0.25], [0.25, 0.5]]))


def test_rescaled_values_start_at_the_least_iou():
    target = IouMaps(IouMapsOptions(value="rescaled", min_iou=0.4, max_iou=0.9, **LAYOUT))
    slots, asked = TARGET.slots(condition([16]), None), rows([(0.2, 0.55)])
    plain, rescaled = (each.encode(asked, slots, NOISE) for each in (TARGET, target))
    torch.testing.assert_close(rescaled, ((plain - 0.4) / 0.5).clamp(0, 1))
    assert 0 < (rescaled > 0).sum() < (plain > 0).sum()


@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_cells_outside_the_video_cost_nothing(loss: str):
    target = IouMaps(IouMapsOptions(loss=loss, **LAYOUT))
    slots = target.slots(condition([16, 5]), None)
    asked = rows([(0.1, 0.4)], [(0.5, 1.0)])
    x0 = target.encode(asked, slots, NOISE)
    logit = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
    junk = torch.where(slots.mask[..., None], logit, logit + 7)
    costs = [
        target.loss(Prediction(x.sigmoid() if loss == "bce" else x, {"logit": x}), x0, slots, asked)[loss]
        for x in (logit, junk)
    ]
    assert costs[0].shape == (2,)
    assert torch.equal(*costs)


def test_the_loss_of_a_row_is_the_mean_over_its_cells_summed_over_scales():
    slots = TARGET.slots(condition([16, 5]), None)
    asked = rows([], [])
    x = torch.randn(2, slots.mask.shape[1], 1, generator=torch.Generator().manual_seed(0))
    found = TARGET.loss(Prediction(x), torch.zeros_like(x), slots, asked)["mse"]
    for row in range(2):
        scales = zip(slots.split(x[..., 0]), slots.split(slots.mask), strict=True)
        expected = sum(grid[row][mask[row]].square().mean() for grid, mask in scales)
        torch.testing.assert_close(found[row], expected)


@pytest.mark.parametrize("clips", [(16, 5, 9), (2, 5, 3)])
def test_the_batch_mean_is_the_authors_loss_over_all_cells_of_a_batch(clips: tuple[int, int, int]):
    target = IouMaps(IouMapsOptions(value="rescaled", loss="bce", mean="batch", **LAYOUT))
    slots = target.slots(condition(list(clips)), None)
    asked = rows([(0.1, 0.4)], [(0.5, 1.0)], [(0.0, 0.7)])
    x0 = target.encode(asked, slots, NOISE)
    logit = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
    found = target.loss(Prediction(logit.sigmoid(), {"logit": logit}), x0, slots, asked)["bce"].mean()
    score, truth = logit.sigmoid(), x0
    cross = -(truth * score.log() + (1 - truth) * (1 - score).log())[..., 0]
    scales = zip(slots.split(cross), slots.split(slots.mask), strict=True)
    torch.testing.assert_close(found, sum(grid[mask].mean() for grid, mask in scales))


def test_a_scale_without_cells_costs_nothing():
    slots = TARGET.slots(condition([1, 1]), None)
    x = torch.ones(2, slots.mask.shape[1], 1)
    for mean in ("row", "batch"):
        target = IouMaps(attrs.evolve(TARGET.options, mean=mean))
        assert target.loss(Prediction(x), torch.zeros_like(x), slots, rows([], []))["mse"].tolist() == [1, 1]


@pytest.mark.parametrize("value", ["full", "rescaled"])
@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_no_prediction_costs_less_than_the_ideal_one(value: str, loss: str):
    target = IouMaps(IouMapsOptions(value=value, loss=loss, **LAYOUT))
    slots, asked = target.slots(condition([16]), None), rows([(0.1, 0.4)])
    x0, best = target.encode(asked, slots, NOISE), target.ideal(asked, slots, NOISE)
    other = Prediction(best.x0 + 0.1, {"logit": best.heads["logit"] + 0.1})
    assert target.loss(best, x0, slots, asked)[loss] < target.loss(other, x0, slots, asked)[loss]


def test_cross_entropy_without_a_logit_says_what_to_set():
    target = IouMaps(IouMapsOptions(loss="bce", **LAYOUT))
    slots, asked = target.slots(condition([16]), None), rows([])
    x = torch.zeros(1, slots.mask.shape[1], 1)
    with pytest.raises(RecipeError, match='output = "sigmoid" in \\[denoiser\\]'):
        target.loss(Prediction(x), x, slots, asked)


@settings(deadline=None, max_examples=20)
@given(clips=st.integers(1, 16), data=st.data())
def test_the_ideal_map_ranks_a_moment_of_one_clip_or_more_first_up_to_the_ceiling(clips: int, data: st.DataObject):
    length = data.draw(st.floats(1, clips)) / clips
    start = data.draw(st.floats(0, 1 - length))
    cond, asked = condition([clips]), rows([(start, start + length)])
    slots = TARGET.slots(cond, None)
    found = TARGET.decode([TARGET.ideal(asked, slots, NOISE)], cond, slots)
    first = torch.tensor([[found.start[0, 0], found.end[0, 0]]])
    assert iou(first, torch.tensor([[start, start + length]])).item() >= TARGET.ceiling - 1e-5


def test_each_row_ranks_all_of_its_own_moments_once():
    cond = condition([16, 3, 9])
    slots = TARGET.slots(cond, None)
    x = torch.randn(3, slots.mask.shape[1], 1, generator=torch.Generator().manual_seed(0))
    found = TARGET.decode([Prediction(x)], cond, slots)
    for row, clips in enumerate((16, 3, 9)):
        anchors = slots.anchor[row][slots.mask[row]]
        ranked = torch.stack([found.start[row], found.end[row]], dim=-1)[found.mask[row]]
        assert torch.equal(ranked.unique(dim=0), anchors.unique(dim=0)), clips
        assert len(ranked) == len(ranked.unique(dim=0))
        score = found.score[row][found.mask[row]]
        assert (score.diff() <= 0).all()
        assert ranked.min() >= 0
        assert ranked.max() <= 1 + 1e-6


def test_a_moment_on_two_scales_takes_the_higher_score_even_below_zero():
    cond = condition([16])
    slots = TARGET.slots(cond, None)
    x = torch.full((1, slots.mask.shape[1], 1), -3.0)
    fine, coarse, _ = slots.split(x)
    fine[0, 2, 1], coarse[0, 1, 0] = -2.0, -1.0  # clips 2 to 4, on both maps
    found = TARGET.decode([Prediction(slots.merge([fine, coarse, x[:, -16:].reshape(1, 4, 4, 1)]))], cond, slots)
    assert (found.start[0, 0], found.end[0, 0], found.score[0, 0]) == (2 / 16, 4 / 16, -1.0)
    assert found.score[0, 1] == -3


def test_the_ranking_of_a_row_does_not_depend_on_its_batch():
    clips = [16, 3, 40]
    cond = condition(clips)
    slots = TARGET.slots(cond, None)
    # Few distinct values, so that ties have to be broken alike.
    x = torch.randint(0, 3, (3, slots.mask.shape[1], 1), generator=torch.Generator().manual_seed(0)).float()
    together = TARGET.decode([Prediction(x)], cond, slots)
    for row, n in enumerate(clips):
        single = condition([n])
        own = TARGET.slots(single, None)
        parts = zip(slots.split(x), own.shapes, strict=True)
        alone = TARGET.decode([Prediction(own.merge([g[row : row + 1, : s[0]] for g, s in parts]))], single, own)
        for name in ("start", "end", "score"):
            mine = getattr(together, name)[row][together.mask[row]]
            torch.testing.assert_close(mine, getattr(alone, name)[0][alone.mask[0]])


def test_slots_need_no_ground_truth():
    cond = condition([16, 3])
    with_rows, without = TARGET.slots(cond, rows([], [])), TARGET.slots(cond, None)
    assert torch.equal(with_rows.mask, without.mask)
    assert torch.equal(with_rows.anchor, without.anchor)


def test_the_signal_is_signed_unless_asked_otherwise():
    assert TARGET.space.signal(torch.tensor([0.0, 0.5, 1.0])).tolist() == [-1, 0, 1]
    unit = IouMaps(attrs.evolve(TARGET.options, range="unit", scale=2.0))
    assert unit.space.signal(torch.tensor([0.0, 0.5, 1.0])).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"min_iou": 1.0}, "min_iou = 1.0 must be less than max_iou = 1.0"),
        ({"clips": 8}, r"clips = 8 must hold the longest cell.* = 16"),
    ],
)
def test_options_that_contradict_each_other_are_refused(change: dict[str, float], error: str):
    with pytest.raises(ValueError, match=error):
        IouMaps(attrs.evolve(TARGET.options, **change))
