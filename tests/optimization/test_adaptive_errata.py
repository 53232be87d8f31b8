"""Errors of the book about adaptive methods (E3, E5, E6): the wrong formula, and the right one.

English 1.0.3: d2l-ai/d2l-en, chapter_optimization/{rmsprop,adadelta,adam}.md. Chinese 2.0.0:
d2l-ai/d2l-zh, the same files; AdaGrad and Adadelta as of commits 02e1e2e and 02b0536.
"""

import math

import pytest
import torch

from d2lcompanion.optimization import adaptive


def test_e3_the_bias_sum_runs_to_t_minus_1():
    """Chinese, adam.md: Σ_{i=0}^{t} βⁱ = (1 − βᵗ)/(1 − β). The sum has one term too many."""
    for beta in (0.5, 0.9, 0.999):
        for t in (1, 2, 10):
            closed = (1 - beta**t) / (1 - beta)
            assert math.fsum(beta**i for i in range(t)) == pytest.approx(closed)
            wrong = math.fsum(beta**i for i in range(t + 1))
            assert wrong == pytest.approx(closed + beta**t)
    # And the rule has t weights after t steps: 1 − βᵗ of a constant gradient.
    grad = torch.ones(1, dtype=torch.float64)
    state = adaptive.AdamState.zeros(grad)
    for t in range(1, 6):
        _, state = adaptive.adam(grad, state, lr=0.1, beta1=0.9, beta2=0.99)
        assert float(state.first) == pytest.approx(1 - 0.9**t)
        assert float(state.second) == pytest.approx(1 - 0.99**t)


def test_e5_every_gradient_is_squared():
    """Both editions, rmsprop.md: s_t = (1 − γ)(g_t² + γg_{t−1}² + γ²g_{t−2} + …), g_{t−2} bare."""
    grads, gamma = [3.0, -2.0, 0.5], 0.9
    state = adaptive.RMSPropState.zeros(torch.zeros(1, dtype=torch.float64))
    for g in grads:
        grad = torch.tensor([g], dtype=torch.float64)
        _, state = adaptive.rmsprop(grad, state, lr=0.1, gamma=gamma)
    oldest, middle, newest = grads
    right = (1 - gamma) * (newest**2 + gamma * middle**2 + gamma**2 * oldest**2)
    wrong = (1 - gamma) * (newest**2 + gamma * middle**2 + gamma**2 * oldest)
    assert float(state.squares) == pytest.approx(right)
    assert abs(float(state.squares) - wrong) > 0.4


def impulse(rule, state, steps: int, **numbers) -> list[float]:
    """The memory of one gradient of size 1 over the steps that follow."""
    kept = []
    for t in range(steps):
        grad = torch.tensor([1.0 if t == 0 else 0.0], dtype=torch.float64)
        _, state = rule(grad, state, **numbers)
        kept.append(float(state.squares))
    return kept


@pytest.mark.parametrize("name", ["rmsprop", "adadelta"])
def test_e5_ten_is_the_time_constant_and_not_the_half_life(name):
    """English, rmsprop.md: "the half-life time of an observation" is γ⁻¹; adadelta.md: ρ = 0.9
    "amounts to a half-life time of 10". After 10 steps 35% are left, after 6.6 one half.
    """
    x = torch.zeros(1, dtype=torch.float64)
    if name == "rmsprop":
        kept = impulse(adaptive.rmsprop, adaptive.RMSPropState.zeros(x), 40, lr=0.1, gamma=0.9)
    else:
        kept = impulse(adaptive.adadelta, adaptive.AdadeltaState.zeros(x), 40, rho=0.9)
    left = [value / kept[0] for value in kept]
    assert left[10] == pytest.approx(0.9**10)
    assert left[10] < 0.36, "not one half"
    assert left[1] == pytest.approx(0.9), "after γ⁻¹ = 1.1 steps hardly anything is forgotten"
    half = math.log(2) / -math.log(0.9)
    assert half == pytest.approx(6.58, abs=0.005)
    assert left[6] > 0.5 > left[7]
    assert pytest.approx(1 / -math.log(0.9), rel=0.06) == 1 / (1 - 0.9)  # 10 and 9.49
    assert left[10] == pytest.approx(math.exp(-1), rel=0.06)


def test_e6_the_new_coordinates_have_bars():
    """Chinese, adagrad.md: "x = Ux, c = Uc", with Q = UᵀΛU. It must read x̄ = Ux, c̄ = Uc."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    q, c = a @ a.T + torch.eye(3, dtype=torch.float64), a[0]
    eigenvalues, vectors = torch.linalg.eigh(q)
    u = vectors.T  # Q = UᵀΛU
    x = torch.randn(3, generator=generator, dtype=torch.float64)

    def in_modes(x_bar, c_bar):
        return 0.5 * (eigenvalues * x_bar**2).sum() + c_bar @ x_bar

    f = 0.5 * x @ q @ x + c @ x
    assert float(in_modes(u @ x, u @ c)) == pytest.approx(float(f))
    assert abs(float(in_modes(x, c) - f)) > 0.1, "without the bars it is another function"
    assert (u @ x - x).abs().max() > 0.1, "x = Ux is not true"


def test_e6_adadelta_keeps_second_moments_and_no_second_derivatives():
    """Chinese, adadelta.md: s stores 二阶导数, second derivatives, of the gradient.

    On a linear function all second derivatives are zero, and s is g².
    """
    slope = torch.tensor([3.0], dtype=torch.float64)
    state = adaptive.AdadeltaState.zeros(slope)
    for _ in range(400):
        _, state = adaptive.adadelta(slope, state, rho=0.9)
    assert float(state.squares) == pytest.approx(9.0)


# --------------------------------------------------------------------------- where ε stands


def first_move(make) -> float:
    """How far an optimizer of torch moves at a first gradient of 0.01 with ε = 0.01 and lr = 1."""
    w = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = make([w])
    w.grad = torch.full_like(w, 0.01)
    optimizer.step()
    return -float(w.detach())


@pytest.mark.parametrize(
    ("make", "outside", "inside"),
    [
        (lambda p: torch.optim.Adagrad(p, lr=1.0, eps=0.01), 0.5, 0.01 / math.sqrt(0.0101)),
        (
            lambda p: torch.optim.RMSprop(p, lr=1.0, alpha=0.75, eps=0.01),
            0.01 / (0.005 + 0.01),
            0.01 / math.sqrt(0.25e-4 + 0.01),
        ),
        (lambda p: torch.optim.Adam(p, lr=1.0, eps=0.01), 0.5, 0.01 / math.sqrt(0.0101)),
    ],
    ids=["Adagrad", "RMSprop", "Adam"],
)
def test_torch_has_epsilon_outside_the_root(make, outside, inside):
    assert first_move(make) == pytest.approx(outside)
    assert abs(outside - inside) > 0.05, "the two can be told apart"


def test_torch_s_adadelta_has_it_inside_both_roots():
    found = first_move(lambda p: torch.optim.Adadelta(p, lr=1.0, rho=0.75, eps=0.01))
    assert found == pytest.approx(0.01 * math.sqrt(0.01) / math.sqrt(0.25e-4 + 0.01))
