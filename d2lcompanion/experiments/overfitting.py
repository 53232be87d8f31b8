"""Training loss and test loss along one run of gradient descent on products of real columns.

A building block of the chapter *Optimization and deep learning*; it scales nothing.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.regression import RegressionData
from d2lcompanion.optimization.descent import first_order, gradient_descent, minimize
from d2lcompanion.optimization.objectives import Objective, least_squares


class Split(NamedTuple):
    """Half the mean squared residual on the rows for training and on the others."""

    train: Objective
    test: Objective


class Losses(NamedTuple):
    """One run, seen from both sides."""

    train: Tensor  # [T+1]
    test: Tensor  # [T+1]

    @property
    def best_step(self) -> int:
        """The step with the smallest test loss, the first of them."""
        return int(self.test.argmin())


def split(
    data: RegressionData, train_rows: int, *, generator: torch.Generator
) -> Split:
    """Rows drawn at random for training, the others for testing.

    Mean and standard deviation of every column and of the target are those of the
    training rows, for both parts: nothing of the test rows enters the training. The
    test loss at w = 0 is therefore not exactly ½.

    Args:
        data: features [n, d], target [n].
        train_rows: 2 … n − 1.
        generator: of the draw, on the CPU.
    Raises:
        ValueError: if train_rows is out of range, or the target is constant there.
    """
    n = len(data.target)
    if not 2 <= train_rows < n:
        raise ValueError(f"train_rows must be between 2 and {n - 1}, got {train_rows}")
    order = torch.randperm(n, generator=generator)
    table = torch.cat([data.features, data.target[:, None]], 1)
    train, test = table[order[:train_rows]], table[order[train_rows:]]
    mean, sd = train.mean(0), train.std(0, correction=0)
    if not float(sd[-1]) > 0:
        raise ValueError("the target is constant on the training rows")
    sd = torch.where(sd > 1e-12 * train.abs().amax(0), sd, 1.0)  # a constant column: 0
    train, test = (train - mean) / sd, (test - mean) / sd
    return Split(*(least_squares(part[:, :-1], part[:, -1]) for part in (train, test)))


def losses(parts: Split, *, steps: int) -> Losses:
    """Gradient descent from 0 on the training loss with η = 1/L; both losses at every step.

    Args:
        parts: as `split` gives them.
        steps: T ≥ 0.
    """
    start = torch.zeros(parts.train.dim or 0, dtype=torch.float64)
    smoothness = float(torch.linalg.eigvalsh(parts.train.hessian(start))[-1])
    method = first_order(gradient_descent, lr=1 / smoothness)
    run = minimize(parts.train, start, method, steps=steps)
    return Losses(run.values, parts.test(run.points))
