import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_lyapunov
from scipy.optimize import minimize

from d2lcompanion.optimization.momentum import mode_matrix
from d2lcompanion.optimization.noisy_quadratic import best_rates, mean_squares, momentum_floor


def test_by_hand_of_the_schedules_chapter():
    """λ = σ = E[x₀²] = 1: the best rates are ½, ⅓, ¼ …, and leave ½, ⅓, ¼ …"""
    rates = best_rates(4, start=1.0, curvature=1.0, noise=1.0)
    assert rates == pytest.approx([1 / 2, 1 / 3, 1 / 4, 1 / 5])
    left = mean_squares(rates, start=1.0, curvature=1.0, noise=1.0)
    assert left == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])


def test_mean_squares_by_simulation():
    generator = torch.Generator().manual_seed(0)
    x = torch.full((200_000,), 2.0, dtype=torch.float64)
    rates = [0.5, 0.1, 0.3, 0.3, 0.0, 1.2]
    expected = mean_squares(rates, start=4.0, curvature=0.7, noise=1.5)
    for rate, square in zip(rates, expected[1:], strict=True):
        xi = torch.randn(len(x), generator=generator, dtype=torch.float64)
        x = x - rate * (0.7 * x + 1.5 * xi)
        spread = float(x.square().std()) / len(x) ** 0.5
        assert abs(float(x.square().mean()) - square) < 4 * spread


def test_a_constant_rate_ends_at_its_floor():
    eta, lam, sigma = 0.1, 2.0, 3.0
    end = mean_squares([eta] * 500, start=1.0, curvature=lam, noise=sigma)[-1]
    assert end == pytest.approx(eta * sigma**2 / (lam * (2 - eta * lam)))


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.9, 0.99])
@pytest.mark.parametrize("product", [1e-3, 0.5, 1.9, 0.95])
def test_momentum_s_floor_solves_the_lyapunov_equation(product, beta):
    """Σ = MΣMᵀ + η²σ²bbᵀ with b = (1, −1), for (ηv, x): scipy is the oracle."""
    lam, sigma = 0.7, 1.5
    eta = product / lam
    noise = (eta * sigma) ** 2 * np.array([[1.0, -1.0], [-1.0, 1.0]])
    covariance = solve_discrete_lyapunov(mode_matrix(product, beta).numpy(), noise)
    floor = momentum_floor(eta, beta, curvature=lam, noise=sigma)
    assert floor == pytest.approx(0.5 * lam * covariance[1, 1], rel=1e-9)


def test_momentum_s_floor_without_momentum_is_gradient_descent_s():
    end = mean_squares([0.1] * 500, start=1.0, curvature=2.0, noise=3.0)[-1]
    assert momentum_floor(0.1, 0.0, curvature=2.0, noise=3.0) == pytest.approx(end)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.floats(0.2, 5), st.floats(0.2, 5), st.floats(0.1, 5))
def test_no_other_rates_leave_less(steps, start, curvature, noise):
    numbers = {"start": start, "curvature": curvature, "noise": noise}
    best = best_rates(steps, **numbers)
    least = mean_squares(best, **numbers)[-1]
    assert least == pytest.approx(1 / (1 / start + steps * curvature**2 / noise**2))
    found = minimize(
        lambda rates: mean_squares(np.abs(rates).tolist(), **numbers)[-1],
        np.array(best) * 0.7 + 0.01,
        method="Nelder-Mead",
    )
    assert found.fun >= least * (1 - 1e-9)


def test_without_noise_one_step_is_enough():
    rates = best_rates(3, start=4.0, curvature=2.0, noise=0.0)
    assert mean_squares(rates, start=4.0, curvature=2.0, noise=0.0)[1:] == [0, 0, 0]


def test_errors_name_the_number():
    with pytest.raises(ValueError, match="rate must be ≥ 0 and finite, got -1"):
        mean_squares([-1.0], start=1.0, curvature=1.0, noise=1.0)
    with pytest.raises(ValueError, match="curvature must be > 0 and finite, got 0"):
        best_rates(3, start=1.0, curvature=0.0, noise=1.0)
    with pytest.raises(ValueError, match="start must be > 0 and finite, got 0"):
        best_rates(3, start=0.0, curvature=1.0, noise=1.0)
    with pytest.raises(ValueError, match=r"lr must be below 2\(1 \+ β\)/λ = 1\.5, got 1\.6"):
        momentum_floor(1.6, 0.5, curvature=2.0, noise=1.0)
