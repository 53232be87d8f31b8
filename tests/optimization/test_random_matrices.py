import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.optimization.random_matrices import (
    gaussian_orthogonal_ensemble,
    is_positive_definite,
    positive_definite_share,
    wilson_interval,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ------------------------------------------------------------------------------------ the ensemble


def test_entries_have_the_variances_of_the_ensemble():
    h = gaussian_orthogonal_ensemble(3, 100_000, generator=generator())
    assert torch.equal(h, h.mT)
    variance = h.var(0)
    expected = torch.full((3, 3), 0.5, dtype=torch.float64)
    expected.fill_diagonal_(1.0)
    torch.testing.assert_close(variance, expected, rtol=0.03, atol=0)
    assert h.mean(0).abs().max() < 0.02
    flat = torch.stack([h[:, 0, 0], h[:, 1, 1], h[:, 0, 1], h[:, 0, 2], h[:, 1, 2]])
    assert (torch.corrcoef(flat) - torch.eye(5)).abs().max() < 0.02


def test_the_ensemble_looks_the_same_in_other_orthogonal_coordinates():
    """−½ tr H² is the logarithm of the density, up to a constant: check it entry by entry."""
    h = gaussian_orthogonal_ensemble(4, 5, generator=generator(1))
    normal = scipy.stats.norm
    upper = [(i, j) for i in range(4) for j in range(i, 4)]
    logs = [
        sum(normal(scale=1 if i == j else math.sqrt(0.5)).logpdf(float(m[i, j])) for i, j in upper)
        for m in h
    ]
    traces = [-0.5 * float((m @ m).trace()) for m in h]
    np.testing.assert_allclose(np.diff(logs), np.diff(traces), rtol=1e-12)


def test_one_seed_gives_one_ensemble_and_the_dtype_is_that_asked_for():
    a, b = (gaussian_orthogonal_ensemble(2, 3, generator=generator(5)) for _ in range(2))
    assert torch.equal(a, b)
    single = gaussian_orthogonal_ensemble(2, 3, generator=generator(), dtype=torch.float32)
    assert single.dtype == torch.float32
    assert single.shape == (3, 2, 2)


@pytest.mark.parametrize(("n", "count", "name"), [(0, 1, "n"), (2, 0, "count"), (2.5, 1, "n")])
def test_sizes_are_checked(n, count, name):
    with pytest.raises(ValueError, match=rf"{name} must be a whole number ≥ 1"):
        gaussian_orthogonal_ensemble(n, count, generator=generator())


def test_definite_is_what_the_eigenvalues_say():
    h = gaussian_orthogonal_ensemble(3, 2000, generator=generator(2)) + 0.5 * torch.eye(3)
    expected = torch.linalg.eigvalsh(h)[:, 0] > 0
    assert torch.equal(is_positive_definite(h), expected)
    assert 0 < int(expected.sum()) < 2000
    assert not bool(is_positive_definite(torch.zeros(2, 2)))
    with pytest.raises(ValueError, match=r"\[..., n, n\], got shape \[2, 3\]"):
        is_positive_definite(torch.zeros(2, 3))


# --------------------------------------------------------------------------------- the exact share


def test_the_published_closed_forms():
    """Zhang et al.'s picture in numbers: ½, (2 − √2)/4, (π − 2√2)/(4π)."""
    closed = [1 / 2, (2 - math.sqrt(2)) / 4, (math.pi - 2 * math.sqrt(2)) / (4 * math.pi)]
    for n, share in enumerate(closed, start=1):
        assert positive_definite_share(n) == pytest.approx(share, rel=1e-14)


def test_the_share_for_three_is_the_integral_over_the_eigenvalues():
    """Half-lines by brute quadrature, numerator and denominator alike."""

    def density(x, y, z):
        gaps = abs((x - y) * (x - z) * (y - z))
        return gaps * np.exp(-(x * x + y * y + z * z) / 2)

    nodes, weights = np.polynomial.legendre.leggauss(80)
    positive, w = 4 * (nodes + 1), 4 * weights  # [0, 8]
    both = np.concatenate([-positive, positive]), np.concatenate([w, w])
    ratio = []
    for t, v in ((positive, w), both):
        x, y, z = np.meshgrid(t, t, t, indexing="ij", sparse=True)
        ratio.append(np.einsum("ijk,i,j,k->", density(x, y, z), v, v, v))
    assert ratio[0] / ratio[1] == pytest.approx(positive_definite_share(3), rel=2e-3)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_the_share_is_that_of_drawn_matrices(n):
    h = gaussian_orthogonal_ensemble(n, 200_000, generator=generator(n))
    low, high = wilson_interval(int(is_positive_definite(h).sum()), 200_000, z=4)
    assert low <= positive_definite_share(n) <= high


@pytest.mark.parametrize("n", [4, 6, 7])
def test_the_share_is_that_of_weighted_pivots(n):
    """Pivots d₁ = a₁, d_{k+1} = a_{k+1} − χ²_{n−k}/(2d_k) are all positive: by importance sampling."""
    source, count = generator(3), 400_000
    weight, pivot = torch.ones(count, dtype=torch.float64), None
    for k in range(n):
        low = torch.zeros(count, dtype=torch.float64)
        if pivot is not None:
            normal = torch.randn(n - k, count, generator=source, dtype=torch.float64)
            low = normal.square().sum(0) / (2 * pivot)
        above = torch.special.ndtr(-low)  # P(a > low)
        uniform = torch.rand(count, generator=source, dtype=torch.float64)
        pivot = -torch.special.ndtri(uniform * above) - low  # a given a > low, less low
        weight = weight * above
    error = float(weight.std()) / math.sqrt(count)
    assert abs(float(weight.mean()) - positive_definite_share(n)) < 4 * error


def test_large_n_follows_the_large_deviation_of_dean_and_majumdar():
    """−ln P = (ln 3/4)n² + O(n): second differences of ln P tend to −(ln 3)/2."""
    logs = [math.log(positive_definite_share(n)) for n in (14, 16, 18, 20)]
    second = np.diff(logs, 2) / 4  # steps of 2
    np.testing.assert_allclose(second, -math.log(3) / 2, rtol=2e-3)


def test_the_share_falls_and_the_digits_suffice(monkeypatch):
    from d2lcompanion.optimization import random_matrices

    shares = [positive_definite_share(n) for n in range(1, 21)]
    assert all(a > 5 * b for a, b in pairwise(shares[1:]))
    random_matrices._angular.cache_clear()
    monkeypatch.setattr(random_matrices, "DIGITS", 70)
    assert positive_definite_share(20) == pytest.approx(shares[-1], rel=1e-12)
    random_matrices._angular.cache_clear()


def test_angular_integrals_are_those_of_quadrature():
    from d2lcompanion.optimization.random_matrices import _angular

    for i, j in [(0, 0), (0, 1), (0, 4), (1, 3), (2, 2), (5, 4), (6, 1)]:
        value, _ = scipy.integrate.quad(
            lambda t, i=i, j=j: math.cos(t) ** i * math.sin(t) ** j, 0, math.pi / 4
        )
        assert float(_angular(i, j)) == pytest.approx(value, rel=1e-10)


@pytest.mark.parametrize(
    ("n", "message"), [(0, "n must be a whole number ≥ 1, got 0"), (21, "n must be ≤ 20, got 21")]
)
def test_the_range_of_n_is_named(n, message):
    with pytest.raises(ValueError, match=message):
        positive_definite_share(n)


# ------------------------------------------------------------------------------------ the interval


@given(st.integers(1, 5000), st.data())
@settings(max_examples=60, deadline=None)
def test_the_interval_is_that_of_scipy(trials, data):
    successes = data.draw(st.integers(0, trials))
    z = scipy.stats.norm.ppf(0.975)
    expected = scipy.stats.binomtest(successes, trials).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson_interval(successes, trials, z=z), expected, atol=1e-12)


def test_never_seen_gives_an_upper_bound():
    low, high = wilson_interval(0, 1000, z=2.0)
    assert low == 0
    assert high == pytest.approx(4 / 1004)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 0), "trials must be a whole number ≥ 1, got 0"),
        ((-1, 5), "successes must be a whole number ≥ 0, got -1"),
        ((6, 5), "successes must be ≤ 5, got 6"),
    ],
)
def test_interval_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        wilson_interval(*arguments)
    with pytest.raises(ValueError, match=r"z must be > 0 and finite, got 0"):
        wilson_interval(1, 2, z=0)
