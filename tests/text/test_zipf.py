"""Rank, frequency, growth: closed forms, brute force over all draws, scipy, exact laws."""

import itertools

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from d2lcompanion.text.zipf import (
    coverage,
    expected_vocabulary,
    fit_power_law,
    rank_frequency,
    vocabulary_growth,
    zipf_exponent,
)


def test_a_law_is_found_again():
    x = torch.logspace(0, 4, 30)
    law = fit_power_law(x, 7 * x**-1.3)
    assert law.exponent == pytest.approx(-1.3)
    assert law.factor == pytest.approx(7)
    counts = 10**9 / torch.arange(1.0, 20_001, dtype=torch.float64) ** 1.1
    for first, last in ((1, 100), (50, 20_000)):
        assert zipf_exponent(counts[torch.randperm(20_000)], first, last).exponent == pytest.approx(
            -1.1
        )


@given(st.lists(st.tuples(st.floats(0.1, 1e3), st.floats(0.1, 1e3)), min_size=3, max_size=20))
def test_the_fit_is_scipy_s(points):
    x, y = np.array(points).T
    if np.ptp(np.log(x)) < 1e-3:
        return
    ours = fit_power_law(torch.tensor(x), torch.tensor(y))
    theirs = scipy.stats.linregress(np.log(x), np.log(y))
    assert ours.exponent == pytest.approx(theirs.slope, rel=1e-6, abs=1e-9)
    assert ours.factor == pytest.approx(np.exp(theirs.intercept), rel=1e-6)


def test_ranks_leave_absent_words_out():
    assert rank_frequency(torch.tensor([1, 0, 5, 2])).tolist() == [5, 2, 1]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_growth_is_that_of_a_set(ids):
    expected = [len(set(ids[: n + 1])) for n in range(len(ids))]
    assert vocabulary_growth(torch.tensor(ids)).tolist() == expected


def test_the_expected_vocabulary_over_all_draws():
    tokens = [0, 0, 0, 1, 1, 2]
    found = expected_vocabulary(torch.tensor([3, 2, 1, 0]), range(7))
    for m in range(7):
        draws = list(itertools.combinations(tokens, m))
        assert float(found[m]) == pytest.approx(sum(len(set(d)) for d in draws) / len(draws))


def test_the_expected_vocabulary_of_a_shuffled_text():
    counts = torch.tensor([1000 // r for r in range(1, 200)])
    tokens = torch.repeat_interleave(counts)
    grown = torch.stack(
        [
            vocabulary_growth(
                tokens[torch.randperm(len(tokens), generator=torch.Generator().manual_seed(s))]
            )
            for s in range(30)
        ]
    ).double()
    for m in (10, 100, 1000, len(tokens)):
        seen = grown[:, m - 1]
        error = float(seen.std()) / 30**0.5 + 1e-9
        assert abs(float(seen.mean() - expected_vocabulary(counts, [m])[0])) < 4 * error


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.integers(1, 9))
def test_coverage_counts(counts, least):
    kept = [count for count in counts if count >= least]
    assert coverage(torch.tensor(counts), least) == (len(kept), sum(kept))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_power_law(torch.ones(2), torch.ones(2)), "not all alike"),
        (lambda: fit_power_law(torch.arange(3.0), torch.ones(3)), "positive"),
        (lambda: fit_power_law(torch.ones(1), torch.ones(1)), r"n ≥ 2, got \[1\]"),
        (lambda: zipf_exponent(torch.ones(5), 0, 3), "first must be a whole number ≥ 1, got 0"),
        (lambda: zipf_exponent(torch.ones(5), 2, 6), "first < last ≤ 5, got 2, 6"),
        (lambda: vocabulary_growth(torch.tensor([], dtype=torch.int64)), r"n ≥ 1, got shape \[0\]"),
        (lambda: expected_vocabulary(torch.tensor([2, 1]), [4]), r"in \[0, 3\], got 4"),
        (lambda: coverage(torch.ones(3), 0), "min_count must be a whole number ≥ 1, got 0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
