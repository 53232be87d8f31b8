import math

import numpy as np
import pytest
import sklearn.datasets
import sklearn.linear_model
import sklearn.preprocessing
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from d2lcompanion.data.diabetes import load_diabetes
from d2lcompanion.data.regression import RegressionData, standardize

number = st.floats(-100, 100)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(number, number), min_size=2, max_size=8))
def test_standardized_columns_have_mean_0_and_sd_1(rows):
    x = torch.tensor(rows, dtype=torch.float64)
    assume(float(x.std(0, correction=0).min()) > 1e-3)
    z = standardize(x)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(z.std(0, correction=0), 1, rtol=1e-9)


def test_standardize_is_scikit_learns():
    x = torch.rand(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scaled = sklearn.preprocessing.StandardScaler().fit_transform(x.numpy())
    np.testing.assert_allclose(standardize(x), scaled, rtol=1e-12, atol=1e-12)


def test_standardize_by_hand():
    # Mean 2, squares 1 + 0 + 1 over n = 3 (not n − 1): sd = √(2/3).
    expected = [-((3 / 2) ** 0.5), 0, (3 / 2) ** 0.5]
    np.testing.assert_allclose(standardize(torch.tensor([1.0, 2.0, 3.0]).double()), expected)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9])
def test_constant_columns_are_named(constant):
    x = torch.tensor([[1.0, constant], [2.0, constant], [4.0, constant]], dtype=torch.float64)
    with pytest.raises(ValueError, match=r"standardized: \[1\]"):
        standardize(x)


def test_data_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match=r"toy: features \[3, 2\], target \[2\] and 2 names"):
        RegressionData("toy", torch.zeros(3, 2), torch.zeros(2), ("a", "b"), "made up.")


def test_a_vector_of_features_is_refused():
    with pytest.raises(ValueError, match=r"toy: features \[3\], target \[3\] and 0 names"):
        RegressionData("toy", torch.zeros(3), torch.zeros(3), (), "made up.")


def test_a_constant_column_with_a_spread_by_rounding_is_named():
    x = torch.full((7,), 0.1, dtype=torch.float64)
    assert float(x.std(correction=0)) > 0
    with pytest.raises(ValueError, match=r"standardized: \[0\]"):
        standardize(x)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.tensor([1.0, math.nan, math.inf]), r"shape \[3\] with 2 inf or nan"),
        (torch.zeros(0, 2), r"shape \[0, 2\] with 0 inf or nan"),
    ],
)
def test_standardize_refuses_what_would_become_nan(x, message):
    with pytest.raises(ValueError, match=f"x must hold finite numbers, got {message}"):
        standardize(x)


def test_diabetes_is_scikit_learns_table():
    data = load_diabetes(standardized=False)
    theirs = sklearn.datasets.load_diabetes(scaled=False)
    np.testing.assert_array_equal(data.features, theirs.data)
    np.testing.assert_array_equal(data.target, theirs.target)
    assert data.feature_names == tuple(theirs.feature_names)
    assert data.features.shape == (442, 10)
    assert "442 patients" in data.source


def test_standardized_diabetes():
    data = load_diabetes()
    assert (data.features.dtype, data.target.dtype) == (torch.float64, torch.float64)
    scaled = sklearn.datasets.load_diabetes().data * 442**0.5  # columns of length 1 → of sd 1
    np.testing.assert_allclose(data.features, scaled, atol=1e-12)
    assert float(data.target.std(correction=0)) == pytest.approx(1)
    fit = sklearn.linear_model.LinearRegression().fit(data.features, data.target)
    residual = data.target.numpy() - fit.predict(data.features)
    assert f"{0.5 * np.mean(residual**2):.5f}" == "0.24113"  # reference results
    assert "standard deviation 1" in data.source
