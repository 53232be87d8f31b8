import math

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.optimization.objectives import (
    Objective,
    beale,
    cosh,
    cosine,
    double_well,
    least_squares,
    perturbed_cosine,
    quadratic,
    quadratic_with_spectrum,
    risk_gap,
    rosenbrock,
    saddle,
    tanh,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def a_least_squares() -> Objective:
    x = torch.randn(7, 3, generator=generator(1), dtype=torch.float64)
    return least_squares(x, x @ torch.tensor([1.0, -2.0, 0.5]).double() + 0.1)


OBJECTIVES = {
    "diagonal": lambda: quadratic([2.0, 4.0]),
    "full": lambda: quadratic(
        torch.tensor([[2.0, 1.0], [1.0, 3.0]]).double(),
        linear=torch.tensor([1.0, -1.0]).double(),
        offset=0.5,
    ),
    "rotated": lambda: quadratic_with_spectrum([0.1, 1.0, 5.0], generator=generator()),
    "cosine": cosine,
    "perturbed cosine": perturbed_cosine,
    "cosh": cosh,
    "tanh": tanh,
    "saddle": saddle,
    "double well": double_well,
    "rosenbrock": rosenbrock,
    "rosenbrock 2, 5": lambda: rosenbrock(2.0, 5.0),
    "beale": beale,
    "least squares": a_least_squares,
}
every_objective = pytest.mark.parametrize("make", OBJECTIVES.values(), ids=list(OBJECTIVES))


def points(objective: Objective, *batch: int) -> torch.Tensor:
    return torch.randn(*batch, objective.dim or 3, generator=generator(7), dtype=torch.float64)


@every_objective
def test_derivatives_are_those_of_automatic_differentiation(make):
    objective = make()
    for x in points(objective, 5):
        gradient = torch.func.grad(objective.value)(x)
        hessian = torch.func.hessian(objective.value)(x)
        torch.testing.assert_close(objective.gradient(x), gradient, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(objective.hessian(x), hessian, rtol=1e-10, atol=1e-10)


@every_objective
def test_a_batch_gives_what_a_loop_gives(make):
    objective = make()
    x = points(objective, 2, 3)
    d = x.shape[-1]
    assert objective(x).shape == (2, 3)
    assert objective.gradient(x).shape == (2, 3, d)
    assert objective.hessian(x).shape == (2, 3, d, d)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(objective(x)[i, j], objective(x[i, j]))
            torch.testing.assert_close(objective.gradient(x)[i, j], objective.gradient(x[i, j]))
            torch.testing.assert_close(objective.hessian(x)[i, j], objective.hessian(x[i, j]))


@every_objective
def test_minimizers_are_stationary_and_nothing_nearby_is_lower(make):
    objective = make()
    if objective.minimizers is None:
        assert objective.minimum is None
        return
    for best in objective.minimizers:
        assert float(objective(best)) == pytest.approx(objective.minimum, abs=1e-12)
        assert float(objective.gradient(best).norm()) < 1e-10
        nearby = best + 0.3 * points(objective, 200)
        assert float(objective(nearby).min()) > objective.minimum


@every_objective
def test_results_have_the_dtype_of_the_point(make):
    objective = make()
    if objective.name == "least squares":  # its data are float64
        return
    x = points(objective, 4).float()
    results = objective(x), objective.gradient(x), objective.hessian(x)
    assert {r.dtype for r in results} == {torch.float32}


def test_the_minimizers_are_those_that_scipy_finds():
    for objective, start in [(rosenbrock(), [-1.2, 1.0]), (beale(), [1.0, 0.0])]:
        found = scipy.optimize.minimize(
            lambda x, f=objective: float(f(torch.from_numpy(x))), start, method="BFGS", tol=1e-10
        )
        np.testing.assert_allclose(objective.minimizers[0], found.x, atol=1e-4)


def test_rosenbrock_is_that_of_scipy():
    for x in points(rosenbrock(), 5):
        assert float(rosenbrock()(x)) == pytest.approx(scipy.optimize.rosen(x.numpy()))
        np.testing.assert_allclose(rosenbrock().gradient(x), scipy.optimize.rosen_der(x.numpy()))
        np.testing.assert_allclose(rosenbrock().hessian(x), scipy.optimize.rosen_hess(x.numpy()))


def test_beale_by_hand():
    # The printed function (1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)².
    assert float(beale()(torch.tensor([0.0, 0.0]))) == 1.5**2 + 2.25**2 + 2.625**2
    assert float(beale()(torch.tensor([1.0, 2.0]))) == 2.5**2 + 5.25**2 + 9.625**2


def test_quadratic_is_a_double_sum():
    q = torch.randn(4, 4, generator=generator(), dtype=torch.float64)
    q, c, x = q + q.T, torch.arange(4).double(), torch.linspace(-1, 2, 4).double()
    total = 0.25
    for i in range(4):
        total += float(c[i] * x[i])
        for j in range(4):
            total += 0.5 * float(x[i] * q[i, j] * x[j])
    assert float(quadratic(q, linear=c, offset=0.25)(x)) == pytest.approx(total, rel=1e-12)


def test_the_books_functions():
    x = torch.tensor([-5.0, -2.0]).double()
    assert float(quadratic([2, 4])(x)) == 5**2 + 2 * 2**2
    assert float(quadratic([0.2, 4])(x)) == pytest.approx(0.1 * 5**2 + 2 * 2**2)
    assert float(saddle()(x)) == 5**2 - 2**2


def test_minimizer_of_a_shifted_quadratic_has_a_minus_sign():
    """Erratum E1: x* = −Q⁻¹c; d2l §12.6 measures the distance from +Q⁻¹c."""
    q, c = torch.tensor([[2.0, 1.0], [1.0, 3.0]]).double(), torch.tensor([5.0, 5.0]).double()
    torch.testing.assert_close(
        quadratic(q, linear=c).minimizers, torch.tensor([[-2.0, -1.0]]).double()
    )


def test_a_quadratic_that_is_not_positive_definite_has_no_minimizer():
    assert saddle().minimizers is None
    assert quadratic([1.0, 0.0]).minimizers is None
    assert quadratic([-1.0, -2.0]).minimizers is None


@pytest.mark.parametrize("seed", range(8))
def test_a_singular_quadratic_has_no_minimizer_whatever_rounding_says(seed):
    # AᵀA of a [2, 4] matrix has rank 2; eigvalsh gives the two zeros as about ±1e-16.
    a = torch.randn(2, 4, generator=generator(seed), dtype=torch.float64)
    assert quadratic(a.T @ a).minimizers is None
    assert quadratic((a.T @ a).float()).minimizers is None


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=6),
    st.integers(min_value=0, max_value=2**31),
)
def test_a_random_rotation_keeps_the_spectrum(spectrum, seed):
    objective = quadratic_with_spectrum(spectrum, generator=generator(seed))
    hessian = objective.hessian(torch.zeros(len(spectrum), dtype=torch.float64))
    np.testing.assert_allclose(torch.linalg.eigvalsh(hessian), sorted(spectrum), atol=1e-12)


