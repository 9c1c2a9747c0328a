"""The joint encoder of DiffusionVMR."""

from __future__ import annotations

import attrs
import pytest
import torch
from torch import Tensor, nn

from framework.blocks import clip_code
from framework.core.encoder import Inputs
from framework.core.structures import Condition, Index, Rows
from framework.targets import contrast, extremes, hinge
from framework.testing import check_encoder, tiny
from plugins.diffusionvmr.joint import JointEncoder, JointOptions

SMALL = JointOptions(width=8, layers=2, heads=2, ffn=12, word_width=6)
LABELS = attrs.evolve(tiny.INPUTS, saliency=True)

SETTINGS: dict[str, tuple[JointOptions, Inputs]] = {
    "vectors": (SMALL, tiny.INPUTS),
    "ids": (SMALL, tiny.INPUTS_OF_IDS),
    "labels": (attrs.evolve(SMALL, saliency="labels"), LABELS),
    "contrast alone": (attrs.evolve(SMALL, saliency="none"), tiny.INPUTS),
    "hinge alone": (attrs.evolve(SMALL, contrast=False), tiny.INPUTS),
    "no scores": (attrs.evolve(SMALL, saliency="none", contrast=False), tiny.INPUTS),
    "no endpoints, few words": (attrs.evolve(SMALL, endpoints=False, max_words=2, input_layers=1), tiny.INPUTS),
}


def encoder(options: JointOptions = SMALL, inputs: Inputs = tiny.INPUTS) -> JointEncoder:
    torch.manual_seed(0)
    return JointEncoder(options, inputs).eval()


def encoded_of(made: JointEncoder, case: tiny.Case, *, ids: bool = False) -> dict[str, dict[str, Tensor]]:
    return {side: made.encode(side, x, mask) for side, (x, mask) in tiny.collate(case, ids=ids).feats.items()}


def condition(made: JointEncoder, case: tiny.Case) -> Condition:
    return made.join(encoded_of(made, case), tiny.rows(case).index)


def own_loss(made: JointEncoder, case: tiny.Case, saliency: list[Tensor] | None = None) -> dict[str, Tensor]:
    rows, encoded = attrs.evolve(tiny.rows(case), saliency=saliency), encoded_of(made, case)
    return made.loss(made.join(encoded, rows.index), rows, encoded)


CASE = (tiny.Row(1, clips=8), tiny.Row(2, clips=5, words=5), tiny.Row(3, clips=6, moments=()))


@pytest.mark.parametrize("name", SETTINGS)
def test_the_laws_hold(name: str):
    options, inputs = SETTINGS[name]
    check_encoder(JointEncoder(options, inputs), ids=inputs.text is None, examples=5)


def test_one_pass_is_what_pytorchs_post_norm_layers_give_with_codes_in_queries_and_keys():
    made = encoder(attrs.evolve(SMALL, layers=1))
    layer, encoded = made.layers[0], encoded_of(made, CASE[:1])
    x = torch.cat([encoded["video"]["seq"], encoded["text"]["words"]], dim=1)
    code = torch.cat([clip_code(torch.tensor([8]), 8, 8), torch.zeros(1, 3, 8)], dim=1)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True)
    parts = [getattr(layer.attention, part) for part in ("query", "key", "value")]
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.weight.copy_(layer.attention.out.weight)
        theirs.out_proj.bias.copy_(layer.attention.out.bias)
    x = layer.ffn(layer.attention.norm(x + theirs(x + code, x + code, x)[0]))
    found = condition(made, CASE[:1]).feats
    torch.testing.assert_close(torch.cat([found["seq"], found["words"]], dim=1), x)
    torch.testing.assert_close(found["saliency"], made.saliency(x[:, :8]))


def test_features_are_zero_at_padding_and_counts_say_where_it_starts():
    found = condition(encoder(), CASE).feats
    assert found["clips"].tolist() == [8, 5, 6]
    assert found["spoken"].tolist() == [3, 5, 3]
    for name, counts in (("seq", [8, 5, 6]), ("words", [3, 5, 3]), ("saliency", [8, 5, 6])):
        for row, count in enumerate(counts):
            assert found[name][row, :count].any()
            assert not found[name][row, count:].any()


def test_clips_read_words_and_words_read_clips():
    made, changed = encoder(), (attrs.evolve(CASE[0], words=4), *CASE[1:])
    seq = [condition(made, case).feats["seq"][0] for case in (CASE, changed)]
    assert (seq[0] - seq[1]).abs().max() > 1e-3
    encoded = encoded_of(made, CASE)
    swapped = Index(torch.tensor([0]), torch.tensor([[1]]), torch.tensor([0]))
    words = made.join(encoded, swapped).feats["words"][0]
    assert (words[:3] - condition(made, CASE).feats["words"][0, :3]).abs().max() > 1e-3


