"""What rules have in common: their state, the parameter, the checks around them."""

import inspect

import pytest
import torch

from d2lcompanion.optimization import adaptive, descent, momentum
from d2lcompanion.optimization.rules import (
    checks_gradient,
    initial_state,
    state_class,
    takes_param,
)


def test_a_state_begins_with_the_shape_type_and_device_of_the_parameter():
    x = torch.ones(2, 3, dtype=torch.float16)
    state = initial_state(adaptive.adam, x)
    assert isinstance(state, adaptive.AdamState)
    assert torch.equal(state.first, torch.zeros(2, 3, dtype=torch.float16))
    assert state.steps == 0
    assert initial_state(descent.gradient_descent, x) == ()
    assert state_class(momentum.nesterov) is momentum.HeavyBallState
    assert state_class(descent.gradient_descent) is tuple


def test_weight_decay_wants_the_parameter():
    assert takes_param(adaptive.adamw)
    assert not takes_param(adaptive.adam)


def test_the_checks_stand_around_the_rule_and_can_be_taken_off():
    @checks_gradient
    def rule(grad, state: momentum.HeavyBallState, *, lr):
        return -lr * grad, state

    bad, zeros = torch.tensor([float("inf")]), momentum.HeavyBallState.zeros(torch.zeros(1))
    with pytest.raises(ValueError, match=r"got inf at \[0\]"):
        rule(bad, zeros, lr=1.0)
    with pytest.raises(TypeError, match=r"begin with HeavyBallState.zeros\(x\)"):
        rule(torch.zeros(1), (), lr=1.0)
    assert inspect.unwrap(rule)(bad, zeros, lr=1.0)[0].tolist() == [-float("inf")]


def test_minimize_begins_at_rest_and_goes_on_from_a_given_state():
    f = descent_bowl()
    method = descent.first_order(momentum.heavy_ball, lr=0.1, beta=0.5)
    x = torch.ones(2, dtype=torch.float64)
    whole = descent.minimize(f, x, method, steps=2)
    moving = momentum.HeavyBallState(f.gradient(x))
    second = descent.minimize(f, whole.points[1], method, steps=1, state=moving)
    torch.testing.assert_close(second.points[1], whole.points[2])


def test_first_order_gives_the_parameter_to_weight_decay():
    f = descent_bowl()
    x = torch.tensor([3.0, -2.0], dtype=torch.float64)
    run = descent.minimize(
        f, x, descent.first_order(adaptive.adamw, lr=0.1, weight_decay=0.5, eps=0.0), steps=1
    )
    torch.testing.assert_close(run.points[1], 0.95 * x - 0.1 * x.sign())


def descent_bowl():
    from d2lcompanion.optimization import objectives

    return objectives.quadratic([1.0, 2.0])
