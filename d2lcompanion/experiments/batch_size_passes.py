"""Passes over the same rows in batches of several sizes: drawn, judged and plotted."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from d2lcompanion.optimization import stochastic
from d2lcompanion.optimization.descent import gradient_descent
from d2lcompanion.plotting.seeds import plot_seeds


def draw_passes(
    n: int, batch_size: int, generator: torch.Generator, *, epochs: int, runs: int
) -> Tensor:
    """Reshuffled rows for several runs of several epochs: [runs, steps, b]."""
    several = [
        stochastic.sample_indices(
            n, generator=generator, count=epochs * (n // batch_size),
            batch_size=batch_size, replacement=False,
        )
        for _ in range(runs)
    ]  # fmt: skip
    return torch.stack(several)


def mean_end(
    problem: stochastic.FiniteSum, start: Tensor, rows: Tensor, lr: float
) -> float:
    """Mean loss of the runs after the last step; ∞ if one diverged."""
    run = stochastic.sgd(
        problem, start, rule=gradient_descent, indices=rows, schedule=lr,
        every=len(rows[0]),
    )  # fmt: skip
    values = run.values
    return float(values[:, -1].mean()) if values.shape[1] == 2 else math.inf


def plot_passes(
    runs: Mapping[int, Any],
    unit: Callable[[int], float],
    *,
    xlabel: str,
    minimum: float,
) -> Any:
    """Loss of runs by batch size, over steps or over epochs, with the floor.

    Args:
        runs: batch size → what `stochastic.sgd` gave.
        unit: batch size → how many steps are one on the axis.
        minimum: the smallest possible loss.
    """
    curves = {
        f"batch {b}": (run.measured[1:] / unit(b), run.values[:, 1:])
        for b, run in runs.items()
    }
    ends = (
        min(float(x[0]) for x, _ in curves.values()),
        max(float(x[-1]) for x, _ in curves.values()),
    )
    floor = {"smallest possible loss": (ends, [minimum] * 2)}
    return plot_seeds(
        curves, theory=floor, xlabel=xlabel, ylabel="loss", log_y=False, log_x=True
    )


def steps_to(run: Any, level: float) -> int:
    """Steps until the mean loss is at most a level, the first measured one.

    Raises:
        ValueError: if it never is.
    """
    below = (run.values.mean(0) <= level).nonzero()
    if not len(below):
        raise ValueError(f"the mean loss must reach {level}, got no such step")
    return int(run.measured[below[0, 0]])


def regression_step(
    weights: Tensor, batch: tuple[Tensor, Tensor], *, lr: float = 0.01
) -> None:
    """w ← w − η Aᵀ(A w − y)/b, in place: the gradient of the mean of ½(aᵀw − y)²."""
    a, y = batch
    weights.sub_(lr * (a @ weights - y) @ a / len(y))
