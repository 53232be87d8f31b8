"""Two encoders of images, before and after pretraining without labels."""

import copy
import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from d2lcompanion.data.fashion_mnist import load_fashion_mnist
from d2lcompanion.data.images import to_float
from d2lcompanion.experiments.image_classification import (
    HELD_OUT,
    PIXEL_MEAN,
    PIXEL_SD,
)
from d2lcompanion.experiments.image_pretraining import (
    Contrastive,
    Driver,
    Painting,
    conv_encoder,
    painting_loss,
    projection_head,
    train_contrastive,
    train_masked,
    two_views,
)
from d2lcompanion.experiments.image_probes import Labelled
from d2lcompanion.training.preset_checks import require_numbers, require_positive
from d2lcompanion.vision.contrastive import (
    alignment,
    nt_xent,
    partner_accuracy,
    uniformity,
)
from d2lcompanion.vision.masked_autoencoder import MaskedAutoencoder, MaskedConfig
from d2lcompanion.vision.patches import patchify
from d2lcompanion.vision.views import ViewRecipe

JUDGED = 256  # images in the batch of views that a contrastive model is judged on


@dataclass(frozen=True)
class Preset:
    """Data, sizes and lengths.

    Attributes:
        data: as in `load_fashion_mnist`.
        labels: of each class, for probes and training.
        channels: of the first convolution.
        epochs, batch, rate, temperature: of SimCLR.
        crop, jitter: of its views.
        width, layers, patch: of the vision Transformer.
        paint_epochs, paint_batch, paint_rate, share: of the masked autoencoder.
        steps: of training on labels.
        supervised_rate, supervised_transformer_rate: its largest learning rates.
    """

    data: Literal["subset", "full"] = "subset"
    labels: tuple[int, ...] = (5, 20, 100)
    channels: int = 16
    epochs: int = 3
    batch: int = 256
    rate: float = 5e-3
    temperature: float = 0.5
    crop: float = 0.3
    jitter: float = 0.4
    width: int = 64
    layers: int = 2
    patch: int = 7
    paint_epochs: int = 4
    paint_batch: int = 128
    paint_rate: float = 2e-3
    share: float = 0.5
    steps: int = 100
    supervised_rate: float = 1e-3
    supervised_transformer_rate: float = 1e-3

    def __post_init__(self) -> None:
        require_numbers(
            self, channels=1, epochs=1, batch=2, paint_epochs=1, paint_batch=1, steps=1
        )
        require_positive(self, "labels")

    @property
    def views(self) -> ViewRecipe:
        """What SimCLR may change."""
        return ViewRecipe(crop=self.crop, jitter=self.jitter)

    @property
    def contrastive(self) -> Contrastive:
        """How SimCLR is trained."""
        return Contrastive(
            self.epochs, self.batch, self.rate, self.temperature, views=self.views
        )

    @property
    def painting(self) -> Painting:
        """How the masked autoencoder is trained."""
        return Painting(
            self.paint_epochs, self.paint_batch, self.paint_rate, self.share
        )

    @property
    def transformer(self) -> MaskedConfig:
        """Sizes of the vision Transformer."""
        return MaskedConfig(patch=self.patch, width=self.width, layers=self.layers)


# ---------------------------------------------------------------------------------------- the parts


class Pictures(NamedTuple):
    """Pixels in [0, 1], [n, 1, 28, 28], and labels on one device."""

    train: Labelled
    held_out: Labelled
    test: Labelled


def load(which: Literal["subset", "full"], device: torch.device | str) -> Pictures:
    """Fashion-MNIST, every tenth training image held out."""
    data = load_fashion_mnist(which)
    images, tests = (
        to_float(x).to(device) for x in (data.train_images, data.test_images)
    )
    labels, test_labels = (y.to(device) for y in (data.train_labels, data.test_labels))
    held = torch.arange(len(images), device=device) % HELD_OUT == 0
    return Pictures(
        Labelled(images[~held], labels[~held]),
        Labelled(images[held], labels[held]),
        Labelled(tests, test_labels),
    )


def standardize(x: Tensor) -> Tensor:
    """Pixels in [0, 1] with the mean and the deviation of the training images taken out."""
    return (x - PIXEL_MEAN) / PIXEL_SD


@dataclass
class Way:
    """An encoder, before or after pretraining.

    Attributes:
        encoder: what is trained on labels.
        encode: pixels in [0, 1] → features [n, width], by that encoder.
        width: of the features.
        rate: of training on labels.
    """

    encoder: nn.Module
    width: int
    rate: float
    masked: bool = field(default=False)

    def encode(self, x: Tensor) -> Tensor:
        """Features of pixels in [0, 1]."""
        found: Tensor = (
            self.encoder.features(standardize(x))  # type: ignore[operator]
            if self.masked
            else self.encoder(x)
        )
        return found

    def copy(self) -> "Way":
        """The same weights, to be trained apart."""
        return Way(copy.deepcopy(self.encoder), self.width, self.rate, self.masked)


@torch.no_grad()
def judge_views(
    whole: nn.Module,
    x: Tensor,
    recipe: ViewRecipe,
    temperature: float,
    generator: torch.Generator,
) -> dict[str, float]:
    """A contrastive model on views of images it was not trained on.

    Returns:
        loss; bound: log n − loss, nats of mutual information that it proves; partner: the
        share of views whose nearest is their partner; alignment; uniformity.
    """
    whole.eval()
    z = whole(two_views(x[:JUDGED], recipe, generator)).float()
    loss = float(nt_xent(z, temperature))
    return {
        "loss": loss,
        "bound": math.log(len(z) // 2) - loss,
        "partner": float(partner_accuracy(z)),
        "alignment": float(alignment(z)),
        "uniformity": float(uniformity(z)),
    }


class Pretrained(NamedTuple):
    """Encoders before and after, and what was measured on the way."""

    ways: dict[str, Way]
    head: nn.Module
    painter: MaskedAutoencoder
    metrics: dict[str, object]


def pretrain(preset: Preset, pictures: Pictures, driver: Driver) -> Pretrained:
    """Both, without a label."""
    draw, x = driver.generator, pictures.train.images
    conv, width = conv_encoder(preset.channels, draw).to(x.device), 36 * preset.channels
    head = projection_head(width, draw).to(x.device)
    painter = MaskedAutoencoder(preset.transformer, draw).to(x.device)
    ways = {
        "conv": Way(conv, width, preset.supervised_rate),
        "transformer": Way(
            painter.encoder,
            preset.width,
            preset.supervised_transformer_rate,
            masked=True,
        ),
    }
    first = {f"random_{name}": way.copy() for name, way in ways.items()}
    whole, held_out = nn.Sequential(conv, head), pictures.held_out.images
    judged = (whole, held_out, preset.views, preset.temperature, draw)
    before = judge_views(*judged)
    curve = train_contrastive(conv, head, x, preset.contrastive, driver)
    painted = train_masked(painter, standardize(x), preset.painting, driver)
    patches = patchify(standardize(held_out), preset.patch)
    mean = patchify(standardize(x).mean(0, keepdim=True), preset.patch)
    with torch.no_grad():
        error = painting_loss(painter.eval(), patches, preset.share, draw)
    metrics: dict[str, object] = {
        "simclr": {
            "curve": curve,
            "before": before,
            "after": judge_views(*judged),
        },
        "mae": {
            "curve": painted,
            "error": float(error),
            "mean_image_error": float((patches - mean).square().mean()),
        },
    }
    after = {"simclr": ways["conv"], "mae": ways["transformer"]}
    return Pretrained({**first, **after}, head, painter, metrics)
