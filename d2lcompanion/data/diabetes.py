"""Diabetes progression in 442 patients, carried inside scikit-learn: no network needed."""

import torch

from d2lcompanion.data.regression import RegressionData, standardize
from d2lcompanion.extras import require


def load_diabetes(*, standardized: bool = True) -> RegressionData:
    """Ten measurements of 442 patients; the target is a score of the disease a year later.

    Args:
        standardized: every column and the target with mean 0 and standard deviation 1;
            else the units of the table (age in years, blood pressure in mmHg …).
    Source:
        Efron, Hastie, Johnstone & Tibshirani (2004), *Least angle regression*,
        Annals of Statistics 32(2); the copy in scikit-learn.
    """
    table = require("sklearn.datasets", "data").load_diabetes(scaled=False)
    features, target = torch.tensor(table.data), torch.tensor(table.target)
    source = "442 patients and 10 features from scikit-learn's load_diabetes"
    if standardized:
        features, target = standardize(features), standardize(target)
        source += ", features and target with mean 0 and standard deviation 1"
    return RegressionData(
        "diabetes", features, target, tuple(table.feature_names), source + "."
    )
