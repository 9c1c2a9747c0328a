from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framework.errors import UserError
from framework.targets import MapPyramid, map_rows

few = settings(deadline=None, max_examples=40)
SMALL = MapPyramid(16, 3, 4)


def golden(shared: Path, name: str) -> list[dict[str, Any]]:
    file = shared / "golden" / name
    if not file.exists():
        pytest.skip(f"no {file}")
    records: list[dict[str, Any]] = json.loads(file.read_text())["records"]
    return records


def moments_of(*moments: tuple[float, float]) -> Tensor:
    """One row with some moments."""
    return torch.tensor([moments], dtype=torch.float64)


def cell_by_cell(pyramid: MapPyramid, moments: list[tuple[float, float]], length: int) -> list[float]:
    """The maps of one row, from the definition."""
    values = []
    for scale, row, start, cells in pyramid.cells.tolist():
        end = start + cells
        inside = row + cells // 2**scale <= max(length // 2**scale, 1)
        overlaps = [max(0.0, min(end, b) - max(start, a)) for a, b in moments]
        unions = [cells + (b - a) - overlap for (a, b), overlap in zip(moments, overlaps, strict=True)]
        found = [overlap / union for overlap, union in zip(overlaps, unions, strict=True)]
        values.append(max(found, default=0.0) if inside else 0.0)
    return values


moment = st.tuples(st.floats(-8, 20), st.floats(0.125, 20)).map(lambda pair: (pair[0], pair[0] + pair[1]))
sizes = st.sampled_from([(1, 1, 1), (8, 1, 8), (16, 3, 4), (19, 3, 4), (12, 2, 5)])


@few
@given(sizes, st.lists(st.tuples(st.lists(moment, max_size=3), st.integers(1, 19)), min_size=1, max_size=3))
def test_iou_is_what_the_definition_gives_cell_by_cell(
    size: tuple[int, int, int], rows: list[tuple[list[tuple[float, float]], int]]
) -> None:
    pyramid, lengths = MapPyramid(*size), [min(length, size[0]) for _, length in rows]
    padded = torch.full((len(rows), 3, 2), float("nan"), dtype=torch.float64)
    mask = torch.zeros(len(rows), 3, dtype=torch.bool)
    for at, (moments, _) in enumerate(rows):
        mask[at, : len(moments)] = True
        padded[at, : len(moments)] = torch.tensor(moments, dtype=torch.float64).view(-1, 2)
    found = pyramid.iou(padded, mask, torch.tensor(lengths))
    expected = [cell_by_cell(pyramid, moments, length) for (moments, _), length in zip(rows, lengths, strict=True)]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-6)


@few
@given(moment, st.integers(1, 16))
def test_values_lie_between_zero_and_one(gold: tuple[float, float], length: int) -> None:
    found = SMALL.iou(moments_of(gold), None, torch.tensor([length]))
    assert ((found >= 0) & (found <= 1)).all()


@few
@given(moment)
def test_a_moment_and_its_grid_reversed_in_time_give_the_same_values(gold: tuple[float, float]) -> None:
    full = torch.tensor([16])
    forward = SMALL.merge(SMALL.iou(moments_of(gold), None, full), full)[0]
    backward = SMALL.merge(SMALL.iou(moments_of((16 - gold[1], 16 - gold[0])), None, full), full)[0]
    start, column = forward.isfinite().nonzero().unbind(1)
    torch.testing.assert_close(forward[start, column], backward[16 - start - column - 1, column], rtol=0, atol=1e-6)


@few
@given(moment)
def test_each_map_is_every_second_to_the_k_row_and_column_of_the_finest_full_map(gold: tuple[float, float]) -> None:
    full = MapPyramid(16, 1, 16).iou(moments_of(gold), None, torch.tensor([16])).view(16, 16)
    split = SMALL.iou(moments_of(gold), None, torch.tensor([16]))[0].split([rows * 4 for rows, _ in SMALL.shapes])
    for scale, values in enumerate(split):
        step = 1 << scale
        assert torch.equal(values.view(-1, 4), full[::step, step - 1 :: step][:, :4])


@few
@given(st.integers(0, 575))
def test_a_moment_on_the_grid_has_value_one_in_its_cells_alone(cell: int) -> None:
    start, length = SMALL.cells[cell % len(SMALL.cells), 2:].tolist()
    found = SMALL.iou(moments_of((start, start + length)), None, torch.tensor([16]))[0]
    own = SMALL.cells[:, 2:].eq(torch.tensor([start, length])).all(dim=1)
    assert torch.equal(found == 1, own & SMALL.mask(torch.tensor([16]))[0])


