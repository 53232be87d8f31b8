from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.optimization.descent import (
    backtracking_line_search,
    first_order,
    gradient_descent,
    minimize,
    newton,
    preconditioned,
    steepest_descent,
)
from d2lcompanion.optimization.objectives import (
    Objective,
    beale,
    cosh,
    cosine,
    least_squares,
    quadratic,
    quadratic_with_spectrum,
    rosenbrock,
    saddle,
    tanh,
)


def descent(lr: float):
    return first_order(gradient_descent, lr=lr)


def tensor(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


# ------------------------------------------------------------------------------- published numbers


def test_one_dimension_as_printed_in_the_book():
    trajectory = minimize(quadratic([2.0]), 10.0, descent(0.2), steps=10)
    assert f"{float(trajectory.points[-1]):f}" == "0.060466"


def test_two_dimensions_as_printed_in_the_book():
    trajectory = minimize(quadratic([2.0, 4.0]), [-5.0, -2.0], descent(0.1), steps=20)
    assert [f"{x:f}" for x in trajectory.points[-1].tolist()] == ["-0.057646", "-0.000073"]


# ------------------------------------------------------------------------------------------- peers


def test_every_point_is_that_of_d2l(capsys):
    d2l = pytest.importorskip("d2l.torch", reason="d2l is an oracle: requirements-d2l.lock")

    def trainer(x1, x2, s1, s2, gradient):
        g1, g2 = gradient(x1, x2)
        return x1 - 0.1 * g1, x2 - 0.1 * g2, 0, 0

    theirs = d2l.train_2d(trainer, f_grad=lambda x1, x2: (2 * x1, 4 * x2))
    ours = minimize(quadratic([2.0, 4.0]), [-5.0, -2.0], descent(0.1), steps=20).points
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert "x1: -0.057646, x2: -0.000073" in capsys.readouterr().out


@pytest.mark.parametrize("objective", [rosenbrock(), beale()], ids=lambda o: o.name)
def test_gradient_descent_is_torchs_sgd(objective: Objective):
    x = tensor(-0.5, 0.8).requires_grad_()
    optimizer, theirs = torch.optim.SGD([x], lr=1e-3), [x.detach().clone()]
    for _ in range(50):
        optimizer.zero_grad()
        objective(x).backward()
        optimizer.step()
        theirs.append(x.detach().clone())
    ours = minimize(objective, [-0.5, 0.8], descent(1e-3), steps=50).points
    torch.testing.assert_close(ours, torch.stack(theirs), rtol=1e-12, atol=1e-12)


def test_preconditioning_is_sgd_with_a_rate_for_each_coordinate():
    objective, diagonal = quadratic([1.0, 100.0]), tensor(1.0, 100.0)
    x = [tensor(3.0).requires_grad_(), tensor(-2.0).requires_grad_()]
    groups = [{"params": [p], "lr": 0.5 / float(d)} for p, d in zip(x, diagonal, strict=True)]
    optimizer = torch.optim.SGD(groups)
    for _ in range(10):
        optimizer.zero_grad()
        objective(torch.cat(x)).backward()
        optimizer.step()
    method = first_order(preconditioned, lr=0.5, diagonal=diagonal)
    ours = minimize(objective, [3.0, -2.0], method, steps=10).points[-1]
    torch.testing.assert_close(ours, torch.cat(x).detach())


def test_minimize_is_a_loop():
    x, points = 3.0, [3.0]
    for _ in range(7):
        x = x - 0.3 * (2 * x)
        points.append(x)
    trajectory = minimize(quadratic([2.0]), 3.0, descent(0.3), steps=7)
    np.testing.assert_allclose(trajectory.points[:, 0], points, rtol=1e-14)
    np.testing.assert_allclose(trajectory.values, np.square(points), rtol=1e-14)
    np.testing.assert_allclose(trajectory.gradient_norms, np.abs(2 * np.array(points)), rtol=1e-14)


# ----------------------------------------------------------------------------------- preconditioned


def test_the_diagonal_of_the_hessian_solves_a_diagonal_quadratic_in_one_step():
    spectrum = tensor(1e-4, 1.0, 1e4)
    method = first_order(preconditioned, lr=1.0, diagonal=spectrum)
    trajectory = minimize(quadratic(spectrum), [1.0, 1.0, 1.0], method, steps=1)
    torch.testing.assert_close(trajectory.points[-1], tensor(0, 0, 0), atol=1e-15, rtol=0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=2))