def test_clips_of_equal_features_are_told_apart_by_code_and_endpoints():
    for endpoints in (True, False):
        made = encoder(attrs.evolve(SMALL, endpoints=endpoints))
        equal, mask = torch.ones(1, 4, tiny.VIDEO), torch.ones(1, 4, dtype=torch.bool)
        clips = made.encode("video", equal, mask)
        assert (torch.pdist(clips["seq"][0]).min() > 1e-4) == endpoints
        words = made.encode("text", torch.ones(1, 2, tiny.TEXT), torch.ones(1, 2, dtype=torch.bool))
        one = torch.zeros(1, dtype=torch.long)
        joined = made.join({"video": clips, "text": words}, Index(one, one[:, None], one)).feats
        assert torch.pdist(joined["seq"][0]).min() > 1e-4
        # Words have no code: two equal ones stay equal.
        torch.testing.assert_close(joined["words"][0, 0], joined["words"][0, 1])


def test_words_past_max_words_are_not_read():
    made = encoder(attrs.evolve(SMALL, max_words=2))
    x, mask = tiny.collate(CASE).feats["text"]
    encoded = made.encode("text", x, mask)
    assert encoded["words"].shape[1] == 2
    assert encoded["spoken"].tolist() == [2, 2, 2]
    assert torch.equal(encoded["words"], made.encode("text", x[:, :2], mask[:, :2])["words"])


def test_several_queries_may_ask_one_video_and_the_longest_asked_decides_the_length():
    made = encoder()
    encoded = encoded_of(made, CASE)
    found = made.join(encoded, Index(torch.tensor([0, 1]), torch.tensor([[1], [1]]), torch.tensor([0, 1]))).feats
    assert found["clips"].tolist() == [5, 5]
    assert found["seq"].shape == (2, 5, 8)


def test_several_videos_a_row_are_refused():
    made = encoder()
    with pytest.raises(ValueError, match="one video a row; the row policy gave 2"):
        made.join(encoded_of(made, CASE), Index(torch.tensor([0]), torch.tensor([[0, 1]]), torch.tensor([0])))


def test_there_is_a_score_a_clip_only_where_a_loss_reads_it():
    without = encoder(SETTINGS["no scores"][0])
    assert "saliency" not in without.provides
    assert without.saliency is None
    assert own_loss(without, CASE) == {}
    terms = {
        name: set(own_loss(encoder(*SETTINGS[name]), CASE)) for name in ("vectors", "contrast alone", "hinge alone")
    }
    assert terms == {"vectors": {"hinge", "contrast"}, "contrast alone": {"contrast"}, "hinge alone": {"hinge"}}


def test_the_hinge_counts_twice_and_compares_clips_inside_and_outside_the_moments():
    made = encoder(attrs.evolve(SMALL, margin=0.7))
    scores = condition(made, CASE).feats["saliency"][..., 0]
    # Middles of the second video's 5 clips are 0.1, 0.3, 0.5, 0.7, 0.9; its moment is [0.25, 0.75].
    clip = torch.arange(8)[None]
    high, low = (clip >= 1) & (clip < 4), (clip == 0) | (clip == 4)
    found = own_loss(made, CASE)["hinge"]
    torch.testing.assert_close(found[1:2], 2 * hinge(scores[1:2], high, low, 0.7))
    assert found[2] == 0


def test_labels_add_the_highest_against_the_lowest_in_equal_share():
    made, windows = encoder(*SETTINGS["labels"]), encoder()
    scores = condition(made, CASE).feats["saliency"][..., 0]
    # Labels of the first video's 8 clips: 1 at clips 0 and 1, 4 at clips 4 and 5, 2 at clip 6.
    first = torch.tensor([(0, 0.0, 0.25, 1.0), (0, 0.5, 0.75, 4.0), (0, 0.75, 0.875, 2.0)])
    labels = [first, torch.zeros(0, 4), torch.zeros(0, 4)]
    clip = torch.arange(8)[None]
    pairs = hinge(scores[:1], (clip == 4) | (clip == 5), clip < 2)
    plain = own_loss(windows, CASE)["hinge"]
    found = own_loss(made, CASE, labels)["hinge"]
    torch.testing.assert_close(found[:1], plain[:1] / 2 + pairs)
    torch.testing.assert_close(found[1:], plain[1:])


