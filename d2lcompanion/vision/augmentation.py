"""Augmentation as a function of pictures and a generator, and how such functions compose.

train = compose(random_flip, partial(random_crop, padding=4))
batch = train(images, generator)
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from d2lcompanion.vision import draws

# [N, C, H, W] → [N, C, H, W]; `functools.partial` fixes the strengths.
Transform: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]


def compose(*transforms: Transform) -> Transform:
    """One after the other; of nothing, the pictures as they are."""

    def composed(images: Tensor, generator: torch.Generator) -> Tensor:
        for transform in transforms:
            images = transform(images, generator)
        return images

    return composed


def sometimes(transform: Transform, probability: float) -> Transform:
    """The transform for each image with the given probability, else the image.

    All images are transformed, and the coins choose: the shape must stay.

    Raises:
        ValueError: when called, if the probability is not in [0, 1].
    """

    def maybe(images: Tensor, generator: torch.Generator) -> Tensor:
        chosen = draws.coins(images, generator, probability)
        return torch.where(
            chosen[:, None, None, None], transform(images, generator), images
        )

    return maybe


def choose_one(*transforms: Transform) -> Transform:
    """For each image one of the transforms, all equally likely.

    Raises:
        ValueError: if there is none.
    """
    if not transforms:
        raise ValueError("choose_one needs at least one transform, got none")

    def chosen(images: Tensor, generator: torch.Generator) -> Tensor:
        which = draws.integers(images, generator, len(transforms))[:, None, None, None]
        result = images
        for number, transform in enumerate(transforms):
            result = torch.where(which == number, transform(images, generator), result)
        return result

    return chosen
