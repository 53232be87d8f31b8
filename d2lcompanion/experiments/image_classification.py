"""A small convolutional network on images of clothing: the problem on which methods compete."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from d2lcompanion.data.images import ImageData, to_float

PIXEL_MEAN, PIXEL_SD = 0.2860, 0.3530  # of the 60,000 training images, pixels in [0, 1]
HELD_OUT = 10  # every tenth training image is held out, to choose hyperparameters by
EVALUATION_BATCH = 2000

# ----------------------------------------------------------------------------------- data and model


class Images(NamedTuple):
    """Standardized images [n, 1, 28, 28] and labels [n] on one device, in three parts."""

    train: Tensor
    train_labels: Tensor
    held_out: Tensor
    held_out_labels: Tensor
    test: Tensor
    test_labels: Tensor


def prepare(
    data: ImageData, device: torch.device | str, dtype: torch.dtype = torch.float32
) -> Images:
    """Standardize, and hold out every tenth training image."""
    chosen = torch.arange(len(data.train_images)) % HELD_OUT == 0
    parts = [
        (data.train_images[~chosen], data.train_labels[~chosen]),
        (data.train_images[chosen], data.train_labels[chosen]),
        (data.test_images, data.test_labels),
    ]
    tensors = []
    for images, labels in parts:
        x = to_float(images, mean=PIXEL_MEAN, sd=PIXEL_SD).to(dtype)
        tensors += [x.to(device), labels.to(device)]
    return Images(*tensors)


def small_cnn(channels: int, generator: torch.Generator) -> nn.Sequential:
    """Two convolutions of stride 2 and two linear layers: [n, 1, 28, 28] → [n, 10].

    Weights are drawn by He's rule from the generator, on the CPU; biases are 0.
    """
    net = nn.Sequential(
        nn.Conv2d(1, channels, 5, stride=2, padding=2),  # [n, c, 14, 14]
        nn.ReLU(),
        nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),  # [n, 2c, 7, 7]
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * channels * 49, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    for parameter in net.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
        else:
            nn.init.zeros_(parameter)
    return net


# ---------------------------------------------------------------------------------------- training


class History(NamedTuple):
    """One training run, measured after every epoch; a diverged run ends early."""

    train_loss: list[float]  # mean over the epoch, each batch before its step
    held_out_accuracy: list[float]
    test_accuracy: list[float]
    diverged_at: int | None  # the first step of the epoch whose loss was not finite


def train(
    net: nn.Module,
    images: Images,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    *,
    epochs: int,
    batch_size: int,
    generator: torch.Generator,
) -> History:
    """Minimize the cross-entropy; the last, incomplete batch of an epoch is used too.

    Args:
        net: on the device of the images; it is trained.
        optimizer: of the parameters of the net.
        scheduler: called after every step.
        epochs: passes over the training images.
        batch_size: images a step.
        generator: on the CPU, orders the images anew in every epoch.
    """
    losses: list[float] = []
    held_out: list[float] = []
    test: list[float] = []
    for epoch in range(epochs):
        order = torch.randperm(len(images.train), generator=generator)
        batches = order.to(images.train.device).split(batch_size)  # type: ignore[no-untyped-call]
        total = torch.zeros((), device=images.train.device)
        for batch in batches:
            loss = nn.functional.cross_entropy(
                net(images.train[batch]).float(), images.train_labels[batch]
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            total += loss.detach() * len(batch)
        mean = float(total) / len(images.train)
        if not math.isfinite(mean):
            return History(losses, held_out, test, epoch * len(batches))
        losses.append(mean)
        held_out.append(accuracy(net, images.held_out, images.held_out_labels))
        test.append(accuracy(net, images.test, images.test_labels))
    return History(losses, held_out, test, None)


@torch.no_grad()
def accuracy(net: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images whose largest logit is the label's."""
    right = 0
    for start in range(0, len(images), EVALUATION_BATCH):
        part = slice(start, start + EVALUATION_BATCH)
        right += int((net(images[part]).argmax(1) == labels[part]).sum())
    return right / len(images)


def sharpness(
    net: nn.Module, images: Tensor, labels: Tensor, *, iterations: int = 15
) -> float:
    """The largest eigenvalue (by size) of the Hessian of the mean cross-entropy.

    Power iteration, v ← Hv/‖Hv‖, where Hv is the gradient of ∇f·v: two backward passes,
    and no matrix. Returned is vᵀHv.

    Args:
        net: its parameters are the variables.
        images, labels: the batch on which the loss is taken.
        iterations: ≥ 1; the error shrinks by the squared ratio of the two largest
            eigenvalues each time.
    Raises:
        ValueError: if iterations is below 1.
    Source:
        Pearlmutter (1994), *Fast exact multiplication by the Hessian*.
    """
    if iterations < 1:
        raise ValueError(f"iterations must be ≥ 1, got {iterations}")
    parameters = list(net.parameters())
    loss = nn.functional.cross_entropy(net(images), labels)
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    v = flat.detach() / flat.detach().norm()
    value = 0.0
    for _ in range(iterations):
        products = torch.autograd.grad(flat @ v, parameters, retain_graph=True)
        product = torch.cat([part.flatten() for part in products])  # Hv
        value, v = float(v @ product), product / product.norm()
    return value


# ------------------------------------------------------------------------------------------- tuning


class Tuned(NamedTuple):
    """One method: what every rate gave, and the rate that the held-out images chose."""

    rate: float
    chosen: History
    by_rate: dict[float, History]


def tune(by_rate: Mapping[float, History]) -> Tuned | None:
    """The rate with the best held-out accuracy at the end; the smaller one on a tie.

    Returns:
        None if all runs diverged.
    """
    finished = [r for r in sorted(by_rate) if by_rate[r].diverged_at is None]
    if not finished:
        return None
    rate = max(finished, key=lambda r: by_rate[r].held_out_accuracy[-1])
    return Tuned(rate, by_rate[rate], dict(by_rate))