def test_one_seed_gives_one_rotation():
    def hessian(seed: int) -> torch.Tensor:
        objective = quadratic_with_spectrum([1.0, 2.0], generator=generator(seed))
        return objective.hessian(torch.zeros(2).double())

    assert torch.equal(hessian(3), hessian(3))
    assert not torch.equal(hessian(3), hessian(4))


def test_only_rounding_may_make_q_unsymmetric():
    rounded, wrong = (torch.tensor([[2.0, 1.0], [1.0 + e, 2.0]]).double() for e in (1e-9, 1e-3))
    assert quadratic(rounded).dim == 2
    with pytest.raises(ValueError, match=r"symmetric, got max \|Q − Qᵀ\| = 0.001"):
        quadratic(wrong)


def test_numbers_do_for_the_linear_part():
    from_numbers, from_tensor = (
        quadratic([2.0, 4.0], linear=c, offset=1.0)
        for c in ([1.0, -2.0], torch.tensor([1.0, -2.0]).double())
    )
    x = torch.tensor([0.5, 0.25]).double()  # ½(0.5 + 0.25) + 0.5 − 0.5 + 1
    assert float(from_numbers(x)) == float(from_tensor(x)) == 1.375


def test_least_squares_is_half_of_torchs_mean_squared_error():
    x = torch.randn(6, 2, generator=generator(), dtype=torch.float64)
    y, w = x[:, 0] - 1, torch.tensor([0.3, -0.7]).double()
    objective = least_squares(x, y)
    assert float(objective(w)) == pytest.approx(0.5 * float(torch.nn.MSELoss()(x @ w, y)))


