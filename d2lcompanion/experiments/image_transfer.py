"""New classes with few labels: what a network that knows other clothes is worth.

A network learns six kinds of clothing, and then four others from a few labelled images.
Every way of tuning gets the same images, steps and rates to choose from. And on photos: the
features of a network that has seen ImageNet.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from d2lcompanion.data.fashion_mnist import load_fashion_mnist
from d2lcompanion.data.images import to_float
from d2lcompanion.experiments.hot_dog import HotDogPreset, compare_on_hot_dogs
from d2lcompanion.experiments.image_classification import (
    PIXEL_MEAN,
    PIXEL_SD,
    accuracy,
)
from d2lcompanion.experiments.image_probes import few_labels
from d2lcompanion.experiments.photo_patches import PatchPreset, compare_on_patches
from d2lcompanion.experiments.transfer_methods import (
    METHODS,
    Labelled,
    Tried,
    choose_rate,
    pretrain,
)
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers, require_positive


class Pair(NamedTuple):
    """Old classes and new ones, by their labels in Fashion-MNIST."""

    old: tuple[int, ...]
    new: tuple[int, ...]


PAIRS = {
    # T-shirt, trouser, pullover, dress, coat, shirt; sandal, sneaker, bag, ankle boot
    "far": Pair((0, 1, 2, 3, 4, 6), (5, 7, 8, 9)),
    # T-shirt, trouser, dress, sandal, bag, ankle boot; pullover, coat, shirt, sneaker
    "near": Pair((0, 1, 3, 5, 8, 9), (2, 4, 6, 7)),
}


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        images: "subset" (8,000 training images, in the package) or "full" (60,000).
        channels: of the first convolution.
        pretraining: steps on the old classes.
        labels: images of each new class, one comparison each.
        validation: further images of each new class, by which rates are chosen.
        steps: of every method, of batch_size images.
        rates: tried for every method.
        patches: the task on photos.
        hot_dogs: ResNet-18 on photos of hot dogs, which must be downloaded; or nothing.
    Raises:
        ValueError: if a number is out of range.
    """

    images: Literal["subset", "full"]
    channels: int
    pretraining: int
    labels: tuple[int, ...]
    validation: int
    steps: int
    batch_size: int = 32
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2)
    patches: PatchPreset = field(default_factory=PatchPreset)
    hot_dogs: HotDogPreset | None = None

    def __post_init__(self) -> None:
        require_numbers(
            self, channels=2, pretraining=1, validation=1, steps=2, batch_size=2
        )
        require_positive(self, "labels", "rates")


PRESETS = {
    "ci": Preset("subset", 8, 400, (5, 10, 20, 50), validation=50, steps=100),
    "laptop": Preset(
        "full", 16, 1500, (5, 10, 20, 50), validation=100, steps=200,
        patches=PatchPreset(labels=(1, 5, 20), test=30, side=112),
    ),
    "gpu": Preset(
        "full", 64, 20_000, (5, 10, 20, 50, 500), validation=100, steps=2000,
        patches=PatchPreset(labels=(1, 5, 20), test=60, side=224),
        hot_dogs=HotDogPreset(),
    ),
}  # fmt: skip


class Clothes(NamedTuple):
    """Two tasks on one device: labels count from 0 in each."""

    old: Labelled
    old_test: Labelled
    new: Labelled  # from which the seed draws
    new_test: Labelled


def clothes(which: Literal["subset", "full"], pair: str) -> Clothes:
    """Fashion-MNIST, standardized, split into the old classes and the new ones of a pair."""
    data = load_fashion_mnist(which)
    found = []
    for chosen in PAIRS[pair]:
        for images, labels in (
            (data.train_images, data.train_labels),
            (data.test_images, data.test_labels),
        ):
            rows = torch.isin(labels, torch.tensor(chosen))
            x = to_float(images[rows], mean=PIXEL_MEAN, sd=PIXEL_SD)
            found.append(
                Labelled(x, torch.searchsorted(torch.tensor(chosen), labels[rows]))
            )
    return Clothes(*found)


def draw_parts(
    task: Clothes, count: int, validation: int, seed: int
) -> dict[str, Labelled]:
    """Labelled images of the new classes, by the seed: more labels include the fewer ones."""
    generator = torch.Generator().manual_seed(seed)
    labels = task.new.labels
    classes = int(labels.max()) + 1
    order = few_labels(labels, int(labels.bincount().min()), generator)
    order = order.to(labels.device)
    judges = order[-validation * classes :]
    train = order[: count * classes]
    if len(train) + len(judges) > len(order):
        raise ValueError(
            f"labels + validation must be ≤ {len(order) // classes}, "
            f"got {count} + {validation}"
        )
    return {
        "train": Labelled(task.new.images[train], labels[train]),
        "validation": Labelled(task.new.images[judges], labels[judges]),
        "test": task.new_test,
        "old": task.old_test,
    }


