"""Where runs end that were shaken for a while and then left in peace."""

import torch
from torch import Tensor

from d2lcompanion.optimization.objectives import Objective
from d2lcompanion.optimization.stationary_points import noisy_gradient_descent


def ends_of(
    objective: Objective,
    start: float,
    noise: float,
    seed: int,
    *,
    runs: int = 200,
    steps: tuple[int, int] = (500, 200),
    lr: float = 0.01,
) -> Tensor:
    """Last points of gradient descent on a function of one variable, [runs].

    Args:
        start: of all runs.
        noise: of the first steps.
        steps: with noise, and then without.
        lr: η.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.full((runs, 1), start, dtype=torch.float64)
    for step in range(sum(steps)):
        sigma = noise if step < steps[0] else 0.0
        gradient = objective.gradient(x)
        x = (
            x
            + noisy_gradient_descent(gradient, lr=lr, noise=sigma, generator=generator)[
                0
            ]
        )
    return x[:, 0]
