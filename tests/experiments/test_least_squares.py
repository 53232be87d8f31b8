"""Problems made from real data: features as scikit-learn's, spectrum and optimum as numpy's."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.preprocessing import PolynomialFeatures
from torch._subclasses.fake_tensor import FakeTensorMode

from d2lcompanion.data.diabetes import load_diabetes
from d2lcompanion.data.regression import RegressionData
from d2lcompanion.experiments import least_squares as module
from d2lcompanion.experiments.least_squares import (
    descend,
    in_other_units,
    measured_steps,
    polynomial_features,
    solve,
)
from d2lcompanion.optimization.descent import (
    closed_form_iterates,
    first_order,
    gradient_descent,
    optimal_step,
)
from d2lcompanion.optimization.objectives import Objective


@pytest.fixture(scope="module")
def diabetes() -> RegressionData:
    return load_diabetes()


@pytest.fixture
def tiny() -> RegressionData:
    """Three rows, two columns, by hand: XᵀX/n = diag(2, 6), Xᵀy/n = (2, 6), x* = (1, 1)."""
    features = torch.tensor([[6.0**0.5, 0], [0, 18.0**0.5], [0, 0]], dtype=torch.float64)
    target = torch.tensor([6.0**0.5, 18.0**0.5, 3], dtype=torch.float64)
    return RegressionData("tiny", features, target, ("a", "b"), "By hand.")


# --------------------------------------------------------------------------------------- the data


def test_degree_one_is_the_data_itself(diabetes):
    assert polynomial_features(diabetes, 1) is diabetes


@pytest.mark.parametrize(("degree", "products", "kept"), [(2, 65, 64), (3, 285, 274)])
def test_products_are_those_of_scikit_learn(diabetes, degree, products, kept):
    """The same columns in the same order, less those that depend on earlier ones."""
    sklearn = PolynomialFeatures(degree, include_bias=False).fit(diabetes.features)
    table = torch.from_numpy(sklearn.transform(diabetes.features))
    assert table.shape[1] == products
    powers = sklearn.get_feature_names_out(list(diabetes.feature_names))
    table = (table - table.mean(0)) / table.std(0, correction=0)
    by_name = {_unpower(name): table[:, j] for j, name in enumerate(powers)}
    data = polynomial_features(diabetes, degree)
    assert data.features.shape == (442, kept)
    expected = torch.stack([by_name[name] for name in data.feature_names], 1)
    torch.testing.assert_close(data.features, expected, rtol=0, atol=1e-10)
    left_out = torch.stack([column for name, column in by_name.items()
                            if name not in data.feature_names], 1)  # fmt: skip
    solution = torch.linalg.lstsq(data.features, left_out).solution
    torch.testing.assert_close(data.features @ solution, left_out, rtol=0, atol=1e-6)


def _unpower(name: str) -> str:
    """scikit-learn's "age^2 bmi" as "age·age·bmi"."""
    factors = []
    for part in name.split(" "):
        base, _, power = part.partition("^")
        factors += [base] * int(power or 1)
    return "·".join(factors)


def test_the_square_of_a_column_with_two_values_is_left_out_and_named(diabetes):
    data = polynomial_features(diabetes, 2)
    assert "sex·sex" not in data.feature_names
    assert data.source.endswith("left out as dependent: sex·sex.")
    assert data.name == "diabetes, degree 2"


def test_a_balanced_binary_column_has_a_constant_square():
    column = torch.tensor([-1.0, 1, -1, 1, 1, -1], dtype=torch.float64)[:, None]
    other = torch.tensor([0.0, 1, 3, -2, 5, -7], dtype=torch.float64)[:, None]
    data = RegressionData("b", torch.cat([column, other], 1), column[:, 0], ("b", "x"), "Made.")
    assert polynomial_features(data, 2).feature_names == ("b", "x", "b·x", "x·x")