@few
@given(st.integers(0, 11), st.integers(1, 4))
def test_values_fall_with_the_distance_from_a_moment_on_the_grid(start: int, length: int) -> None:
    values = MapPyramid(16, 1, 16).iou(moments_of((start, start + length)), None, torch.tensor([16])).view(16, 16)
    shifted, longer = values[:, length - 1], values[start, : 16 - start]
    assert (shifted[: start + 1].diff() >= 0).all()
    assert (shifted[start:].diff() <= 0).all()
    assert (longer[:length].diff() > 0).all()
    assert (longer[length - 1 :].diff() < 0).all()


@few
@given(st.lists(moment, min_size=1, max_size=2), st.integers(1, 16))
def test_a_larger_map_begins_with_the_rows_of_a_smaller_one_and_adds_zeros(
    gold: list[tuple[float, float]], length: int
) -> None:
    large, lengths = MapPyramid(24, 3, 4), torch.tensor([length])
    small_values, large_values = (each.iou(moments_of(*gold), None, lengths)[0] for each in (SMALL, large))
    small_split = small_values.split([rows * 4 for rows, _ in SMALL.shapes])
    large_split = large_values.split([rows * 4 for rows, _ in large.shapes])
    for before, after in zip(small_split, large_split, strict=True):
        assert torch.equal(before, after[: len(before)])
        assert after[len(before) :].eq(0).all()


