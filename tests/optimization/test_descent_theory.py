import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from d2lcompanion.data.diabetes import load_diabetes
from d2lcompanion.optimization.descent import (
    closed_form_iterates,
    contraction_factor,
    convergence_order,
    descent_lemma_bound,
    first_order,
    gradient_descent,
    measured_rate,
    minimize,
    newton,
    optimal_step,
    preconditioned,
)
from d2lcompanion.optimization.objectives import (
    Objective,
    cosh,
    cosine,
    least_squares,
    quadratic,
    quadratic_with_spectrum,
    tanh,
)


def descent(lr: float):
    return first_order(gradient_descent, lr=lr)


curvature = st.floats(0.05, 20)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(curvature, min_size=1, max_size=4),
    st.floats(0.01, 0.5),
    st.integers(min_value=0, max_value=12),
)
def test_closed_form_is_what_the_loop_does(spectrum, lr, steps):
    spectrum = torch.tensor(spectrum, dtype=torch.float64)
    start = torch.linspace(1, 2, len(spectrum)).double()
    loop = minimize(quadratic(spectrum), start, descent(lr), steps=steps).points
    closed = closed_form_iterates(spectrum, start, lr, steps)
    torch.testing.assert_close(loop, closed[: len(loop)], rtol=1e-9, atol=1e-12)


def test_the_books_numbers_in_closed_form():
    closed = closed_form_iterates(
        torch.tensor([2.0]).double(), torch.tensor([10.0]).double(), 0.2, 10
    )
    assert f"{float(closed[-1]):f}" == "0.060466"
    assert float(closed[-1]) == pytest.approx(10 * 0.6**10, rel=1e-14)


@settings(max_examples=50, deadline=None)
@given(curvature, curvature, st.floats(0.001, 1))
def test_no_step_contracts_more_than_the_optimal_one(a, b, lr):
    mu, smoothness = sorted((a, b))
    best = contraction_factor(optimal_step(mu, smoothness), mu, smoothness)
    kappa = smoothness / mu
    assert best == pytest.approx((kappa - 1) / (kappa + 1), abs=1e-12)
    assert best <= contraction_factor(lr, mu, smoothness) + 1e-12


def test_the_limit_of_stability_is_two_over_the_smoothness():
    assert (
        contraction_factor(2 / 5 - 1e-9, 1.0, 5.0) < 1 < contraction_factor(2 / 5 + 1e-9, 1.0, 5.0)
    )
    objective = quadratic([1.0, 5.0])
    assert minimize(objective, [1.0, 1.0], descent(0.39), steps=10_000).status != "diverged"
    assert minimize(objective, [1.0, 1.0], descent(0.41), steps=10_000).status == "diverged"


@settings(max_examples=30, deadline=None)
@given(
    st.lists(curvature, min_size=2, max_size=4),
    st.floats(0.01, 0.5),
    st.integers(min_value=0, max_value=2**31),
)
def test_distances_contract_by_the_factor_and_no_more(spectrum, lr, seed):
    objective = quadratic_with_spectrum(spectrum, generator=torch.Generator().manual_seed(seed))
    start = torch.ones(len(spectrum), dtype=torch.float64)
    points = minimize(objective, start, descent(lr), steps=5).points
    factor = contraction_factor(lr, min(spectrum), max(spectrum))
    distances = points.norm(dim=1)
    assert bool((distances[1:] <= factor * distances[:-1] * (1 + 1e-9) + 1e-12).all())


def test_the_measured_rate_on_a_quadratic_is_the_predicted_one():
    lr, objective = optimal_step(1.0, 50.0), quadratic([1.0, 7.0, 50.0])
    trajectory = minimize(objective, [1.0, 1.0, 1.0], descent(lr), steps=200)
    predicted = contraction_factor(lr, 1.0, 50.0)
    assert measured_rate(trajectory.points.norm(dim=1)) == pytest.approx(predicted, rel=1e-9)
    assert measured_rate(trajectory.values) == pytest.approx(predicted**2, rel=1e-9)


