"""The encoder of MS-2D-TAN."""

from __future__ import annotations

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framework.core.encoder import Inputs
from framework.core.structures import Condition, Index
from framework.targets import MapPyramid
from plugins.ms2d.encoder import TanEncoder, TanOptions

LAYOUT = {"clips": 16, "scales": 3, "anchors": 4}
SMALL = TanOptions(width=8, lstm_layers=2, **LAYOUT)


def encoder(options: TanOptions = SMALL, inputs: Inputs | None = None) -> TanEncoder:
    torch.manual_seed(0)
    made = TanEncoder(options, inputs or Inputs(video=6, text=5))
    with torch.no_grad():
        for norm in (layer.norm for stack in made.proposals.scales for layer in stack):
            norm.running_mean.normal_()
    return made.eval()


def side(lengths: list[int], width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Items of the given lengths, padded with zeros; item i is the same whatever stands beside it."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    drawn = [torch.randn(300, width, generator=torch.Generator().manual_seed(seed + i)) for i in range(len(lengths))]
    return torch.stack(drawn)[:, : max(lengths)] * mask[..., None], mask


def index(ask: list[int], video: list[int]) -> Index:
    return Index(torch.tensor(ask), torch.tensor(video)[:, None], torch.tensor(ask))


def condition(made: TanEncoder, rows: list[int], words: list[int]) -> Condition:
    encoded = {"video": made.encode("video", *side(rows, 6)), "text": made.encode("text", *side(words, 5, seed=50))}
    everyone = list(range(len(rows)))
    return made.join(encoded, index(everyone, everyone))


def cell(scale: int, row: int, anchor: int, clips: int = 16) -> int:
    """Place of a cell among the M slots."""
    return sum((clips >> k) * 4 for k in range(scale)) + row * 4 + anchor


def test_cells_are_real_exactly_in_the_triangle_of_each_scale():
    clips = [16, 11, 5, 3, 1]
    found = condition(encoder(), clips, [3] * 5)
    assert found.feats["clips"].tolist() == clips
    for number, n in enumerate(clips):
        real = found.feats["cells"][number].any(dim=-1)
        wanted = [r + a + 1 <= n // 2**k for k in range(3) for r in range(16 // 2**k) for a in range(4)]
        assert real.tolist() == wanted


def test_real_cells_have_unit_length_or_the_root_of_the_width():
    for gain, length in (("none", 1.0), ("sqrt_width", 8**0.5)):
        cells = condition(encoder(attrs.evolve(SMALL, gain=gain)), [16, 7], [3, 4]).feats["cells"]
        lengths = cells.norm(dim=-1)[cells.any(dim=-1)]
        torch.testing.assert_close(lengths, torch.full_like(lengths, length))


def test_the_shorter_half_of_a_coarse_map_is_copied_from_the_finer_one():
    cells = condition(encoder(), [16], [3]).feats["cells"][0]
    for scale in (1, 2):
        for row in range(16 >> scale):
            for anchor in range(2):
                copied = cells[cell(scale - 1, 2 * row, 2 * anchor + 1)]
                assert torch.equal(cells[cell(scale, row, anchor)], copied)


@settings(deadline=None, max_examples=15)
@given(place=st.integers(0, 111), clip=st.integers(0, 15))
def test_a_cell_sees_exactly_the_clips_of_its_moment(place: int, clip: int):
    _, _, start, length = MapPyramid(**LAYOUT).cells[place].tolist()
    made, (x, mask) = encoder(), side([16], 6)
    changed = x.clone()
    changed[0, clip] += 1
    maps = [
        torch.cat([made.encode("video", v, mask)[f"map{k}"].flatten(1, 2) for k in range(3)], 1) for v in (x, changed)
    ]
    same = torch.equal(maps[0][0, place], maps[1][0, place])
    outside_map = start + length > 16
    assert same == (outside_map or not start <= clip < start + length)


def test_a_row_does_not_depend_on_the_rest_of_its_batch():
    made, rows, words = encoder(), [16, 40, 3, 9, 25, 1, 16], [3, 9, 1, 4, 2, 6, 5]
    together = condition(made, rows, words).feats
    for number in range(7):
        video, text = side(rows, 6), side(words, 5, seed=50)
        encoded = {
            "video": made.encode("video", *(part[number : number + 1, : rows[number]] for part in video)),
            "text": made.encode("text", *(part[number : number + 1, : words[number]] for part in text)),
        }
        alone = made.join(encoded, index([0], [0])).feats
        real = together["cells"][number].any(dim=-1)
        own = alone["cells"][0].any(dim=-1)
        assert real.sum() == own.sum()
        torch.testing.assert_close(together["cells"][number][real], alone["cells"][0][own], rtol=0, atol=1e-5)
        assert together["clip"][number] == alone["clip"][0]


def test_maps_grow_with_the_longest_video_asked_and_are_cropped_to_it():
    made = encoder()
    encoded = {"video": made.encode("video", *side([16, 37, 5], 6)), "text": made.encode("text", *side([2] * 3, 5))}
    assert encoded["video"]["map0"].shape == (3, 40, 4, 8)
    assert made.join(encoded, index([0, 1], [0, 1])).feats["cells"].shape == (2, (40 + 20 + 10) * 4, 8)
    assert made.join(encoded, index([0, 2], [0, 2])).feats["cells"].shape == (2, (16 + 8 + 4) * 4, 8)


def test_several_queries_may_ask_one_video():
    made = encoder()
    encoded = {"video": made.encode("video", *side([16, 9], 6)), "text": made.encode("text", *side([2, 3, 4], 5))}
    found = made.join(encoded, index([0, 1, 2], [1, 0, 1])).feats
    assert found["clips"].tolist() == [9, 16, 9]
    assert not torch.allclose(found["cells"][0], found["cells"][2])


def test_pooling_averages_whole_windows_and_drops_the_rest():
    made = encoder(attrs.evolve(SMALL, pool=3, clips=8, scales=2))
    x, mask = side([14], 6)
    changed = x.clone()
    changed[0, 12:] += 1
    before, after = (made.encode("video", features, mask) for features in (x, changed))
    assert before["clips"].tolist() == [4]
    assert before["clip"].item() == pytest.approx(3 / 14)
    assert torch.equal(before["map0"], after["map0"])
    pooled = made._pool(x, mask, 8, before["clips"])
    expected = made.clip(x[0, 3:6]).relu().mean(dim=0)
    torch.testing.assert_close(pooled[0, 1], expected)


def test_a_video_shorter_than_one_window_keeps_one_clip_that_is_all_of_it():
    made = encoder(attrs.evolve(SMALL, pool=3, clips=8, scales=2))
    x, mask = side([2, 24], 6)
    encoded = made.encode("video", x, mask)
    assert encoded["clips"].tolist() == [1, 8]
    assert encoded["clip"].tolist() == [1, pytest.approx(1 / 8)]
    pooled = made._pool(x, mask, 8, encoded["clips"])
    torch.testing.assert_close(pooled[0, 0], made.clip(x[0, :2]).relu().mean(dim=0))


def test_a_longest_cell_that_does_not_fit_the_window_is_refused():
    with pytest.raises(ValueError, match=r"clips = 8 must hold the longest cell.* = 16"):
        encoder(attrs.evolve(SMALL, clips=8))


def test_word_ids_are_embedded():
    made = encoder(inputs=Inputs(video=6, vocabulary=20))
    ids = torch.tensor([[4, 5, 0], [7, 8, 9]])
    sentences = made.encode("text", ids, ids > 0)["sentence"]
    torch.testing.assert_close(sentences[:1], made.encode("text", ids[:1, :2], ids[:1, :2] > 0)["sentence"])


def test_masked_statistics_ignore_padding_and_the_papers_do_not():
    found = {}
    for norm in ("batch", "masked"):
        for clips in (16, 24):
            made = encoder(attrs.evolve(SMALL, norm=norm, clips=clips)).train()
            maps = made.encode("video", *side([12, 9, 7], 6))
            found[norm, clips] = torch.cat([maps[f"map{k}"][:, : 16 >> k].flatten(1) for k in range(3)], dim=1)
    torch.testing.assert_close(found["masked", 16], found["masked", 24], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found["batch", 16], found["batch", 24], atol=1e-3)


@pytest.mark.parametrize("norm", ["batch", "masked"])
def test_a_training_batch_of_one_video_works(norm: str):
    made = encoder(attrs.evolve(SMALL, norm=norm)).train()
    maps = made.encode("video", *side([16], 6))
    assert all(maps[f"map{k}"].isfinite().all() for k in range(3))


def test_the_gradient_reaches_every_weight():
    made = encoder(inputs=Inputs(video=6, vocabulary=20)).train()
    ids = torch.tensor([[4, 5, 0], [7, 8, 9]])
    encoded = {"video": made.encode("video", *side([16, 16], 6)), "text": made.encode("text", ids, ids > 0)}
    cells = made.join(encoded, index([0, 1], [0, 1])).feats["cells"]
    (cells * torch.randn_like(cells)).sum().backward()
    # A bias before batch normalisation cancels, so its gradient is rounding error.
    idle = [n for n, w in made.named_parameters() if not w.grad.any() and not n.endswith("conv.bias")]
    assert idle == []


def test_a_full_size_encoder_has_the_weights_of_ms_2d_tan():
    with torch.device("meta"):
        made = TanEncoder(TanOptions(), Inputs(video=1024, text=300))
    parts = {"clip": 0, "proposals": 0, "sentence.lstm": 0, "sentence.project": 0, "project": 0}
    for name, weight in made.named_parameters():
        parts[next(part for part in parts if name.startswith(part + "."))] += weight.numel()
    # Counted on the authors' network, Charades I3D configuration.
    assert list(parts.values()) == [524_800, 17_088_512, 4_296_704, 262_656, 262_656]


def test_several_videos_a_row_are_refused():
    made = encoder()
    encoded = {"video": made.encode("video", *side([16, 9], 6)), "text": made.encode("text", *side([2], 5))}
    with pytest.raises(ValueError, match="one video a row; the row policy gave 2"):
        made.join(encoded, Index(torch.tensor([0]), torch.tensor([[0, 1]]), torch.tensor([0])))


def test_odd_anchors_with_several_scales_are_refused():
    with pytest.raises(ValueError, match="anchors = 3 must be even"):
        TanEncoder(attrs.evolve(SMALL, anchors=3), Inputs(video=6, text=5))
