"""The runs of d2l's section on minibatches, with its rates and epochs, on any regression data."""

import torch
from torch import Tensor

from d2lcompanion.data.regression import RegressionData
from d2lcompanion.optimization.minibatch import minibatches
from d2lcompanion.optimization.stochastic import FiniteSum, least_squares_sum

# Rate and epochs of each batch size as in d2l (12.5), and one more batch, of 1,000 rows.
PUBLISHED = {
    1500: (1.0, 10),
    1: (0.005, 2),
    100: (0.4, 2),
    10: (0.05, 2),
    1000: (0.6, 6),
}


def with_intercept(data: RegressionData) -> FiniteSum:
    """Least squares with a constant column put in front of the features."""
    ones = torch.ones_like(data.features[:, :1])
    return least_squares_sum(torch.cat([ones, data.features], 1), data.target)


def train_epochs(
    problem: FiniteSum,
    *,
    lr: float,
    batch_size: int,
    epochs: int,
    generator: torch.Generator,
) -> Tensor:
    """f after every epoch, [epochs + 1], from 0, in reshuffled batches, none left out."""
    x = torch.zeros(problem.objective.dim or 0, dtype=torch.float64)
    rows, values = torch.arange(problem.size), [problem.objective(x)]
    for _ in range(epochs):
        for (batch,) in minibatches(rows, batch_size=batch_size, generator=generator):
            x = x - lr * problem.sample_gradient(x, batch)
        values.append(problem.objective(x))
    return torch.stack(values)


def published_losses(
    data: RegressionData, generator: torch.Generator
) -> dict[str, float]:
    """The final loss with the book's rates and epochs, batch size → loss."""
    problem = with_intercept(data)
    return {
        str(b): float(
            train_epochs(
                problem, lr=lr, batch_size=b, epochs=epochs, generator=generator
            )[-1]
        )
        for b, (lr, epochs) in PUBLISHED.items()
    }
