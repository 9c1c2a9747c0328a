"""Attention and feed-forward sublayers, against PyTorch's own and slow definitions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from framework.blocks import AttentionLayer, FeedForward, attend, mlp, project_inputs, with_endpoints


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def attention(width: int = 8, heads: int = 2, dropout: float = 0.0) -> AttentionLayer:
    torch.manual_seed(0)
    return AttentionLayer(width, heads, dropout)


def reference(layer: AttentionLayer, width: int) -> nn.MultiheadAttention:
    """PyTorch's attention with the weights of ours."""
    theirs = nn.MultiheadAttention(width, layer.heads, batch_first=True)
    parts = (layer.query, layer.key, layer.value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.weight.copy_(layer.out.weight)
        theirs.out_proj.bias.copy_(layer.out.bias)
    return theirs


@settings(deadline=None, max_examples=20)
@given(
    heads=st.sampled_from([1, 2, 4]), real=st.lists(st.integers(1, 5), min_size=1, max_size=3), seed=st.integers(0, 9)
)
def test_the_layer_is_pytorchs_attention_added_to_its_input_and_normalised(heads: int, real: list[int], seed: int):
    layer, rows = attention(8, heads), len(real)
    x, source = drawn(seed, rows, 4, 8), drawn(seed + 1, rows, 5, 8)
    at, source_at = drawn(seed + 2, rows, 4, 8), drawn(seed + 3, rows, 5, 8)
    mask = torch.arange(5) < torch.tensor(real)[:, None]
    found = layer(x, source, mask, at, source_at)
    theirs, _ = reference(layer, 8)(x + at, source + source_at, source, key_padding_mask=~mask)
    torch.testing.assert_close(found, layer.norm(x + theirs))


def test_attention_is_a_softmax_over_real_keys_head_by_head():
    query, key, value = drawn(0, 1, 2, 6), drawn(1, 1, 3, 6), drawn(2, 1, 3, 8)
    mask = torch.tensor([[True, False, True]])
    found = attend(query, key, value, 2, mask)
    for head in range(2):
        q, k, v = query[0, :, 3 * head :][:, :3], key[0, :, 3 * head :][:, :3], value[0, :, 4 * head :][:, :4]
        share = torch.softmax((q @ k[mask[0]].T) / 3**0.5, dim=-1)
        torch.testing.assert_close(found[0, :, 4 * head : 4 * head + 4], share @ v[mask[0]])


def test_what_padded_keys_hold_changes_nothing():
    layer, x, mask = attention(), drawn(0, 2, 5, 8), torch.arange(5) < torch.tensor([[5], [2]])
    junk = torch.where(mask[..., None], x, torch.full_like(x, 9.0))
    assert torch.equal(layer(x, junk, mask), layer(x, x, mask))


def test_a_row_without_a_real_key_stays_finite():
    layer, x = attention(), drawn(0, 2, 3, 8).requires_grad_()
    out = layer(x, x, torch.tensor([[True] * 3, [False] * 3]))
    out.square().sum().backward()
    assert out.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_without_positions_an_attention_layer_is_equivariant():
    layer, x, order = attention(), drawn(0, 1, 5, 8), torch.tensor([3, 0, 4, 1, 2])
    mask = torch.tensor([[True, True, False, True, True]])
    torch.testing.assert_close(layer(x[:, order], x[:, order], mask[:, order]), layer(x, x, mask)[:, order])


@pytest.mark.parametrize("layer", [attention(dropout=0.5), FeedForward(8, 16, dropout=0.5)])
def test_dropout_acts_in_training_only(layer: nn.Module):
    x, mask = drawn(0, 2, 3, 8), torch.ones(2, 3, dtype=torch.bool)
    given = (x, x, mask) if isinstance(layer, AttentionLayer) else (x,)
    assert not torch.equal(layer.train()(*given), layer(*given))
    assert torch.equal(layer.eval()(*given), layer(*given))


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="heads = 3 must divide width = 8"):
        AttentionLayer(8, 3)


@pytest.mark.parametrize("activation", [None, nn.GELU()])
def test_a_feed_forward_layer_is_two_linear_layers_added_and_normalised(activation: nn.Module | None):
    torch.manual_seed(0)
    layer, x = FeedForward(4, 6, activation=activation), drawn(0, 2, 3, 4)
    hidden = x @ layer.hidden.weight.T + layer.hidden.bias
    hidden = hidden.clamp(min=0) if activation is None else nn.functional.gelu(hidden)
    changed = x + hidden @ layer.out.weight.T + layer.out.bias
    torch.testing.assert_close(layer(x), nn.functional.layer_norm(changed, (4,)))


def test_an_mlp_has_relu_between_its_layers_and_none_at_its_end():
    kinds = [type(layer) for layer in mlp(3, 5, 5, 2)]
    assert kinds == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert [(one.in_features, one.out_features) for one in mlp(3, 5, 2) if isinstance(one, nn.Linear)] == [
        (3, 5),
        (5, 2),
    ]


def test_inputs_are_normalised_dropped_and_projected_with_relu_between():
    made = project_inputs(6, 4, dropout=0.3, layers=2)
    block = [nn.LayerNorm, nn.Dropout, nn.Linear]
    assert [type(layer) for layer in made] == [*block, nn.ReLU, *block]
    assert [one.normalized_shape for one in made if isinstance(one, nn.LayerNorm)] == [(6,), (4,)]
    assert [(one.in_features, one.out_features) for one in made if isinstance(one, nn.Linear)] == [(6, 4), (4, 4)]
    assert all(one.p == 0.3 for one in made if isinstance(one, nn.Dropout))
    # Nothing cuts the output off at zero.
    assert (made(drawn(0, 50, 6)) < 0).any()


@settings(deadline=None, max_examples=20)
@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=4))
def test_endpoints_are_fractions_of_the_real_clips(lengths: list[int]):
    longest = max(lengths) + 1
    x, mask = drawn(0, len(lengths), longest, 3), torch.arange(longest) < torch.tensor(lengths)[:, None]
    found = with_endpoints(x, mask)
    assert torch.equal(found[..., :3], x)
    for row, length in enumerate(lengths):
        wanted = [(clip / length, (clip + 1) / length) if clip < length else (0, 0) for clip in range(longest)]
        torch.testing.assert_close(found[row, :, 3:], torch.tensor(wanted, dtype=torch.float32))
