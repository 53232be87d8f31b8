"""Two ways to learn from images without labels: match two views, or paint what is hidden."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from d2lcompanion.training.progress import Track, silent
from d2lcompanion.vision.contrastive import alignment, nt_xent
from d2lcompanion.vision.masked_autoencoder import MaskedAutoencoder, hidden_loss
from d2lcompanion.vision.patches import patchify, random_masking, visible_patches
from d2lcompanion.vision.views import ViewRecipe, random_view

WARMUP = 0.1  # share of the steps
FINAL = 0.01  # the last learning rate as a share of the largest


# ---------------------------------------------------------------------------------------- encoders


def conv_encoder(channels: int, generator: torch.Generator) -> nn.Sequential:
    """Three convolutions with batch norm: [n, 1, 28, 28] → [n, 36c].

    A map of 3 × 3 places is kept and not averaged: where something is matters for
    clothes that all lie alike.
    """
    c = channels
    net = nn.Sequential(
        nn.Conv2d(1, c, 4, stride=2, padding=1),  # [n, c, 14, 14]
        nn.BatchNorm2d(c),
        nn.ReLU(),
        nn.Conv2d(c, 2 * c, 4, stride=2, padding=1),  # [n, 2c, 7, 7]
        nn.BatchNorm2d(2 * c),
        nn.ReLU(),
        nn.Conv2d(2 * c, 4 * c, 4, stride=2, padding=1),  # [n, 4c, 3, 3]
        nn.BatchNorm2d(4 * c),
        nn.ReLU(),
        nn.Flatten(),  # [n, 36c]
    )
    return draw_weights(net, generator)


def projection_head(width: int, generator: torch.Generator) -> nn.Sequential:
    """What stands between features and loss, and is thrown away: [n, width] → [n, 64]."""
    net = nn.Sequential(
        nn.Linear(width, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 64)
    )
    return draw_weights(net, generator)


def draw_weights(net: nn.Sequential, generator: torch.Generator) -> nn.Sequential:
    """He's rule for maps, from the generator; biases 0."""
    for part in net:
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(
                part.weight, nonlinearity="relu", generator=generator
            )
            assert part.bias is not None
            nn.init.zeros_(part.bias)
    return net


# ---------------------------------------------------------------------------------------- training


class Driver(NamedTuple):
    """What a training gets from whoever runs it.

    Attributes:
        generator: of weights, orders, views and masks.
        track: a progress bar.
        autocast: a context for the forward pass.
    """

    generator: torch.Generator
    track: Track = silent
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass(frozen=True)
class Contrastive:
    """How SimCLR is trained.

    Attributes:
        epochs: passes over the images.
        batch: images a step; each gives two views.
        rate: the largest learning rate, after a warm-up; then a cosine.
        temperature: of the loss.
        negatives: False minimizes the distance of two views and nothing else.
        views: what a view may change.
    """

    epochs: int = 3
    batch: int = 256
    rate: float = 5e-3
    temperature: float = 0.5
    negatives: bool = True
    views: ViewRecipe = field(default_factory=ViewRecipe)


@dataclass(frozen=True)
class Painting:
    """How a masked autoencoder is trained; the fields are those of `Contrastive`.

    Attributes:
        share: of the patches, hidden.
    """

    epochs: int = 4
    batch: int = 128
    rate: float = 2e-3
    share: float = 0.5


def train_contrastive(
    encoder: nn.Module,
    head: nn.Module,
    x: Tensor,
    how: Contrastive,
    driver: Driver,
) -> list[float]:
    """Train both in place; the mean loss of each epoch.

    Args:
        encoder: [n, 1, H, W] → [n, d].
        head: [n, d] → [n, e].
        x: [N, 1, H, W], pixels in [0, 1], on the device of the networks.
    """
    whole = nn.Sequential(encoder, head).train()

    def loss(batch: Tensor) -> Tensor:
        z = whole(two_views(batch, how.views, driver.generator)).float()
        return nt_xent(z, how.temperature) if how.negatives else alignment(z)

    return _minimize(loss, whole, x, how, driver, "matching views")


def two_views(x: Tensor, recipe: ViewRecipe, generator: torch.Generator) -> Tensor:
    """Two views of each image, [n, …] → [2n, …]: rows k and n + k show image k."""
    return torch.cat([random_view(x, recipe, generator) for _ in range(2)])


def train_masked(
    model: MaskedAutoencoder, x: Tensor, how: Painting, driver: Driver
) -> list[float]:
    """Train in place; the mean loss of each epoch.

    Args:
        x: [N, 1, H, W], standardized.
    """
    patches = patchify(x, model.config.patch)

    def loss(batch: Tensor) -> Tensor:
        return painting_loss(model.train(), batch, how.share, driver.generator)

    return _minimize(loss, model, patches, how, driver, "painting")


def painting_loss(
    model: MaskedAutoencoder, patches: Tensor, share: float, generator: torch.Generator
) -> Tensor:
    """Hide patches anew, paint them, and compare."""
    n, count = patches.shape[:2]
    order = random_masking(n, count, share, generator, patches.device)
    return hidden_loss(model(patches, order, visible_patches(count, share)), patches)


def _minimize(
    loss_of: Callable[[Tensor], Tensor],
    net: nn.Module,
    x: Tensor,
    how: Contrastive | Painting,
    driver: Driver,
    title: str,
) -> list[float]:
    """AdamW with warm-up and cosine; an incomplete batch at the end of an epoch is left out."""
    steps = how.epochs * (len(x) // how.batch)
    if steps == 0:
        raise ValueError(f"batch must be ≤ {len(x)} images, got {how.batch}")
    optimizer = torch.optim.AdamW(net.parameters(), how.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        how.rate,
        total_steps=steps + 1,
        pct_start=WARMUP,
        cycle_momentum=False,
    )
    batches = _batches(len(x), how, driver.generator)
    losses = []
    for step in driver.track(range(steps), title):
        with driver.autocast():
            loss = loss_of(x[batches[step].to(x.device)])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    by_epoch = torch.stack(losses).view(how.epochs, -1).mean(1)
    means: list[float] = by_epoch.tolist()
    return means


def _batches(
    count: int, how: Contrastive | Painting, generator: torch.Generator
) -> list[Tensor]:
    """Rows of each step, in a new order in every epoch."""
    used = count // how.batch * how.batch
    orders = [torch.randperm(count, generator=generator) for _ in range(how.epochs)]
    return [rows for order in orders for rows in order[:used].view(-1, how.batch)]
