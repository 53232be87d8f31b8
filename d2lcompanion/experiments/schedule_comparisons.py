"""Schedules side by side: accuracies of runs, exact risks, and runs of several lengths."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from d2lcompanion.experiments.image_classification import (
    History,
    Images,
    small_cnn,
    train,
)
from d2lcompanion.optimization import schedules
from d2lcompanion.optimization.momentum import heavy_ball
from d2lcompanion.optimization.noisy_quadratic import mean_squares
from d2lcompanion.optimization.torch_optimizer import as_torch_optimizer
from d2lcompanion.training.results import Result

EPOCHS = 5  # of the runs in the results


def accuracies(run: Result, name: str, rate: float) -> list[float]:
    """Test accuracy after each epoch; a network that diverged answers by chance."""
    number = run.metric("constant.rates").index(rate)
    curve: list[float] = run.metric(f"{name}.test_accuracy_by_epoch")[number]
    return curve + [0.1] * (EPOCHS - len(curve))


def quadratic_risk(
    schedule: schedules.Schedule,
    modes: Sequence[tuple[float, float, float]],
    steps: int,
) -> Tensor:
    """½ Σ λ E[x²] after 0, 1, …, T steps with noisy gradients: [T + 1], exact.

    Args:
        modes: λ, σ and the first E[x²] of each eigenvector.
        steps: T.
    """
    total = torch.zeros(steps + 1, dtype=torch.float64)
    rates = [schedule(t) for t in range(steps)]
    for curvature, noise, start in modes:
        numbers = {"start": start, "curvature": curvature, "noise": noise}
        squares = mean_squares(rates, **numbers)
        total += 0.5 * curvature * torch.tensor(squares, dtype=torch.float64)
    return total


def train_lengths(
    make: Callable[[int], schedules.Schedule],
    images: Images,
    seed: int,
    *,
    lengths: Sequence[int] = (2, 3, 5),
    batch_size: int = 64,
) -> dict[int, History]:
    """Epochs → history, for runs of several lengths with the same seed.

    Args:
        make: a schedule for a number of steps.
    """
    found = {}
    for epochs in lengths:
        generator = torch.Generator().manual_seed(seed)
        net = small_cnn(8, generator)
        optimizer = as_torch_optimizer(net.parameters(), heavy_ball, lr=1.0)
        steps = epochs * -(-len(images.train) // batch_size)
        scheduler = schedules.as_lambda_lr(optimizer, make(steps))
        found[epochs] = train(
            net, images, optimizer, scheduler,
            epochs=epochs, batch_size=batch_size, generator=generator,
        )  # fmt: skip
    return found
