"""Jensen, the search, the projections and the curvature bounds against scipy, KKT and slow loops."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize as scipy_minimize

from d2lcompanion.optimization.convexity import (
    find_nonconvexity,
    gradient_mapping,
    jensen_gap,
    lanczos_bounds,
    power_bounds,
    project_ball,
    project_box,
    project_simplex,
    projected_gradient,
    smoothness_bounds,
)
from d2lcompanion.optimization.descent import first_order, gradient_descent, minimize
from d2lcompanion.optimization.objectives import (
    beale,
    cosh,
    cosine,
    least_squares,
    quadratic,
    quadratic_with_spectrum,
    rosenbrock,
    saddle,
)


def tensor(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def vectors(low: int = 1, high: int = 6):
    number = st.floats(-10, 10, allow_nan=False)
    return st.lists(number, min_size=low, max_size=high).map(lambda x: tensor(*x))


# ------------------------------------------------------------------------------------------ Jensen


def square(x: torch.Tensor) -> torch.Tensor:
    return x.square().sum(-1)


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_the_gap_of_the_square_is_the_variance(seed):
    x = torch.randn(7, 3, generator=generator(seed), dtype=torch.float64)
    alpha = torch.rand(7, generator=generator(seed + 1), dtype=torch.float64)
    alpha = alpha / alpha.sum()
    mean = np.average(x, axis=0, weights=alpha)
    variance = np.average((x.numpy() - mean) ** 2, axis=0, weights=alpha).sum()
    assert float(jensen_gap(square, x, alpha)) == pytest.approx(variance, rel=1e-10)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_gap_is_a_slow_loop_and_not_negative_where_f_is_convex(seed):
    points = torch.randn(4, 5, 1, generator=generator(seed), dtype=torch.float64)
    gaps = jensen_gap(cosh(1.0), points)
    for group, gap in zip(points[..., 0].tolist(), gaps.tolist(), strict=True):
        slow = sum(math.cosh(x) for x in group) / 5 - math.cosh(sum(group) / 5)
        assert gap == pytest.approx(slow, abs=1e-12)
        assert gap >= 0


def test_a_concave_function_has_the_other_sign_and_a_linear_one_none():
    points = tensor(0.0, 1.0)[:, None]
    assert float(jensen_gap(lambda x: -square(x), points)) == -0.25
    assert float(jensen_gap(lambda x: 3 * x[..., 0] + 1, points)) == 0


@pytest.mark.parametrize("weights", [[0.5, 0.6], [-0.5, 1.5], [math.nan, 1.0]])
def test_weights_are_weights(weights):
    with pytest.raises(ValueError, match=r"weights must be ≥ 0 with the sum 1, got \["):
        jensen_gap(square, torch.zeros(2, 1), torch.tensor(weights))


def test_shapes_of_points_and_weights_are_checked():
    with pytest.raises(ValueError, match=r"points must be \[\.\.\., m, d\], got shape \[3\]"):
        jensen_gap(square, torch.zeros(3))
    with pytest.raises(ValueError, match=r"weights must have shape \[2\], got \[3\]"):
        jensen_gap(square, torch.zeros(2, 1), torch.ones(3) / 3)


# ------------------------------------------------------------------------------------- the search


@pytest.mark.parametrize(
    "objective",
    [cosine(), saddle(), rosenbrock(), beale(), quadratic([1.0, 1.0, -1e-3])],
    ids=lambda o: o.name,
)
def test_a_counterexample_is_one(objective):
    low, high = -3 * torch.ones(objective.dim).double(), 3 * torch.ones(objective.dim).double()
    found = find_nonconvexity(objective, low, high, generator=generator())
    assert found is not None
    middle = objective((found.x + found.y) / 2)
    chord = (objective(found.x) + objective(found.y)) / 2
    assert float(middle - chord) == pytest.approx(found.excess, rel=1e-9)
    assert found.excess > 0
    for point in (found.x, found.y):
        assert bool(((low <= point) & (point <= high)).all())


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_a_convex_function_is_never_accused(seed):
    g = generator(seed)
    x = torch.randn(20, 4, generator=g, dtype=torch.float64)
    for function in (
        least_squares(x, x.sum(1)),  # also with μ ≈ 0: rounding must not look like a dent
        lambda w: (w @ x.T).abs().mean(-1),
        lambda w: (w @ x.T).logsumexp(-1),
        lambda w: (w @ tensor(1, 2, 3, 4)) + 1e6,
    ):
        box = 5 * torch.ones(4, dtype=torch.float64)
        assert find_nonconvexity(function, -box, box, pairs=500, generator=g) is None


def test_single_precision_is_not_accused_either():
    box = torch.ones(3)
    assert find_nonconvexity(square, -box, box, generator=generator()) is None
    lifted = quadratic(2 * torch.eye(3), offset=1e3)
    assert find_nonconvexity(lifted, -box, box, generator=generator()) is None


def test_narrow_and_wide_dents_are_met():
    def dented(x, width):
        return square(x) - 0.01 * torch.exp(-((x[..., 0] - 0.3) ** 2) / width**2)

    for width in (0.5, 0.05, 0.005):
        function = partial(dented, width=width)
        found = find_nonconvexity(function, tensor(-1), tensor(1), generator=generator())
        if width == 0.5:  # the square is steeper than this dent: it is still convex
            assert found is None
        else:
            assert found is not None


def test_the_search_repeats_with_its_seed():
    low, high = tensor(-3, -3), tensor(3, 3)
    one, two, other = (
        find_nonconvexity(beale(), low, high, generator=generator(s)) for s in (1, 1, 2)
    )
    assert torch.equal(one.x, two.x)
    assert one.excess == two.excess != other.excess


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": tensor(2), "high": tensor(1)}, r"low ≤ high must hold everywhere, got \[2.0\]"),
        ({"high": tensor(1, 2)}, r"high must have shape \[1\], got \[2\]"),
        ({"low": torch.zeros(1, 1)}, r"low must be \[d\] of floats, got shape \[1, 1\]"),
        ({"pairs": 0}, "pairs must be a whole number ≥ 1, got 0"),
        ({"tolerance": -1.0}, "tolerance must be ≥ 0 and finite, got -1.0"),
        ({"function": lambda x: x[..., 0].log()}, "must be finite on the box, got nan or inf"),
    ],
)
def test_the_search_checks_its_arguments(change, message):
    arguments = {"function": square, "low": tensor(-1), "high": tensor(1)} | change
    with pytest.raises(ValueError, match=message):
        find_nonconvexity(**arguments, generator=generator())


# ------------------------------------------------------------------------------------ local minima


def test_a_plateau_has_minima_that_a_strict_definition_misses():
    """Erratum E7: d2l §12.2.2.1 asks for f(x*) < f(x) nearby, which no point of a plateau fulfils.

    max(|x| − 1, 0) is smallest on all of [−1, 1].
    """
    grid = torch.linspace(-2, 2, 401, dtype=torch.float64)
    f = (grid.abs() - 1).clamp(min=0)
    near = torch.stack([f[:-2], f[2:]])  # the neighbours of grid[1:-1]
    by_ours, strictly = (f[1:-1] <= near).all(0), (f[1:-1] < near).all(0)
    minima = grid[1:-1][by_ours]
    assert float(minima.min()) == pytest.approx(-1)
    assert float(minima.max()) == pytest.approx(1)
    assert len(minima) == 201
    assert not bool(strictly.any())
    assert bool((f[1:-1][by_ours] == f.min()).all())  # and every one is global


# ------------------------------------------------------------------------------------ projections


def nearest_by_scipy(x, *, bounds=None, constraints=()):
    """min ½‖p − x‖², a quadratic program."""
    result = scipy_minimize(
        lambda p: 0.5 * ((p - x.numpy()) ** 2).sum(),
        np.full(len(x), 1 / len(x)),
        jac=lambda p: p - x.numpy(),
        bounds=bounds,
        constraints=constraints,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert result.status in (0, 8), result.message  # 8: it stands at the optimum, no step is left
    return result.x


@given(vectors())
@settings(max_examples=60, deadline=None)
def test_the_simplex_projection_is_the_quadratic_program(x):
    sums_to_one = {"type": "eq", "fun": lambda p: p.sum() - 1, "jac": np.ones_like}
    expected = nearest_by_scipy(x, bounds=[(0, None)] * len(x), constraints=[sums_to_one])
    np.testing.assert_allclose(project_simplex(x), expected, atol=1e-6)


@given(vectors(), st.floats(0.01, 50))
@settings(max_examples=200, deadline=None)
def test_the_simplex_projection_satisfies_kkt(x, total):
    """p ≥ 0, Σp = s, and xᵢ − pᵢ is one number θ where pᵢ > 0, and at most θ where pᵢ = 0."""
    p = project_simplex(x, total)
    assert bool((p >= 0).all())
    assert float(p.sum()) == pytest.approx(total, rel=1e-9)
    theta = (x - p)[p > 0]
    assert float(theta.max() - theta.min()) < 1e-9
    assert bool((x[p == 0] <= theta.max() + 1e-9).all())


@given(vectors(2, 5), st.floats(0.1, 5))
@settings(max_examples=40, deadline=None)
def test_ball_and_box_projections_are_quadratic_programs(x, radius):
    in_ball = {"type": "ineq", "fun": lambda p: radius**2 - p @ p, "jac": lambda p: -2 * p}
    expected = nearest_by_scipy(x, constraints=[in_ball])
    np.testing.assert_allclose(project_ball(x, radius), expected, atol=1e-4)
    expected = nearest_by_scipy(x, bounds=[(-radius, 2 * radius)] * len(x))
    np.testing.assert_allclose(project_box(x, -radius, 2 * radius), expected, atol=1e-6)


PROJECTIONS = {
    "ball": partial(project_ball, radius=1.5),
    "shifted ball": lambda x: project_ball(x, 0.7, center=torch.ones_like(x[0])),
    "box": partial(project_box, low=-0.5, high=2.0),
    "simplex": project_simplex,
    "large simplex": partial(project_simplex, total=4.0),
}


@pytest.mark.parametrize("project", PROJECTIONS.values(), ids=list(PROJECTIONS))
@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_what_every_projection_on_a_convex_set_does(project, seed):
    """Idempotent, contracting no less than distances, and (x − Px)ᵀ(z − Px) ≤ 0 for z in the set."""
    x = 3 * torch.randn(20, 4, generator=generator(seed), dtype=torch.float64)
    p = project(x)
    torch.testing.assert_close(project(p), p, atol=1e-12, rtol=0)
    assert bool((torch.cdist(p, p) <= torch.cdist(x, x) + 1e-7).all())
    assert float(((x - p)[:, None] * (p[None] - p[:, None])).sum(-1).max()) < 1e-9


def test_projections_take_batches_and_keep_dtype():
    x = torch.randn(3, 2, 4, generator=generator())
    for project in (project_ball, project_simplex, partial(project_box, low=0, high=1)):
        p = project(x)
        assert p.dtype == torch.float32
        torch.testing.assert_close(p[1, 1], project(x[1, 1]))


def test_corners_of_the_projections():
    assert project_ball(tensor(0, 0), 0.0).tolist() == [0, 0]
    assert project_ball(tensor(3, 4), 0.0).tolist() == [0, 0]
    assert project_ball(tensor(3, 4), 5.0).tolist() == [3, 4]
    assert project_simplex(tensor(-7)).tolist() == [1]
    torch.testing.assert_close(project_simplex(tensor(2, 2, 2)), tensor(1, 1, 1) / 3)
    box = project_box(tensor(-1, 5), tensor(0, 1), tensor(0.5, 2))
    assert box.tolist() == [0, 2]


def test_clipping_gradients_is_a_projection():
    parameter = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))
    parameter.grad = tensor(3, 0, 4)
    torch.nn.utils.clip_grad_norm_([parameter], max_norm=1.0)
    torch.testing.assert_close(
        parameter.grad, project_ball(tensor(3, 0, 4), 1.0), rtol=1e-5, atol=0
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: project_ball(tensor(1), -1.0), "radius must be ≥ 0 and finite, got -1.0"),
        (lambda: project_ball(tensor(1), center=tensor(1, 2)), r"center must have shape \[1\]"),
        (
            lambda: project_box(tensor(1), 2.0, 1.0),
            "low ≤ high must hold everywhere, got 2.0 and 1.0",
        ),
        (lambda: project_simplex(tensor(1), 0.0), "total must be > 0 and finite, got 0.0"),
        (lambda: project_simplex(tensor()), r"x must be \[\.\.\., d\] with d ≥ 1, got shape \[0\]"),
        (lambda: project_simplex(torch.tensor(1.0)), r"got shape \[\]"),
    ],
)
def test_projections_check_their_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ----------------------------------------------------------------------------- projected gradient


def test_without_a_constraint_it_is_gradient_descent():
    bowl = quadratic([1.0, 3.0], linear=[1.0, -2.0])
    ours = partial(projected_gradient, lr=0.2, project=lambda x: x)
    plain = first_order(gradient_descent, lr=0.2)
    runs = [minimize(bowl, [4.0, 4.0], method, steps=30).points for method in (ours, plain)]
    torch.testing.assert_close(*runs)


@pytest.mark.parametrize("name", ["ball", "box", "simplex", "large simplex"])
@pytest.mark.parametrize("seed", range(3))
def test_it_solves_quadratic_programs_as_scipy_does(name, seed):
    objective = quadratic_with_spectrum([0.5, 1.0, 2.0, 4.0], generator=generator(seed))
    c = torch.randn(4, generator=generator(seed + 9), dtype=torch.float64)
    objective = quadratic(objective.hessian(c), linear=3 * c)
    method = partial(projected_gradient, lr=0.25, project=PROJECTIONS[name])
    start = PROJECTIONS[name](torch.zeros(1, 4, dtype=torch.float64))[0]
    run = minimize(objective, start, method, steps=300)
    constraint = {
        "ball": {"constraints": [{"type": "ineq", "fun": lambda p: 1.5**2 - p @ p}]},
        "box": {"bounds": [(-0.5, 2.0)] * 4},
        "simplex": {
            "bounds": [(0, None)] * 4,
            "constraints": [{"type": "eq", "fun": lambda p: p.sum() - 1}],
        },
        "large simplex": {
            "bounds": [(0, None)] * 4,
            "constraints": [{"type": "eq", "fun": lambda p: p.sum() - 4}],
        },
    }[name]
    result = scipy_minimize(
        lambda w: float(objective(torch.from_numpy(w))),
        start.numpy(),
        jac=lambda w: objective.gradient(torch.from_numpy(w)).numpy(),
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
        **constraint,
    )
    np.testing.assert_allclose(run.points[-1], result.x, atol=1e-5)
    assert bool((run.values[1:] <= run.values[:-1] + 1e-12).all())  # η = 1/L
    still = gradient_mapping(objective, run.points[-1], lr=0.25, project=PROJECTIONS[name])
    assert float(still.norm()) < 1e-9
    assert float(run.gradient_norms[-1]) > 0.1  # the gradient itself does not vanish


def test_the_gradient_mapping_is_the_step_and_the_gradient_inside():
    bowl, x = quadratic([1.0, 1.0]), tensor(0.3, 0.4)
    project = partial(project_ball, radius=1.0)
    torch.testing.assert_close(gradient_mapping(bowl, x, lr=0.1, project=project), x)
    step, state = projected_gradient(bowl, 2 * x, lr=0.1, project=project)
    torch.testing.assert_close(-0.1 * gradient_mapping(bowl, 2 * x, lr=0.1, project=project), step)
    assert state == ()


@pytest.mark.parametrize("function", [projected_gradient, gradient_mapping])
def test_the_learning_rate_is_checked(function):
    with pytest.raises(ValueError, match=r"lr must be > 0 and finite, got -0\.1"):
        function(quadratic([1.0]), tensor(1), lr=-0.1, project=project_ball)


# --------------------------------------------------------------------------------------- curvature


def test_bounds_of_a_matrix_are_its_eigenvalues():
    objective = quadratic_with_spectrum([-1.0, 0.5, 4.0], generator=generator())
    bounds = smoothness_bounds(objective.hessian(torch.zeros(3, dtype=torch.float64)))
    assert bounds.mu == pytest.approx(-1)
    assert bounds.smoothness == pytest.approx(4)
    assert bounds.mu_residual == bounds.smoothness_residual == 0


def test_several_points_show_the_extremes():
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    bounds = smoothness_bounds(cosh(1.0).hessian(x))
    assert bounds == pytest.approx((1, math.cosh(2), 0, 0))


SPECTRUM = [0.01, 0.02, 0.5, 1.0, 1.5, 3.0, 3.5, 4.0]


@pytest.fixture
def matrix() -> torch.Tensor:
    objective = quadratic_with_spectrum(SPECTRUM, generator=generator(5))
    return objective.hessian(torch.zeros(8, dtype=torch.float64))


@pytest.mark.parametrize("bounds_of", [power_bounds, lanczos_bounds])
@given(seed=st.integers(0, 10_000), steps=st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_iterations_stay_inside_and_their_residuals_are_right(bounds_of, seed, steps):
    q = quadratic_with_spectrum(SPECTRUM, generator=generator(5)).hessian(torch.zeros(8).double())
    start = torch.randn(8, generator=generator(seed), dtype=torch.float64)
    found = bounds_of(lambda v: q @ v, start, steps=steps)
    assert 0.01 - 1e-9 <= found.mu <= found.smoothness <= 4 + 1e-9
    eigenvalues = np.array(SPECTRUM)
    assert np.abs(eigenvalues - found.mu).min() <= found.mu_residual + 1e-9
    assert np.abs(eigenvalues - found.smoothness).min() <= found.smoothness_residual + 1e-9


def test_lanczos_is_the_best_on_its_krylov_space(matrix):
    """The extremes of vᵀHv over span(v, Hv, H²v), by an orthonormal basis and numpy."""
    start = torch.randn(8, generator=generator(1), dtype=torch.float64)
    krylov = np.stack([start, matrix @ start, matrix @ matrix @ start], 1)
    basis = np.linalg.qr(krylov)[0]
    ritz = np.linalg.eigvalsh(basis.T @ matrix.numpy() @ basis)
    found = lanczos_bounds(lambda v: matrix @ v, start, steps=3)
    assert (found.mu, found.smoothness) == pytest.approx((ritz[0], ritz[-1]), rel=1e-10)


def test_lanczos_with_as_many_products_is_never_behind_power_iteration(matrix):
    for seed in range(10):
        start = torch.randn(8, generator=generator(seed), dtype=torch.float64)
        for steps in range(1, 7):
            power = power_bounds(lambda v: matrix @ v, start, steps=steps)
            lanczos = lanczos_bounds(lambda v: matrix @ v, start, steps=steps + 1)
            assert lanczos.smoothness >= power.smoothness - 1e-12
            assert lanczos.mu <= power.mu + 1e-12


def test_lanczos_ends_exactly(matrix):
    start = torch.randn(8, generator=generator(2), dtype=torch.float64)
    for steps in (8, 50):
        found = lanczos_bounds(lambda v: matrix @ v, start, steps=steps)
        assert found[:2] == pytest.approx((0.01, 4.0), rel=1e-10)
        assert found[2:] == pytest.approx((0, 0), abs=1e-10)


def test_an_invariant_subspace_ends_lanczos_early():
    diagonal = tensor(1, 2, 3, 4)
    calls = []

    def product(v):
        calls.append(1)
        return diagonal * v

    found = lanczos_bounds(product, tensor(0, 1, 1, 0), steps=4)
    assert found == pytest.approx((2, 3, 0, 0), abs=1e-12)  # 1 and 4 are orthogonal to the start
    assert len(calls) == 2


def test_lanczos_handles_negative_curvature():
    found = lanczos_bounds(lambda v: tensor(-2, 1, 5) * v, tensor(1, 1, 1), steps=3)
    assert found[:2] == pytest.approx((-2, 5))


def test_power_iteration_converges_and_survives_the_zero_matrix(matrix):
    start = torch.randn(8, generator=generator(3), dtype=torch.float64)
    found = power_bounds(lambda v: matrix @ v, start, steps=4000)
    assert found[:2] == pytest.approx((0.01, 4.0), rel=1e-6)
    assert power_bounds(lambda v: 0 * v, start, steps=3)[:2] == (0, 0)


@pytest.mark.parametrize("bounds_of", [power_bounds, lanczos_bounds])
def test_iterations_check_their_arguments(bounds_of):
    with pytest.raises(ValueError, match="start must not be 0, got norm 0"):
        bounds_of(lambda v: v, torch.zeros(2), steps=1)
    with pytest.raises(ValueError, match=r"start must be \[d\] of floats, got shape \[1, 2\]"):
        bounds_of(lambda v: v, torch.ones(1, 2), steps=1)
    with pytest.raises(ValueError, match="steps must be a whole number ≥ 1, got 0"):
        bounds_of(lambda v: v, torch.ones(2), steps=0)


def test_a_hessian_is_square_symmetric_and_finite():
    with pytest.raises(ValueError, match=r"hessian must be \[\.\.\., d, d\], got \[2, 3\]"):
        smoothness_bounds(torch.zeros(2, 3))
    for bad in (torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.full((2, 2), math.nan)):
        with pytest.raises(ValueError, match="hessian must be finite and symmetric, got max"):
            smoothness_bounds(bad)