def test_least_squares_is_minimized_by_lstsq():
    x = torch.randn(20, 4, generator=generator(), dtype=torch.float64)
    y = torch.randn(20, generator=generator(5), dtype=torch.float64)
    objective = least_squares(x, y)
    best, residual, *_ = np.linalg.lstsq(x.numpy(), y.numpy(), rcond=None)
    np.testing.assert_allclose(objective.minimizers[0], best, atol=1e-12)
    assert objective.minimum == pytest.approx(residual[0] / 40)


def test_least_squares_with_equal_columns_takes_the_shortest_minimizer():
    column = torch.arange(1.0, 5.0).double()
    objective = least_squares(torch.stack([column, column], 1), 2 * column)
    torch.testing.assert_close(objective.minimizers, torch.tensor([[1.0, 1.0]]).double())
    assert objective.minimum == pytest.approx(0, abs=1e-20)


def test_risk_gap_on_the_books_example():
    grid = torch.linspace(0.5, 1.5, 10_001).double()
    gap = risk_gap(cosine(math.pi), perturbed_cosine(), grid)

    def risk(x: float) -> float:
        return x * math.cos(math.pi * x)

    def empirical(x: float) -> float:
        return risk(x) + 0.2 * math.cos(5 * math.pi * x)

    options = {"bounds": (0.9, 1.2), "method": "bounded", "options": {"xatol": 1e-8}}
    best = scipy.optimize.minimize_scalar(risk, **options).x
    chosen = scipy.optimize.minimize_scalar(empirical, **options).x
    assert gap.risk_minimizer == pytest.approx(best, abs=1e-4)
    assert gap.empirical_minimizer == pytest.approx(chosen, abs=1e-4)
    assert gap.excess_risk == pytest.approx(risk(chosen) - risk(best), abs=5e-5)
    assert gap.excess_risk > 0


def test_the_risk_of_its_own_minimizer_has_no_gap():
    gap = risk_gap(cosine(), cosine(), torch.linspace(-2, 2, 101))
    assert gap.risk_minimizer == gap.empirical_minimizer
    assert gap.excess_risk == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quadratic([2.0, 4.0])(torch.zeros(3)), r"\[\.\.\., 2\], got \[3\]"),
        (lambda: cosine()(torch.tensor(1.0)), r"\[\.\.\., 1\], got \[\]"),
        (lambda: quadratic(torch.zeros(2, 3)), r"got shape \[2, 3\]"),
        (lambda: quadratic([]), r"got shape \[0\]"),
        (lambda: quadratic(torch.tensor(2.0)), r"got shape \[\]"),
        (lambda: quadratic([1.0, math.nan]), r"Q must be finite, got \[1.0, nan\]"),
        (lambda: quadratic(torch.full((1, 1), math.inf)), r"Q must be finite, got \[\[inf"),
        (
            lambda: quadratic_with_spectrum(torch.ones(2, 2), generator=generator()),
            r"spectrum must be \[d\], got shape \[2, 2\]",
        ),
        (
            lambda: Objective("x²", lambda x: x**2, lambda x: 2 * x, None)(torch.ones(1)),
            (r"x²: value must map \[\.\.\., d\] to \[\.\.\.\], got \[1\] to \[1\]"),
        ),
        (lambda: least_squares(torch.zeros(0, 2), torch.zeros(0)), "n ≥ 1, got"),
        (
            lambda: risk_gap(cosine(), cosine(), torch.tensor([0.5, math.nan])),
            "finite on the whole grid",
        ),
        (lambda: quadratic(torch.tensor([[1.0, 2.0], [0.0, 1.0]])), r"max \|Q − Qᵀ\| = 2"),
        (lambda: quadratic([1.0], linear=torch.zeros(2)), r"shape \[1\], got \[2\]"),
        (lambda: rosenbrock(b=-1.0), r"b must be > 0, got -1.0"),
        (lambda: least_squares(torch.zeros(3, 2), torch.zeros(2)), r"got \[3, 2\] and \[2\]"),
        (lambda: risk_gap(cosine(), cosine(), torch.zeros(0)), r"got shape \[0\]"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