def test_equal_labels_pull_no_clips_apart():
    labels, labelled = torch.tensor([[2.0, 2.0, 5.0], [1.0, 3.0, 3.0]]), torch.tensor([[True, True, False], [True] * 3])
    high, low = extremes(labels, labelled)
    assert high.tolist() == [[False] * 3, [False, True, True]]
    assert low.tolist() == [[False] * 3, [True, False, False]]


def test_the_contrast_is_of_the_same_video_with_the_next_foreign_text():
    made = encoder(attrs.evolve(SMALL, temperature=0.3))
    encoded = encoded_of(made, CASE)
    own = condition(made, CASE).feats["saliency"][:1, ..., 0]
    swapped = Index(torch.tensor([1]), torch.tensor([[0]]), torch.tensor([0]))
    foreign = made.join(encoded, swapped).feats["saliency"][..., 0]
    clip = torch.arange(8)[None]
    found = own_loss(made, CASE)["contrast"]
    torch.testing.assert_close(found[:1], contrast(own, foreign, (clip >= 2) & (clip < 6), clip >= 0, 0.3))
    assert found[2] == 0


def test_a_batch_of_one_video_has_no_contrast():
    made, rows = encoder(), tiny.rows(CASE[:1])
    encoded = encoded_of(made, CASE[:1])
    two = Rows(Index(torch.tensor([0, 0]), torch.tensor([[0], [0]]), torch.tensor([1, 1])), list(rows.moments) * 2)
    assert made.loss(made.join(encoded, two.index), two, encoded)["contrast"].tolist() == [0, 0]


def test_training_on_both_terms_lifts_the_clips_of_the_moment():
    made = encoder(attrs.evolve(SMALL, input_dropout=0.0, dropout=0.0)).train()
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        torch.stack([value.sum() for value in own_loss(made, CASE).values()]).sum().backward()
        optimizer.step()
    score = condition(made, CASE).feats["saliency"][0, :, 0]
    assert score[2:6].min() > score[[0, 1, 6, 7]].max()


def test_every_matrix_of_a_linear_layer_starts_xavier_uniform():
    made = encoder(attrs.evolve(SMALL, width=64, ffn=64), tiny.INPUTS_OF_IDS)
    for module in made.modules():
        if isinstance(module, nn.Linear):
            bound = (6 / sum(module.weight.shape)) ** 0.5
            assert module.weight.abs().max() <= bound
            # PyTorch's own would stay below 1 / sqrt(inputs).
            assert module.weight.abs().max() > 0.9 * bound or module.weight.numel() < 100
        if isinstance(module, nn.Embedding):
            assert not module.weight[0].any()


def test_a_full_size_encoder_has_the_number_of_weights_of_its_description():
    with torch.device("meta"):
        made = JointEncoder(JointOptions(), Inputs(video=2816, text=512))
    width, ffn = 512, 1024
    layer = 4 * (width * width + width) + 2 * width * ffn + ffn + width + 4 * width
    norms = 2 * (2818 + width + width + width)
    projections = (2818 + width + width + width) * width + 4 * width
    assert sum(weight.numel() for weight in made.parameters()) == 6 * layer + norms + projections + width + 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (attrs.evolve(SMALL, heads=3), "heads = 3 must divide width = 8"),
        (attrs.evolve(SMALL, width=9, heads=3), "width = 9 must be even"),
        (attrs.evolve(SMALL, saliency="labels"), 'set saliency = "windows" or "none"'),
    ],
)
def test_options_that_cannot_work_are_refused(options: JointOptions, error: str):
    with pytest.raises(ValueError, match=error) as caught:
        JointEncoder(options, tiny.INPUTS)
    assert "\n" not in str(caught.value)


def test_dropout_acts_in_training_only_where_the_options_put_it():
    for given in ({"dropout": 0.0, "input_dropout": 0.5}, {"dropout": 0.5, "input_dropout": 0.0}):
        made = encoder(attrs.evolve(SMALL, **given))
        same = torch.equal(condition(made, CASE).feats["seq"], condition(made, CASE).feats["seq"])
        made.train()
        assert same
        assert not torch.equal(condition(made, CASE).feats["seq"], condition(made, CASE).feats["seq"])
    made = encoder(attrs.evolve(SMALL, dropout=0.0, input_dropout=0.0)).train()
    assert torch.equal(condition(made, CASE).feats["seq"], condition(made, CASE).feats["seq"])
