"""What SimCLR needs: views, a temperature, a batch and negatives, one changed at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import nn

from d2lcompanion.experiments.image_encoders import Pictures, judge_views, load
from d2lcompanion.experiments.image_pretraining import (
    Contrastive,
    Driver,
    conv_encoder,
    projection_head,
    train_contrastive,
)
from d2lcompanion.experiments.image_probes import features_of, few_labels, probe
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers
from d2lcompanion.vision.views import ViewRecipe

BASE = Contrastive(views=ViewRecipe(crop=0.3, flip=0.5, jitter=0.4))
CHANGES: Mapping[str, Mapping[str, Any]] = {
    "base": {},
    "no crop": {"crop": 1.0},
    "no flip": {"flip": 0.0},
    "no jitter": {"jitter": 0.0},
    "crop to a twentieth": {"crop": 0.05},
    "temperature 1/10": {"temperature": 0.1},
    "temperature 2": {"temperature": 2.0},
    "batch 32": {"batch": 32},
    "batch 1024": {"batch": 1024},
    "no negatives": {"negatives": False},
}
DRAWS = 2  # sets of labels that a probe is the mean of


@dataclass(frozen=True)
class Preset:
    """What is tried, and for how long.

    Attributes:
        data: as in `load_fashion_mnist`.
        choices: among `CHANGES`.
        channels: of the first convolution.
        epochs: of each, the same number of images for all.
        batch: images a step where it is not what is changed.
        labels: of each class, for the probe.
    """

    data: Literal["subset", "full"] = "subset"
    choices: tuple[str, ...] = ("base", "no crop", "no negatives")
    channels: int = 8
    epochs: int = 1
    batch: int = 256
    labels: int = 20

    def __post_init__(self) -> None:
        require_numbers(self, channels=1, epochs=1, batch=2, labels=5)
        for choice in self.choices:
            if choice not in CHANGES:
                raise ValueError(
                    f"choices must be among {list(CHANGES)}, got {choice!r}"
                )


PRESETS = {
    "ci": Preset(),
    "laptop": Preset(choices=tuple(CHANGES), epochs=2),
    "gpu": Preset(data="full", choices=tuple(CHANGES), channels=64, epochs=50),
}


def changed(name: str, preset: Preset) -> Contrastive:
    """The recipe of one choice; the learning rate follows the root of the batch."""
    change = dict(CHANGES[name])
    parts = {key: change.pop(key) for key in list(change) if hasattr(BASE.views, key)}
    views = replace(BASE.views, **parts)
    how = replace(BASE, epochs=preset.epochs, batch=preset.batch, views=views)
    how = replace(how, **change)
    return replace(how, rate=how.rate * (how.batch / preset.batch) ** 0.5)


def probed(encoder: nn.Module, pictures: Pictures, preset: Preset, seed: int) -> float:
    """The mean test accuracy of linear probes on fixed features, over draws of labels."""
    encoder.eval()
    draw = torch.Generator().manual_seed(seed)
    features = features_of(encoder, pictures.train.images)
    test = features_of(encoder, pictures.test.images)
    labels = pictures.train.labels.cpu().numpy()
    right = 0.0
    for _ in range(DRAWS):
        rows = few_labels(pictures.train.labels, preset.labels, draw).numpy()
        truth = pictures.test.labels.cpu().numpy()
        right += probe(features[rows], labels[rows], test, truth) / DRAWS
    return right


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """The same first weights and labels for all; one change each."""
    pictures, seed = load(preset.data, context.device), context.settings.seed
    accuracy: dict[str, float] = {}
    judged: dict[str, dict[str, float]] = {}
    for name in preset.choices:
        draw = context.generator.manual_seed(seed)
        driver = Driver(draw, context.track, context.autocast)
        encoder = conv_encoder(preset.channels, draw).to(context.device)
        head = projection_head(36 * preset.channels, draw).to(context.device)
        if "random" not in accuracy:
            accuracy["random"] = probed(encoder, pictures, preset, seed)
        how = changed(name, preset)
        train_contrastive(encoder, head, pictures.train.images, how, driver)
        accuracy[name] = probed(encoder, pictures, preset, seed)
        whole = nn.Sequential(encoder, head)
        judged[name] = judge_views(
            whole, pictures.held_out.images, BASE.views, how.temperature, draw
        )
    return {"probe": accuracy, "views": judged}


EXPERIMENT = Experiment(
    name="contrastive-choices",
    title=Text(
        "What SimCLR needs: one choice changed at a time",
        "SimCLR 需要什么：每次只改一处",
    ),
    chapter="text/self-supervised-learning",
    presets=PRESETS,
    notes={
        "ci": "three choices, one epoch each: seconds",
        "laptop": "ten choices, two epochs each: some minutes on one CPU thread",
        "gpu": "54,000 images, to be downloaded; 50 epochs each",
    },
    run=run,
    columns=(
        Column("probe.random", Text("before training", "训练之前"), ".3f"),
        Column("probe.base", Text("all views", "全部增广"), ".3f"),
        Column("probe.no crop", Text("no crop", "不裁剪"), ".3f"),
        Column("probe.no negatives", Text("no negatives", "没有负例"), ".3f"),
    ),
)
