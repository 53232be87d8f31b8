"""Intervals of rank correlations: published formula, coverage on made pairs, scipy's bootstrap."""

import math

import pytest
import torch
from scipy import stats

from d2lcompanion.text.rank_intervals import (
    bootstrap_spearman,
    fisher_interval,
    percentile_interval,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def correlated(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Normal pairs with the correlation 0.6, whose rank correlation is 6/π asin 0.3."""
    x, e = torch.randn(2, n, generator=seeded(seed), dtype=torch.float64)
    return x, 0.6 * x + 0.8 * e


def test_fisher_by_hand():
    """ρ = 0, n = 103: ±1.96 · 0.1 on the scale of artanh."""
    low, high = fisher_interval(0.0, 103)
    assert high == pytest.approx(math.tanh(0.1 * 1.959964), rel=1e-6)
    assert low == pytest.approx(-high)
    wide, narrow = fisher_interval(0.3, 103), fisher_interval(0.3, 103, level=0.5)
    assert wide.low < narrow.low < 0.3 < narrow.high < wide.high


def test_fisher_holds_the_true_value_in_95_of_100_samples():
    truth, inside = 6 / math.pi * math.asin(0.3), 0
    for seed in range(600):
        x, y = correlated(60, seed)
        low, high = fisher_interval(float(stats.spearmanr(x, y).statistic), 60)
        inside += low <= truth <= high
    assert inside / 600 == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 600))


def test_the_bootstrap_agrees_with_scipy_and_with_fisher():
    x, y = correlated(200, 1)
    ours = bootstrap_spearman(x[None], y, 2000, seeded())[:, 0]
    peer = stats.bootstrap(
        (x.numpy(), y.numpy()), lambda a, b: stats.spearmanr(a, b).statistic,
        paired=True, vectorized=False, n_resamples=2000, method="percentile", rng=0,
    )  # fmt: skip
    interval = percentile_interval(ours)
    assert interval.low == pytest.approx(peer.confidence_interval.low, abs=0.02)
    assert interval.high == pytest.approx(peer.confidence_interval.high, abs=0.02)
    assert float(ours.std()) == pytest.approx(peer.standard_error, rel=0.1)
    by_theory = fisher_interval(float(stats.spearmanr(x, y).statistic), 200)
    assert interval.low == pytest.approx(by_theory.low, abs=0.04)


def test_rows_see_the_same_pairs():
    x, y = correlated(40, 2)
    found = bootstrap_spearman(torch.stack([x, 2 * x + 1, -x]), y, 30, seeded())
    torch.testing.assert_close(found[:, 0], found[:, 1])
    torch.testing.assert_close(found[:, 0], -found[:, 2])
    assert float(found[:, 0].std()) > 0.01


def test_bad_numbers_are_refused():
    with pytest.raises(ValueError, match="n must be a whole number ≥ 4, got 3"):
        fisher_interval(0.1, 3)
    with pytest.raises(ValueError, match=r"correlation must be in \(-1, 1\), got 1"):
        fisher_interval(1.0, 10)
    with pytest.raises(ValueError, match=r"level must be in \(0, 1\), got 1"):
        fisher_interval(0.1, 10, level=1.0)
    with pytest.raises(ValueError, match="draws must be a whole number ≥ 1, got 0"):
        bootstrap_spearman(torch.zeros(1, 5), torch.zeros(5), 0, seeded())
    with pytest.raises(ValueError, match="scores"):
        bootstrap_spearman(torch.zeros(1, 4), torch.zeros(5), 1, seeded())
    with pytest.raises(ValueError, match="level must be in"):
        percentile_interval(torch.zeros(3), level=2.0)
