import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.optimization.descent import first_order, gradient_descent, minimize
from d2lcompanion.optimization.objectives import double_well, quadratic, saddle
from d2lcompanion.optimization.stationary_points import (
    classify_stationary_point,
    noisy_gradient_descent,
    saddle_escape_steps,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("diagonal", "kind"),
    [
        ([1.0, 2.0], "minimum"),
        ([-1.0, -2.0], "maximum"),
        ([1.0, -1e-3], "saddle"),
        ([1.0, 0.0, -1.0], "saddle"),
        ([1.0, 0.0], "undecided"),
        ([0.0, -1.0], "undecided"),
        ([0.0], "undecided"),
        ([1.0, 1e-12], "undecided"),
        ([1.0, -1e-12], "undecided"),
    ],
)
def test_the_signs_decide(diagonal, kind):
    rotation = torch.linalg.qr(
        torch.randn(len(diagonal), len(diagonal), generator=generator(), dtype=torch.float64)
    ).Q
    hessian = rotation @ torch.diag(torch.tensor(diagonal, dtype=torch.float64)) @ rotation.T
    assert classify_stationary_point(hessian) == kind


def test_the_functions_of_the_chapter():
    origin = torch.zeros(2, dtype=torch.float64)
    assert classify_stationary_point(saddle().hessian(origin)) == "saddle"
    well = double_well()
    assert classify_stationary_point(well.hessian(origin)) == "saddle"
    for best in well.minimizers:
        assert classify_stationary_point(well.hessian(best)) == "minimum"


def test_a_saddle_has_lower_and_higher_points_beside_it():
    """The word means what it says, on random matrices whose answer is known from sampling."""
    for seed in range(20):
        a = torch.randn(3, 3, generator=generator(seed), dtype=torch.float64)
        hessian = (a + a.T) / 2
        around = torch.randn(2000, 3, generator=generator(99), dtype=torch.float64)
        values = quadratic(hessian)(around)
        seen = (bool((values > 0).any()), bool((values < 0).any()))
        kind = {(True, True): "saddle", (True, False): "minimum", (False, True): "maximum"}[seen]
        if classify_stationary_point(hessian) != kind:  # a cone too thin for the samples
            assert kind != "saddle"
            assert classify_stationary_point(hessian) == "saddle"
            assert float(torch.linalg.eigvalsh(hessian).abs().min()) < 0.05


@pytest.mark.parametrize(
    ("hessian", "options", "message"),
    [
        (torch.zeros(2, 3), {}, r"hessian must be \[d, d\], got shape \[2, 3\]"),
        (torch.zeros(0, 0), {}, r"hessian must be \[d, d\], got shape \[0, 0\]"),
        (torch.full((1, 1), math.nan), {}, "hessian must be finite"),
        (torch.eye(2), {"tolerance": 0.0}, r"tolerance must be in \(0, 1\), got 0.0"),
    ],
)
def test_arguments_are_checked(hessian, options, message):
    with pytest.raises(ValueError, match=message):
        classify_stationary_point(hessian, **options)


# ------------------------------------------------------------------------------------------- noise


def test_without_noise_it_is_gradient_descent():
    grad = torch.tensor([1.0, -2.0])
    update, state = noisy_gradient_descent(grad, ("s",), lr=0.1, noise=0.0, generator=generator())
    assert torch.equal(update, gradient_descent(grad, lr=0.1)[0])
    assert state == ("s",)


def test_the_noise_has_the_stated_mean_and_deviation():
    grad = torch.full((100_000, 2), 3.0, dtype=torch.float64)
    update, _ = noisy_gradient_descent(grad, lr=0.1, noise=2.0, generator=generator())
    torch.testing.assert_close(
        update.mean(0), torch.full((2,), -0.3, dtype=torch.float64), rtol=0.01, atol=0
    )
    torch.testing.assert_close(
        update.std(0), torch.full((2,), 0.2, dtype=torch.float64), rtol=0.01, atol=0
    )
    assert abs(float(torch.corrcoef(update.T)[0, 1])) < 0.02


def test_on_a_parabola_it_settles_at_the_known_spread():
    """x ← (1 − ηλ)x − ησξ has the variance η²σ²/(1 − (1 − ηλ)²) in the long run."""
    parabola, source = quadratic([2.0]), generator(1)
    x = torch.zeros(20_000, 1, dtype=torch.float64)
    for _ in range(200):
        x = x + noisy_gradient_descent(parabola.gradient(x), lr=0.1, noise=0.5, generator=source)[0]
    expected = (0.1 * 0.5) ** 2 / (1 - 0.8**2)
    assert float(x.var()) == pytest.approx(expected, rel=0.03)


def test_one_seed_gives_one_run_and_it_is_a_rule_for_minimize():
    runs = [
        minimize(
            double_well(),
            [1.0, 0.0],
            first_order(noisy_gradient_descent, lr=0.1, noise=0.01, generator=generator(4)),
            steps=300,
        )
        for _ in range(2)
    ]
    assert torch.equal(runs[0].points, runs[1].points)
    assert runs[0].values[-1] < 1e-3
    stays = minimize(double_well(), [1.0, 0.0], first_order(gradient_descent, lr=0.1), steps=300)
    assert stays.values[-1] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0, "noise": 1.0}, "lr must be > 0 and finite, got 0.0"),
        ({"lr": 0.1, "noise": -1.0}, "noise must be ≥ 0 and finite, got -1.0"),
    ],
)
def test_rates_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        noisy_gradient_descent(torch.ones(2), generator=generator(), **options)


# -------------------------------------------------------------------------------------- the escape


@given(st.floats(1e-12, 1e-1), st.floats(0.2, 10), st.floats(0.01, 1), st.floats(0.1, 5))
@settings(max_examples=60, deadline=None)
def test_the_steps_are_those_of_a_slow_loop(offset, distance, lr, curvature):
    y, k = offset, 0
    while y < distance * (1 - 1e-9):
        y, k = y * (1 + lr * curvature), k + 1
    steps = saddle_escape_steps(offset, distance, lr=lr, curvature=curvature)
    assert steps == k or abs(y / (1 + lr * curvature) / distance - 1) < 1e-6


def test_the_steps_are_those_of_gradient_descent_on_a_saddle():
    run = minimize(saddle(), [1.0, 1e-4], first_order(gradient_descent, lr=0.1), steps=100)
    first = int((run.points[:, 1] >= 1).nonzero()[0])
    assert saddle_escape_steps(1e-4, 1.0, lr=0.1, curvature=2.0) == first


def test_escape_arguments_are_checked():
    assert saddle_escape_steps(2.0, 1.0, lr=0.1, curvature=1.0) == 0
    with pytest.raises(ValueError, match="offset must be > 0 and finite, got 0"):
        saddle_escape_steps(0, 1.0, lr=0.1, curvature=1.0)
