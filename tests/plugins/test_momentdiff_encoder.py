"""The encoder of MomentDiff and its similarity losses."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framework.blocks import TransformerLayer, clip_code
from framework.core.encoder import Inputs
from framework.core.structures import Condition, Index, Rows
from framework.testing import check_encoder, tiny
from framework.testing.tiny import Row
from plugins.momentdiff.encoder import CrossEncoder, CrossOptions

SMALL = CrossOptions(width=8, layers=2, heads=2, ffn=12, word_width=6)
LABELLED = attrs.evolve(tiny.INPUTS, saliency=True)
CASE = (
    Row(key=1, clips=9, words=3, moments=((0.2, 0.6),)),
    Row(key=2, clips=5, words=5, moments=((0.0, 0.3), (0.7, 1.0))),
    Row(key=3, clips=1, words=1, moments=((0.0, 1.0),)),
    Row(key=4, clips=7, words=2, moments=()),
)


def encoder(inputs: Inputs = tiny.INPUTS, **given: object) -> CrossEncoder:
    torch.manual_seed(0)
    return CrossEncoder(attrs.evolve(SMALL, **given), inputs).eval()


def encoded(made: CrossEncoder, case: tuple[Row, ...] = CASE, **given: object) -> Mapping[str, Mapping[str, Tensor]]:
    batch = tiny.collate(case, **given)
    return {side: made.encode(side, x, mask) for side, (x, mask) in batch.feats.items()}


def condition(made: CrossEncoder, case: tuple[Row, ...] = CASE, **given: object) -> Condition:
    return made.join(encoded(made, case, **given), tiny.rows(case).index)


def losses(made: CrossEncoder, case: tuple[Row, ...] = CASE, rows: Rows | None = None) -> dict[str, Tensor]:
    sides, rows = encoded(made, case), tiny.rows(case) if rows is None else rows
    return made.loss(made.join(sides, rows.index), rows, sides)


LAWS: dict[str, tuple[Inputs, dict[str, object]]] = {
    "vectors": (tiny.INPUTS, {}),
    "ids": (tiny.INPUTS_OF_IDS, {"max_words": 3}),
    "no endpoints": (tiny.INPUTS, {"endpoints": False, "layers": 1}),
    "labels": (LABELLED, {"saliency": "labels"}),
    "no scores": (tiny.INPUTS, {"saliency": "none"}),
    "contrast alone": (tiny.INPUTS, {"hinge": False, "bce": False}),
}


@pytest.mark.parametrize("name", LAWS)
def test_the_laws_hold(name: str):
    inputs, given = LAWS[name]
    check_encoder(encoder(inputs, **given), ids=inputs.vocabulary is not None, examples=5)


def test_features_are_zero_exactly_at_padding():
    feats = condition(encoder(), clips=12, words=6, fill=5.0).feats
    assert feats["clips"].tolist() == [9, 5, 1, 7]
    assert feats["spoken"].tolist() == [3, 5, 1, 2]
    for name, counts in (("seq", "clips"), ("saliency", "clips"), ("words", "spoken")):
        real = torch.arange(feats[name].shape[1]) < feats[counts][:, None]
        assert torch.equal(feats[name].any(dim=-1), real)


def test_words_beyond_the_limit_are_not_read():
    cut, longer = encoder(max_words=3), tuple(attrs.evolve(row, words=5) for row in CASE)
    batch = tiny.collate(longer)
    x, mask = batch.feats["text"]
    whole, first = cut.encode("text", x, mask), encoder().encode("text", x[:, :3], mask[:, :3])
    assert torch.equal(whole["words"], first["words"])
    assert whole["spoken"].tolist() == [3] * 4


def test_clips_read_the_words_and_the_token():
    made = encoder()
    before = condition(made).feats["seq"]
    other = tuple(attrs.evolve(row, words=row.words + 1) for row in CASE)
    assert (condition(made, other).feats["seq"] - before).abs().amax(dim=(1, 2)).min() > 1e-3
    with torch.no_grad():
        made.token += 1
    assert (condition(made).feats["seq"] - before).abs().amax(dim=(1, 2)).min() > 1e-3


def test_the_order_of_clips_matters_with_and_without_endpoints():
    # A code of the place is in queries and keys, whether or not the features hold one.
    for endpoints in (True, False):
        made = encoder(endpoints=endpoints)
        (x, mask), text = tiny.collate(CASE[:1]).feats["video"], encoded(made, CASE[:1])["text"]
        index = tiny.rows(CASE[:1]).index
        seq, turned = (
            made.join({"video": made.encode("video", clips, mask), "text": text}, index).feats["seq"]
            for clips in (x, x.flip(1))
        )
        assert (turned.flip(1) - seq).abs().max() > 1e-3


def test_places_of_clips_and_token_are_in_queries_and_in_keys_and_words_have_none():
    made = encoder()
    sides = encoded(made, CASE[:1])
    x, words, at = sides["video"]["video"], sides["text"]["words"], clip_code(torch.tensor([9]), 9, 8)

    def layer(one: TransformerLayer, query: Tensor, key: Tensor, value: Tensor, x: Tensor) -> Tensor:
        a = one.attention
        heads = [
            (q @ k.mT / 2).softmax(-1) @ v
            for q, k, v in zip(
                a.query(query).split(4, -1), a.key(key).split(4, -1), a.value(value).split(4, -1), strict=True
            )
        ]
        return one.ffn(a.norm(x + a.out(torch.cat(heads, dim=-1))))

    for one in made.cross:
        x = layer(one, x + at, words, words, x)
    x = torch.cat([made.token[None, None], x], dim=1)
    at = torch.cat([made.token_at[None, None], at], dim=1)
    for one in made.mix:
        x = layer(one, x + at, x + at, x, x)
    torch.testing.assert_close(condition(made, CASE[:1]).feats["seq"], x[:, 1:])


def test_endpoints_are_two_more_inputs():
    widths = {made.options.endpoints: made.video[0].normalized_shape for made in (encoder(), encoder(endpoints=False))}
    assert widths == {True: (tiny.VIDEO + 2,), False: (tiny.VIDEO,)}


def test_weights_of_the_layers_start_as_xavier_draws_them():
    made = encoder()
    # Uniform up to sqrt(6 / (8 + 8)), where torch itself would stop at sqrt(1 / 8).
    assert (1 / 8) ** 0.5 < made.cross[0].attention.query.weight.abs().max() < (6 / 16) ** 0.5


@pytest.mark.parametrize(
    "given", [{"heads": 4}, {"ffn": 13}, {"layers": 1}, {"dropout": 0.5}, {"input_dropout": 0.1}], ids=str
)
def test_every_size_and_dropout_changes_the_network(given: dict[str, object]):
    made = []
    for options in ({}, given):
        one = encoder(**options).train()
        torch.manual_seed(1)
        made.append(condition(one).feats["seq"])
    assert not torch.allclose(made[0], made[1])


def test_without_dropout_training_and_evaluation_are_the_same():
    made = encoder(dropout=0.0, input_dropout=0.0)
    assert torch.equal(condition(made).feats["seq"], condition(made.train()).feats["seq"])


# --- losses -----------------------------------------------------------------------------------------------------------


def slow_terms(score: list[float], foreign: list[float], inside: list[bool], margin: float, temperature: float):
    """The three terms of one row from its clips, one by one."""
    high = [s for s, real in zip(score, inside, strict=True) if real]
    low = [s for s, real in zip(score, inside, strict=True) if not real]
    pairs = [max(0.0, margin + b - a) for a in high for b in low]
    crossed = [math.log1p(math.exp(-s if real else s)) for s, real in zip(score, inside, strict=True)]
    total = sum(math.exp(s / temperature) for s in [*score, *foreign])
    shares = [-math.log(math.exp(s / temperature) / total) for s in high]
    return {
        "hinge": 2 * sum(pairs) / max(1, len(pairs)),
        "bce": sum(crossed) / len(crossed),
        "contrast": sum(shares) / max(1, len(shares)),
    }


@settings(deadline=None, max_examples=15)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=2, max_size=4),
    margin=st.sampled_from([0.0, 0.2, 1.5]),
    temperature=st.sampled_from([0.1, 0.5, 2.0]),
)
def test_the_terms_are_those_of_the_slow_definition(lengths: list[int], margin: float, temperature: float):
    case = tuple(Row(key=10 * k, clips=n, words=1 + k, moments=((0.26, 0.74),)) for k, n in enumerate(lengths))
    made, rows = encoder(margin=margin, temperature=temperature).requires_grad_(False), tiny.rows(case)
    found, scores = losses(made, case), condition(made, case).feats["saliency"][..., 0]
    index = attrs.evolve(rows.index, ask=rows.index.ask.roll(-1))
    foreign = made.join(encoded(made, case), index).feats["saliency"][..., 0]
    for row, n in enumerate(lengths):
        # Of two clips neither has its middle in the moment: the clip that the moment's own middle lies in counts.
        inside = [0.26 <= (i + 0.5) / n <= 0.74 for i in range(n)]
        inside = inside if any(inside) else [i == n // 2 for i in range(n)]
        wanted = slow_terms(scores[row, :n].tolist(), foreign[row, :n].tolist(), inside, margin, temperature)
        assert {name: float(value[row]) for name, value in found.items()} == pytest.approx(wanted, abs=1e-5)


def test_labels_add_a_hinge_between_the_best_and_the_worst_clip():
    made, plain = encoder(LABELLED, saliency="labels", margin=5.0), encoder(margin=5.0)
    rows = tiny.rows(CASE)
    # Row 0: clips 2 to 4 are labelled 1, 3, 3. Row 1: two equal labels, so no pair. Rows 2 and 3: none.
    stretches = [[(2, 3, 1.0), (3, 5, 3.0)], [(0, 2, 2.0)], [], []]
    labels = [
        torch.tensor([(0.0, start / row.clips, end / row.clips, score) for start, end, score in given]).reshape(-1, 4)
        for row, given in zip(CASE, stretches, strict=True)
    ]
    labelled = losses(made, rows=attrs.evolve(rows, saliency=labels))
    score = condition(made).feats["saliency"][0, :, 0].tolist()
    by_label = sum(5.0 + score[2] - score[high] for high in (3, 4)) / 2
    windows = losses(plain)
    assert windows["hinge"][0] > 0
    assert labelled["hinge"][0].item() == pytest.approx(windows["hinge"][0].item() / 2 + by_label, rel=1e-5)
    # Equal labels order nothing; rows without labels have the windows alone.
    torch.testing.assert_close(labelled["hinge"][1:2], windows["hinge"][1:2] / 2)
    torch.testing.assert_close(labelled["hinge"][2:], windows["hinge"][2:])
    for name in ("bce", "contrast"):
        torch.testing.assert_close(labelled[name], windows[name])


def test_each_term_has_its_own_switch():
    for name in ("hinge", "bce", "contrast"):
        assert losses(encoder(**{name: False})).keys() == {"hinge", "bce", "contrast"} - {name}
    assert losses(encoder(saliency="none")) == {}
    assert "saliency" not in encoder(saliency="none").provides


def test_a_row_without_a_moment_learns_that_no_clip_is_inside_and_nothing_else():
    found = losses(encoder())
    assert found["hinge"][3] == found["contrast"][3] == 0
    assert found["bce"][3] > 0


def test_a_batch_of_one_video_has_no_foreign_text_and_no_contrast():
    made, same = encoder(), CASE[:1] * 2
    index = Index(torch.tensor([0, 1]), torch.tensor([[0], [0]]), torch.tensor([1, 2]))
    rows = attrs.evolve(tiny.rows(same), index=index)
    assert losses(made, same, rows)["contrast"].tolist() == [0, 0]
    assert losses(made, CASE[:2])["contrast"].min() > 0


def test_terms_of_a_row_do_not_depend_on_a_longer_video_beside_it():
    made = encoder()
    together, alone = losses(made), losses(made, CASE[1:2])
    for name in ("hinge", "bce"):
        torch.testing.assert_close(together[name][1], alone[name][0])


def test_the_loss_takes_what_half_precision_has_encoded():
    made, rows = encoder(), tiny.rows(CASE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        sides = encoded(made)
        cond = made.join(sides, rows.index)
        terms = made.loss(cond, rows, sides)
    for name, value in terms.items():
        torch.testing.assert_close(value, losses(made)[name], rtol=0.1, atol=0.05)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"width": 9, "heads": 3}, "width = 9 must be even"),
        ({"heads": 3}, "heads = 3 must divide width = 8"),
        ({"saliency": "labels"}, 'saliency = "labels": the data label no clips; set saliency = "windows" or "none"'),
        (
            {"hinge": False, "bce": False, "contrast": False},
            'saliency = "windows" has nothing to learn from: set hinge, bce or contrast = true, or saliency = "none"',
        ),
    ],
)
def test_options_that_cannot_work_are_refused(given: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        encoder(**given)


def test_labels_without_the_term_that_reads_them_are_refused():
    with pytest.raises(ValueError, match='saliency = "labels" needs hinge = true'):
        encoder(LABELLED, saliency="labels", hinge=False)


def test_several_videos_a_row_are_refused():
    made = encoder()
    index = Index(torch.tensor([0]), torch.tensor([[0, 1]]), torch.tensor([1]))
    with pytest.raises(ValueError, match=r"momentdiff\.cross reads one video a row; the row policy gave 2"):
        made.join(encoded(made), index)
