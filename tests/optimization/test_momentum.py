"""Heavy ball and Nesterov on quadratics: formulas against eigenvalues and against runs."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.optimization import momentum, objectives
from d2lcompanion.optimization.descent import (
    contraction_factor,
    first_order,
    gradient_descent,
    minimize,
    optimal_step,
)
from d2lcompanion.optimization.momentum import (
    HeavyBallState,
    convergence_rate,
    heavy_ball,
    mode_matrix,
    nesterov,
    nesterov_constants,
    nesterov_rate,
    optimal_heavy_ball,
)

GRID = [(p, b) for p in (0.01, 0.3, 1.0, 1.7, 2.5, 3.4) for b in (0.0, 0.2, 0.5, 0.8, 0.95)]


def spectral_radius(matrix: torch.Tensor) -> torch.Tensor:
    return torch.linalg.eigvals(matrix).abs().amax(-1)


@pytest.mark.parametrize(("product", "beta"), GRID)
def test_the_rate_is_the_spectral_radius(product, beta):
    rate = convergence_rate(product, beta)
    assert float(rate) == pytest.approx(float(spectral_radius(mode_matrix(product, beta))))
    matrix = mode_matrix(product, beta)
    assert float(matrix.det()) == pytest.approx(beta)
    companion = torch.tensor(  # x(k+1) = (1 + β)(1 − p) x(k) − β(1 − p) x(k−1)
        [[(1 + beta) * (1 - product), -beta * (1 - product)], [1, 0]], dtype=torch.float64
    )
    found = float(nesterov_rate(product, beta))
    assert found == pytest.approx(float(spectral_radius(companion)))


@pytest.mark.parametrize(("product", "beta"), GRID)
@pytest.mark.parametrize("rule", [heavy_ball, nesterov])
def test_the_rate_is_what_a_run_does(rule, product, beta):
    """‖(v, x)‖ after many steps from two starts: its growth is the spectral radius."""
    rate = float((convergence_rate if rule is heavy_ball else nesterov_rate)(product, beta))
    x = torch.tensor([1.0, 0.0], dtype=torch.float64)
    state = HeavyBallState(torch.tensor([0.0, 1.0], dtype=torch.float64))
    logs, scale = [], 0.0
    for _ in range(4000):
        update, state = rule(x, state, lr=product, beta=beta)  # λ = 1
        x = x + update
        size = float(torch.stack([x, state.velocity]).abs().max())
        if size < 1e-12:  # nilpotent: nothing is left but rounding
            assert rate < 1e-6
            return
        scale += math.log(size)
        logs.append(scale)
        x, state = x / size, HeavyBallState(state.velocity / size)
    measured = math.exp((logs[-1] - logs[1999]) / 2000)
    assert measured == pytest.approx(rate, rel=2e-3)


@settings(max_examples=200, deadline=None)
@given(st.floats(1e-3, 6), st.floats(0, 0.999))
def test_converges_exactly_inside_the_bound(product, beta):
    """Errata E2: 0 < ηλ < 2 + 2β."""
    rate, bound = float(convergence_rate(product, beta)), 2 + 2 * beta
    if product < bound * (1 - 1e-9):
        assert rate < 1
    if product > bound * (1 + 1e-9):
        assert rate > 1


@pytest.mark.parametrize("beta", [0.2, 0.5, 0.9])
def test_the_bound_of_dampened_momentum(beta):
    """v ← βv + (1 − β)g is heavy ball with η(1 − β): 0 < ηλ < 2(1 + β)/(1 − β)."""
    bound = 2 * (1 + beta) / (1 - beta)
    for factor, shrinks in ((0.99, True), (1.01, False)):
        x = torch.ones(1, dtype=torch.float64)
        state = HeavyBallState.zeros(x)
        for _ in range(3000):
            update, state = heavy_ball(x, state, lr=factor * bound, beta=beta, dampening=beta)
            x = x + update
        assert (float(x.abs()) < 1e-6) == shrinks


def test_the_book_s_claim_about_divergence_is_wrong():
    """Gradient descent (β = 0) at ηλ = 1.5 converges; it diverges above 2, not above 1."""
    assert float(convergence_rate(1.5, 0.0)) == pytest.approx(0.5)
    assert float(convergence_rate(2.1, 0.0)) == pytest.approx(1.1)


def test_completing_the_square():
    """Errata E1: the minimizer of ½xᵀQx + xᵀc + b is −Q⁻¹c."""
    q = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    c = torch.tensor([1.0, -4.0], dtype=torch.float64)
    f = objectives.quadratic(q, linear=c, offset=0.5)
    x = torch.tensor([0.3, 0.7], dtype=torch.float64)
    z = x + torch.linalg.solve(q, c)
    square = 0.5 * z @ q @ z + 0.5 - 0.5 * c @ torch.linalg.solve(q, c)
    assert float(square) == pytest.approx(float(f(x)))


@pytest.mark.parametrize(("mu", "smoothness"), [(1.0, 1.0), (1.0, 4.0), (0.1, 30.0), (1.0, 470.0)])
def test_the_optimal_choice_is_best_on_a_grid(mu, smoothness):
    best = optimal_heavy_ball(mu, smoothness)
    spectrum = torch.linspace(mu, smoothness, 50, dtype=torch.float64)
    worst = convergence_rate(best.lr * spectrum, best.beta).max()
    assert float(worst) == pytest.approx(best.rate, abs=1e-6)
    lrs = torch.linspace(0.05, 4, 80, dtype=torch.float64) / smoothness
    betas = torch.linspace(0, 0.99, 100, dtype=torch.float64)
    rates = convergence_rate(lrs[:, None, None] * spectrum, betas[None, :, None]).amax(-1)
    assert float(rates.min()) >= best.rate - 1e-6


def test_nesterov_s_constants_keep_their_promise():
    mu, smoothness = 1.0, 100.0
    choice = nesterov_constants(mu, smoothness)
    spectrum = torch.linspace(mu, smoothness, 500, dtype=torch.float64)
    assert float(nesterov_rate(choice.lr * spectrum, choice.beta).max()) <= choice.rate + 1e-12
    assert choice.rate < contraction_factor(optimal_step(mu, smoothness), mu, smoothness)


def test_nesterov_s_two_sequences_visit_the_same_points():
    """w ← x − η∇f(x); x ← w + β(w − w before): PyTorch's form visits the same x."""
    f = objectives.rosenbrock()
    lr, beta, start = 1e-3, 0.9, torch.tensor([-1.2, 1.0], dtype=torch.float64)
    run = minimize(f, start, first_order(nesterov, lr=lr, beta=beta), steps=50)
    x, w = start, start
    for k in range(1, 51):
        w_next = x - lr * f.gradient(x)
        x, w = w_next + beta * (w_next - w), w_next
        torch.testing.assert_close(run.points[k], x)