def source_network(preset: Preset, task: Clothes, seed: int) -> nn.Module:
    """Trained on the old classes."""
    return pretrain(
        task.old,
        int(task.old.labels.max()) + 1,
        channels=preset.channels,
        steps=preset.pretraining,
        seed=seed,
    )


def compare_methods(
    preset: Preset, task: Clothes, source: nn.Module, count: int, seed: int
) -> dict[str, Tried]:
    """Every method with so many labels of each new class, at the rate that validation chose."""
    parts = draw_parts(task, count, preset.validation, seed)
    options = {"steps": preset.steps, "batch_size": preset.batch_size, "seed": seed}
    classes = int(task.new.labels.max()) + 1
    return {
        method: choose_rate(source, method, parts, classes, preset.rates, **options)
        for method in METHODS
    }


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """All comparisons as numbers for `d2lc run`.

    Raises:
        SettingsError: for fp16, whose small gradients need a loss scaling that is not
            built in here.
    """
    context.refuse_fp16()
    seed = context.settings.seed
    found: dict[str, object] = {}
    with context.autocast():
        for pair in PAIRS:
            task = Clothes(*(_on(context, p) for p in clothes(preset.images, pair)))
            source = source_network(preset, task, seed)
            runs: dict[str, object] = {"before": accuracy(source, *task.old_test)}
            for index in context.track(range(len(preset.labels)), f"labels, {pair}"):
                count = preset.labels[index]
                tried = compare_methods(preset, task, source, count, seed)
                runs[f"labels_{count}"] = {n: t._asdict() for n, t in tried.items()}
            found[pair] = runs
        patches = compare_on_patches(preset.patches, seed, context.device)
        dogs = (
            compare_on_hot_dogs(preset.hot_dogs, seed, context.device)
            if preset.hot_dogs is not None
            else {}
        )
    return {
        "labels": list(preset.labels),
        "rates": list(preset.rates),
        **found,
        "patches": patches,
        "hot_dogs": dogs,
    }


def _on(context: RunContext, data: Labelled) -> Labelled:
    def moved(x: Tensor) -> Tensor:
        return x.to(context.device, context.dtype if x.is_floating_point() else None)

    return Labelled(*map(moved, data))


def _accuracy(name: str, en: str, zh: str) -> Column:
    return Column(f"near.labels_10.{name}.accuracy", Text(en, zh), ".3f")


def _kept(name: str, en: str, zh: str) -> Column:
    return Column(f"near.labels_10.{name}.old_accuracy", Text(en, zh), ".3f")


EXPERIMENT = Experiment(
    name="fine-tuning",
    title=Text(
        "Four new kinds of clothing with 10 labels each: test accuracy by what is trained, "
        "and what is left of the old ones",
        "四种新服装各 10 个标签：训练不同部分时的测试精度，以及旧类别还剩多少",
    ),
    chapter="vision/fine-tuning",
    presets=PRESETS,
    notes={
        "ci": "a small network, 5 to 50 labels of each class, 224 trainings: two minutes on a CPU",
        "laptop": "all of Fashion-MNIST to pretrain on, twice as wide: minutes on a CPU",
        "gpu": "64 channels, 5 to 500 labels, and ResNet-18 on hot dogs, which are downloaded",
    },
    run=run,
    columns=(
        _accuracy("scratch", "from scratch", "从零训练"),
        _accuracy("probe", "head only", "只训练输出层"),
        _accuracy("partial", "upper half", "上半部分"),
        _accuracy("full", "all, one rate", "全部，同一学习率"),
        _accuracy("groups", "all, by groups", "全部，分组学习率"),
        _accuracy("lp_ft", "head, then all", "先输出层后全部"),
        _accuracy("lora", "LoRA", "LoRA"),
        Column("near.before", Text("old classes before", "旧类别：之前"), ".3f"),
        _kept("full", "old, after all", "旧：全部训练后"),
        _kept("groups", "old, after groups", "旧：分组训练后"),
        _kept("lora", "old, after LoRA", "旧：LoRA 后"),
        Column(
            "patches.labels_5.efficientnet", Text("photos: Lite0", "照片：Lite0"), ".3f"
        ),
        Column(
            "patches.labels_5.scratch",
            Text("photos: from scratch", "照片：从零训练"),
            ".3f",
        ),
    ),
)
