"""Training a network on few images, anew changed at every step, or as they are."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from d2lcompanion.experiments.image_classification import (
    PIXEL_MEAN,
    PIXEL_SD,
    accuracy,
    small_cnn,
)
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
from d2lcompanion.vision.resnet import ResNet18
from d2lcompanion.vision.warping import random_affine

CLASSES = 10

# -------------------------------------------------------------------------------------------- data


class Split(NamedTuple):
    """Images [n, C, S, S] in [0, 1] and labels [n]: a few to learn from, others to test."""

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


def recipes(padding: int) -> dict[str, Recipe]:
    """None, and nine others; `padding` is the largest shift in pixels."""
    shift = partial(random_crop, padding=padding)
    affine = partial(random_affine, degrees=10, shift=0.1, scale=1.15)
    return {
        "none": keeps_labels(),
        "flip": keeps_labels(random_flip),
        "shift": keeps_labels(shift),
        "affine": keeps_labels(affine),
        "jitter": keeps_labels(random_color_jitter),
        "erase": keeps_labels(random_erase),
        "flip_shift_erase": keeps_labels(random_flip, shift, random_erase),
        "rand_augment": keeps_labels(random_flip, random_augment),
        "mixup": mixup_recipe,
        "cutmix": cutmix_recipe,
    }


CLOTHING = recipes(2)
PHOTOS = recipes(4)
DIGITS: dict[str, Recipe] = {
    "none": CLOTHING["none"],
    "shift": CLOTHING["shift"],
    "mirror": CLOTHING["flip"],
    "upside_down": keeps_labels(partial(random_flip, vertical=True)),
}

# ---------------------------------------------------------------------------------------- training


Network: TypeAlias = Literal["small_cnn", "resnet18"]


class Trained(NamedTuple):
    """One run: what it reached, and how many images went through it in a second."""

    test_accuracy: float
    train_accuracy: float  # on the images as they are
    class_accuracy: list[float]  # of each class, on test images
    images_per_second: float  # from the drawing of a batch to the end of its step


class Standardize(nn.Module):
    """(x − mean)/sd of the data set, for each channel; the first layer of a network."""

    mean: Tensor
    sd: Tensor

    def __init__(self, mean: tuple[float, ...], sd: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("sd", torch.tensor(sd).view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[n, C, H, W] in [0, 1] → about mean 0 and deviation 1."""
        return (x - self.mean) / self.sd


def build(
    network: Network, channels: int, generator: torch.Generator
) -> tuple[nn.Sequential, torch.optim.Optimizer]:
    """A network of pixels in [0, 1], and what trains it.

    "small_cnn" for grey images of 28×28, by Adam; "resnet18" for colour images of 32×32,
    by momentum from the rate that He et al. (2016) take on CIFAR-10. `channels` of the
    first layer.
    """
    if network == "small_cnn":
        net = nn.Sequential(
            Standardize((PIXEL_MEAN,), (PIXEL_SD,)), small_cnn(channels, generator)
        )
        return net, torch.optim.Adam(net.parameters(), lr=0.002)
    net = nn.Sequential(
        Standardize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
        ResNet18(CLASSES, width=channels, stem="small", generator=generator),
    )
    return net, torch.optim.SGD(
        net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )


def fit(
    recipe: Recipe,
    split: Split,
    *,
    channels: int,
    steps: int,
    batch_size: int,
    seed: int,
    network: Network = "small_cnn",
) -> tuple[nn.Sequential, float]:
    """Cross-entropy, at a rate that falls to 0 by a half cosine; the net, and images a second.

    Whatever the recipe, the network starts at the same weights, and batches hold the
    same images: the augmentation draws from a generator of its own.

    Args:
        split: on one device.
        channels: of the first layer.
        steps: of `batch_size` images, drawn with replacement.
        network: as in `build`.
    """
    net, optimizer = build(network, channels, torch.Generator().manual_seed(seed))
    net.to(split.images).train()
    choice = torch.Generator().manual_seed(seed)
    randomness = torch.Generator().manual_seed(seed + 1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    start = time.perf_counter()
    for _ in range(steps):
        batch = torch.randint(len(split.images), (batch_size,), generator=choice)
        batch = batch.to(split.labels.device)
        images, labels = recipe(split.images[batch], split.labels[batch], randomness)
        loss = nn.functional.cross_entropy(net(images).float(), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    float(loss.detach())  # waits for a GPU
    speed = steps * batch_size / (time.perf_counter() - start)
    return net.eval(), speed


def train_with(
    recipe: Recipe, split: Split, *, network: Network = "small_cnn", **options: int
) -> Trained:
    """`fit`, with the same options, and what the network then knows."""
    net, speed = fit(recipe, split, network=network, **options)
    own = [split.test_labels == label for label in range(CLASSES)]
    return Trained(
        accuracy(net, split.test_images, split.test_labels),
        accuracy(net, split.images, split.labels),
        [accuracy(net, split.test_images[c], split.test_labels[c]) for c in own],
        speed,
    )


def compare(
    ways: Mapping[str, Recipe],
    split: Split,
    *,
    network: Network = "small_cnn",
    **options: int,
) -> dict[str, Trained]:
    """Every recipe on the same split, weights and batches; options as of `fit`."""
    return {
        name: train_with(recipe, split, network=network, **options)
        for name, recipe in ways.items()
    }