def test_a_preconditioned_run_does_not_see_the_units_of_the_columns(units):
    # z = Sx: iterates on rescaled data are the rescaled iterates, value by value.
    x = torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain, rescaled = (least_squares(data, x.sum(1)) for data in (x, x * tensor(*units)))
    values = []
    for objective in (plain, rescaled):
        diagonal = objective.hessian(tensor(0, 0)).diagonal()
        method = first_order(preconditioned, lr=0.4, diagonal=diagonal)
        values.append(minimize(objective, [0.0, 0.0], method, steps=6).values)
    torch.testing.assert_close(values[0], values[1], rtol=1e-8, atol=1e-12)


# ------------------------------------------------------------------------------------------ Newton


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(0.01, 100), min_size=1, max_size=5),
    st.integers(min_value=0, max_value=2**31),
)
def test_one_newton_step_solves_a_quadratic(spectrum, seed):
    objective = quadratic_with_spectrum(spectrum, generator=torch.Generator().manual_seed(seed))
    start = torch.ones(len(spectrum), dtype=torch.float64)
    end = minimize(objective, start, newton, steps=1).points[-1]
    torch.testing.assert_close(end, torch.zeros_like(end), atol=1e-11, rtol=0)


def test_newton_is_the_scalar_formula():
    c, x = 0.5, 1.3
    expected = -np.sinh(c * x) / (c * np.cosh(c * x))  # −f′/f″
    update, state = newton(cosh(c), tensor(x))
    assert float(update) == pytest.approx(expected, rel=1e-12)
    assert state == ()


def test_damped_newton_goes_part_of_the_way():
    full, _ = newton(rosenbrock(), tensor(-1.2, 1.0))
    half, _ = newton(rosenbrock(), tensor(-1.2, 1.0), lr=0.5)
    torch.testing.assert_close(half, full / 2)


def test_a_large_ridge_turns_newton_into_short_gradient_descent():
    x, ridge = tensor(-1.2, 1.0), 1e9
    update, _ = newton(rosenbrock(), x, ridge=ridge)
    torch.testing.assert_close(update, -rosenbrock().gradient(x) / ridge, rtol=1e-5, atol=0)


def test_newton_finds_the_minimum_of_rosenbrocks_valley():
    trajectory = minimize(rosenbrock(), [-1.2, 1.0], newton, steps=10, tolerance=1e-8)
    assert trajectory.status == "converged"
    torch.testing.assert_close(trajectory.points[-1], tensor(1, 1))


def test_newton_climbs_where_the_curvature_is_negative():
    x = tensor(-6.0)
    assert float(cosine().hessian(x)) < 0
    update, _ = newton(cosine(), x)
    assert float(cosine().gradient(x) @ update) > 0


@pytest.mark.parametrize(("lr", "printed"), [(1.0, "26.834133"), (0.5, "7.269860")])
def test_newton_on_a_nonconvex_function_as_printed_in_the_book(lr, printed):
    trajectory = minimize(cosine(), 10.0, partial(newton, lr=lr), steps=10)
    assert f"{float(trajectory.points[-1]):f}" == printed


def test_newton_takes_a_saddle_for_a_minimum():
    trajectory = minimize(saddle(), [1.0, 1.0], newton, steps=5)
    assert trajectory.status == "converged"
    assert trajectory.points[-1].tolist() == [0, 0]


@pytest.mark.parametrize(
    "matrix",
    [torch.zeros(2, 2), torch.tensor([[1.0, 2.0], [2.0, 4.0]]), torch.full((3, 3), 0.1)],
)
def test_a_singular_hessian_names_its_smallest_singular_value(matrix):
    objective = quadratic(matrix.double(), linear=torch.ones(len(matrix)).double())
    with pytest.raises(ValueError, match=r"singular: smallest singular value [\d.e-]+$"):
        newton(objective, torch.ones(len(matrix)).double())
    newton(objective, torch.ones(len(matrix)).double(), ridge=1.0)  # repaired


# ------------------------------------------------------------------------------------- line search


