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
    """Errata E2: v ← βv + (1 − β)g is heavy ball with η(1 − β): 0 < ηλ < 2(1 + β)/(1 − β)."""
    bound = 2 * (1 + beta) / (1 - beta)
    for factor, shrinks in ((0.99, True), (1.01, False)):
        x = torch.ones(1, dtype=torch.float64)
        state = HeavyBallState.zeros(x)
        for _ in range(3000):
            update, state = heavy_ball(x, state, lr=factor * bound, beta=beta, dampening=beta)
            x = x + update
        assert (float(x.abs()) < 1e-6) == shrinks


@pytest.mark.parametrize(("factor", "shrinks"), [(0.99, True), (1.01, False)])
def test_the_bound_holds_for_torch_s_dampening_too(factor, shrinks):
    """Errata E2: its first step is not dampened, which moves the start and not the edge."""
    beta = 0.8
    x = torch.ones(1, dtype=torch.float64, requires_grad=True)
    lr = factor * 2 * (1 + beta) / (1 - beta)
    optimizer = torch.optim.SGD([x], lr=lr, momentum=beta, dampening=beta)
    for _ in range(3000):
        x.grad = x.detach().clone()
        optimizer.step()
    assert (float(x.detach().abs()) < 1e-6) == shrinks


def test_torch_s_dampening_is_ours_begun_at_the_first_gradient():
    f, beta = objectives.quadratic([1.0, 3.0]), 0.7
    x = torch.tensor([2.0, -1.0], dtype=torch.float64)
    w = x.clone().requires_grad_()
    optimizer = torch.optim.SGD([w], lr=0.3, momentum=beta, dampening=beta)
    state = HeavyBallState(f.gradient(x))
    for _ in range(20):
        w.grad = f.gradient(w.detach())
        optimizer.step()
        update, state = heavy_ball(f.gradient(x), state, lr=0.3, beta=beta, dampening=beta)
        x = x + update
        torch.testing.assert_close(w.detach(), x)


@pytest.mark.parametrize("kappa", [1.0, 4.0, 470.0, 1e4])
def test_the_modes_at_both_ends_have_double_roots(kappa):
    """From rest z(k) = (1 + (1 ± √β)k)(∓√β)ᵏ; the gap of the steep one rises κ/e²-fold."""
    best = optimal_heavy_ball(1.0, kappa)
    f = objectives.quadratic([1.0, kappa])
    method = first_order(heavy_ball, lr=best.lr, beta=best.beta)
    steps = 20 + int(2 * math.sqrt(kappa))
    z = minimize(f, [1.0, 1.0], method, steps=steps).points
    k, r = torch.arange(len(z), dtype=torch.float64), best.rate  # it stops at 0
    torch.testing.assert_close(z[:, 0], (1 + (1 - r) * k) * r**k, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(z[:, 1], (1 + (1 + r) * k) * (-r) ** k, rtol=1e-9, atol=1e-12)
    if kappa > 100:
        assert float(z[:, 1].square().max()) == pytest.approx(kappa / math.e**2, rel=0.02)


@pytest.mark.parametrize("name", ["cycle", "quadratic"])
def test_nesterov_s_bound_holds_for_the_whole_run(name):
    """f(wₖ) − f* ≤ (1 − 1/√κ)ᵏ(f(w₀) − f* + ½μ‖w₀ − x*‖²) for w = x − η∇f(x)."""
    kappa = 25.0
    choice = nesterov_constants(1.0, kappa)
    if name == "cycle":
        f, start = momentum.cycling_example(), [3.3]
    else:
        f, start = objectives.quadratic([1.0, 3.0, kappa]), [1.0, -2.0, 0.5]
    method = first_order(nesterov, lr=choice.lr, beta=choice.beta)
    x = minimize(f, start, method, steps=150).points
    w = torch.cat([x[:1], x[:-1] - choice.lr * f.gradient(x[:-1])])
    promise = f(x[0]) + 0.5 * x[0].square().sum()  # f* = 0 at 0, μ = 1
    bound = promise * (1 - 1 / math.sqrt(kappa)) ** torch.arange(len(x))
    assert bool((f(w) <= bound).all())


def test_the_book_s_claim_about_divergence_is_wrong():
    """Errata E2: gradient descent at ηλ = 1.5 converges; it diverges above 2, not above 1."""
    run = minimize(
        objectives.quadratic([1.5]), 1.0, first_order(gradient_descent, lr=1.0), steps=60
    )
    assert float(run.points[-1].abs()) < 1e-12
    assert float(convergence_rate(1.5, 0.0)) == pytest.approx(0.5)
    assert float(convergence_rate(2.1, 0.0)) == pytest.approx(1.1)


def test_the_recursion_in_the_modes_has_the_rate():
    """Errata E2: z(t) = (1 − ηΛ)z(t−1); the book's first recursion, (1 − Λ)z(t−1), lacks η."""
    q = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    c = torch.tensor([1.0, -4.0], dtype=torch.float64)
    eigenvalues, u = torch.linalg.eigh(q)
    f, lr = objectives.quadratic(q, linear=c), 0.1
    for rule, options in ((gradient_descent, {}), (heavy_ball, {"beta": 0.6})):
        x = minimize(f, [0.3, 0.7], first_order(rule, lr=lr, **options), steps=6).points
        z = (x + torch.linalg.solve(q, c)) @ u
        before = torch.cat([z[:1], z[:-2]])  # at rest before the first step
        inertia = options.get("beta", 0.0) * (z[:-1] - before)
        right = (1 - lr * eigenvalues) * z[:-1] + inertia
        printed = (1 - eigenvalues) * z[:-1] + inertia
        torch.testing.assert_close(z[1:], right)
        assert float((z[1:] - printed).abs().max()) > 1


def test_completing_the_square():
    """Errata E1: the minimizer of ½xᵀQx + xᵀc + b is −Q⁻¹c."""
    q = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    c = torch.tensor([1.0, -4.0], dtype=torch.float64)
    f = objectives.quadratic(q, linear=c, offset=0.5)
    x = torch.tensor([0.3, 0.7], dtype=torch.float64)
    z = x + torch.linalg.solve(q, c)
    square = 0.5 * z @ q @ z + 0.5 - 0.5 * c @ torch.linalg.solve(q, c)
    assert float(square) == pytest.approx(float(f(x)))
    printed = x - torch.linalg.solve(q, c)  # the book's sign
    wrong = 0.5 * printed @ q @ printed + 0.5 - 0.5 * c @ torch.linalg.solve(q, c)
    assert abs(float(wrong - f(x))) > 1
    minimizer = -torch.linalg.solve(q, c)
    assert float(f.gradient(minimizer).norm()) < 1e-12
    assert float(f.gradient(-minimizer).norm()) > 1


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
