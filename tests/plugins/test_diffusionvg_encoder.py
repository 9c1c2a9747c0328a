"""The encoder of DiffusionVG, and the averaging of a video to a fixed number of clips."""

from __future__ import annotations

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framework.core.encoder import Inputs
from framework.core.structures import Condition, Index
from framework.testing import check_encoder, tiny
from plugins.diffusionvg.crop import average_to
from plugins.diffusionvg.encoder import VideoCentredEncoder, VideoCentredOptions

SMALL = VideoCentredOptions(width=8, heads=2, layers=2, ffn=12, pool_clips=6, max_words=5, word_width=4)


def encoder(options: VideoCentredOptions = SMALL, inputs: Inputs = tiny.INPUTS) -> VideoCentredEncoder:
    torch.manual_seed(0)
    return VideoCentredEncoder(options, inputs).eval()


def conditions(
    made: VideoCentredEncoder, ask: list[int], video: list[int], *, words: Tensor | None = None
) -> Condition:
    """Rows of text ``ask`` against video ``video`` of a batch of 4."""
    batch = tiny.batch(videos=4, clips=16)
    encoded = {side: made.encode(side, x, mask) for side, (x, mask) in batch.feats.items()}
    if words is not None:
        encoded["text"] = made.encode("text", words, torch.ones(words.shape[:2], dtype=torch.bool))
    return made.join(encoded, Index(torch.tensor(ask), torch.tensor(video)[:, None], torch.tensor(ask)))


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("pool_clips", [1, 6, 40])
def test_the_laws_of_encoders_hold(ids: bool, pool_clips: int) -> None:
    made = encoder(attrs.evolve(SMALL, pool_clips=pool_clips), tiny.INPUTS_OF_IDS if ids else tiny.INPUTS)
    check_encoder(made.train(), ids=ids, examples=3)


@settings(deadline=None, max_examples=40)
@given(clips=st.integers(1, 40), spare=st.integers(0, 5), bins=st.integers(1, 20))
def test_bins_are_means_between_rounded_boundaries(clips: int, spare: int, bins: int) -> None:
    x = torch.randn(1, clips + spare, 3, generator=torch.Generator().manual_seed(clips))
    found = average_to(x, torch.arange(clips + spare)[None] < clips, bins)[0]
    for place in range(bins):
        first, last = (int(edge * clips / bins + 0.5) for edge in (place, place + 1))
        middle = int((place + 0.5) * clips / bins)
        wanted = x[0, first:last].mean(0) if first < last else x[0, middle]
        torch.testing.assert_close(found[place], wanted)


def test_a_video_of_as_many_clips_as_bins_is_kept_and_of_half_as_many_is_doubled() -> None:
    x = torch.randn(2, 6, 3)
    mask = torch.arange(6) < torch.tensor([6, 3])[:, None]
    found = average_to(x, mask, 6)
    torch.testing.assert_close(found[0], x[0])
    torch.testing.assert_close(found[1], x[1, :3].repeat_interleave(2, dim=0))


def test_every_clip_of_a_longer_video_is_in_exactly_one_bin() -> None:
    mask = torch.ones(1, 23, dtype=torch.bool)
    weight = average_to(torch.eye(23)[None], mask, 7)[0]
    assert ((weight > 0).sum(dim=0) == 1).all()
    torch.testing.assert_close(weight.sum(dim=1), torch.ones(7))


def test_every_row_has_the_same_number_of_clips() -> None:
    cond = conditions(encoder(), [0, 1, 2, 3], [0, 1, 2, 3])
    assert cond.feats["clips"].tolist() == [6] * 4
    assert cond.feats["clips"].dtype == torch.long
    assert cond.feats["seq"].shape == (4, 6, 8)


def test_endpoints_tell_equal_clips_apart() -> None:
    x, mask = torch.ones(1, 8, tiny.VIDEO), torch.ones(1, 8, dtype=torch.bool)
    for endpoints in (False, True):
        made = encoder(attrs.evolve(SMALL, pool_clips=4, endpoints=endpoints))
        clips = made.encode("video", x, mask)["seq"][0]
        assert (len(clips.unique(dim=0)) == 4) == endpoints


def test_words_are_not_changed_by_the_video_and_the_video_is_by_the_words() -> None:
    made = encoder()
    own, other = conditions(made, [0, 1], [0, 1]).feats, conditions(made, [0, 1], [2, 1]).feats
    assert torch.equal(own["words"], other["words"])
    assert not torch.allclose(own["seq"][0], other["seq"][0], atol=1e-3)
    foreign = conditions(made, [3, 1], [0, 1]).feats
    assert not torch.allclose(own["seq"][0], foreign["seq"][0], atol=1e-3)
    torch.testing.assert_close(own["seq"][1], foreign["seq"][1])


def test_words_beyond_the_limit_are_cut() -> None:
    words = torch.randn(4, 9, tiny.TEXT)
    changed = torch.cat([words[:, :5], words[:, 5:] + 1], dim=1)
    found, same = (conditions(encoder(), [0, 1], [0, 1], words=given).feats for given in (words, changed))
    assert found["spoken"].tolist() == [5, 5]
    assert found["words"].shape == (2, 5, 8)
    assert torch.equal(found["seq"], same["seq"])


def test_the_order_of_words_matters() -> None:
    words = torch.randn(4, 4, tiny.TEXT)
    there, back = (conditions(encoder(), [0], [0], words=given).feats["seq"] for given in (words, words.flip(1)))
    assert not torch.allclose(there, back, atol=1e-4)


@pytest.mark.parametrize(
    ("option", "module"), [("dropout", "layers.0.clips.dropout"), ("input_dropout", "word_code.dropout")]
)
def test_each_dropout_reaches_its_place(option: str, module: str) -> None:
    made = encoder(attrs.evolve(SMALL, **{option: 0.25}))
    assert made.get_submodule(module).p == 0.25
    assert {"dropout": made.text[2].p, "input_dropout": made.video[0][1].p}[option] == 0.25


def test_the_published_width_has_as_many_weights_as_the_formula_says() -> None:
    with torch.device("meta"):
        made = VideoCentredEncoder(VideoCentredOptions(), Inputs(video=1024, text=768))
    width, ffn = 256, 1024
    layer = 2 * 4 * (width * width + width) + 3 * 2 * width + (2 * width * ffn + width + ffn)
    video = 2 * 1024 + 1024 * width + width
    words = 768 * width + width + 2 * width + 32 * width + 2 * width
    assert sum(weight.numel() for weight in made.parameters()) == 4 * layer + video + words


def test_a_head_count_that_does_not_divide_the_width_is_refused() -> None:
    with pytest.raises(ValueError, match="heads = 3 must divide width = 8"):
        encoder(attrs.evolve(SMALL, heads=3))


def test_an_odd_width_is_refused() -> None:
    with pytest.raises(ValueError, match="width = 9 must be even"):
        encoder(attrs.evolve(SMALL, width=9, heads=3))


def test_several_videos_a_row_are_refused() -> None:
    made, batch = encoder(), tiny.batch(videos=2)
    encoded = {side: made.encode(side, x, mask) for side, (x, mask) in batch.feats.items()}
    with pytest.raises(ValueError, match="one video a row; the row policy gave 2"):
        made.join(encoded, Index(torch.tensor([0]), torch.tensor([[0, 1]]), torch.tensor([0])))
