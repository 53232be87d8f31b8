import pytest
import torch

from d2lcompanion.data.diabetes import load_diabetes
from d2lcompanion.experiments.least_squares import solve
from d2lcompanion.experiments.momentum import Preset, methods, steps_until
from d2lcompanion.optimization.descent import minimize
from d2lcompanion.optimization.objectives import least_squares


def test_steps_are_those_of_single_runs():
    """One start: the driver of the package counts the same."""
    problem = solve(load_diabetes())
    start = torch.ones(1, 10, dtype=torch.float64)
    f = least_squares(problem.data.features, problem.data.target)
    for method in methods(problem).values():
        steps, largest = steps_until(problem, start, method, share=1e-3, steps=2000)
        gaps = problem.gap(minimize(f, start[0], method, steps=steps).points)
        assert gaps[-1] <= 1e-3 * gaps[0] < gaps[-2]
        assert largest == pytest.approx(float(gaps.max() / gaps[0]))


def test_too_few_steps_give_none():
    problem = solve(load_diabetes())
    start = torch.ones(3, 10, dtype=torch.float64)
    method = methods(problem)["gradient_descent"]
    assert steps_until(problem, start, method, share=1e-6, steps=10)[0] is None


def test_bad_presets_are_named():
    with pytest.raises(ValueError, match="starts must be ≥ 1, got 0"):
        Preset(1, 0, 0.1, 10)
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\), got 2"):
        Preset(1, 1, 2, 10)
