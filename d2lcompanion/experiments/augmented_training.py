"""Training a small network on few images, anew changed at every step, or as they are."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from d2lcompanion.experiments.image_classification import small_cnn
from d2lcompanion.vision.augmentation import Transform, compose
from d2lcompanion.vision.colour import random_color_jitter
from d2lcompanion.vision.geometric import random_crop, random_flip
from d2lcompanion.vision.mixing import (
    random_cutmix,
    random_erase,
    random_mixup,
    soft_labels,
)
from d2lcompanion.vision.rand_augment import random_augment
from d2lcompanion.vision.warping import random_affine

CLASSES = 10
EVALUATION_BATCH = 2000

# -------------------------------------------------------------------------------------------- data


class Split(NamedTuple):
    """Images [n, 1, 28, 28] in [0, 1] and labels [n]: a few to learn from, others to test."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor


# ----------------------------------------------------------------------------------------- recipes

# Images, labels, generator → images and labels, [N] or rows of probabilities.
Recipe: TypeAlias = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


def keeps_labels(*transforms: Transform) -> Recipe:
    """Pictures change, and show the same."""
    transform = compose(*transforms)

    def recipe(
        images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        return transform(images, generator), labels

    return recipe


def mixup_recipe(
    images: Tensor, labels: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mixup with α = 0.2."""
    mixture = random_mixup(images, generator, alpha=0.2)
    return mixture.images, soft_labels(labels, mixture, CLASSES)


def cutmix_recipe(
    images: Tensor, labels: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """CutMix with α = 1."""
    mixture = random_cutmix(images, generator, alpha=1.0)
    return mixture.images, soft_labels(labels, mixture, CLASSES)


SHIFT = partial(random_crop, padding=2)
CLOTHING: dict[str, Recipe] = {
    "none": keeps_labels(),
    "flip": keeps_labels(random_flip),
    "shift": keeps_labels(SHIFT),
    "affine": keeps_labels(partial(random_affine, degrees=10, shift=0.1, scale=1.15)),
    "jitter": keeps_labels(random_color_jitter),
    "erase": keeps_labels(random_erase),
    "flip_shift_erase": keeps_labels(random_flip, SHIFT, random_erase),
    "rand_augment": keeps_labels(random_flip, random_augment),
    "mixup": mixup_recipe,
    "cutmix": cutmix_recipe,
}
DIGITS: dict[str, Recipe] = {
    "none": keeps_labels(),
    "shift": keeps_labels(SHIFT),
    "mirror": keeps_labels(random_flip),
    "upside_down": keeps_labels(partial(random_flip, vertical=True)),
}

# ---------------------------------------------------------------------------------------- training


class Trained(NamedTuple):
    """One run: what it reached, and how many images went through it in a second."""

    test_accuracy: float
    train_accuracy: float  # on the images as they are
    class_accuracy: list[float]  # of each class, on test images
    images_per_second: float  # from the drawing of a batch to the end of its step


def train_with(
    recipe: Recipe,
    split: Split,
    *,
    channels: int,
    steps: int,
    batch_size: int,
    seed: int,
    rate: float = 0.002,
) -> Trained:
    """Adam on cross-entropy, at a rate that falls to 0 by a half cosine.

    Whatever the recipe, the network starts at the same weights, and batches hold the
    same images: the augmentation draws from a generator of its own.

    Args:
        split: on one device.
        channels: of the first layer.
        steps: of `batch_size` images, drawn with replacement.
    """
    net = small_cnn(channels, torch.Generator().manual_seed(seed)).to(split.images)
    choice = torch.Generator().manual_seed(seed)
    randomness = torch.Generator().manual_seed(seed + 1)
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    start = time.perf_counter()
    for _ in range(steps):
        batch = torch.randint(len(split.images), (batch_size,), generator=choice)
        batch = batch.to(split.labels.device)
        images, labels = recipe(split.images[batch], split.labels[batch], randomness)
        loss = nn.functional.cross_entropy(net(_standardized(images)).float(), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    float(loss.detach())  # waits for a GPU
    speed = steps * batch_size / (time.perf_counter() - start)
    right = _predictions(net, split.test_images) == split.test_labels
    known = _predictions(net, split.images) == split.labels
    by_class = [
        float(right[split.test_labels == label].float().mean())
        for label in range(CLASSES)
    ]
    return Trained(
        float(right.float().mean()), float(known.float().mean()), by_class, speed
    )


def _standardized(images: Tensor) -> Tensor:
    """About mean 0 and standard deviation 1 over Fashion-MNIST; the same for digits."""
    return (images - 0.2860) / 0.3530


@torch.no_grad()
def _predictions(net: nn.Module, images: Tensor) -> Tensor:
    parts = images.split(EVALUATION_BATCH)  # type: ignore[no-untyped-call]
    return torch.cat([net(_standardized(part)).argmax(1) for part in parts])


def compare(
    recipes: Mapping[str, Recipe], split: Split, **options: int
) -> dict[str, Trained]:
    """Every recipe on the same split, weights and batches; options as of `train_with`."""
    return {
        name: train_with(recipe, split, **options) for name, recipe in recipes.items()
    }