@pytest.mark.parametrize("kappa", [10.0, 100.0, 1000.0])
def test_iterations_grow_like_the_root_of_kappa(kappa):
    f = objectives.quadratic(torch.linspace(1, kappa, 5, dtype=torch.float64))
    best = optimal_heavy_ball(1.0, kappa)
    start = torch.ones(5, dtype=torch.float64)
    method = first_order(heavy_ball, lr=best.lr, beta=best.beta)
    fast = minimize(
        f, start, method, steps=100_000, tolerance=1e-6 * float(f.gradient(start).norm())
    )
    plain = first_order(gradient_descent, lr=optimal_step(1.0, kappa))
    slow = minimize(
        f, start, plain, steps=100_000, tolerance=1e-6 * float(f.gradient(start).norm())
    )
    assert slow.steps / fast.steps > 0.25 * math.sqrt(kappa)


def test_heavy_ball_cycles_where_the_promise_does_not_hold():
    f = momentum.cycling_example()
    choice = optimal_heavy_ball(1.0, 25.0)
    assert choice.lr == pytest.approx(1 / 9)
    assert choice.beta == pytest.approx(4 / 9)
    ball = minimize(f, 3.3, first_order(heavy_ball, lr=choice.lr, beta=choice.beta), steps=600)
    tail = ball.points[-30:, 0]
    torch.testing.assert_close(tail[3:], tail[:-3])  # three points, over and over
    assert tail.abs().min() > 0.1
    # Published: the cycle is (792/1225) ≈ .65, −(2208/1225) ≈ −1.80, (2592/1225) ≈ 2.12.
    expected = torch.tensor([-2208, 792, 2592], dtype=torch.float64) / 1225
    torch.testing.assert_close(tail[-3:].sort().values, expected)
    safe = nesterov_constants(1.0, 25.0)
    look = minimize(f, 3.3, first_order(nesterov, lr=safe.lr, beta=safe.beta), steps=600)
    assert look.points[-1].abs() < 1e-12


def test_the_cycling_example_is_what_it_says():
    f = momentum.cycling_example()
    x = torch.linspace(-3, 5, 1601, dtype=torch.float64)[:, None].requires_grad_()
    slope = torch.autograd.grad(f(x).sum(), x)[0]
    torch.testing.assert_close(slope, f.gradient(x.detach()))
    step = x.detach()[1:] - x.detach()[:-1]
    quotients = (f.gradient(x.detach())[1:] - f.gradient(x.detach())[:-1]) / step
    assert quotients.min() >= 1 - 1e-9
    assert quotients.max() <= 25 + 1e-9
    assert f.hessian(torch.tensor([[0.5], [1.5], [2.5]])).flatten().tolist() == [25, 1, 25]


@pytest.mark.parametrize("function", [optimal_heavy_ball, nesterov_constants])
def test_curvatures_out_of_order_are_named(function):
    with pytest.raises(ValueError, match=r"0 < mu ≤ smoothness < ∞ must hold, got 2.0 and 1.0"):
        function(2.0, 1.0)


def test_a_negative_beta_is_named():
    with pytest.raises(ValueError, match=r"beta must be ≥ 0, got -0\.5"):
        convergence_rate(torch.ones(2), torch.tensor([0.5, -0.5]))
