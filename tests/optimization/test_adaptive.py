"""What torch has no peer for, numbers of the book, closed forms, and errors."""

import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.optimization import adaptive, momentum, muon, objectives
from d2lcompanion.optimization.descent import first_order, minimize
from d2lcompanion.optimization.rules import initial_state, takes_param

VALLEY = objectives.quadratic([0.2, 4.0])  # 0.1 x₁² + 2 x₂², as in the book
RULES = {
    "adagrad": adaptive.adagrad,
    "rmsprop": adaptive.rmsprop,
    "adadelta": adaptive.adadelta,
    "adam": adaptive.adam,
    "adamw": adaptive.adamw,
    "amsgrad": adaptive.amsgrad,
    "yogi": adaptive.yogi,
    "nadam": adaptive.nadam,
    "lion": adaptive.lion,
    "muon": muon.muon,
    "heavy_ball": momentum.heavy_ball,
    "nesterov": momentum.nesterov,
}


def end(rule, **numbers) -> list[float]:
    method = first_order(rule, **numbers)
    return minimize(VALLEY, [-5.0, -2.0], method, steps=20).points[-1].tolist()


@pytest.mark.parametrize(
    ("rule", "numbers", "published"),
    [
        (adaptive.adagrad, {"lr": 0.4, "eps": 1e-6, "inside_root": True}, (-2.382563, -0.158591)),
        (adaptive.adagrad, {"lr": 2.0, "eps": 1e-6, "inside_root": True}, (-0.002295, 0.000000)),
        (
            adaptive.rmsprop,
            {"lr": 0.4, "gamma": 0.9, "eps": 1e-6, "inside_root": True},
            (-0.010599, 0.000000),
        ),
        (momentum.heavy_ball, {"lr": 0.6, "beta": 0.5}, (0.007188, 0.002553)),
        (momentum.heavy_ball, {"lr": 0.6, "beta": 0.25}, (-0.126340, -0.186632)),
    ],
)
def test_the_book_s_end_points(rule, numbers, published):
    assert end(rule, **numbers) == pytest.approx(published, abs=5.1e-7)


def test_yogi_is_d2l_s():
    """d2l.yogi is text in chapter 12.10; its update, written as its loop."""
    generator = torch.Generator().manual_seed(0)
    grads = torch.randn(50, 4, generator=generator, dtype=torch.float64)
    x = y = torch.ones(4, dtype=torch.float64)
    v, s = torch.zeros(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    state = adaptive.AdamState.zeros(x)
    for t, grad in enumerate(grads, start=1):
        v = 0.9 * v + 0.1 * grad
        s = s + 0.001 * torch.sign(grad**2 - s) * grad**2
        y = y - 0.01 * (v / (1 - 0.9**t)) / ((s / (1 - 0.999**t)).sqrt() + 1e-3)
        update, state = adaptive.yogi(grad, state, lr=0.01)
        x = x + update
        torch.testing.assert_close(x, y)


def test_lion_by_a_slow_loop():
    generator = torch.Generator().manual_seed(1)
    grads = torch.randn(30, 3, generator=generator, dtype=torch.float64)
    x, m = [1.0, -2.0, 0.5], [0.0, 0.0, 0.0]
    z = torch.tensor(x, dtype=torch.float64)
    state = adaptive.LionState.zeros(z)
    for grad in grads:
        for i, g in enumerate(grad.tolist()):
            c = 0.9 * m[i] + 0.1 * g
            x[i] -= 0.01 * (math.copysign(1, c) + 0.1 * x[i])
            m[i] = 0.99 * m[i] + 0.01 * g
        update, state = adaptive.lion(grad, state, param=z, lr=0.01, weight_decay=0.1)
        z = z + update
    torch.testing.assert_close(z, torch.tensor(x, dtype=torch.float64))


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-3, 1e3), st.integers(1, 40), st.floats(0.01, 0.99), st.floats(0.01, 0.999))
def test_bias_correction_is_exact_on_a_constant_gradient(g, steps, beta1, beta2):
    """m̂ = g and v̂ = g² at every step: each update is −η sign(g), with ε = 0."""
    grad = torch.tensor([g, -g], dtype=torch.float64)
    state = adaptive.AdamState.zeros(grad)
    for _ in range(steps):
        update, state = adaptive.adam(grad, state, lr=0.1, beta1=beta1, beta2=beta2, eps=0.0)
        torch.testing.assert_close(update, torch.tensor([-0.1, 0.1], dtype=torch.float64))


def test_adagrad_falls_like_the_root_of_time():
    grad, state = torch.tensor([3.0], dtype=torch.float64), None
    state = adaptive.AdaGradState.zeros(grad)
    for t in range(1, 50):
        update, state = adaptive.adagrad(grad, state, lr=0.1, eps=0.0)
        assert float(update) == pytest.approx(-0.1 / math.sqrt(t))


def test_adamw_decays_every_weight_at_one_rate():
    """With a zero gradient x shrinks by 1 − ηλ; L2 through Adam moves all by about η."""
    x = torch.tensor([100.0, 1.0], dtype=torch.float64)
    zero, state = torch.zeros_like(x), adaptive.AdamState.zeros(x)
    update, _ = adaptive.adamw(zero, state, param=x, lr=0.1, weight_decay=0.5)
    torch.testing.assert_close(x + update, 0.95 * x)
    update, _ = adaptive.adam(0.5 * x, state, lr=0.1)
    torch.testing.assert_close(update, torch.tensor([-0.1, -0.1], dtype=torch.float64))


