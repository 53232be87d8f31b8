"""The exact averages against every possible run, simulation, scipy and a slow loop."""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from d2lcompanion.optimization.descent import gradient_descent
from d2lcompanion.optimization.least_squares_noise import (
    expected_gaps,
    mean_square_edge,
    stationary_gap,
)
from d2lcompanion.optimization.objectives import least_squares
from d2lcompanion.optimization.schedules import factor
from d2lcompanion.optimization.stochastic import (
    gradient_variance,
    least_squares_sum,
    sample_indices,
    sgd,
)


def data(n: int, d: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    features = torch.randn(n, d, generator=g, dtype=torch.float64)
    return features, torch.randn(n, generator=g, dtype=torch.float64)


def second_moment_map(features: Tensor, lr: float, b: int) -> np.ndarray:
    """The matrix of M → E (I − ηA)M(I − ηA), A the mean over b rows, by a loop over rows."""
    x = features.numpy()
    n, d = x.shape
    h = x.T @ x / n
    fourth = sum(np.kron(np.outer(a, a), np.outer(a, a)) for a in x) / n
    eye = np.eye(d)
    drift = np.kron(h, eye) + np.kron(eye, h)
    return np.eye(d * d) - lr * drift + lr**2 * (fourth / b + (1 - 1 / b) * np.kron(h, h))


# -------------------------------------------------------------------------------------- every run


@pytest.mark.parametrize("b", [1, 2])
@pytest.mark.parametrize("schedule", [0.3, factor(0.3, math.exp(-0.5))])
def test_the_expectation_is_the_mean_over_every_possible_run(b, schedule):
    n, steps = (4, 4) if b == 1 else (3, 3)
    features, target = data(n, 2)
    problem = least_squares_sum(features, target)
    every = list(itertools.product(range(n), repeat=steps * b))
    rows = torch.tensor(every).view(len(every), steps, b)
    start = torch.tensor([1.0, -2.0], dtype=torch.float64)
    runs = sgd(problem, start, gradient_descent, indices=rows, schedule=schedule)
    gaps = runs.values.mean(0) - problem.objective.minimum
    ours = expected_gaps(features, target, start, schedule=schedule, steps=steps, batch_size=b)
    torch.testing.assert_close(ours, gaps, rtol=1e-10, atol=1e-12)


def test_without_noise_it_is_gradient_descent():
    """A target that the columns explain, rows that are ±√2 times the axes: batch after batch H."""
    features = torch.tensor(
        [[1.0]], dtype=torch.float64
    )  # one row: every draw is the full gradient
    gaps = expected_gaps(features, torch.zeros(1, dtype=torch.float64),
                         torch.ones(1, dtype=torch.float64), schedule=0.5, steps=5)  # fmt: skip
    torch.testing.assert_close(gaps, 0.5 * 0.25 ** torch.arange(6).double())


# -------------------------------------------------------------------------------- the noise floor


@pytest.mark.parametrize("b", [1, 3])
def test_the_floor_is_where_the_expectation_ends(b):
    features, target = data(20, 3)
    lr = 0.3 * mean_square_edge(features, batch_size=b)
    gaps = expected_gaps(features, target, torch.zeros(3, dtype=torch.float64),
                         schedule=lr, steps=2000, batch_size=b)  # fmt: skip
    floor = stationary_gap(features, target, lr, batch_size=b)
    assert float(gaps[-1]) == pytest.approx(floor, rel=1e-9)


def test_a_simulation_reaches_the_floor():
    features, target = data(20, 3)
    problem = least_squares_sum(features, target)
    g = torch.Generator().manual_seed(0)
    rows = sample_indices(20, 400 * 400, replacement=True, generator=g).view(400, 400, 1)
    assert problem.objective.minimizers is not None
    run = sgd(problem, problem.objective.minimizers[0], gradient_descent, indices=rows,
              schedule=0.05)  # fmt: skip
    means = run.values[:, 100:].mean(1) - problem.objective.minimum
    error = float(means.std() / math.sqrt(len(means)))
    assert abs(float(means.mean()) - stationary_gap(features, target, 0.05)) < 4 * error


@pytest.mark.parametrize("b", [1, 4])
def test_small_rates_give_scipys_lyapunov_equation_and_the_quarter_rule(b):
    features, target = data(20, 3)
    problem = least_squares_sum(features, target)
    best = least_squares(features, target).minimizers[0]
    residual = target - features @ best
    h = (features.T @ features / 20).numpy()
    c = ((features.T * residual**2) @ features / 20).numpy()
    lr = 1e-6
    lyapunov = scipy.linalg.solve_continuous_lyapunov(h, lr / b * c)
    floor = stationary_gap(features, target, lr, batch_size=b)
    assert floor == pytest.approx(0.5 * np.trace(h @ lyapunov), rel=1e-4)
    assert floor == pytest.approx(lr / (4 * b) * gradient_variance(problem, best), rel=1e-4)


def test_no_residual_no_floor():
    features, _ = data(20, 3)
    assert stationary_gap(features, features.sum(1), 0.05) == pytest.approx(0, abs=1e-20)


# ---------------------------------------------------------------------------------------- the edge


@pytest.mark.parametrize("b", [1, 2, 50])
def test_the_edge_is_where_the_map_of_second_moments_stops_to_contract(b):
    features, _ = data(15, 3)
    edge = mean_square_edge(features, batch_size=b)
    for share, stable in ((0.999, True), (1.001, False)):
        eigenvalues = np.linalg.eigvals(second_moment_map(features, share * edge, b))
        assert (np.abs(eigenvalues).max() < 1) == stable


def test_one_column_by_hand():
    """E(1 − ηa²)² < 1 if and only if η < 2 E a²/E a⁴; a² = 1 and 9: 2 · 5/41."""
    features = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
    assert mean_square_edge(features) == pytest.approx(10 / 41)


def test_the_edge_grows_with_the_batch_up_to_that_of_gradient_descent():
    features, _ = data(15, 3)
    edges = [mean_square_edge(features, batch_size=b) for b in (1, 2, 4, 100_000)]
    assert edges == sorted(edges)
    smoothness = float(torch.linalg.eigvalsh(features.T @ features / 15)[-1])
    assert edges[-1] == pytest.approx(2 / smoothness, rel=1e-3)
    assert edges[-1] < 2 / smoothness


# ------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: mean_square_edge(x, batch_size=0), "batch_size must be a whole number ≥ 1"),
        (lambda x, y: mean_square_edge(x[:, [0, 0]]), "columns must be independent, got a Hessian"),
        (lambda x, y: stationary_gap(x, y, 5.0), r"lr must be > 0 and below the edge 0\.\d+, got"),
        (lambda x, y: stationary_gap(x, y, 0.0), "below the edge .*, got 0.0"),
        (lambda x, y: stationary_gap(x, y[:3], 0.1), r"got \[15, 3\] and \[3\]"),
        (
            lambda x, y: expected_gaps(x, y, x[0, :2], schedule=0.1, steps=1),
            r"start must have shape \[3\], got \[2\]",
        ),
        (
            lambda x, y: expected_gaps(x, y, x[0], schedule=0.1, steps=-1),
            "steps must be a whole number ≥ 0, got -1",
        ),
        (
            lambda x, y: expected_gaps(x, y, x[0], schedule=-0.1, steps=1),
            "lr must be > 0 and finite, got -0.1",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(*data(15, 3))
