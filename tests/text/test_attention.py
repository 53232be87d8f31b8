"""Attention against torch's own, with and without dropout, and against a slow loop."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from d2lcompanion.text.attention import attention


def parts(dtype=torch.float64, batch=3, heads=2, length=7, width=4):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, batch, heads, length, width, generator=generator, dtype=dtype).unbind()


def padded(batch=3, length=7):
    return (torch.arange(length) < torch.tensor([[7], [4], [1]]))[:, None, None, :]


@pytest.mark.parametrize("drop", [0.0, 0.3])
@pytest.mark.parametrize("mask", [None, padded(), torch.ones(7, 7).tril().bool()[None, None]])
def test_it_is_torch_s_draw_by_draw(drop, mask):
    q, k, v = (x.requires_grad_() for x in parts())
    torch.manual_seed(1)
    ours = attention(q, k, v, mask, drop)
    torch.manual_seed(1)
    theirs = scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=drop)
    assert torch.allclose(ours, theirs, atol=1e-12)
    weight = torch.randn(ours.shape, dtype=ours.dtype, generator=torch.Generator().manual_seed(2))
    for a, b in zip(
        torch.autograd.grad((ours * weight).sum(), (q, k, v)),
        torch.autograd.grad((theirs * weight).sum(), (q, k, v)),
        strict=True,
    ):
        assert torch.allclose(a, b, atol=1e-12)


def test_a_slow_loop_without_dropout():
    q, k, v = parts()
    found = attention(q, k, v, padded())
    for b, h, t in torch.cartesian_prod(torch.arange(3), torch.arange(2), torch.arange(7)):
        seen = int(padded()[b].sum())
        scores = torch.stack([q[b, h, t] @ k[b, h, s] / 2 for s in range(seen)])
        weights = scores.exp() / scores.exp().sum()
        expected = sum(w * v[b, h, s] for s, w in enumerate(weights))
        assert torch.allclose(found[b, h, t], expected, atol=1e-12)


def test_dropout_leaves_the_mean():
    """Each weight is 0 with chance ¼ or 4/3 of itself: the mean over draws is what it was."""
    q, k, v = parts()
    torch.manual_seed(0)
    draws = torch.stack([attention(q, k, v, None, 0.25) for _ in range(4000)])
    error = draws.std(0) / 4000**0.5
    assert bool(((draws.mean(0) - attention(q, k, v, None)).abs() < 5 * error).all())


def test_bfloat16_stays_bfloat16():
    q, k, v = parts(torch.bfloat16)
    torch.manual_seed(1)
    found = attention(q, k, v, padded(), 0.3)
    torch.manual_seed(1)
    exact = attention(q.double(), k.double(), v.double(), padded(), 0.3)
    assert found.dtype == torch.bfloat16
    assert float((found.double() - exact).abs().max()) < 0.05
