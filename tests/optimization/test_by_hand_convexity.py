"""The section *By hand* of the chapter on convexity, number for number."""

from functools import partial

import pytest
import torch
from torch import Tensor

from d2lcompanion.optimization.convexity import (
    jensen_gap,
    project_ball,
    project_box,
    project_simplex,
    projected_gradient,
)
from d2lcompanion.optimization.descent import minimize
from d2lcompanion.optimization.objectives import quadratic


def vector(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def test_jensen_on_the_square():
    points, weights = vector(0, 4)[:, None], vector(0.25, 0.75)
    square = quadratic([2.0])
    assert float(square(vector(3))) == 9
    assert float(jensen_gap(square, points, weights)) == 12 - 9


def test_a_certificate_against_a_product():
    def loss(x: Tensor) -> Tensor:
        return (x.prod(-1) - 1) ** 2

    a, b = vector(2, 0.5), vector(0.5, 2)
    assert float(loss(a)) == float(loss(b)) == 0
    middle = (a + b) / 2
    assert middle.tolist() == [1.25, 1.25]
    assert float(loss(middle)) == 0.5625**2 == pytest.approx(0.3164, abs=5e-5)
    assert float(jensen_gap(loss, torch.stack([a, b]))) == -(0.5625**2)


def test_projections():
    torch.testing.assert_close(project_ball(vector(3, 4)), vector(0.6, 0.8))
    assert project_box(vector(3, 4), 0.0, 2.0).tolist() == [2, 2]
    torch.testing.assert_close(project_simplex(vector(0.5, 1.2, -0.1)), vector(0.15, 0.85, 0))


def test_ball_and_penalty_meet_where_the_multiplier_is_two():
    f = quadratic([1.0], linear=[-3.0], offset=4.5)  # ½(w − 3)²
    method = partial(projected_gradient, lr=0.5, project=partial(project_ball, radius=1.0))
    run = minimize(f, 0.0, method, steps=3)
    assert run.points[:, 0].tolist() == [0, 1, 1, 1]
    w = run.points[-1]
    assert float(-f.gradient(w) / w) == 2
    penalized = quadratic([1.0 + 2.0], linear=[-3.0])
    assert float(penalized.minimizers) == 1
