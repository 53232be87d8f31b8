"""The numbers of the section *By hand* in the chapter on minibatches."""

import itertools

import pytest
import torch

from d2lcompanion.optimization.critical_batch import Tradeoff, best_rate
from d2lcompanion.optimization.minibatch import gradient_noise_scale, two_batch_noise_scale
from d2lcompanion.optimization.stochastic import gradient_variance, least_squares_sum

A = torch.tensor([0.0, 2.0, 4.0, 10.0], dtype=torch.float64)


def test_four_rows():
    scale = gradient_noise_scale(-A[:, None])
    assert scale == (16, 14)
    assert scale.batch == 0.875


def test_two_rows():
    means = [float(-(a + b) / 2) for a, b in itertools.combinations(A, 2)]
    assert means == [-1, -2, -5, -3, -6, -7]
    assert sum((m + 4) ** 2 for m in means) / 6 == pytest.approx(14 / 3)
    problem = least_squares_sum(torch.ones(4, 1, dtype=torch.float64), A)
    zero = torch.zeros(1, dtype=torch.float64)
    assert gradient_variance(problem, zero, batch_size=2) == pytest.approx(7)
    different = gradient_variance(problem, zero, batch_size=2, replacement=False)
    assert different == pytest.approx(14 / 3)


def test_backwards():
    assert two_batch_noise_scale(30, 23, small=1, big=2) == (16, 14)


def test_the_best_step():
    assert best_rate(1, largest=1, noise_scale=0.875) == pytest.approx(8 / 15)
    assert best_rate(2, largest=1, noise_scale=0.875) == pytest.approx(16 / 23)
    eta = 8 / 15
    gain = eta * 16 - eta**2 / 2 * (16 + 14)  # the expansion, with H = 1
    assert gain == pytest.approx(64 / 15)


def test_a_trade():
    trade = Tradeoff(10, 300)
    found = [(trade.steps(b), trade.examples(b)) for b in (30, 10, 90)]
    assert found == [(20, 600), (40, 400), (pytest.approx(40 / 3), pytest.approx(1200))]
