"""Training the small detector, and what it then finds."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.cutouts import load_boots, load_coins, load_surface
from d2lcompanion.data.scenes import SceneOptions, SceneParts, make_scenes
from d2lcompanion.vision.anchors import Targets, assign_targets
from d2lcompanion.vision.detection_loss import Negatives, detection_loss
from d2lcompanion.vision.detection_metrics import (
    AveragePrecision,
    Detections,
    Truths,
    average_precision,
)
from d2lcompanion.vision.ssd import SSD, Prediction, SSDConfig, detect

CLASSES = ("coin", "boot")
TRAIN_COINS, TRAIN_SURFACES = 16, ("brick", "gravel", "ihc")
TEST_SURFACES = ("grass", "moon")
BOOTS = 200
CROWDED = SceneOptions(objects=(4, 7), overlap=0.45)
EVALUATION_BATCH = 50
LOWEST_SCORE = 0.01  # of a detection that is counted

# -------------------------------------------------------------------------------------------- data


class Pictures(NamedTuple):
    """images [n, c, H, W] in [0, 1]; labels [n, M, 5] (class, box in fractions), −1 padding."""

    images: Tensor
    labels: Tensor


def scene_parts(part: str, seed: int) -> SceneParts:
    """16 coins chosen by the seed and three surfaces to train; 8 coins and two to test.

    No coin, boot or surface is in both: the split comes before the scenes.
    """
    order = torch.randperm(
        len(load_coins()), generator=torch.Generator().manual_seed(seed)
    ).tolist()
    train = part == "train"
    chosen = order[:TRAIN_COINS] if train else order[TRAIN_COINS:]
    return SceneParts(
        (
            [load_coins()[k] for k in chosen],
            load_boots("train" if train else "test", BOOTS),
        ),
        [load_surface(name) for name in (TRAIN_SURFACES if train else TEST_SURFACES)],
    )


def scenes(
    part: str, count: int, seed: int, options: SceneOptions | None = None
) -> Pictures:
    """Scenes of one part, drawn by the seed; train and test draw differently."""
    generator = torch.Generator().manual_seed(2 * seed + (part == "train"))
    made = make_scenes(
        scene_parts(part, seed), options or SceneOptions(), count, generator
    )
    return Pictures(made.images, made.labels)


def truths(labels: Tensor) -> list[Truths]:
    """What there is in each image, without padding."""
    rows = [label[label[:, 0] >= 0].cpu() for label in labels]
    return [Truths(row[:, 1:], row[:, 0].long()) for row in rows]


# ---------------------------------------------------------------------------------------- training


class Recipe(NamedTuple):
    """How a detector is trained.

    Attributes:
        steps: of Adam with decoupled decay; the rate rises to `rate` and falls to 0.
        batch_size: pictures a step, drawn with replacement.
        rate: the largest learning rate.
        negatives: which background anchors count.
        seed: of weights and batches.
    """

    steps: int
    batch_size: int
    rate: float = 0.01
    negatives: Negatives = "hard"
    seed: int = 0


class Trained(NamedTuple):
    """The network, and its loss (classes, offsets) at every step [steps, 2]."""

    model: SSD
    losses: Tensor


def train_detector(
    config: SSDConfig,
    pictures: Pictures,
    recipe: Recipe,
    steps: Iterable[int] | None = None,
) -> Trained:
    """Minimize the loss of classes plus that of offsets.

    Targets are assigned once: the pictures do not change.

    Args:
        config: the form of the network.
        pictures: on one device.
        recipe: how.
        steps: `range(recipe.steps)`, perhaps with a progress bar.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    model = SSD(config, generator).to(pictures.images)
    targets = all_targets(model, pictures)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, recipe.steps)
    losses = []
    for _ in steps or range(recipe.steps):
        batch = torch.randint(
            len(pictures.images), (recipe.batch_size,), generator=generator
        ).to(pictures.images.device)
        _, logits, offsets = model(pictures.images[batch])
        wanted = Targets(*(part[batch] for part in targets))
        parts = detection_loss(
            logits.float(), offsets.float(), wanted, negatives=recipe.negatives
        )
        optimizer.zero_grad()
        (parts.classes + parts.offsets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        losses.append(torch.stack(parts).detach())
    return Trained(model.eval(), torch.stack(losses).cpu())


@torch.no_grad()
def all_targets(model: SSD, pictures: Pictures) -> Targets:
    """What each anchor is to learn, for all pictures, batch by batch.

    The model is left in the mode, training or evaluation, in which it was.
    """
    training = model.training
    anchors = model.eval()(pictures.images[:1]).anchors
    model.train(training)
    parts = [
        assign_targets(anchors, labels)
        for labels in pictures.labels.split(EVALUATION_BATCH)  # type: ignore[no-untyped-call]
    ]
    return Targets(*(torch.cat(column) for column in zip(*parts, strict=True)))


# -------------------------------------------------------------------------------------- evaluation


def find(model: SSD, images: Tensor, *, soft: bool = False) -> list[Detections]:
    """Detections of every image, on the CPU, down to a score of 0.01."""
    found = []
    for batch in images.split(EVALUATION_BATCH):  # type: ignore[no-untyped-call]
        found += detect(model, batch, score_threshold=LOWEST_SCORE, soft=soft)
    return [Detections(*(part.cpu() for part in one)) for one in found]


def evaluate(model: SSD, pictures: Pictures, *, soft: bool = False) -> AveragePrecision:
    """COCO's average precision."""
    return average_precision(
        find(model, pictures.images, soft=soft), truths(pictures.labels)
    )


@torch.no_grad()
def anchor_errors(model: SSD, pictures: Pictures) -> tuple[float, float]:
    """d2l's two numbers: share of anchors with a wrong class, mean |error| of all offsets.

    Both count all anchors, and nearly all are background: they are small whatever the
    network does, and depend on the anchors.
    """
    targets = all_targets(model, pictures)
    wrong, away = [], []
    parts = pictures.images.split(EVALUATION_BATCH)  # type: ignore[no-untyped-call]
    for number, images in enumerate(parts):
        rows = slice(number * EVALUATION_BATCH, number * EVALUATION_BATCH + len(images))
        said: Prediction = model.eval()(images)
        wrong.append((said.logits.argmax(-1) != targets.classes[rows]).float().cpu())
        distance = (said.offsets - targets.offsets[rows]).abs()
        away.append((distance * targets.mask[rows][..., None]).cpu())
    return float(torch.cat(wrong).mean()), float(torch.cat(away).mean())
