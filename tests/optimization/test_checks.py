"""The demands on arguments: what passes, what raises, and that the message names the value."""

import math

import pytest
import torch

from d2lcompanion.optimization import checks

INSIDE = {
    checks.require_positive: (1e-300, 1, 1e300),
    checks.require_nonnegative: (0, 1e-300, 1e300),
    checks.require_fraction: (1e-300, 0.5, 1 - 1e-16),
    checks.require_decay: (0, 0.5, 1 - 1e-16),
}
OUTSIDE = {
    checks.require_positive: (0, -1, math.inf, math.nan),
    checks.require_nonnegative: (-1e-300, math.inf, math.nan),
    checks.require_fraction: (0, 1, math.nan),
    checks.require_decay: (-1e-300, 1, math.nan),
}


@pytest.mark.parametrize(
    ("check", "value"), [(check, value) for check, values in INSIDE.items() for value in values]
)
def test_values_inside_pass(check, value):
    check("beta", value)


@pytest.mark.parametrize(
    ("check", "value"), [(check, value) for check, values in OUTSIDE.items() for value in values]
)
def test_values_outside_are_named(check, value):
    with pytest.raises(ValueError, match=f"^beta must be .*got {value}$"):
        check("beta", value)


@pytest.mark.parametrize("value", [0, 2.5, True, math.nan])
def test_whole_numbers(value):
    checks.require_at_least("size", 1, 1)
    with pytest.raises(ValueError, match=r"^size must be a whole number ≥ 1, got"):
        checks.require_at_least("size", value, 1)


def test_curvatures():
    checks.require_curvatures(1.0, 1.0)
    for mu, smoothness in ((0, 1), (2, 1), (1, math.inf), (math.nan, 1)):
        with pytest.raises(ValueError, match=f"got {mu} and {smoothness}"):
            checks.require_curvatures(mu, smoothness)


def test_shapes_and_vectors():
    checks.require_vector("x", torch.zeros(3))
    checks.require_shape("x", torch.zeros(3, 2), [3, 2])
    with pytest.raises(ValueError, match=r"x must be \[d\] of floats, got shape \[1, 3\]"):
        checks.require_vector("x", torch.zeros(1, 3))
    with pytest.raises(ValueError, match="int64"):
        checks.require_vector("x", torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"x must have shape \[3\], got \[1, 3\]"):
        checks.require_shape("x", torch.zeros(1, 3), [3])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_entry_that_is_not_finite_is_named(bad):
    grad = torch.zeros(2, 3)
    grad[1, 0] = bad
    with pytest.raises(ValueError, match=rf"got {bad} at \[1, 0\] \(1 of 6"):
        checks.require_gradient(grad)


def test_a_sum_that_overflows_is_no_error():
    checks.require_gradient(torch.full((4,), 3e38))
    with pytest.raises(ValueError, match="2 of 4"):
        checks.require_gradient(torch.tensor([3e38, math.inf, 3e38, math.nan]))


def test_a_state_of_another_shape_is_named():
    checks.require_gradient(torch.zeros(3), velocity=torch.ones(3))
    with pytest.raises(ValueError, match=r"velocity .* got \[1\] and \[3\]"):
        checks.require_gradient(torch.zeros(3), velocity=torch.ones(1))


def test_a_tensor_that_is_not_finite_is_named_by_its_first_bad_entry():
    checks.require_finite("x", torch.ones(2, 3))
    x = torch.tensor([[1.0, 2.0], [math.inf, math.nan]])
    with pytest.raises(ValueError, match=r"x must be finite, got inf at \[1, 0\]"):
        checks.require_finite("x", x)
