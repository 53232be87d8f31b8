"""The numbers of the section *By hand* in the chapter on adaptive methods."""

import math

import pytest
import torch

from d2lcompanion.optimization import adaptive
from d2lcompanion.optimization.schedule_free import ScheduleFreeState, schedule_free_sgd


def updates(rule, state, grads, **numbers) -> list[list[float]]:
    found = []
    for grad in grads:
        update, state = rule(torch.tensor(grad, dtype=torch.float64), state, **numbers)
        found.append(update.tolist())
    return found


def zeros(n: int) -> torch.Tensor:
    return torch.zeros(n, dtype=torch.float64)


def test_adagrad():
    found = updates(
        adaptive.adagrad,
        adaptive.AdaGradState.zeros(zeros(2)),
        [[3.0, 0.0], [4.0, 2.0]],
        lr=1.0,
        eps=0.0,
    )
    assert found[0] == pytest.approx([-1.0, 0.0])
    assert found[1] == pytest.approx([-0.8, -1.0])


def test_rmsprop():
    found = updates(
        adaptive.rmsprop, adaptive.RMSPropState.zeros(zeros(1)), [[2.0]], lr=1.0, eps=0.0
    )
    assert found[0] == pytest.approx([-2 / math.sqrt(0.4)])
    assert found[0] == pytest.approx([-1 / math.sqrt(0.1)])
    assert found[0] == pytest.approx([-3.162], abs=5e-4)


def test_adam():
    found = updates(
        adaptive.adam,
        adaptive.AdamState.zeros(zeros(1)),
        [[2.0], [-1.0], [2.0]],
        lr=1.0,
        beta1=0.5,
        beta2=0.75,
        eps=0.0,
    )
    assert [u[0] for u in found] == pytest.approx([-1.0, 0.0, -0.657], abs=5e-4)
    assert found[2][0] == pytest.approx(-(1 / 0.875) / math.sqrt(1.75 / 0.578125))


def test_the_three_steps_of_the_counterexample():
    """C = 3, β₂ = 1/10, in the steady state: 1.047 back, 0.762 and 0.966 forth."""
    state, found = adaptive.AdamState.zeros(zeros(1)), []
    for t in range(30):
        grad = torch.tensor([3.0 if t % 3 == 0 else -1.0], dtype=torch.float64)
        update, state = adaptive.adam(grad, state, lr=1.0, beta1=0.0, beta2=0.1, eps=0.0)
        found.append(float(update))
    assert found[-3:] == pytest.approx([-1.047, 0.762, 0.966], abs=5e-4)
    assert sum(found[-3:]) == pytest.approx(0.681, abs=5e-4)


def test_schedule_free():
    y = torch.tensor([8.0], dtype=torch.float64)
    state, found = ScheduleFreeState.zeros(y), []
    for _ in range(3):
        update, state = schedule_free_sgd(y, state, lr=0.5, beta=0.5)  # the gradient of ½x²
        y = y + update
        found.append((float(state.fast), float(state.average), float(y)))
    assert found == [(4.0, 4.0, 4.0), (2.0, 3.0, 2.5), (0.75, 2.25, 1.5)]
