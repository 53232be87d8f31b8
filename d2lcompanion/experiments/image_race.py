"""Eight optimizers on the small network, four learning rates each, chosen by held-out images."""

import inspect
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from d2lcompanion.experiments.image_classification import (
    History,
    Images,
    Tuned,
    small_cnn,
    train,
    tune,
)
from d2lcompanion.optimization import adaptive
from d2lcompanion.optimization.descent import gradient_descent
from d2lcompanion.optimization.momentum import heavy_ball
from d2lcompanion.optimization.muon import MuonState, muon
from d2lcompanion.optimization.rules import Rule
from d2lcompanion.optimization.torch_optimizer import as_torch_optimizer
from d2lcompanion.training.progress import Track, silent


def muon_for_matrices(
    grad: Tensor, state: adaptive.AdamState, *, param: Tensor, lr: float
) -> tuple[Tensor, adaptive.AdamState]:
    """Muon for matrices and filters, Adam for vectors, at one rate.

    Filters [out, in, h, w] count as matrices [out, in·h·w]. Muon's update is scaled to
    0.2 √max(rows, columns), which gives it about the root mean square of Adam's (Liu et
    al. 2025), so that one rate serves both.
    """
    if grad.ndim < 2:
        return inspect.unwrap(adaptive.adam)(grad, state, lr=lr)  # type: ignore[no-any-return]
    rows, columns = grad.flatten(1).shape
    scale = 0.2 * math.sqrt(max(rows, columns)) / math.sqrt(max(1.0, rows / columns))
    update, new = inspect.unwrap(muon)(
        grad.flatten(1),
        MuonState(state.first.flatten(1)),
        param=param.flatten(1),
        lr=lr * scale,
        weight_decay=0.0,
    )
    first = new.momentum.view_as(grad)
    return update.view_as(grad), state._replace(first=first, steps=state.steps + 1)


NETWORK: dict[str, tuple[Rule, dict[str, float], tuple[float, ...]]] = {
    "sgd": (gradient_descent, {}, (0.03, 0.1, 0.3, 1.0)),
    "heavy_ball": (heavy_ball, {"beta": 0.9}, (0.003, 0.01, 0.03, 0.1)),
    "adagrad": (adaptive.adagrad, {}, (0.003, 0.01, 0.03, 0.1)),
    "rmsprop": (adaptive.rmsprop, {}, (0.0003, 0.001, 0.003, 0.01)),
    "adam": (adaptive.adam, {}, (0.0003, 0.001, 0.003, 0.01)),
    "adamw": (adaptive.adamw, {}, (0.0003, 0.001, 0.003, 0.01)),
    "lion": (adaptive.lion, {}, (0.0001, 0.0003, 0.001, 0.003)),
    "muon": (muon_for_matrices, {}, (0.0003, 0.001, 0.003, 0.01)),
}


def image_race(
    images: Images,
    *,
    channels: int,
    epochs: int,
    batch_size: int,
    seed: int,
    methods: Sequence[str] = tuple(NETWORK),
    track: Track = silent,
) -> dict[str, Tuned]:
    """Train the small network with every method at each of its four rates.

    Raises:
        ValueError: if a method diverged at every rate.
    """
    runs: dict[str, dict[float, History]] = {name: {} for name in methods}
    tasks = [(name, rate) for name in methods for rate in NETWORK[name][2]]
    for index in track(range(len(tasks)), "training"):
        name, rate = tasks[index]
        rule, hyperparameters, _ = NETWORK[name]
        generator = torch.Generator().manual_seed(seed)
        net = small_cnn(channels, generator).to(images.train)
        optimizer = as_torch_optimizer(
            net.parameters(), rule, check_finite=False, lr=rate, **hyperparameters
        )
        runs[name][rate] = train(
            net,
            images,
            optimizer,
            epochs=epochs,
            batch_size=batch_size,
            generator=generator,
        )
    return {name: choose(name, by_rate) for name, by_rate in runs.items()}


def choose(name: str, by_rate: Mapping[float, History]) -> Tuned:
    """The rate with the best held-out accuracy at the end; the smaller one on a tie.

    Raises:
        ValueError: if all runs diverged.
    """
    tuned = tune(by_rate)
    if tuned is None:
        raise ValueError(
            f"{name} diverged at every rate: {', '.join(map(str, by_rate))}"
        )
    return tuned