def test_a_row_of_a_batch_has_the_values_it_has_alone() -> None:
    moments = torch.tensor([[[1.0, 5.5], [9.0, 12.0]], [[2.0, 3.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    mask, lengths = torch.tensor([[True, True], [True, False], [False, False]]), torch.tensor([16, 7, 9])
    together = SMALL.iou(moments, mask, lengths)
    assert torch.equal(together[1:2], SMALL.iou(moments[1:2, :1], None, lengths[1:2]))
    assert together[2].eq(0).all()
    assert SMALL.iou(moments[:, :0], None, lengths).eq(0).all()


def test_the_valid_cells_and_distinct_moments_of_a_full_charades_video() -> None:
    """Counts of Zhang et al. 2021 settings N = 64, K = 3, A = 16, by hand: 904 + 392 + 136 cells."""
    pyramid, full = MapPyramid(64, 3, 16), torch.tensor([64])
    mask = pyramid.mask(full)
    assert [int(part.sum()) for part in mask[0].split([1024, 512, 256])] == [904, 392, 136]
    fused = pyramid.fuse(torch.ones(1, 1792), full)
    assert int(fused.isfinite().sum()) == 1104


def test_the_shortest_video_keeps_one_cell_a_scale() -> None:
    cells = SMALL.cells[SMALL.mask(torch.tensor([1]))[0]]
    assert cells.tolist() == [[0, 0, 0, 1], [1, 0, 0, 2], [2, 0, 0, 4]]


@few
@given(st.sampled_from([(16, 3, 4), (19, 3, 4), (8, 1, 8)]), st.integers(1, 19), st.integers(0, 999))
def test_merge_takes_the_largest_valid_value_of_each_moment(size: tuple[int, int, int], length: int, seed: int) -> None:
    pyramid, lengths = MapPyramid(*size), torch.tensor([min(length, size[0])])
    values = torch.randn(1, len(pyramid.cells), generator=torch.Generator().manual_seed(seed))
    expected = torch.full((size[0], size[0]), -torch.inf)
    for at in pyramid.mask(lengths)[0].nonzero().flatten().tolist():
        _, _, start, cells = pyramid.cells[at].tolist()
        expected[start, cells - 1] = max(expected[start, cells - 1].item(), values[0, at].item())
    joint = pyramid.merge(values, lengths)
    assert torch.equal(joint[0], expected)
    start, cells = pyramid.distinct.unbind(1)
    assert torch.equal(pyramid.fuse(values, lengths), joint[:, start, cells - 1])


def test_merge_keeps_maps_whose_values_are_all_negative() -> None:
    joint = SMALL.merge(torch.full((1, len(SMALL.cells)), -1.0), torch.tensor([16]))
    assert joint[joint.isfinite()].eq(-1).all()
    assert joint.isfinite().any()


def test_map_rows_follow_the_longest_video_in_whole_cells_of_the_coarsest_map() -> None:
    assert map_rows(torch.tensor([3, 60]), 64, 3) == 64
    assert map_rows(torch.tensor([3, 65]), 64, 3) == 68
    assert map_rows(torch.tensor([69]), 64, 1) == 69


def test_one_instance_serves_all_batches_of_a_size() -> None:
    assert MapPyramid.cached(16, 3, 4) is MapPyramid.cached(16, 3, 4)
    assert torch.equal(MapPyramid.cached(16, 3, 4).cells, SMALL.cells)


@pytest.mark.parametrize(("size", "longest"), [((8, 3, 4), 16), ((32, 3, 16), 64)])
def test_maps_whose_longest_cell_does_not_fit_are_refused(size: tuple[int, int, int], longest: int) -> None:
    """The two sizes that make the official recovery raise IndexError."""
    with pytest.raises(UserError, match=rf"scales - 1\) = {longest} clips, must fit in {size[0]} clips"):
        MapPyramid(*size)


@pytest.mark.parametrize("size", [(0, 1, 1), (8, 0, 1), (8, 1, 0)])
def test_empty_maps_are_refused(size: tuple[int, int, int]) -> None:
    with pytest.raises(UserError, match="each must be at least 1"):
        MapPyramid(*size)


def test_iou_maps_are_those_of_the_official_code(shared: Path) -> None:
    pyramid, full = MapPyramid(64, 3, 16), torch.tensor([64])
    for record in golden(shared, "tan_iou_maps.json"):
        clips = torch.tensor([[record["times"]]], dtype=torch.float64) * 64 / record["duration"]
        expected = torch.tensor([value for part in record["maps"] for value in part["flat"]])
        torch.testing.assert_close(pyramid.iou(clips, None, full)[0], expected, rtol=0, atol=1e-6)


def test_iou_maps_at_the_edges_are_the_official_ones_but_for_cells_past_the_end(shared: Path) -> None:
    """The official zeroing skips row 0 where a map has fewer rows than anchors; a target must be 0 there."""
    skipped = 0
    for record in golden(shared, "tan_iou_map_edges.json"):
        rows, anchors = record["num_clips"], record["num_anchors"]
        clips = torch.tensor([[record["times"]]], dtype=torch.float64) * rows / record["duration"]
        pyramid = MapPyramid(max(rows, anchors), 1, anchors)
        found = pyramid.iou(clips, None, torch.tensor([rows]))[0].view(-1, anchors)
        expected = torch.tensor(record["flat"], dtype=torch.float32).view(rows, anchors)
        skipped += int(expected[0, rows:].count_nonzero())
        expected[0, rows:] = 0
        torch.testing.assert_close(found[:rows], expected, rtol=0, atol=1e-6)
        assert found[rows:].eq(0).all()
    assert skipped > 0


def test_merged_maps_are_those_of_the_official_recovery_where_a_scale_predicts(shared: Path) -> None:
    for record in golden(shared, "tan_recover.json"):
        (clips, anchors), scales = record["sizes"][0], len(record["sizes"])
        assert [list(shape) for shape in MapPyramid(clips, scales, anchors).shapes] == record["sizes"]
        batch = record["batch"]
        values = torch.cat([torch.tensor(part).view(batch, -1) for part in record["inputs"]], dim=1)
        expected = torch.zeros(batch * clips * clips)
        for at, value in record["out_nonzero"]:
            expected[at] = value
        joint = MapPyramid(clips, scales, anchors).merge(values, torch.full((batch,), clips)).flatten()
        torch.testing.assert_close(joint[joint.isfinite()], expected[joint.isfinite()], rtol=0, atol=1e-6)
        start, column = torch.meshgrid(torch.arange(clips), torch.arange(clips), indexing="ij")
        inside = (start + column < clips).flatten().repeat(batch)
        assert torch.equal(joint.isfinite(), (expected > 0) & inside)


def test_everything_happens_on_the_device_of_the_inputs() -> None:
    """The meta device refuses to meet tensors of another one, as CUDA does, and needs no hardware."""
    lengths = torch.tensor([16, 7], device="meta")
    values = torch.zeros(2, len(SMALL.cells), device="meta")
    found = SMALL.iou(torch.zeros(2, 1, 2, device="meta"), None, lengths)
    for each in (SMALL.mask(lengths), found, SMALL.fuse(values, lengths), SMALL.merge(values, lengths)):
        assert each.is_meta


def test_fusion_passes_gradients_after_an_inference_on_the_same_maps() -> None:
    with torch.inference_mode():
        pyramid = MapPyramid(8, 2, 4)
        pyramid.fuse(torch.zeros(1, len(pyramid.cells)), torch.tensor([8]))
    values = torch.arange(float(len(pyramid.cells)))[None].requires_grad_()
    pyramid.fuse(values, torch.tensor([8]))[:, 0].sum().backward()
    assert values.grad is not None
    assert values.grad.nonzero().tolist() == [[0, 0]]
