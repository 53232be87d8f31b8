"""What augmentation gives with few labels, and what it takes where it changes the label.

Ten recipes on a few images of clothing of each class (on a GPU: of CIFAR-10, with
ResNet-18), and four on handwritten digits, which a mirror turns into other signs. All see
the same images, from the same weights, for as many steps; the test images are never
changed.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from d2lcompanion.data.cifar10 import load_cifar10
from d2lcompanion.data.digits import load_digit_images
from d2lcompanion.data.fashion_mnist import load_fashion_mnist
from d2lcompanion.data.images import ImageData, to_float
from d2lcompanion.experiments.augmented_training import (
    CLOTHING,
    DIGITS,
    PHOTOS,
    Network,
    Recipe,
    Split,
    Trained,
    compare,
)
from d2lcompanion.experiments.image_probes import few_labels
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers
from d2lcompanion.vision.resized_crop import resized_crop

INK = 16  # the largest value of a digit's pixel
SIDE = 28


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        images: of Fashion-MNIST "subset" (8,000 training images, in the package) or
            "full" (60,000), for the small network; or "cifar-10" (50,000 in colour), for
            ResNet-18.
        labels: how many of each class are learned from, one comparison each.
        digits: how many of each digit.
        channels: of the first layer; 64 is ResNet-18 as published.
        steps: of each run.
        batch_size: images a step.
    Raises:
        ValueError: if a number is below 1, or there is no number of labels.
    """

    images: Literal["subset", "full", "cifar-10"]
    labels: tuple[int, ...]
    digits: int
    channels: int
    steps: int
    batch_size: int

    def __post_init__(self) -> None:
        require_numbers(self, digits=1, channels=1, steps=1, batch_size=1)
        if not self.labels or min(self.labels) < 1:
            raise ValueError(f"labels must be some numbers ≥ 1, got {self.labels}")

    @property
    def network(self) -> Network:
        """What learns the images."""
        return "resnet18" if self.images == "cifar-10" else "small_cnn"

    @property
    def recipes(self) -> dict[str, Recipe]:
        """What is compared on the images."""
        return PHOTOS if self.images == "cifar-10" else CLOTHING


PRESETS = {
    "ci": Preset("subset", (20,), digits=10, channels=8, steps=300, batch_size=64),
    "laptop": Preset(
        "full", (5, 20, 100), digits=10, channels=16, steps=2000, batch_size=64
    ),
    "gpu": Preset(
        "cifar-10",
        (20, 500, 5000),
        digits=10,
        channels=64,
        steps=10_000,
        batch_size=128,
    ),
}


def clothing(which: Literal["subset", "full"], count: int, seed: int) -> Split:
    """`count` images of each class of Fashion-MNIST, drawn by the seed, and all test images."""
    return _few(load_fashion_mnist(which), count, seed)


def photos(count: int, seed: int) -> Split:
    """`count` images of each class of CIFAR-10, drawn by the seed, and all test images."""
    return _few(load_cifar10(), count, seed)


def _few(data: ImageData, count: int, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    chosen = few_labels(data.train_labels, count, generator)
    return Split(
        to_float(data.train_images[chosen]),
        data.train_labels[chosen],
        to_float(data.test_images),
        data.test_labels,
    )


def digits(count: int, seed: int) -> Split:
    """`count` of each digit, drawn by the seed, and all others to test, as 28×28 pixels."""
    data = load_digit_images(standardized=False)
    generator = torch.Generator().manual_seed(seed)
    chosen = few_labels(data.labels, count, generator)
    rest = torch.ones(len(data.labels), dtype=torch.bool)
    rest[chosen] = False
    small = (data.images.float() / INK).view(-1, 1, 8, 8)
    whole = torch.tensor([[0.0, 0, 8, 8]]).expand(len(small), 4)
    large = resized_crop(small, whole, (SIDE, SIDE)).clamp(0, 1)
    return Split(large[chosen], data.labels[chosen], large[rest], data.labels[rest])


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """Test accuracies of all recipes for `d2lc run`.

    Raises:
        SettingsError: for fp16, whose small gradients need a loss scaling that is not
            built in here.
    """
    context.refuse_fp16()
    seed = context.settings.seed
    options = {
        "channels": preset.channels,
        "steps": preset.steps,
        "batch_size": preset.batch_size,
        "seed": seed,
    }
    found: dict[str, object] = {}
    with context.autocast():
        for index in context.track(range(len(preset.labels)), "numbers of labels"):
            count = preset.labels[index]
            few = (
                photos(count, seed)
                if preset.images == "cifar-10"
                else clothing(preset.images, count, seed)
            )
            runs = compare(
                preset.recipes, _on(context, few), network=preset.network, **options
            )
            found[f"labels_{count}"] = _numbers(runs)
        split = _on(context, digits(preset.digits, seed))
        signs = compare(DIGITS, split, network="small_cnn", **options)
        found["digits"] = _numbers(signs)
    return found


def _on(context: RunContext, split: Split) -> Split:
    def moved(x: Tensor) -> Tensor:
        return x.to(context.device, context.dtype if x.is_floating_point() else None)

    return Split(*map(moved, split))


def _numbers(runs: dict[str, Trained]) -> dict[str, object]:
    return {name: trained._asdict() for name, trained in runs.items()}


def _accuracy(part: str, name: str, en: str, zh: str) -> Column:
    return Column(f"{part}.{name}.test_accuracy", Text(en, zh), ".3f")


EXPERIMENT = Experiment(
    name="image-augmentation",
    title=Text(
        "20 labels of each class: test accuracy with and without augmentation, and "
        "what mirrors do to digits",
        "每类 20 个标签：有无图像增广的测试精度，以及镜像对数字的影响",
    ),
    chapter="vision/image-augmentation",
    presets=PRESETS,
    notes={
        "ci": "20 labels of each class, 300 steps, 14 runs: 20 seconds on one CPU thread",
        "laptop": "5, 20 and 100 labels of each class, 2,000 steps, 34 runs: ten minutes on a CPU",
        "gpu": "CIFAR-10 and ResNet-18: 20, 500 and 5,000 labels of each class, 10,000 steps",
    },
    run=run,
    columns=(
        _accuracy("labels_20", "none", "none", "无"),
        _accuracy("labels_20", "flip", "mirror", "镜像"),
        _accuracy("labels_20", "shift", "shift", "平移"),
        _accuracy("labels_20", "affine", "affine", "仿射"),
        _accuracy("labels_20", "erase", "erase", "擦除"),
        _accuracy("labels_20", "rand_augment", "RandAugment", "RandAugment"),
        _accuracy("labels_20", "mixup", "Mixup", "Mixup"),
        _accuracy("labels_20", "cutmix", "CutMix", "CutMix"),
        _accuracy("digits", "none", "digits: none", "数字：无"),
        _accuracy("digits", "mirror", "digits: mirror", "数字：镜像"),
    ),
)
