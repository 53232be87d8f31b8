import math

import pytest
import torch

from d2lcompanion.data.diabetes import load_diabetes
from d2lcompanion.experiments.least_squares import solve
from d2lcompanion.experiments.momentum import (
    Preset,
    methods,
    predicted_rates,
    steps_until,
)
from d2lcompanion.optimization.descent import minimize
from d2lcompanion.optimization.objectives import least_squares


def test_steps_are_those_of_single_runs():
    """One start: the driver of the package counts the same."""
    problem = solve(load_diabetes())
    start = torch.ones(1, 10, dtype=torch.float64)
    f = least_squares(problem.data.features, problem.data.target)
    for method in methods(problem).values():
        course = steps_until(problem, start, method, share=1e-3, steps=2000)
        gaps = problem.gap(minimize(f, start[0], method, steps=course.steps).points)
        assert gaps[-1] <= 1e-3 * gaps[0] < gaps[-2]
        assert course.largest_gap == pytest.approx(float(gaps.max() / gaps[0]))


def test_the_rate_is_the_factor_per_step_however_seldom_one_looks():
    """Gradient descent from the worst start shrinks by exactly (κ − 1)/(κ + 1) a step."""
    problem = solve(load_diabetes())
    start = problem.worst_start()[None]
    method = methods(problem)["gradient_descent"]
    kappa = problem.condition_number
    for every in (1, 7):
        course = steps_until(problem, start, method, share=1e-3, steps=2000, every=every)
        assert course.rate == pytest.approx((kappa - 1) / (kappa + 1), abs=1e-9)
        assert course.steps % every == 0


def test_the_predicted_rates():
    problem = solve(load_diabetes())
    kappa = problem.condition_number
    root = math.sqrt(kappa)
    predicted = predicted_rates(problem)
    assert predicted["gradient_descent"] == pytest.approx((kappa - 1) / (kappa + 1))
    assert predicted["heavy_ball"] == pytest.approx((root - 1) / (root + 1))
    assert predicted["nesterov"] == pytest.approx(1 - 1 / root, abs=1e-6)  # a double root


def test_too_few_steps_give_none():
    problem = solve(load_diabetes())
    start = torch.ones(3, 10, dtype=torch.float64)
    method = methods(problem)["gradient_descent"]
    course = steps_until(problem, start, method, share=1e-6, steps=10)
    assert course.steps is None
    assert 0 < course.rate < 1
    assert steps_until(problem, start, method, share=1e-6, steps=2).rate is None


def test_bad_presets_are_named():
    with pytest.raises(ValueError, match="starts must be ≥ 1, got 0"):
        Preset(1, 0, 0.1, 10)
    with pytest.raises(ValueError, match="every must be ≥ 1, got 0"):
        Preset(1, 1, 0.1, 10, every=0)
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\), got 2"):
        Preset(1, 1, 2, 10)