def test_columns_are_standardized(diabetes):
    features = polynomial_features(diabetes, 2).features
    torch.testing.assert_close(features.mean(0), torch.zeros(64).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(features.square().mean(0), torch.ones(64).double())


def test_there_are_fewer_columns_than_rows(diabetes):
    few = replace(diabetes, features=diabetes.features[:12], target=diabetes.target[:12])
    assert polynomial_features(few, 2).features.shape == (12, 11)


def test_a_bad_degree_is_named(diabetes):
    with pytest.raises(ValueError, match="degree must be ≥ 1, got 0"):
        polynomial_features(diabetes, 0)


def test_other_units_change_scales_and_nothing_else(diabetes):
    rescaled = in_other_units(diabetes)
    factors = (rescaled.features / diabetes.features).nanmean(0)
    units = torch.tensor([0.01, 0.1, 1, 10, 100] * 2, dtype=torch.float64)
    torch.testing.assert_close(factors, units)
    before, after = solve(diabetes), solve(rescaled)
    torch.testing.assert_close(after.minimizer * units, before.minimizer)


# ------------------------------------------------------------------------------------ the problem


def test_a_problem_by_hand(tiny):
    problem = solve(tiny)
    assert (problem.smoothness, problem.mu) == pytest.approx((6, 2))
    assert problem.condition_number == pytest.approx(3)
    assert problem.lr == pytest.approx(0.25)
    torch.testing.assert_close(problem.minimizer, torch.ones(2).double())
    gap = problem.gap(torch.tensor([[0.0, 0.0], [1.0, 2.0]]))  # ½(2·1 + 6·1), ½·6
    torch.testing.assert_close(gap, torch.tensor([4.0, 3.0]).double())


def test_spectrum_and_optimum_agree_with_numpy(diabetes):
    problem = solve(diabetes)
    x, y = diabetes.features.numpy(), diabetes.target.numpy()
    np.testing.assert_allclose(problem.eigenvalues.flip(0), np.linalg.eigvalsh(x.T @ x / 442))
    np.testing.assert_allclose(problem.minimizer, np.linalg.lstsq(x, y, rcond=None)[0])
    hessian = torch.from_numpy(x.T @ x / 442)
    torch.testing.assert_close(
        hessian @ problem.eigenvectors.T, problem.eigenvectors.T * problem.eigenvalues
    )


def test_the_published_numbers_of_diabetes(diabetes):
    problem = solve(diabetes)
    assert round(problem.mu, 5) == 0.00856
    assert round(problem.smoothness, 4) == 4.0242
    assert round(problem.condition_number, 2) == 470.08


def test_dependent_columns_have_no_condition_number(diabetes):
    twice = torch.cat([diabetes.features, diabetes.features[:, :1]], 1)
    names = (*diabetes.feature_names, "age again")
    with pytest.raises(ValueError, match="the columns depend on one another, singular values of"):
        solve(replace(diabetes, features=twice, feature_names=names))
    few = replace(diabetes, features=diabetes.features[:5], target=diabetes.target[:5])
    with pytest.raises(ValueError, match=r"of \[5, 10\]"):
        solve(few)


def test_the_worst_start_has_the_gap_of_zero_and_only_extreme_modes(diabetes):
    problem = solve(diabetes)
    start = problem.worst_start()
    torch.testing.assert_close(problem.gap(start), problem.gap(torch.zeros(10)))
    modes = problem.eigenvectors @ (start - problem.minimizer)
    torch.testing.assert_close(modes[1:-1], torch.zeros(8).double(), rtol=0, atol=1e-12)
    assert modes[0] ** 2 * problem.smoothness == pytest.approx(modes[-1] ** 2 * problem.mu)


# -------------------------------------------------------------------------------------- the descent


def test_descent_is_the_closed_form_in_every_mode(diabetes):
    problem = solve(diabetes)
    lr = optimal_step(problem.mu, problem.smoothness)
    start = problem.eigenvectors @ -problem.minimizer
    modes = closed_form_iterates(problem.eigenvalues, start, lr, 50)
    expected = 0.5 * (problem.eigenvalues * modes.square()).sum(-1)
    method = first_order(gradient_descent, lr=lr)
    steps, gaps = descend(problem, torch.zeros(10), method, steps=50)
    assert steps.tolist() == list(range(51))
    torch.testing.assert_close(gaps, expected)


def test_rows_run_by_themselves(diabetes):
    problem = solve(diabetes)
    method = first_order(gradient_descent, lr=problem.lr)
    starts = torch.randn(3, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    together = descend(problem, starts, method, steps=30)[1]
    alone = [descend(problem, start, method, steps=30)[1] for start in starts]
    torch.testing.assert_close(together, torch.stack(alone, 1))


def test_measured_steps_hold_both_ends_and_even_spacing():
    assert measured_steps(7, 1) == [0, 7]
    assert measured_steps(5, 1000) == [0, 1, 2, 3, 4, 5]
    steps = measured_steps(10_000, 100)
    assert steps[:12] == [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20]
    assert set(range(0, 10_001, 100)) <= set(steps)
    assert steps == sorted(set(steps))
    assert len(steps) < 150


@pytest.mark.parametrize(("steps", "points"), [(0, 5), (5, 0)])
def test_no_steps_are_an_error(diabetes, steps, points):
    with pytest.raises(ValueError, match=f"must be ≥ 1, got {steps} and {points}"):
        descend(solve(diabetes), torch.zeros(10), gradient_descent, steps=steps, points=points)


def test_descent_makes_its_tensors_on_the_chosen_device(diabetes, monkeypatch):
    """With fake CUDA tensors: a tensor left on the CPU would raise."""

    def objective(features, target):  # least_squares without its minimum, which needs real numbers
        assert features.device.type == target.device.type == "cuda"
        assert features.dtype == target.dtype == torch.float32
        return Objective(
            "fake", torch.sum, lambda x: (x @ features.T - target) @ features, torch.sum
        )

    monkeypatch.setattr(module, "least_squares", objective)
    problem = solve(diabetes)
    with FakeTensorMode(allow_non_fake_inputs=True):
        method = first_order(gradient_descent, lr=0.1)
        _, gaps = descend(
            problem, torch.zeros(4, 10), method, steps=3, device="cuda", dtype=torch.float32
        )
    assert gaps.shape == (4, 4)
    assert (gaps.device.type, gaps.dtype) == ("cpu", torch.float64)
