"""SGD against slow loops, torch.optim.SGD, closed forms and invariants."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.optimization.descent import gradient_descent, minimize
from d2lcompanion.optimization.objectives import least_squares, quadratic
from d2lcompanion.optimization.schedules import factor, inverse_power
from d2lcompanion.optimization.stochastic import (
    FiniteSum,
    absolute_deviations_sum,
    averaged_bound,
    gradient_covariance,
    gradient_variance,
    least_squares_sum,
    polyak_average,
    sample_indices,
    sgd,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def data(n: int = 12, d: int = 3, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    g = generator(seed)
    features = torch.randn(n, d, generator=g, dtype=torch.float64)
    return features, torch.randn(n, generator=g, dtype=torch.float64)


@pytest.fixture
def problem() -> FiniteSum:
    return least_squares_sum(*data())


def tensor(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


# ----------------------------------------------------------------------------------------- sampling


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 30), epochs=st.integers(1, 4), data=st.data())
def test_without_replacement_no_row_comes_twice_in_an_epoch(n, epochs, data):
    b = data.draw(st.integers(1, n))
    batches = n // b
    rows = sample_indices(
        n, epochs * batches, replacement=False, generator=generator(n), batch_size=b
    )
    assert rows.shape == (epochs * batches, b)
    assert rows.dtype == torch.int64
    for epoch in rows.view(epochs, batches * b).tolist():
        assert len(set(epoch)) == batches * b  # all n rows, where b divides n
        assert set(epoch) <= set(range(n))


def test_an_epoch_is_every_row_once_and_the_next_one_is_shuffled_anew():
    rows = sample_indices(50, 120, replacement=False, generator=generator())[:, 0]
    first, second, third = rows[:50].tolist(), rows[50:100].tolist(), rows[100:].tolist()
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert len(set(third)) == 20  # count cuts the last epoch short


def test_the_rows_left_over_change_from_epoch_to_epoch():
    rows = sample_indices(7, 200, replacement=False, generator=generator(), batch_size=3)
    left_out = [set(range(7)) - set(epoch) for epoch in rows.view(100, 6).tolist()]
    assert set().union(*left_out) == set(range(7))
    assert all(len(rest) == 1 for rest in left_out)


def test_draws_with_replacement_are_uniform_and_independent():
    n, count = 5, 50_000
    rows = sample_indices(n, count, replacement=True, generator=generator(), batch_size=2)
    pairs = (rows[:, 0] * n + rows[:, 1]).bincount(minlength=n * n)
    expected = count / n**2  # every ordered pair, equal ones too, is equally likely
    chi_square = float(((pairs - expected) ** 2 / expected).sum())
    assert chi_square < 51.2  # 24 degrees of freedom, 0.1 %


def test_a_seed_repeats():
    for replacement in (True, False):
        first, again, other = (
            sample_indices(9, 30, replacement=replacement, generator=generator(seed))
            for seed in (3, 3, 4)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n must be a whole number ≥ 1, got 0"),
        ({"count": 0}, "count must be a whole number ≥ 1, got 0"),
        ({"count": 2.5}, "count must be a whole number ≥ 1, got 2.5"),
        ({"batch_size": 0}, "batch_size must be a whole number ≥ 1, got 0"),
        ({"batch_size": 6}, "batch_size must be ≤ n without replacement, got 6 and 5"),
    ],
)
def test_bad_sample_sizes_are_named(arguments, message):
    given_ = {"n": 5, "count": 4, "batch_size": 1} | arguments
    with pytest.raises(ValueError, match=message):
        sample_indices(**given_, replacement=False, generator=generator())


def test_a_batch_larger_than_the_data_needs_replacement():
    rows = sample_indices(3, 2, replacement=True, generator=generator(), batch_size=7)
    assert rows.shape == (2, 7)


# ----------------------------------------------------------------------------------------- problems


def test_single_gradients_are_those_of_autograd(problem):
    features, target = data()
    for i in range(problem.size):
        w = tensor(0.3, -1.0, 2.0).requires_grad_()
        (0.5 * (features[i] @ w - target[i]) ** 2).backward()
        ours = problem.sample_gradient(w.detach(), torch.tensor([i]))
        torch.testing.assert_close(ours, w.grad)


def test_absolute_deviations_and_their_gradients_are_those_of_autograd():
    features, target = data()
    problem = absolute_deviations_sum(features, target)
    w = tensor(0.3, -1.0, 2.0).requires_grad_()
    value = (features @ w - target).abs().mean()
    value.backward()
    x = w.detach()
    torch.testing.assert_close(problem.objective(x), value.detach())
    torch.testing.assert_close(problem.objective.gradient(x), w.grad)
    torch.testing.assert_close(problem.sample_gradient(x, torch.arange(12)), w.grad)
    assert torch.equal(problem.objective.hessian(x), torch.zeros(3, 3, dtype=torch.float64))
    lengths = torch.stack([problem.sample_gradient(x, torch.tensor([i])) for i in range(12)])
    torch.testing.assert_close(lengths.norm(dim=1), features.norm(dim=1))


@pytest.mark.parametrize("make", [least_squares_sum, absolute_deviations_sum])
def test_the_mean_over_all_rows_is_the_gradient(make):
    problem = make(*data())
    x = torch.randn(4, 3, generator=generator(), dtype=torch.float64)
    ours = problem.sample_gradient(x, torch.arange(12).expand(4, 12))
    torch.testing.assert_close(ours, problem.objective.gradient(x))


@pytest.mark.parametrize("make", [least_squares_sum, absolute_deviations_sum])
def test_data_that_do_not_fit_are_refused(make):
    with pytest.raises(ValueError, match=r"got \[3, 2\] and \[4\]"):
        make(torch.ones(3, 2), torch.ones(4))


def test_the_objective_is_that_of_least_squares(problem):
    x = tensor(1.0, 2.0, 3.0)
    assert problem.objective(x) == least_squares(*data())(x)


# ----------------------------------------------------------------------------------------- variance


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("b", [1, 2, 3])
def test_the_variance_is_that_over_all_batches(b, replacement):
    """Every batch there is, each equally likely."""
    problem = least_squares_sum(*data(n=6))
    x = tensor(1.0, -1.0, 0.5)
    every_batch = itertools.product(range(6), repeat=b)
    if not replacement:
        every_batch = itertools.permutations(range(6), b)
    gradient = problem.objective.gradient(x)
    squares = [
        float((problem.sample_gradient(x, torch.tensor(batch)) - gradient).square().sum())
        for batch in every_batch
    ]
    ours = gradient_variance(problem, x, batch_size=b, replacement=replacement)
    assert ours == pytest.approx(np.mean(squares), rel=1e-12)


def test_the_covariance_is_numpys(problem):
    x = tensor(1.0, -1.0, 0.5)
    gradients = torch.cat(
        [problem.sample_gradient(x, torch.tensor([i]))[None] for i in range(problem.size)]
    )
    ours = gradient_covariance(problem, x)
    np.testing.assert_allclose(ours, np.cov(gradients.numpy().T, bias=True), rtol=1e-12)
    assert gradient_variance(problem, x) == pytest.approx(float(ours.trace()))


def test_the_full_batch_has_no_variance(problem):
    x = tensor(1.0, -1.0, 0.5)
    assert gradient_variance(problem, x, batch_size=12, replacement=False) == 0
    one_row = least_squares_sum(torch.ones(1, 1), torch.ones(1))
    assert gradient_variance(one_row, torch.ones(1), replacement=False) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number ≥ 1, got 0"),
        (
            {"batch_size": 13, "replacement": False},
            "batch_size must be ≤ n without replacement, got 13 and 12",
        ),
    ],
)
def test_bad_batches_are_named(problem, arguments, message):
    with pytest.raises(ValueError, match=message):
        gradient_variance(problem, tensor(0, 0, 0), **arguments)
    with pytest.raises(ValueError, match=r"x must be \[d\], got shape \[2, 3\]"):
        gradient_variance(problem, torch.zeros(2, 3))


# ------------------------------------------------------------------------------------------- driver


def test_a_run_is_a_slow_loop(problem):
    features, target = data()
    rows = sample_indices(12, 9, replacement=True, generator=generator(), batch_size=2)
    w, path = np.zeros(3), [np.zeros(3)]
    for t, batch in enumerate(rows.tolist()):
        eta = 0.1 / math.sqrt(1 + 0.5 * t)
        gradient = np.mean(
            [(features[i].numpy() @ w - float(target[i])) * features[i].numpy() for i in batch],
            axis=0,
        )
        w = w - eta * gradient
        path.append(w)
    run = sgd(problem, [0.0, 0.0, 0.0], gradient_descent, indices=rows,
              schedule=inverse_power(0.1, scale=2.0))  # fmt: skip
    np.testing.assert_allclose(run.points, np.stack(path), rtol=1e-12)
    torch.testing.assert_close(run.values, problem.objective(run.points))
    assert run.measured.tolist() == list(range(10))
    assert (run.status, run.steps, run.message) == ("max_steps", 9, "stopped after 9 steps")


def test_a_run_is_torchs_sgd(problem):
    features, target = data()
    rows = sample_indices(12, 30, replacement=False, generator=generator(), batch_size=4)
    w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.05)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, math.exp(-0.1))
    for batch in rows:
        optimizer.zero_grad()
        (0.5 * (features[batch] @ w - target[batch]) ** 2).mean().backward()
        optimizer.step()
        scheduler.step()
    ours = sgd(problem, torch.zeros(3, dtype=torch.float64), gradient_descent, indices=rows,
               schedule=factor(0.05, math.exp(-0.1)))  # fmt: skip
    torch.testing.assert_close(ours.points[-1], w.detach())


def test_full_batches_are_gradient_descent(problem):
    def method(objective, x, state):
        return gradient_descent(objective.gradient(x), state, lr=0.1)

    whole = torch.arange(12).expand(20, 12)
    ours = sgd(problem, [1.0, 1.0, 1.0], gradient_descent, indices=whole, schedule=0.1)
    theirs = minimize(problem.objective, [1.0, 1.0, 1.0], method, steps=20)
    torch.testing.assert_close(ours.points, theirs.points)


def test_runs_side_by_side_are_the_runs_alone(problem):
    rows = torch.stack(
        [sample_indices(12, 25, replacement=True, generator=generator(s)) for s in range(4)]
    )
    together = sgd(problem, [0.0] * 3, gradient_descent, indices=rows, schedule=0.1, every=10)
    assert together.values.shape == (4, 4)
    assert together.points.shape == (4, 4, 3)
    assert together.measured.tolist() == [0, 10, 20, 25]
    for s in range(4):
        alone = sgd(problem, [0.0] * 3, gradient_descent, indices=rows[s], schedule=0.1)
        torch.testing.assert_close(together.points[s], alone.points[[0, 10, 20, 25]])


def test_one_set_of_rows_serves_many_starts(problem):
    starts = torch.randn(5, 3, generator=generator(), dtype=torch.float64)
    rows = sample_indices(12, 6, replacement=True, generator=generator())
    run = sgd(problem, starts, gradient_descent, indices=rows, schedule=0.1)
    assert run.points.shape == (5, 7, 3)
    assert torch.equal(run.points[:, 0], starts)


def test_a_rule_with_a_state_goes_on_where_it_stopped(problem):
    def averaged_gradient(grad, state, *, lr):
        """A rule that remembers: v ← ½v + g."""
        velocity = 0.5 * state[0] + grad
        return -lr * velocity, (velocity,)

    rows = sample_indices(12, 10, replacement=True, generator=generator())
    zero = torch.zeros(3, dtype=torch.float64)
    whole = sgd(problem, zero, averaged_gradient, indices=rows, schedule=0.1, state=(zero,))
    first = sgd(problem, zero, averaged_gradient, indices=rows[:6], schedule=0.1, state=(zero,))
    second = sgd(problem, first.points[-1], averaged_gradient, indices=rows[6:], schedule=0.1,
                 state=first.state)  # fmt: skip
    torch.testing.assert_close(second.points[-1], whole.points[-1])


@pytest.mark.parametrize("every", [1, 7])
def test_divergence_is_reported_and_nothing_is_nan(problem, every):
    rows = torch.stack([torch.zeros(3000, 1, dtype=torch.int64), torch.arange(3000)[:, None] % 12])
    run = sgd(problem, [0.1] * 3, gradient_descent, indices=rows, schedule=5.0, every=every)
    assert run.status == "diverged"
    assert run.steps == run.measured[-1] < 3000
    assert run.message.startswith(f"diverged by step {run.steps + every}: run ")
    assert " of 2 has f(x) = " in run.message
    assert run.values.isfinite().all()
    assert run.values.abs().max() <= 1e100


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": [math.nan] * 3}, "start must have a finite f: diverged by step 0: run 0 of 1"),
        ({"start": torch.tensor(1.0)}, r"start must be \[..., d\] of floats, got \[\]"),
        ({"start": torch.ones(3, dtype=torch.int64)}, "torch.int64"),
        ({"start": [0.0] * 4}, r"x must have shape \[..., 3\], got \[4\]"),
        ({"indices": torch.zeros(4, dtype=torch.int64)}, r"got \[4\], torch.int64"),
        ({"indices": torch.zeros(4, 1)}, r"got \[4, 1\], torch.float32"),
        ({"indices": torch.zeros(0, 1, dtype=torch.int64)}, r"T, b ≥ 1, got \[0, 1\]"),
        ({"indices": torch.tensor([[12]])}, r"indices must be in 0 … 11, got 12 … 12"),
        ({"indices": torch.tensor([[3], [-1]])}, r"indices must be in 0 … 11, got -1 … 3"),
        ({"every": 0}, "every must be a whole number ≥ 1, got 0"),
        ({"schedule": -0.1}, "lr must be > 0 and finite, got -0.1"),
        (
            {"rule": lambda g, s, lr: (g[..., :1], s)},
            r"update must have shape \[3\], got \[1\]",
        ),
    ],
)
def test_bad_runs_are_named(problem, changes, message):
    rows = torch.zeros(2, 1, dtype=torch.int64)
    call = {
        "start": [0.0] * 3, "rule": gradient_descent, "indices": rows, "schedule": 0.1
    } | changes  # fmt: skip
    with pytest.raises(ValueError, match=message):
        sgd(problem, **call)


def test_any_finite_sum_will_do():
    """fᵢ(x) = ½(x − aᵢ)², given by hand: SGD with ηₜ = 1/(t+1) is the mean so far."""
    a = tensor(3.0, -1.0, 4.0, 1.0)
    objective = quadratic([1.0], linear=[-float(a.mean())])
    problem = FiniteSum(objective, lambda x, rows: x - a[rows].mean(-1, keepdim=True), 4)
    rows = torch.arange(4)[:, None]
    run = sgd(
        problem, [9.0], gradient_descent, indices=rows, schedule=inverse_power(1.0, power=1.0)
    )
    means = a.cumsum(0) / torch.arange(1, 5)
    torch.testing.assert_close(run.points[1:, 0], means)


# ----------------------------------------------------------------------------------------- averages


@pytest.mark.parametrize("first", [0, 3, 8])
def test_the_average_is_a_slow_mean(first):
    points = torch.randn(2, 9, 3, generator=generator(), dtype=torch.float64)
    ours = polyak_average(points, first=first)
    for t in range(9):
        expected = points[:, first : t + 1].mean(1) if t >= first else points[:, t]
        torch.testing.assert_close(ours[:, t], expected)


def test_weights_are_those_of_numpy():
    points = torch.randn(2, 5, 3, generator=generator(), dtype=torch.float64)
    weights = tensor(5, 1, 0.5, 2, 3)
    ours = polyak_average(points, first=1, weights=weights)
    for t in range(1, 5):
        expected = np.average(points[:, 1 : t + 1], axis=1, weights=weights[1 : t + 1])
        np.testing.assert_allclose(ours[:, t], expected, rtol=1e-12)
    with pytest.raises(ValueError, match=r"weights must have shape \[5\], got \[4\]"):
        polyak_average(points, weights=torch.ones(4))
    with pytest.raises(ValueError, match="weights must be > 0, got 0"):
        polyak_average(points, weights=torch.zeros(5))


def test_the_average_of_close_points_keeps_its_digits():
    points = 1e6 + torch.arange(4, dtype=torch.float64)[:, None] * 1e-6
    exact = polyak_average(points) - 1e6
    torch.testing.assert_close(exact[:, 0], tensor(0, 0.5e-6, 1e-6, 1.5e-6), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("shape", "first", "message"),
    [
        ((5,), 0, r"got \[5\] and first = 0"),
        ((5, 2), 5, r"got \[5, 2\] and first = 5"),
        ((5, 2), -1, "first must be a whole number ≥ 0, got -1"),
    ],
)
def test_bad_averages_are_named(shape, first, message):
    with pytest.raises(ValueError, match=message):
        polyak_average(torch.zeros(shape), first=first)


# ------------------------------------------------------------------------------------------- theory


def test_the_bound_by_hand():
    assert averaged_bound(2.0, 3.0, [0.5, 0.5]) == (4 + 9 * 0.5) / 2
    # constant η = r/(G√T) gives rG/√T, the smallest there is
    best = averaged_bound(2.0, 3.0, [2 / (3 * 10)] * 100)
    assert best == pytest.approx(2 * 3 / 10)
    assert all(averaged_bound(2.0, 3.0, [2 / 30 * c] * 100) > best for c in (0.9, 1.1))


def exact_expected_excess(rates, minimum):
    """f(x) = E|x − a|, a = ±1 equally likely: E f(x̄) over every sequence of draws."""
    total = 0.0
    for signs in itertools.product((-1.0, 1.0), repeat=len(rates)):
        x, weighted = 2.0, 0.0
        for eta, a in zip(rates, signs, strict=True):
            weighted += eta * x
            x -= eta * math.copysign(1.0, x - a) * (x != a)
        mean = weighted / sum(rates)
        total += 0.5 * (abs(mean - 1) + abs(mean + 1)) - minimum
    return total / 2 ** len(rates)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.01, 2.0), min_size=1, max_size=8))
def test_the_bound_holds_in_exact_expectation(rates):
    """x* = 1 is one of the minimizers (f = 1 on [−1, 1]); r = 1, G = 1."""
    assert exact_expected_excess(rates, 1.0) <= averaged_bound(1.0, 1.0, rates) + 1e-12


def absolute_value() -> FiniteSum:
    """|x|, as a sum of one term."""
    return absolute_deviations_sum(tensor(1.0)[:, None], tensor(0.0))


def test_the_risk_of_one_point_may_not_leave_the_sum():
    """Erratum E7: the bound is on Σ ηₜ E R(xₜ) / Σ ηₜ and on no single E R(xₜ).

    R = |x|, x₀ = 1, η = 0.1, no noise: the mean keeps the bound, the first points are above it.
    """
    rates = [0.1] * 100
    bound = averaged_bound(1.0, 1.0, rates)
    assert bound == pytest.approx(0.1)
    run = sgd(
        absolute_value(),
        tensor(1.0),
        gradient_descent,
        indices=torch.zeros(100, 1, dtype=torch.int64),
        schedule=0.1,
    )
    risks = run.points[:-1, 0].abs()
    assert float(risks.mean()) <= bound + 1e-12  # with equality, up to rounding
    assert float(run.points[:-1].mean(0).abs()) <= bound
    assert int((risks > bound + 1e-9).sum()) >= 9  # xₜ in the place of the mean would be wrong
    assert float((risks - risks.mean()).abs().max()) > 0.8  # Σ ηₜR(xₜ)/Σ ηₜ is no R(xₜ)


def test_the_bound_is_on_the_risk_of_the_average():
    """Erratum E7: E[R(x̄)] − R*; the book prints [E[x̄]] − R*, which depends on where zero lies.

    R(x) = E|x − c − a|, a = ±1 equally likely, so R* = 1; x₀ = c + 2 is at the distance 1.
    """
    rates = [0.3, 0.2, 0.5, 0.1]
    bound = averaged_bound(1.0, 1.0, rates)
    for c in (0.0, 100.0):
        problem = absolute_deviations_sum(torch.ones(2, 1).double(), tensor(c - 1, c + 1))
        draws = torch.tensor(list(itertools.product((0, 1), repeat=len(rates))))
        risks, means = [], []
        for rows in draws:  # every sequence of draws, equally likely
            run = sgd(problem, tensor(c + 2), gradient_descent, indices=rows[:, None],
                      schedule=lambda t: rates[t])  # fmt: skip
            mean = float(tensor(*rates) @ run.points[:-1, 0] / sum(rates))
            means.append(mean)
            risks.append((abs(mean - c - 1) + abs(mean - c + 1)) / 2)
        assert sum(risks) / len(risks) - 1 == pytest.approx(exact_expected_excess(rates, 1.0))
        assert sum(risks) / len(risks) - 1 <= bound
        printed = sum(means) / len(means) - 1
        assert abs(printed - c) < 1  # it moves with the origin …
    assert printed > bound  # … so it is bounded by nothing


def test_the_gradient_is_taken_at_the_present_point(problem):
    """Erratum E7: xₜ₊₁ = xₜ − ηₜ ∂ₓf(ξₜ, xₜ); the book leaves out the last t."""
    rows, start = sample_indices(12, 9, replacement=True, generator=generator()), torch.ones(3)
    features, target = data()
    run = sgd(problem, start.double(), gradient_descent, indices=rows, schedule=0.2)
    x, frozen = start.double(), start.double()
    for i in rows[:, 0]:
        a, y = features[i], target[i]
        frozen = frozen - 0.2 * a * (a @ start.double() - y)
        x = x - 0.2 * a * (a @ x - y)
    torch.testing.assert_close(run.points[-1], x)
    assert float((run.points[-1] - frozen).abs().max()) > 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 1.0, [0.1]), "distance and gradient_bound must be ≥ 0 and finite, got -1.0"),
        ((1.0, math.nan, [0.1]), "got 1.0 and nan"),
        ((1.0, 1.0, []), r"rates must be \[T\] with T ≥ 1, all > 0"),
        ((1.0, 1.0, [0.1, 0.0]), r"rates must be \[T\] with T ≥ 1, all > 0"),
    ],
)
def test_bad_bounds_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        averaged_bound(*arguments)


def test_results_have_the_dtype_of_the_start():
    features, target = (x.float() for x in data())
    rows = sample_indices(12, 3, replacement=True, generator=generator())
    run = sgd(least_squares_sum(features, target), torch.zeros(3), gradient_descent,
              indices=rows, schedule=0.1)  # fmt: skip
    assert run.points.dtype == run.values.dtype == torch.float32
