"""Handwritten digits, 8 × 8 pixels, carried inside scikit-learn: no network needed."""

from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.extras import require

CLASSES = 10


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
    data = require("sklearn.datasets", "data").load_digits()
    images, labels = torch.tensor(data.data), torch.tensor(data.target)
    if not 1 <= rows <= len(images):
        raise ValueError(f"rows must be between 1 and {len(images)}, got {rows}")
    source = f"the first {rows} of {len(images)} digits from scikit-learn's load_digits"
    if standardized:
        images = (images - images.mean()) / images.std(correction=0)
        source += ", pixels with mean 0 and standard deviation 1"
    return DigitImages(images[:rows], labels[:rows].long(), source + ".")
