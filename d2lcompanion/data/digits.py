"""Handwritten digits, 1,797 images of 8 × 8 pixels, inside scikit-learn: no network needed."""

from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.classification import ClassificationData
from d2lcompanion.extras import require

CLASSES = 10
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
    pixels, labels = _read()
    pixels = pixels / INK
    centred = pixels - pixels.mean(0)
    return ClassificationData(
        name="digits",
        features=torch.cat([centred, torch.ones_like(centred[:, :1])], 1),
        labels=labels,
        classes=CLASSES,
        source="1797 images of handwritten digits from scikit-learn's load_digits: "
        "64 pixels in units of full ink, centred, and a constant column.",
    )


class DigitImages(NamedTuple):
    """Images and what they show.

    Attributes:
        images: [n, 64], float64, rows of 8 × 8 pixels one after the other.
        labels: [n], int64, 0 … 9.
        source: a sentence: what was loaded, from where, and what was done to it.
    """

    images: Tensor
    labels: Tensor
    source: str


def load_digit_images(*, rows: int = 1797, standardized: bool = True) -> DigitImages:
    """The first `rows` of 1,797 digits that 43 people wrote.

    Args:
        rows: how many to use, from the top.
        standardized: one mean and one standard deviation over all pixels of all 1,797
            images, so that pixels keep their relative brightness; else 0 … 16.
    Raises:
        ValueError: if there are not so many rows.
    Source:
        Alpaydin & Kaynak (1998), *Optical recognition of handwritten digits*, UCI; the
        test part, as scikit-learn copies it.
    """
    images, labels = _read()
    if not 1 <= rows <= len(images):
        raise ValueError(f"rows must be between 1 and {len(images)}, got {rows}")
    source = f"the first {rows} of {len(images)} digits from scikit-learn's load_digits"
    if standardized:
        images = (images - images.mean()) / images.std(correction=0)
        source += ", pixels with mean 0 and standard deviation 1"
    return DigitImages(images[:rows], labels[:rows], source + ".")


def _read() -> tuple[Tensor, Tensor]:
    """Pixels 0 … 16 [1797, 64], float64, and labels [1797], int64."""
    table = require("sklearn.datasets", "data").load_digits()
    return torch.tensor(table.data), torch.tensor(table.target).long()
