"""The laws of the draws: moments and χ², and one seed for every dtype."""

import pytest
import torch
from scipy import stats

from d2lcompanion.vision import draws
from tests.vision.pictures import generator

MANY = torch.empty(20_000, 1, 1, 1)


def test_uniform_fills_its_range():
    drawn = draws.uniform(MANY, generator(), -2, 3)
    assert drawn.shape == (len(MANY),)
    assert stats.kstest(drawn.numpy(), stats.uniform(-2, 5).cdf).pvalue > 1e-3


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 1.0])
def test_coins_fall_as_often_as_they_should(probability):
    heads = int(draws.coins(MANY, generator(), probability).sum())
    assert stats.binomtest(heads, len(MANY), probability).pvalue > 1e-3


def test_integers_are_equally_likely():
    counts = draws.integers(MANY, generator(), 14).bincount(minlength=14)
    assert len(counts) == 14
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_partners_are_an_order_of_the_batch():
    order = draws.partners(MANY, generator())
    assert order.sort().values.equal(torch.arange(len(MANY)))
    again = torch.stack([draws.partners(MANY[:3], generator(seed)) for seed in range(3000)])
    codes = (again @ torch.tensor([9, 3, 1])).unique(return_counts=True)[1]
    assert len(codes) == 6
    assert stats.chisquare(codes.numpy()).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [0.1, 0.2, 1.0, 4.0])
def test_weights_are_beta(alpha):
    drawn = draws.beta_weights(MANY.double(), generator(), alpha)
    assert 0 <= drawn.min() <= drawn.max() <= 1
    assert stats.kstest(drawn.numpy(), stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_one_seed_gives_the_same_numbers_in_every_dtype():
    for dtype in (torch.float64, torch.bfloat16):
        images = MANY[:50].to(dtype)
        drawn = draws.uniform(images, generator())
        assert drawn.dtype == dtype
        assert drawn.equal(draws.uniform(MANY[:50], generator()).to(dtype))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"low ≤ high, got \[1, 0\]"):
        draws.uniform(MANY, generator(), 1, 0)
    with pytest.raises(ValueError, match=r"probability must be in \[0, 1\], got 1.5"):
        draws.coins(MANY, generator(), 1.5)
    with pytest.raises(ValueError, match="alpha must be > 0"):
        draws.beta_weights(MANY, generator(), 0)
