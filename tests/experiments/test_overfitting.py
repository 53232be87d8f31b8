import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler

from d2lcompanion.data.diabetes import load_diabetes
from d2lcompanion.data.regression import RegressionData
from d2lcompanion.experiments.least_squares import polynomial_features
from d2lcompanion.experiments.overfitting import losses, split


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_split_standardizes_by_the_training_rows_as_scikit_learn_does():
    data = load_diabetes()
    parts = split(data, 300, generator=generator(1))
    order = torch.randperm(442, generator=generator(1)).numpy()
    train, test = order[:300], order[300:]
    x, y = data.features.numpy(), data.target.numpy()[:, None]
    scale_x, scale_y = StandardScaler().fit(x[train]), StandardScaler().fit(y[train])
    w = np.linspace(-1, 1, 10)
    for part, rows in ((parts.train, train), (parts.test, test)):
        residual = scale_x.transform(x[rows]) @ w - scale_y.transform(y[rows])[:, 0]
        assert float(part(torch.from_numpy(w))) == pytest.approx(0.5 * np.mean(residual**2))


def test_long_training_ends_at_the_least_squares_solution():
    data = load_diabetes()
    parts = split(data, 300, generator=generator(2))
    curves = losses(parts, steps=20_000)
    assert float(curves.train[-1]) == pytest.approx(parts.train.minimum, rel=1e-6)
    order = torch.randperm(442, generator=generator(2)).numpy()
    train, test = order[:300], order[300:]
    x, y = data.features.numpy(), data.target.numpy()
    model = LinearRegression().fit(x[train], y[train])
    error = 0.5 * np.mean((model.predict(x[test]) - y[test]) ** 2) / y[train].var()
    assert float(curves.test[-1]) == pytest.approx(error, rel=1e-3)


def test_the_training_loss_falls_and_the_test_loss_turns():
    data = polynomial_features(load_diabetes(), 2)
    curves = losses(split(data, 100, generator=generator()), steps=500)
    assert (curves.train[1:] <= curves.train[:-1]).all()
    best = curves.best_step
    assert 0 < best < 100
    assert float(curves.test[best]) == float(curves.test.min())
    assert float(curves.test[-1]) > 1.3 * float(curves.test[best])


def test_a_column_that_is_constant_on_the_training_rows_is_left_at_zero():
    features = torch.tensor([[1.0, 0.0]] * 5 + [[2.0, 1.0]], dtype=torch.float64)
    target = torch.arange(6, dtype=torch.float64)
    data = RegressionData("toy", features, target, ("a", "b"), "")
    for seed in range(6):
        parts = split(data, 5, generator=generator(seed))
        assert torch.isfinite(parts.train(torch.ones(2, dtype=torch.float64)))


@pytest.mark.parametrize("rows", [1, 442])
def test_train_rows_are_checked(rows):
    with pytest.raises(ValueError, match=f"train_rows must be between 2 and 441, got {rows}"):
        split(load_diabetes(), rows, generator=generator())


def test_a_constant_target_is_an_error():
    data = RegressionData("toy", torch.rand(5, 1).double(), torch.ones(5).double(), ("a",), "")
    with pytest.raises(ValueError, match="the target is constant on the training rows"):
        split(data, 3, generator=generator())