def test_amsgrad_never_raises_a_rate():
    grads = torch.tensor([[10.0], *[[0.1]] * 30], dtype=torch.float64)
    adam, ams = adaptive.AdamState.zeros(grads[0]), adaptive.AMSGradState.zeros(grads[0])
    for grad in grads:
        _, adam = adaptive.adam(grad, adam, lr=0.1, beta2=0.5)
        _, ams = adaptive.amsgrad(grad, ams, lr=0.1, beta2=0.5)
    assert float(ams.largest) == 50.0
    assert float(adam.second) < 0.02


def test_adadelta_s_first_step_is_set_by_epsilon():
    grad = torch.tensor([1e4, -1e-1], dtype=torch.float64)
    update, _ = adaptive.adadelta(grad, adaptive.AdadeltaState.zeros(grad), rho=0.9, eps=1e-6)
    expected = math.sqrt(1e-6 / 0.1)
    assert update.tolist() == pytest.approx([-expected, expected], rel=1e-3)


# ------------------------------------------------------------------------------------------- muon


def test_orthogonalize_brings_singular_values_near_one():
    generator = torch.Generator().manual_seed(0)
    g = torch.randn(8, 20, generator=generator, dtype=torch.float64)
    u, _, vt = torch.linalg.svd(g, full_matrices=False)
    found = muon.orthogonalize(g)
    core = u.T @ found @ vt.T  # the same singular vectors
    assert (core - core.diag().diag()).abs().max() < 1e-8
    assert core.diag().min() > 0.6
    assert core.diag().max() < 1.25
    torch.testing.assert_close(muon.orthogonalize(g.T), found.T)


def test_orthogonalize_is_its_polynomial_on_the_singular_values():
    a, b, c = muon.QUINTIC
    sigma = torch.tensor([0.9, 0.3, 0.01], dtype=torch.float64)
    z = sigma / sigma.norm()
    for _ in range(5):
        z = a * z + b * z**3 + c * z**5
    torch.testing.assert_close(muon.orthogonalize(sigma.diag()), z.diag())


def test_a_convergent_polynomial_reaches_the_orthogonal_factor():
    g = torch.tensor([[3.0, 1.0], [0.0, 2.0], [1.0, 1.0]], dtype=torch.float64)
    u, _, vt = torch.linalg.svd(g, full_matrices=False)
    found = muon.orthogonalize(g, steps=40, coefficients=(1.5, -0.5, 0.0))
    torch.testing.assert_close(found, u @ vt)


def test_orthogonalize_of_zero_and_errors():
    assert torch.equal(muon.orthogonalize(torch.zeros(2, 3)), torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"matrix must be \[m, n\], got shape \[3\]"):
        muon.orthogonalize(torch.zeros(3))
    with pytest.raises(ValueError, match="steps must be a whole number ≥ 1, got 0"):
        muon.orthogonalize(torch.zeros(2, 2), steps=0)


# ----------------------------------------------------------------------------------------- errors


def call(rule, grad=None, state=None, **numbers):
    x = torch.ones(2, 3)
    more = {"param": x} if takes_param(rule) else {}
    chosen = initial_state(rule, x) if state is None else state
    return rule(x if grad is None else grad, chosen, **{"lr": 0.1, **more, **numbers})


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_bad_numbers_are_named(rule):
    for lr in (0.0, -0.1, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"lr must be > 0 and finite, got {lr}"):
            call(rule, lr=lr)
    for name in {"beta", "beta1", "beta2", "gamma", "rho", "dampening"} & set(
        inspect.signature(rule).parameters
    ):
        for value in (-0.1, 1.0, math.nan):
            with pytest.raises(ValueError, match=rf"{name} must be in \[0, 1\), got {value}"):
                call(rule, **{name: value})
    for name in {"eps", "weight_decay", "momentum_decay"} & set(inspect.signature(rule).parameters):
        with pytest.raises(ValueError, match=f"{name} must be .* got -1"):
            call(rule, **{name: -1.0})


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_bad_gradients_and_states_are_named(rule):
    grad = torch.ones(2, 3)
    grad[0, 2] = math.nan
    with pytest.raises(ValueError, match=r"gradient must be finite, got nan at \[0, 2\]"):
        call(rule, grad=grad)
    with pytest.raises(ValueError, match=r"one shape, got \[3, 2\] and \[2, 3\]"):
        call(rule, state=initial_state(rule, torch.ones(3, 2)))
    with pytest.raises(TypeError, match=rf"state of {rule.__name__} must be \w+State, got \(\)"):
        call(rule, state=())
    if takes_param(rule):
        with pytest.raises(ValueError, match=r"param and gradient must have one shape"):
            call(rule, param=torch.ones(6))


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_nothing_that_goes_in_is_changed(rule):
    x, g = torch.full((2, 3), 0.5), torch.full((2, 3), 2.0)
    state = initial_state(rule, x)
    for _ in range(3):
        before = [f.clone() if isinstance(f, torch.Tensor) else f for f in state]
        _, after = call(rule, grad=g, state=state)
        for old, kept in zip(before, state, strict=True):
            assert torch.equal(old, kept) if isinstance(old, torch.Tensor) else old == kept
        assert torch.equal(g, torch.full((2, 3), 2.0))
        state = after


def test_epsilon_zero_and_a_gradient_of_zero_give_no_nan():
    zero = torch.zeros(2, 3)
    for rule in (adaptive.adagrad, adaptive.rmsprop, adaptive.adam, adaptive.nadam):
        update, _ = call(rule, grad=zero, eps=0.0)
        assert torch.equal(update, zero)
