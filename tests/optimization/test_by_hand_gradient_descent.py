"""The section *By hand* of the chapter on gradient descent, number for number."""

import math

import pytest
import torch
from torch import Tensor

from d2lcompanion.optimization.descent import (
    backtracking_line_search,
    descent_lemma_bound,
    first_order,
    gradient_descent,
    minimize,
    newton,
)
from d2lcompanion.optimization.objectives import Objective, quadratic


@pytest.fixture
def ellipse() -> Objective:
    """x₁² + 2x₂²."""
    return quadratic([2.0, 4.0])


@pytest.fixture
def barrier() -> Objective:
    """x − ln x for x > 0."""
    return Objective(
        "x − ln x",
        value=lambda x: (x - x.log())[..., 0],
        gradient=lambda x: 1 - 1 / x,
        hessian=lambda x: (1 / x**2)[..., None],
        dim=1,
    )


def vector(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def test_one_dimension():
    run = minimize(quadratic([2.0]), 10.0, first_order(gradient_descent, lr=0.2), steps=3)
    torch.testing.assert_close(run.points, vector(10, 6, 3.6, 2.16)[:, None])


def test_two_dimensions_and_the_promise_of_the_lemma(ellipse):
    run = minimize(ellipse, [-5.0, -2.0], first_order(gradient_descent, lr=0.1), steps=1)
    torch.testing.assert_close(run.values, vector(33, 18.88))
    torch.testing.assert_close(ellipse.gradient(run.points[0]), vector(-10, -8))
    torch.testing.assert_close(run.gradient_norms[0] ** 2, vector(164)[0])
    torch.testing.assert_close(run.points[1], vector(-4, -1.2))
    bound = descent_lemma_bound(33.0, math.sqrt(164), 0.1, 4.0)
    assert bound == pytest.approx(19.88)


def test_backtracking_refuses_one_and_accepts_a_half(ellipse):
    start = vector(-5, -2)
    direction = -ellipse.gradient(start)
    assert float(ellipse(start + direction)) == pytest.approx(97)
    assert float(ellipse(start + 0.5 * direction)) == pytest.approx(8)
    assert backtracking_line_search(ellipse, start, direction) == 0.5
    assert pytest.approx(0.49995) == 2 * (1 - 1e-4) / 4


def test_newton_squares_the_error(barrier):
    run = minimize(barrier, 0.5, newton, steps=4)
    errors = 1 - run.points[:, 0]
    torch.testing.assert_close(errors, vector(1 / 2, 1 / 4, 1 / 16, 1 / 256, 1 / 65536))


def test_newton_leaves_the_domain_from_three(barrier):
    start = vector(3)
    update, _ = newton(barrier, start)
    torch.testing.assert_close(start + update, vector(-3))
    run = minimize(barrier, 3.0, newton, steps=1)
    assert run.status == "diverged"
    assert run.steps == 0
