"""The section *By hand* of the chapter on SGD, number for number."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from d2lcompanion.optimization.descent import gradient_descent
from d2lcompanion.optimization.least_squares_noise import mean_square_edge, stationary_gap
from d2lcompanion.optimization.schedules import inverse_power
from d2lcompanion.optimization.stochastic import (
    FiniteSum,
    averaged_bound,
    gradient_variance,
    least_squares_sum,
    polyak_average,
    sgd,
)


def vector(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


ONES, A = torch.ones(3, 1, dtype=torch.float64), vector(1, 2, 6)


@pytest.fixture
def three() -> FiniteSum:
    """fᵢ(x) = ½(x − aᵢ)² with a = (1, 2, 6)."""
    return least_squares_sum(ONES, A)


def run(problem: FiniteSum, rows: list[int], schedule) -> Tensor:
    indices = torch.tensor(rows)[:, None]
    return sgd(problem, [0.0], gradient_descent, indices=indices, schedule=schedule).points


def test_one_gradient_is_right_on_average(three):
    x = vector(0)
    each = [float(three.sample_gradient(x, torch.tensor([i]))) for i in range(3)]
    assert each == [-1, -2, -6]
    assert float(three.objective.gradient(x)) == pytest.approx(-3)
    for point in (0.0, 3.0, 17.0):
        assert gradient_variance(three, vector(point)) == pytest.approx(14 / 3)


def test_two_rows_without_replacement(three):
    pairs = [float(three.sample_gradient(vector(0), torch.tensor(p)))
             for p in ((0, 1), (0, 2), (1, 2))]  # fmt: skip
    assert pairs == [-1.5, -3.5, -4]
    variance = gradient_variance(three, vector(0), batch_size=2, replacement=False)
    assert variance == pytest.approx(7 / 6)


def test_a_constant_rate_never_rests(three):
    points = run(three, [2, 0, 1], 0.5)
    torch.testing.assert_close(points[:, 0], vector(0, 3, 2, 2))
    assert stationary_gap(ONES, A, 0.5) == pytest.approx(7 / 9)
    assert 0.5 * gradient_variance(three, vector(3)) / 4 == pytest.approx(7 / 12)
    assert three.objective.minimum == pytest.approx(7 / 3)
    torch.testing.assert_close(polyak_average(points)[-1], vector(7 / 4))
    torch.testing.assert_close(polyak_average(points, first=2)[-1], vector(2))


def test_one_over_t_is_the_running_mean_in_any_order(three):
    inverse = inverse_power(1.0, power=1.0)
    torch.testing.assert_close(run(three, [2, 0, 1], inverse)[:, 0], vector(0, 6, 3.5, 3))
    for order in itertools.permutations(range(3)):
        torch.testing.assert_close(run(three, list(order), inverse)[-1], vector(3))


def test_the_share_seen_with_replacement():
    draws = list(itertools.product(range(3), repeat=3))
    share = sum(len(set(d)) for d in draws) / (3 * len(draws))
    assert share == pytest.approx(19 / 27) == pytest.approx(1 - (2 / 3) ** 3)


def test_a_mean_that_explodes_over_runs_that_converge():
    """fᵢ(x) = ½(aᵢx)² with a = 1 and 3, η = ¼."""
    features = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
    assert mean_square_edge(features) == pytest.approx(10 / 41)
    factors = [1 - 0.25 * 1, 1 - 0.25 * 9]
    assert factors == [0.75, -1.25]
    assert sum(f**2 for f in factors) / 2 == 1.0625
    assert math.prod(factors) == -0.9375


def test_the_bound(three):
    assert averaged_bound(1.0, 1.0, [0.1] * 100) == pytest.approx(0.1)