@settings(max_examples=50, deadline=None)
@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(0.1, 0.9), st.floats(1e-4, 0.5))
def test_the_step_is_the_first_that_armijo_accepts(a, b, shrink, c):
    objective, x = rosenbrock(), tensor(a, b)
    gradient = objective.gradient(x)
    if float(gradient.norm()) < 1e-6:
        return
    step = backtracking_line_search(
        objective, x, -gradient, shrink=shrink, sufficient_decrease=c, max_halvings=500
    )

    def accepted(t: float) -> bool:
        forecast = c * t * float(gradient @ gradient)
        return float(objective(x - t * gradient)) <= float(objective(x)) - forecast

    assert accepted(step)
    trial = 1.0
    while trial > step * 1.0001:
        assert not accepted(trial)
        trial *= shrink


def test_a_quadratic_accepts_the_step_that_the_formula_allows():
    # ½Lx²: f(x − tg) ≤ f(x) − ct g² holds exactly for t ≤ 2(1 − c)/L.
    x, limit = tensor(1.0), 2 * (1 - 0.25) / 8.0
    step = backtracking_line_search(
        quadratic([8.0]), x, tensor(-8.0), shrink=0.9, sufficient_decrease=0.25
    )
    assert 0.9 * limit < step <= limit


def test_steepest_descent_never_climbs():
    trajectory = minimize(rosenbrock(), [-1.2, 1.0], steepest_descent, steps=100)
    assert bool((trajectory.values[1:] < trajectory.values[:-1]).all())


def test_steepest_descent_converges_without_a_step_size():
    method = partial(steepest_descent, sufficient_decrease=0.3)
    trajectory = minimize(quadratic([1.0, 30.0]), [1.0, 1.0], method, steps=500, tolerance=1e-8)
    assert trajectory.status == "converged"


def test_a_wrong_gradient_is_noticed():
    uphill = Objective("wrong", lambda x: x.sum(-1), lambda x: -torch.ones_like(x), lambda x: x)
    with pytest.raises(RuntimeError, match="decreases f = 1 enough"):
        steepest_descent(uphill, tensor(1.0))


# ---------------------------------------------------------------------------------------- minimize


