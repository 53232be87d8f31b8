"""Schedule-free descent: gradients are taken between a fast point and the average of its path."""

from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.optimization.checks import require_decay, require_positive
from d2lcompanion.optimization.rules import checks_gradient


class ScheduleFreeState(NamedTuple):
    """The fast point, z, and the average of its path, x, both of the shape of the parameter."""

    fast: Tensor
    average: Tensor
    steps: int

    @classmethod
    def zeros(cls, param: Tensor) -> "ScheduleFreeState":
        """Before the first step: zero steps, z = x = the parameter."""
        return cls(param.detach().clone(), param.detach().clone(), 0)


@checks_gradient
def schedule_free_sgd(
    grad: Tensor,
    state: ScheduleFreeState,
    *,
    lr: float,
    beta: float = 0.9,
) -> tuple[Tensor, ScheduleFreeState]:
    """z ← z − ηg; x ← x + (z − x)/t; the parameter becomes y = (1 − β)z + βx.

    The parameter is y, where gradients are taken; the answer is x, the plain average of
    z₁, …, zₜ: read `state.average` when the run is over, or to evaluate. β = 0 is
    averaged SGD, β near 1 takes gradients at the average itself. No number of steps
    enters, as it would in a cosine.

    Args:
        grad: g at y, any shape.
        state: `ScheduleFreeState.zeros(y)` before the first step.
        lr: η > 0, constant, often larger than what SGD without averaging takes.
        beta: β in [0, 1).
    Returns:
        (update of y, new state).
    Raises:
        ValueError: if a number is out of range, shapes differ, or g is not finite.
    Source:
        Defazio et al. (2024), *The road less scheduled*, equations 3–5.
    """
    require_positive("lr", lr)
    require_decay("beta", beta)
    before = torch.lerp(state.fast, state.average, beta)  # y
    fast = state.fast - lr * grad
    t = state.steps + 1
    average = torch.lerp(state.average, fast, 1 / t)
    after = torch.lerp(fast, average, beta)
    return after - before, ScheduleFreeState(fast, average, t)