# ------------------------------------------------------------------------------ the descent lemma


SMOOTH = [  # objective, L = max |f″|
    (quadratic([3.0]), 3.0),
    (tanh(), 4 / (3 * math.sqrt(3))),
]


@pytest.mark.parametrize(("objective", "smoothness"), SMOOTH, ids=["quadratic", "tanh"])
@settings(max_examples=50, deadline=None)
@given(x=st.floats(-3, 3), lr=st.floats(0.01, 2))
def test_one_step_keeps_the_promise_of_the_descent_lemma(objective, smoothness, x, lr):
    x = torch.tensor([x], dtype=torch.float64)
    g = objective.gradient(x)
    bound = descent_lemma_bound(float(objective(x)), float(g.norm()), lr, smoothness)
    assert float(objective(x - lr * g)) <= bound + 1e-12


def test_the_descent_lemma_is_tight_on_a_parabola():
    bound = descent_lemma_bound(torch.tensor(9.0), torch.tensor(6.0), 0.3, 2.0)  # x² at 3
    assert float(bound) == pytest.approx((3 - 0.3 * 6) ** 2)


def test_the_descent_lemma_promises_most_at_one_over_the_smoothness():
    bounds = [descent_lemma_bound(1.0, 2.0, lr, 4.0) for lr in np.linspace(0.01, 0.6, 60)]
    assert min(bounds) == pytest.approx(descent_lemma_bound(1.0, 2.0, 0.25, 4.0))
    assert descent_lemma_bound(1.0, 2.0, 0.25, 4.0) == pytest.approx(1.0 - 2.0**2 / (2 * 4.0))
    assert descent_lemma_bound(1.0, 2.0, 0.5, 4.0) == pytest.approx(1.0)  # η = 2/L: no promise


# ---------------------------------------------------------------------------- order of convergence


@pytest.mark.parametrize("order", [1.0, 1.618, 2.0, 3.0])
def test_the_order_of_a_made_up_sequence(order):
    errors = [0.5]
    while len(errors) < 5:
        errors.append(0.8 * errors[-1] ** order)
    assert convergence_order(errors) == pytest.approx(order, rel=1e-9)


def test_newton_is_quadratic_and_gradient_descent_linear():
    """Erratum E4: the book calls the first "linear" and the second "constant"."""
    objective = quadratic([1.0, 4.0])
    linear = minimize(objective, [1.0, 1.0], descent(0.3), steps=30).points.norm(dim=1)
    assert convergence_order(linear[10:]) == pytest.approx(1, abs=1e-6)

    tilted = Objective(  # eˣ − x, minimum at 0, third derivative 1
        "eˣ − x",
        value=lambda x: (x.exp() - x)[..., 0],
        gradient=lambda x: x.exp() - 1,
        hessian=lambda x: x.exp()[..., None],
    )
    errors = minimize(tilted, 0.5, newton, steps=4).points.flatten()
    assert convergence_order(errors) == pytest.approx(2, abs=0.1)


def test_newton_is_cubic_where_the_third_derivative_vanishes():
    errors = minimize(cosh(1.0), 0.9, newton, steps=4).points.abs().flatten()
    assert convergence_order(errors[:4]) == pytest.approx(3, abs=0.1)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.05, 0.99), st.floats(1e-3, 1e3), st.integers(min_value=4, max_value=40))
def test_the_rate_of_a_geometric_sequence(rate, scale, steps):
    gaps = [scale * rate**k for k in range(steps)]
    assume(gaps[-1] > 1e-250)
    assert measured_rate(gaps) == pytest.approx(rate, rel=1e-9)


def test_the_rate_is_that_of_the_second_half():
    gaps = [0.1**k for k in range(6)] + [1e-5 * 0.9**k for k in range(1, 15)]
    assert measured_rate(torch.tensor(gaps)) == pytest.approx(0.9, rel=1e-5)


