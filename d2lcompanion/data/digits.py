"""Handwritten digits, 1,797 images of 8 × 8 pixels, inside scikit-learn: no network needed."""

import torch

from d2lcompanion.data.classification import ClassificationData
from d2lcompanion.extras import require

INK = 16  # the largest value of a pixel


def load_digits() -> ClassificationData:
    """64 pixels, scaled to [0, 1] and then centred, and a constant column of ones.

    Centring removes the direction that all images share, the mean image, and so most of
    the largest eigenvalue of XᵀX; the constant column takes the place of an intercept.

    Returns:
        features [1797, 65], labels 0 to 9.
    Source:
        Alpaydin & Kaynak (1998), *Optical recognition of handwritten digits*, UCI
        machine learning repository; the copy of its test set in scikit-learn.
    """
    table = require("sklearn.datasets", "data").load_digits()
    pixels, labels = torch.tensor(table.data) / INK, torch.tensor(table.target)
    centred = pixels - pixels.mean(0)
    return ClassificationData(
        name="digits",
        features=torch.cat([centred, torch.ones_like(centred[:, :1])], 1),
        labels=labels.long(),
        classes=10,
        source="1797 images of handwritten digits from scikit-learn's load_digits: "
        "64 pixels in units of full ink, centred, and a constant column.",
    )
