"""Schedule-free SGD against the paper's three recursions, and what its average is."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.optimization.rules import numbers_per_parameter
from d2lcompanion.optimization.schedule_free import ScheduleFreeState, schedule_free_sgd
from d2lcompanion.optimization.torch_optimizer import as_torch_optimizer


def slow_loop(gradient, x1: float, lr: float, beta: float, steps: int):
    """y = (1 − β)z + βx; z ← z − γ∇f(y); x ← (1 − c)x + cz with c = 1/(t + 1), t = 0, 1, …"""
    z = x = x1
    path = []
    for t in range(steps):
        y = (1 - beta) * z + beta * x
        z = z - lr * gradient(y)
        c = 1 / (t + 1)
        x = (1 - c) * x + c * z
        path.append((x, z))
    return path


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
def test_the_paper_s_recursions(beta):
    def gradient(y):
        return y**3 + 0.3 * y

    y = torch.tensor([1.5], dtype=torch.float64)
    state = ScheduleFreeState.zeros(y)
    for x, z in slow_loop(gradient, 1.5, 0.2, beta, 60):
        update, state = schedule_free_sgd(gradient(y), state, lr=0.2, beta=beta)
        y = y + update
        assert float(state.average) == pytest.approx(x, rel=1e-12)
        assert float(state.fast) == pytest.approx(z, rel=1e-12)
        assert float(y) == pytest.approx((1 - beta) * z + beta * x, rel=1e-10)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.floats(0, 0.99), st.integers(0, 1000))
def test_the_answer_is_the_plain_average_of_the_fast_points(steps, beta, seed):
    generator = torch.Generator().manual_seed(seed)
    y = torch.zeros(3, dtype=torch.float64)
    state, fast = ScheduleFreeState.zeros(y), []
    for _ in range(steps):
        grad = torch.randn(3, generator=generator, dtype=torch.float64)
        _, state = schedule_free_sgd(grad, state, lr=0.1, beta=beta)
        fast.append(state.fast)
    torch.testing.assert_close(state.average, torch.stack(fast).mean(0))


def test_behind_the_wrapper_and_its_memory():
    w = torch.nn.Parameter(torch.tensor([8.0], dtype=torch.float64))
    optimizer = as_torch_optimizer([w], schedule_free_sgd, lr=0.5, beta=0.5)
    for x, z in slow_loop(lambda y: y, 8.0, 0.5, 0.5, 10):
        optimizer.zero_grad()
        (0.5 * w.square()).sum().backward()
        optimizer.step()
        assert float(w.detach()) == pytest.approx(0.5 * z + 0.5 * x)
    assert numbers_per_parameter(schedule_free_sgd) == 2


def test_bad_numbers_are_named():
    y = torch.ones(2)
    state = ScheduleFreeState.zeros(y)
    with pytest.raises(ValueError, match="lr must be > 0 and finite, got -1"):
        schedule_free_sgd(y, state, lr=-1.0)
    with pytest.raises(ValueError, match=r"beta must be in \[0, 1\), got 1.0"):
        schedule_free_sgd(y, state, lr=0.1, beta=1.0)
    with pytest.raises(ValueError, match="one shape"):
        schedule_free_sgd(torch.ones(3), state, lr=0.1)
