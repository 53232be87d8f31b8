"""The numbers of the section *By hand* in the chapter on momentum."""

import math

import pytest
import torch

from d2lcompanion.optimization.descent import (
    contraction_factor,
    optimal_step,
)
from d2lcompanion.optimization.momentum import (
    HeavyBallState,
    convergence_rate,
    heavy_ball,
    nesterov,
    optimal_heavy_ball,
)


@pytest.mark.parametrize(
    ("rule", "points"), [(heavy_ball, [8, 4, 0, -2]), (nesterov, [8, 2, -0.5, -0.875])]
)
def test_three_steps(rule, points):
    x = torch.tensor([8.0], dtype=torch.float64)
    state, found = HeavyBallState.zeros(x), [8.0]
    for _ in range(3):
        update, state = rule(x, state, lr=0.5, beta=0.5)  # the gradient of ½x² is x
        x = x + update
        found.append(float(x))
    assert found == pytest.approx(points)


def test_the_rate():
    assert float(convergence_rate(0.5, 0.5)) == pytest.approx(math.sqrt(0.5))
    assert contraction_factor(0.5, 1.0, 1.0) == 0.5


def test_the_best_choice():
    best = optimal_heavy_ball(1.0, 9.0)
    assert best == pytest.approx((0.25, 0.25, 0.5))
    assert contraction_factor(optimal_step(1.0, 9.0), 1.0, 9.0) == pytest.approx(0.8)
