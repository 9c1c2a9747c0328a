from __future__ import annotations

import attrs
import pytest
import torch

from framework.core.part import KINDS
from framework.core.post import PostProcessor
from framework.core.structures import Candidates
from framework.errors import UserError
from framework.moments import iou
from framework.post import PARTS, Nms, NmsOptions, SoftNms, SoftNmsOptions, Top, TopOptions

ALL: list[PostProcessor] = [Nms(NmsOptions()), SoftNms(SoftNmsOptions()), Top(TopOptions())]
each = pytest.mark.parametrize("post", ALL, ids=lambda post: type(post).__name__)


def candidates(rows: int = 3, n: int = 20, seed: int = 0) -> Candidates:
    """Random candidates in seconds as the engine hands them over; the last row is all padding, the one before half."""
    generator = torch.Generator().manual_seed(seed)
    start = torch.rand(rows, n, generator=generator) * 30
    end = start + torch.rand(rows, n, generator=generator) * 15
    score = torch.rand(rows, n, generator=generator).sort(dim=1, descending=True).values
    real = torch.tensor([n] * (rows - 2) + [n // 2, 0])
    mask = torch.arange(n) < real[:, None]
    place = torch.randint(0, 2, (rows, n), generator=generator)
    return Candidates(place, start, end, score.masked_fill(~mask, -torch.inf), mask)


def row_of(found: Candidates, row: int) -> Candidates:
    return Candidates(*(field[row : row + 1] for field in attrs.astuple(found, recurse=False)))


def triples(found: Candidates) -> list[list[tuple[float, ...]]]:
    """Place, start and end of the real candidates of each row."""
    table = torch.stack([found.place.float(), found.start, found.end], dim=-1)
    return [[tuple(line) for line in table[row][found.mask[row]].tolist()] for row in range(len(table))]


@each
def test_at_most_five_of_the_given_moments_come_back_best_first_with_padding_last(post: PostProcessor) -> None:
    given = candidates()
    found = post(given)
    assert found.mask.shape == (3, 5)
    assert (found.mask.long().diff(dim=1) <= 0).all()
    assert found.mask.sum(dim=1).tolist()[0] == 5
    assert not found.mask[2].any()
    for row, kept in enumerate(triples(found)):
        assert set(kept) <= set(triples(given)[row])
        assert (found.score[row][found.mask[row]].diff() <= 0).all()


@each
def test_a_row_does_not_depend_on_its_batch_or_padding(post: PostProcessor) -> None:
    given, together = candidates(), post(candidates())
    for row in range(3):
        assert triples(post(row_of(given, row))) == [triples(together)[row]]
    wider = Candidates(*(torch.cat([field, field[:, :4]], 1) for field in attrs.astuple(given, recurse=False)))
    wider.mask[:, -4:] = False
    assert triples(post(wider)) == triples(together)


@each
def test_no_number_that_comes_back_is_undefined_unless_the_engine_gave_it(post: PostProcessor) -> None:
    for field in attrs.astuple(post(candidates()), recurse=False):
        assert not field.isnan().any()


@each
def test_the_rule_states_what_is_done_and_how_many_are_kept(post: PostProcessor) -> None:
    assert "first 5 kept" in post.rule
    assert "\n" not in post.rule


def spans_of(*spans: tuple[float, float], place: list[int] | None = None) -> Candidates:
    table, n = torch.tensor([spans]), len(spans)
    where = torch.tensor([place or [0] * n])
    score = torch.linspace(1, 0.5, n)[None]
    return Candidates(where, table[..., 0], table[..., 1], score, torch.ones(1, n, dtype=torch.bool))


def test_nms_drops_above_its_threshold_and_keeps_at_it() -> None:
    given = spans_of((0, 10), (0, 5), (0, 5.5), (30, 40))
    assert triples(Nms(NmsOptions(threshold=0.5, top=5))(given)) == [[(0, 0, 10), (0, 0, 5), (0, 30, 40)]]
    assert "is > 0.5" in Nms(NmsOptions(threshold=0.5)).rule


def test_nms_leaves_no_two_moments_of_a_video_that_overlap_by_more_than_the_threshold() -> None:
    found = Nms(NmsOptions(top=20))(candidates())
    spans = torch.stack([found.start, found.end], dim=-1)
    same = found.place[:, :, None] == found.place[:, None]
    pairs = found.mask[:, :, None] & found.mask[:, None] & same & ~torch.eye(20, dtype=torch.bool)
    assert pairs.any()
    assert (iou(spans, spans)[pairs] <= 0.49).all()


@pytest.mark.parametrize("post", ALL[:2], ids=["Nms", "SoftNms"])
def test_equal_moments_of_different_videos_do_not_suppress_each_other(post: PostProcessor) -> None:
    found = post(spans_of((0, 10), (0, 10), place=[0, 1]))
    assert triples(found) == [[(0, 0, 10), (1, 0, 10)]]
    assert found.score.tolist() == [[1.0, 0.5]]


def test_soft_nms_ranks_a_distinct_moment_above_a_better_duplicate() -> None:
    found = SoftNms(SoftNmsOptions(sigma=0.1, top=3))(spans_of((0, 10), (0, 10), (30, 40)))
    assert triples(found) == [[(0, 0, 10), (0, 30, 40), (0, 0, 10)]]


def test_soft_nms_refuses_scores_below_zero() -> None:
    given = spans_of((0, 10), (20, 30))
    given.score[0, 1] = -0.1
    with pytest.raises(UserError, match="at least 0"):
        SoftNms(SoftNmsOptions())(given)


def test_top_keeps_overlapping_moments() -> None:
    given = spans_of((0, 10), (0, 10), (0, 9))
    assert triples(Top(TopOptions(top=2))(given)) == [[(0, 0, 10), (0, 0, 10)]]


def test_every_part_builds_with_its_defaults_and_describes_itself() -> None:
    assert sorted(part.name for part in PARTS) == ["nms", "soft_nms", "top"]
    for part in PARTS:
        assert part.kind == "post"
        assert part.kind in KINDS
        assert part.summary
        assert isinstance(part.factory(part.options()), PostProcessor)


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [(NmsOptions, "threshold", 1.5), (NmsOptions, "top", 0), (SoftNmsOptions, "sigma", 0.0), (TopOptions, "top", 0)],
)
def test_values_out_of_range_break_a_stated_rule(options: type, name: str, value: float) -> None:
    rule = attrs.fields_dict(options)[name].metadata["rule"]
    assert rule(value).startswith("must be")
    assert rule(attrs.fields_dict(options)[name].default) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@each
def test_results_stay_on_the_device_and_agree_with_the_cpu(post: PostProcessor) -> None:
    given = candidates()
    moved = Candidates(*(field.cuda() for field in attrs.astuple(given, recurse=False)))
    found = post(moved)
    assert found.start.is_cuda
    back = Candidates(*(field.cpu() for field in attrs.astuple(found, recurse=False)))
    assert triples(back) == triples(post(given))
