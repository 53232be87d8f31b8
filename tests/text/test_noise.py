"""Noise and alias tables: exact tables, slow loops, χ²."""

import math

import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.text.noise import AliasSampler, noise_distribution

COUNTS = torch.tensor([50.0, 20, 20, 7, 2, 1], dtype=torch.float64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_noise_by_hand():
    found = noise_distribution(torch.tensor([16, 81, 256]))
    assert found.tolist() == pytest.approx([8 / 99, 27 / 99, 64 / 99])  # 2³, 3³, 4³
    assert found.dtype == torch.get_default_dtype()
    assert noise_distribution(COUNTS).dtype == torch.float64
    assert noise_distribution(COUNTS, 0).tolist() == pytest.approx([1 / 6] * 6)
    torch.testing.assert_close(noise_distribution(COUNTS, 1), COUNTS / 100)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=2, max_size=30), st.floats(0, 1))
def test_noise_against_a_slow_loop(counts, power):
    found = noise_distribution(torch.tensor(counts, dtype=torch.float64), power)
    total = math.fsum(count**power for count in counts)
    assert found.tolist() == pytest.approx([count**power / total for count in counts], rel=1e-9)


WEIGHTS = st.lists(st.one_of(st.just(0.0), st.floats(1e-9, 1e9)), min_size=2, max_size=50)


@settings(max_examples=300, deadline=None)
@given(WEIGHTS.filter(any))
def test_the_tables_hold_the_probabilities_exactly(weights):
    sampler = AliasSampler(torch.tensor(weights, dtype=torch.float64))
    size, total = len(weights), math.fsum(weights)
    rebuilt = [0.0] * size  # every column holds 1/V: so much of itself, the rest of its alias
    for i, (height, alias) in enumerate(
        zip(sampler.thresholds.tolist(), sampler.aliases.tolist(), strict=True)
    ):
        assert 0 <= height <= 1
        rebuilt[i] += height / size
        rebuilt[alias] += (1 - height) / size
    assert rebuilt == pytest.approx([weight / total for weight in weights], abs=1e-12)
    assert sampler.probabilities().tolist() == pytest.approx(rebuilt, abs=1e-14)


@pytest.mark.parametrize("power", [0.0, 0.75, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_by_chi_square(power, dtype):
    p = noise_distribution(COUNTS.to(dtype), power)
    draws = 200_000
    words = AliasSampler(p).sample((100, draws // 100), seeded(1))
    assert words.shape == (100, draws // 100)
    assert words.dtype == torch.int64
    observed = torch.bincount(words.flatten(), minlength=6).double()
    expected = draws * p.double() / p.double().sum()
    assert scipy.stats.chisquare(observed, expected).pvalue > 1e-3
    wrong = draws * noise_distribution(COUNTS, 0.5)  # the test can say no
    assert scipy.stats.chisquare(observed, wrong).pvalue < 1e-12


def test_a_seed_fixes_the_draws_and_weights_need_no_sum():
    first = AliasSampler(COUNTS).sample((50,), seeded(3))
    assert torch.equal(first, AliasSampler(COUNTS).sample((50,), seeded(3)))
    assert not torch.equal(first, AliasSampler(COUNTS).sample((50,), seeded(4)))
    torch.testing.assert_close(AliasSampler(COUNTS.long()).probabilities(), (COUNTS / 100).float())


def test_what_has_no_weight_is_never_drawn():
    weights = torch.tensor([0.0, 3, 0, 1, 0])
    words = AliasSampler(weights).sample((20_000,), seeded())
    assert set(words.tolist()) == {1, 3}


def test_the_tables_of_a_large_vocabulary():
    p = noise_distribution(1e6 / torch.arange(1, 50_001, dtype=torch.float64))
    found = AliasSampler(p).probabilities()
    assert float((found - p).abs().max()) < 1e-12
    assert float((found / p - 1).abs().max()) < 1e-6


BAD = {
    "count": (
        lambda: noise_distribution(torch.tensor([3, 0, 1])),
        "counts must be > 0 and finite, got 0 for word 1",
    ),
    "nan": (lambda: noise_distribution(COUNTS * math.nan), "got nan for word 0"),
    "one word": (lambda: noise_distribution(torch.tensor([3])), r"V ≥ 2 words, got shape \[1\]"),
    "power": (lambda: noise_distribution(COUNTS, 1.5), r"power must be in \[0, 1\], got 1\.5"),
    "low power": (lambda: noise_distribution(COUNTS, -0.1), r"in \[0, 1\], got -0\.1"),
    "weight": (lambda: AliasSampler(-COUNTS), "weights must be ≥ 0 and finite, got -50.0 for word"),
    "weights": (lambda: AliasSampler(0 * COUNTS), "weights must not all be 0, got 6 zeros"),
    "one weight": (lambda: AliasSampler(COUNTS[:1]), r"V ≥ 2 words, got shape \[1\]"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
