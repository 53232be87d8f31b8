"""The linear network: autograd, invariants of gradient flow, sklearn, and a simulation."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge

from d2lcompanion.vision.linear_transfer import (
    TwoLinear,
    fine_tune,
    predict,
    probe,
    risk_of_least_squares,
    slopes,
)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


NET, X, Y = TwoLinear(normal(3, 8) / 3, normal(3, seed=1)), normal(5, 8, seed=2), normal(5, seed=3)


def test_gradients_are_autograd_s():
    b, v = (part.clone().requires_grad_() for part in NET)
    loss = ((X @ b.T @ v - Y) ** 2).mean() / 2
    expected = torch.autograd.grad(loss, (b, v))
    for ours, theirs in zip(slopes(NET, X, Y), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_features_change_only_where_data_point():
    tuned = fine_tune(NET, X, Y, lr=0.05, steps=500)
    change = tuned.features - NET.features
    inside = torch.linalg.pinv(X) @ X  # the projection on the rows of X
    torch.testing.assert_close(change @ inside, change)
    away = normal(8, seed=9) - inside @ normal(8, seed=9)
    torch.testing.assert_close(tuned.features @ away, NET.features @ away)
    assert float(change.norm()) > 0.1


def test_the_balance_of_the_factors_is_kept_by_small_steps():
    def imbalance(net):
        return net.features @ net.features.T - torch.outer(net.head, net.head)

    errors = [
        float((imbalance(fine_tune(NET, X, Y, lr=lr, steps=round(4 / lr))) - imbalance(NET)).norm())
        for lr in (0.02, 0.002)
    ]
    assert errors[1] < 0.15 * errors[0] < 0.1


def test_the_probe_is_scikit_learn_s():
    x, y = normal(40, 8, seed=5), normal(40, seed=6)
    z = (x @ NET.features.T).numpy()
    least = LinearRegression(fit_intercept=False).fit(z, y.numpy())
    np.testing.assert_allclose(probe(NET, x, y).head.numpy(), least.coef_)
    ridge = Ridge(alpha=40 * 0.3, fit_intercept=False).fit(z, y.numpy())
    np.testing.assert_allclose(probe(NET, x, y, 0.3).head.numpy(), ridge.coef_)
    assert probe(NET, x, y).features is NET.features


def test_a_probed_head_is_a_resting_point_of_the_head():
    fitted = probe(NET, X, Y)
    assert float(slopes(fitted, X, Y).head.norm()) < 1e-12


def test_fitted_examples_are_predicted():
    tuned = fine_tune(NET, X, Y, lr=0.05, steps=20_000)
    torch.testing.assert_close(predict(tuned, X), Y, atol=1e-4, rtol=0)


def test_the_risk_of_least_squares_by_simulation():
    """3,000 training sets of 12 examples with 4 correlated features."""
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((4, 4))
    truth, errors = rng.standard_normal(4), []
    covariance = mix @ mix.T
    for _ in range(3000):
        z = rng.standard_normal((12, 4)) @ mix.T
        y = z @ truth + 0.5 * rng.standard_normal(12)
        wrong = np.linalg.lstsq(z, y, rcond=None)[0] - truth
        errors.append(0.25 + wrong @ covariance @ wrong)
    expected = risk_of_least_squares(0.25, 4, 12)
    assert expected == pytest.approx(0.25 * (1 + 4 / 7))
    assert np.mean(errors) == pytest.approx(expected, abs=4 * np.std(errors) / 3000**0.5)
    assert risk_of_least_squares(1, 4, 5) == math.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: probe(NET, X, Y, -1.0), "penalty must be ≥ 0 and finite, got -1.0"),
        (lambda: fine_tune(NET, X, Y, lr=0.0, steps=1), "lr must be > 0 and finite, got 0.0"),
        (lambda: fine_tune(NET, X, Y, lr=0.1, steps=-1), "steps must be a whole number ≥ 0"),
        (lambda: fine_tune(NET, X, Y, lr=1e3, steps=99), "head must be finite, got"),
        (lambda: risk_of_least_squares(0.0, 1, 1), "noise must be > 0"),
        (lambda: risk_of_least_squares(1.0, 0, 1), "width must be a whole number ≥ 1, got 0"),
    ],
)
def test_bad_numbers_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