# ----------------------------------------------------------------------- the problem of the chapter


def test_diabetes_as_published():
    data = load_diabetes()
    objective, start = least_squares(data.features, data.target), torch.zeros(10).double()
    eigenvalues = torch.linalg.eigvalsh(objective.hessian(start))
    mu, smoothness = float(eigenvalues[0]), float(eigenvalues[-1])
    assert f"{mu:.5f}" == "0.00856"
    assert f"{smoothness:.4f}" == "4.0242"
    assert f"{smoothness / mu:.2f}" == "470.08"
    assert f"{objective.minimum:.5f}" == "0.24113"

    lr = optimal_step(mu, smoothness)
    trajectory = minimize(objective, start, descent(lr), steps=100)
    assert f"{float(trajectory.values[-1]) - objective.minimum:.1e}" == "6.7e-02"
    long = minimize(objective, start, descent(lr), steps=400)
    predicted = contraction_factor(lr, mu, smoothness)
    assert measured_rate(long.values - objective.minimum) == pytest.approx(predicted**2, rel=1e-6)

    one_step = minimize(objective, start, newton, steps=1)
    assert float(one_step.values[-1]) - objective.minimum < 1e-14


def test_diagonal_preconditioning_does_nothing_on_standardized_columns():
    # Every column has mean square 1, so the diagonal of XᵀX/n is 1: D⁻¹ is the identity.
    data = load_diabetes()
    objective, start = least_squares(data.features, data.target), torch.zeros(10).double()
    diagonal = objective.hessian(start).diagonal()
    np.testing.assert_allclose(diagonal, 1, rtol=1e-12)
    method = first_order(preconditioned, lr=0.3, diagonal=diagonal)
    with_d = minimize(objective, start, method, steps=50).values
    without = minimize(objective, start, descent(0.3), steps=50).values
    torch.testing.assert_close(with_d, without, rtol=1e-10, atol=0)


def test_the_rate_is_that_of_the_last_half():
    gaps = [0.1**k for k in range(10)]
    gaps += [gaps[-1] * 0.9**k for k in range(1, 12)]  # slow from index 9 on, of 21
    assert measured_rate(gaps) == pytest.approx(0.9, rel=1e-12)


def test_the_book_s_local_minimum():
    # §12.3.1: from 10 with η = 2 the iterates on x cos(0.15πx) end in a shallow minimum.
    trajectory = minimize(cosine(), 10.0, descent(2.0), steps=10)
    assert f"{float(trajectory.points[-1]):f}" == "-1.528166"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optimal_step(2.0, 1.0), "got 2.0 and 1.0"),
        (lambda: optimal_step(0.0, 1.0), "got 0.0 and 1.0"),
        (lambda: contraction_factor(-1.0, 1.0, 2.0), "lr must be .* got -1.0"),
        (lambda: descent_lemma_bound(1.0, 1.0, 0.1, 0.0), "smoothness must be .* got 0.0"),
        (
            lambda: closed_form_iterates(torch.ones(2), torch.ones(3), 0.1, 1),
            r"got \[2\] and \[3\]",
        ),
        (
            lambda: closed_form_iterates(torch.ones(2), torch.ones(2), 0.1, -1),
            "steps must be ≥ 0, got -1",
        ),
        (lambda: convergence_order([1.0, 0.1]), r"m ≥ 3, got \[2\]"),
        (lambda: convergence_order([1.0, 0.1, 0.0]), r"errors\[2\] = 0"),
        (lambda: convergence_order([0.5, 0.5, 0.5]), "must not all be equal"),
        (lambda: measured_rate([1.0, 0.5, 0.2, float("inf")]), r"gaps\[3\] = inf"),
        (lambda: measured_rate([1.0, 0.5, -0.2, 0.1]), r"gaps\[2\] = -0.2"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
