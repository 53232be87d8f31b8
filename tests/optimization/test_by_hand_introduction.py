"""The section *By hand* of the chapter on optimization and deep learning, number for number."""

import math

import pytest
import torch

from d2lcompanion.optimization.deep_gradients import SIGMOID, backpropagate
from d2lcompanion.optimization.descent import first_order, gradient_descent, minimize
from d2lcompanion.optimization.objectives import least_squares, saddle
from d2lcompanion.optimization.random_matrices import is_positive_definite
from d2lcompanion.optimization.stationary_points import (
    classify_stationary_point,
    saddle_escape_steps,
)


def vector(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def test_two_goals():
    empirical = least_squares(torch.ones(3, 1, dtype=torch.float64), vector(1, 1, -1))
    risk = least_squares(torch.ones(2, 1, dtype=torch.float64), vector(1, -1))  # both values of Z
    chosen = empirical.minimizers[0]
    assert float(chosen) == pytest.approx(1 / 3)
    assert float(empirical(chosen)) == pytest.approx(4 / 9)
    assert float(risk(chosen)) == pytest.approx(5 / 9)
    assert risk.minimum == pytest.approx(1 / 2)
    assert float(risk.minimizers[0]) == pytest.approx(0)


def test_a_definite_matrix():
    h = torch.tensor([[2.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    s, d, e = 3 / math.sqrt(2), 1 / math.sqrt(2), math.sqrt(2)
    assert s**2 == pytest.approx(4.5)
    assert d**2 + e**2 == pytest.approx(2.5)
    expected = vector((3 - math.sqrt(5)) / 2, (3 + math.sqrt(5)) / 2)
    torch.testing.assert_close(torch.linalg.eigvalsh(h), expected)
    size = math.sqrt(d**2 + e**2)
    torch.testing.assert_close(
        expected, vector((s - size) / math.sqrt(2), (s + size) / math.sqrt(2))
    )
    assert bool(is_positive_definite(h))


def test_a_saddle():
    method = first_order(gradient_descent, lr=0.1)
    stays = minimize(saddle(), [1.0, 0.0], method, steps=200)
    assert stays.points[-1].abs().max() < 1e-15
    leaves = minimize(saddle(), [1.0, 0.01], method, steps=30)
    assert int((leaves.points[:, 1] < 1).sum()) == 26  # of the points 0 … 25
    assert saddle_escape_steps(0.01, 1.0, lr=0.1, curvature=2.0) == 26
    assert float(leaves.points[26, 0]) == pytest.approx(0.8**26) == pytest.approx(0.003, abs=1e-4)
    assert classify_stationary_point(saddle().hessian(vector(0, 0))) == "saddle"


def test_three_sigmoids_in_a_row():
    one = torch.ones(1, 1, dtype=torch.float64)
    signals = backpropagate([one] * 4, 0 * one, SIGMOID, torch.ones_like)
    values = [float(h) for h in signals.inputs]
    assert values == pytest.approx([0, 0.5, 0.6225, 0.6508], abs=5e-5)
    slopes = [h * (1 - h) for h in values[1:]]
    assert slopes == pytest.approx([0.25, 0.2350, 0.2273], abs=5e-5)
    product = math.prod(slopes)  # the output is h³ itself, and ∂z¹/∂x = 1
    assert float(signals.errors[0]) == pytest.approx(product)
    assert product == pytest.approx(0.01335, abs=5e-6)
    assert product < 1 / 64 == pytest.approx(0.0156, abs=5e-5)