def test_divergence_ends_before_the_numbers_do():
    trajectory = minimize(quadratic([2.0]), 10.0, descent(1.5), steps=10_000)
    assert trajectory.status == "diverged"
    assert trajectory.steps == len(trajectory.points) - 1 < 1000
    assert trajectory.message.startswith("diverged at step 163: f(x) = ")  # 10² · 4¹⁶³ > 10¹⁰⁰
    assert bool(torch.isfinite(trajectory.points).all())
    assert bool((trajectory.values.abs() <= 1e100).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_divergence_in_short_formats_ends_at_the_last_finite_point(dtype):
    start = torch.tensor([10.0], dtype=dtype)
    trajectory = minimize(quadratic([2.0]), start, descent(1.5), steps=1000)
    assert trajectory.status == "diverged"
    assert trajectory.values.dtype == dtype
    assert bool(torch.isfinite(trajectory.values).all())


def test_a_step_to_infinity_is_divergence_even_where_f_stays_bounded():
    def jump(objective, x, state):
        return torch.full_like(x, float("inf")), state

    assert minimize(tanh(), 0.0, jump, steps=3).status == "diverged"


def test_a_function_without_lower_bound_diverges():
    assert minimize(saddle(), [1.0, 1.0], descent(0.5), steps=1000).status == "diverged"


def test_tolerance_ends_the_run():
    trajectory = minimize(quadratic([2.0]), 10.0, descent(0.2), steps=1000, tolerance=1e-3)
    assert trajectory.status == "converged"
    assert float(trajectory.gradient_norms[-1]) <= 1e-3 < float(trajectory.gradient_norms[-2])
    assert trajectory.steps == 20  # 20 · 0.6ᵏ ≤ 10⁻³
    assert trajectory.message.startswith("converged at step 20: f(x) = ")


def test_zero_steps_record_the_start():
    trajectory = minimize(quadratic([2.0]), 10.0, descent(0.2), steps=0)
    assert (trajectory.points.shape, trajectory.steps) == ((1, 1), 0)
    assert trajectory.status == "max_steps"


def test_state_goes_round():
    def counting(grad, state, *, lr):
        return -lr * grad, (*state, len(state))

    seen = []

    def method(objective, x, state):
        seen.append(state)
        return first_order(counting, lr=0.1)(objective, x, state)

    minimize(quadratic([2.0]), 1.0, method, steps=3, state=(7,))
    assert seen == [(7,), (7, 1), (7, 1, 2)]


def test_the_step_may_shrink_so_often_and_no_more():
    # x₁² + 2x₂² at (−5, −2): t = 1 lands at 97 > 33 and is refused, t = ½ at 8 is accepted.
    ellipse, x = quadratic([2.0, 4.0]), tensor(-5, -2)
    search = partial(backtracking_line_search, ellipse, x, -ellipse.gradient(x))
    assert search(max_halvings=1) == 0.5
    with pytest.raises(RuntimeError, match="no step down to 1 decreases f = 33 enough"):
        search(max_halvings=0)


def test_a_start_that_wants_gradients_leaves_no_graph_behind():
    start = torch.ones(2, dtype=torch.float64, requires_grad=True)
    trajectory = minimize(rosenbrock(), start, descent(1e-3), steps=2)
    assert not trajectory.points.requires_grad
    assert not trajectory.values.requires_grad


def test_the_start_is_left_alone():
    start = tensor(1.0, 2.0)
    minimize(rosenbrock(), start, descent(1e-3), steps=5)
    assert start.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gradient_descent(tensor(1), lr=0.0), "lr must be > 0 and finite, got 0.0"),
        (lambda: gradient_descent(tensor(1), lr=float("nan")), "lr must be .* got nan"),
        (
            lambda: preconditioned(tensor(1, 2), lr=1.0, diagonal=tensor(1, -3)),
            "diagonal must be > 0 everywhere, got -3",
        ),
        (
            lambda: preconditioned(tensor(1, 2), lr=1.0, diagonal=tensor(1)),
            r"shape \[2\], got \[1\]",
        ),
        (lambda: newton(saddle(), tensor(1, 1), lr=-2.0), "lr must be .* got -2.0"),
        (lambda: newton(saddle(), tensor(1, 1), ridge=-0.1), "ridge must be ≥ 0 .* got -0.1"),
        (
            lambda: backtracking_line_search(saddle(), tensor(1, 0), tensor(1, 0)),
            "gᵀs must be < 0, got 2",
        ),
        (
            lambda: backtracking_line_search(saddle(), tensor(1, 0), tensor(-1, 0), shrink=1.5),
            r"shrink must be in \(0, 1\), got 1.5",
        ),
        (lambda: newton(saddle(), torch.ones(3, 2)), r"x must be \[d\] .* got shape \[3, 2\]"),
        (
            lambda: backtracking_line_search(saddle(), torch.ones(1, 2), tensor(-1, 0)),
            r"x must be \[d\] of floats, got shape \[1, 2\]",
        ),
        (
            lambda: backtracking_line_search(saddle(), tensor(1, 0), tensor(-1)),
            r"direction must have shape \[2\], got \[1\]",
        ),
        (
            lambda: backtracking_line_search(saddle(), tensor(1e200, 0), tensor(-1, 0)),
            r"f\(x\) must be finite, got inf",
        ),
        (
            lambda: backtracking_line_search(
                saddle(), tensor(1, 0), tensor(-1, 0), max_halvings=-1
            ),
            "max_halvings must be ≥ 0, got -1",
        ),
        (
            lambda: minimize(saddle(), [1.0, 1.0], newton, steps=-1),
            "steps and tolerance must be ≥ 0, got -1 and 0.0",
        ),
        (lambda: minimize(saddle(), [1.0], newton, steps=1), r"\[\.\.\., 2\], got \[1\]"),
        (lambda: minimize(saddle(), [[1.0, 1.0]], newton, steps=1), r"got shape \[1, 2\]"),
        (
            lambda: minimize(saddle(), torch.tensor([1, 2]), newton, steps=1),
            r"got shape \[2\], torch.int64",
        ),
        (
            lambda: minimize(saddle(), [float("nan"), 1.0], newton, steps=1),
            r"start must have a finite f, got x = \[nan, 1.0\], f\(x\) = nan",
        ),
        (
            lambda: minimize(saddle(), [1.0, 1.0], lambda f, x, s: (x[:1], s), steps=1),
            r"update must have shape \[2\], got \[1\]",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
