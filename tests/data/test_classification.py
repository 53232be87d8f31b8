"""Classification data: what is loaded, what is refused."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits as sklearn_digits

from d2lcompanion.data.classification import ClassificationData
from d2lcompanion.data.digits import load_digits


def test_digits_are_scikit_learns():
    data, table = load_digits(), sklearn_digits()
    assert data.features.shape == (1797, 65)
    assert data.features.dtype == torch.float64
    assert data.classes == 10
    np.testing.assert_array_equal(data.labels, table.target)
    pixels = table.data / 16
    np.testing.assert_allclose(data.features[:, :64], pixels - pixels.mean(0), atol=1e-14)
    assert bool((data.features[:, 64] == 1).all())
    assert "1797 images" in data.source


def test_some_classes_only():
    data = load_digits()
    two = data.only(7, 2)
    table = sklearn_digits()
    assert two.classes == 2
    assert len(two.labels) == int(((table.target == 7) | (table.target == 2)).sum())
    kept = (table.target == 7) | (table.target == 2)
    np.testing.assert_array_equal(two.labels, (table.target[kept] == 2).astype(int))
    torch.testing.assert_close(two.features, data.features[torch.from_numpy(kept)])
    assert two.name == "digits, classes 7, 2"


@pytest.mark.parametrize("kept", [(3,), (3, 3), (3, 10), (-1, 2)])
def test_classes_that_are_not_there(kept):
    with pytest.raises(ValueError, match="two or more classes from 0 to 9 must be kept, got"):
        load_digits().only(*kept)


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (torch.zeros(3, 2), torch.zeros(2).long(), r"features \[3, 2\] and labels \[2\]"),
        (torch.zeros(0, 2), torch.zeros(0).long(), "do not match"),
        (torch.zeros(2), torch.zeros(2).long(), "do not match"),
        (torch.zeros(2, 1), torch.tensor([0, 2]), "labels must be from 0 to 1, got 0 to 2"),
    ],
)
def test_what_does_not_fit_is_refused(features, labels, message):
    with pytest.raises(ValueError, match=message):
        ClassificationData("test", features, labels, 2, "made up")
