"""The softmax loss against torch, automatic differentiation and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from d2lcompanion.optimization.convexity import smoothness_bounds
from d2lcompanion.optimization.descent import minimize, newton
from d2lcompanion.optimization.logistic import (
    hessian_product,
    softmax_regression,
    softmax_smoothness,
)

N, D, K = 40, 3, 4


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(N, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def y() -> torch.Tensor:
    return torch.randint(K, (N,), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def w() -> torch.Tensor:
    return torch.randn(5, D * K, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_the_value_is_torchs_cross_entropy(x, y, w):
    f = softmax_regression(x, y, classes=K, ridge=0.3)
    for row, value in zip(w, f(w), strict=True):
        expected = torch.nn.functional.cross_entropy(x @ row.reshape(D, K), y)
        torch.testing.assert_close(value, expected + 0.15 * row @ row)


def test_derivatives_are_those_of_automatic_differentiation(x, y, w):
    f = softmax_regression(x, y, classes=K, ridge=0.3)
    gradients, hessians = f.gradient(w), f.hessian(w)
    for row, gradient, hessian in zip(w, gradients, hessians, strict=True):
        torch.testing.assert_close(gradient, torch.autograd.functional.jacobian(f.value, row))
        torch.testing.assert_close(hessian, torch.autograd.functional.hessian(f.value, row))


def test_the_product_is_the_hessian_times_a_vector(x, y, w):
    hessian = softmax_regression(x, y, classes=K, ridge=0.3).hessian(w[0])
    product = hessian_product(x, w[0], classes=K, ridge=0.3)
    for v in w:
        torch.testing.assert_close(product(v), hessian @ v)


def test_every_hessian_lies_between_ridge_and_the_bound_and_the_ridge_is_attained(x, y, w):
    f, bound = softmax_regression(x, y, classes=K, ridge=0.1), softmax_smoothness(x, ridge=0.1)
    for scale in (0.0, 0.1, 1.0, 10.0):
        found = smoothness_bounds(f.hessian(scale * w))
        assert found.mu == pytest.approx(0.1, abs=1e-12)
        assert found.smoothness <= bound


def test_the_bound_is_attained_for_two_classes(x):
    """At w = 0 with two classes diag p − ppᵀ = ½(I − ½11ᵀ), with the largest eigenvalue ½."""
    f = softmax_regression(x, torch.zeros(N, dtype=torch.long), classes=2)
    found = smoothness_bounds(f.hessian(torch.zeros(D * 2, dtype=torch.float64)))
    assert found.smoothness == pytest.approx(softmax_smoothness(x), rel=1e-10)


def test_a_common_shift_changes_the_ridge_alone(x, y, w):
    shift = torch.randn(D, 1, dtype=torch.float64).expand(D, K).reshape(-1)
    free = softmax_regression(x, y, classes=K)
    torch.testing.assert_close(free(w + shift), free(w))
    held = softmax_regression(x, y, classes=K, ridge=1.0)
    assert not torch.allclose(held(w + shift), held(w))


def test_the_minimizer_is_scikit_learns(x, y):
    ridge = 0.05
    f = softmax_regression(x, y, classes=K, ridge=ridge)
    run = minimize(f, torch.zeros(D * K, dtype=torch.float64), newton, steps=20, tolerance=1e-12)
    theirs = LogisticRegression(C=1 / (ridge * N), fit_intercept=False, tol=1e-10, max_iter=5000)
    theirs.fit(x.numpy(), y.numpy())
    np.testing.assert_allclose(run.points[-1].reshape(D, K).T, theirs.coef_, atol=1e-6)


def test_single_precision_stays_single(x, y, w):
    f = softmax_regression(x.float(), y, classes=K, ridge=0.1)
    for result in (f(w.float()), f.gradient(w.float()), f.hessian(w.float())):
        assert result.dtype == torch.float32


def test_large_scores_do_not_overflow(x, y, w):
    f = softmax_regression(x, y, classes=K)
    assert bool(f(1e4 * w).isfinite().all())
    assert bool(f.gradient(1e4 * w).isfinite().all())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": 1}, "classes must be ≥ 2, got 1"),
        ({"ridge": -0.1}, "ridge must be ≥ 0 and finite, got -0.1"),
        ({"labels": torch.zeros(3, dtype=torch.long)}, r"got \[40, 3\] and \[3\]"),
        ({"labels": torch.full((N,), K)}, "whole numbers from 0 to 3, got torch.int64 from 4 to 4"),
        ({"labels": torch.full((N,), -1)}, "from -1 to -1"),
        ({"labels": torch.zeros(N)}, "whole numbers from 0 to 3, got torch.float32"),
    ],
)
def test_arguments_are_checked(x, y, change, message):
    arguments = {"features": x, "labels": y, "classes": K} | change
    with pytest.raises(ValueError, match=message):
        softmax_regression(**arguments)


def test_arguments_of_the_companions_are_checked(x, w):
    with pytest.raises(ValueError, match=r"w must have shape \[12\], got \[5, 12\]"):
        hessian_product(x, w, classes=K)
    with pytest.raises(ValueError, match="ridge must be ≥ 0 and finite, got -1"):
        hessian_product(x, w[0], classes=K, ridge=-1)
    with pytest.raises(ValueError, match="ridge must be ≥ 0 and finite, got -1"):
        softmax_smoothness(x, ridge=-1)
    with pytest.raises(ValueError, match=r"features must be \[n, d\], got \[3\]"):
        softmax_smoothness(x[0])
