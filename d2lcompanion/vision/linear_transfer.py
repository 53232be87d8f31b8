"""Fine-tuning where everything can be computed: f(x) = vᵀBx, features B and a head v.

The loss is ½ · mean (vᵀBx − y)². Both factors are trained by gradient descent, or the head
alone is fitted.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.vision.checks import (
    require_at_least,
    require_finite,
    require_positive,
)


class TwoLinear(NamedTuple):
    """The network: B [k, d] and v [k]."""

    features: Tensor
    head: Tensor


def predict(net: TwoLinear, x: Tensor) -> Tensor:
    """vᵀBx for each row, [n, d] → [n]."""
    return x @ net.features.T @ net.head


def slopes(net: TwoLinear, x: Tensor, y: Tensor) -> TwoLinear:
    """Gradients of the loss, with residuals e = vᵀBx − y:

        ∂L/∂B = v · mean(e xᵀ)        ∂L/∂v = B · mean(e x)

    The first has the row space of the data: where no x points, B does not change. It is as
    large as the head, and 0 with a head of 0.

    Args:
        x, y: [n, d] and [n].
    """
    pull = (predict(net, x) - y) @ x / len(x)  # mean(e x), [d]
    return TwoLinear(torch.outer(net.head, pull), net.features @ pull)


def probe(net: TwoLinear, x: Tensor, y: Tensor, penalty: float = 0.0) -> TwoLinear:
    """The same features with the head that minimizes ½ mean (vᵀBx − y)² + ½ λ‖v‖².

    v = (ZᵀZ + nλI)⁻¹Zᵀy with Z = XBᵀ; the shortest of several where λ = 0.

    Args:
        penalty: λ ≥ 0.
    Raises:
        ValueError: if λ is below 0 or not finite.
    """
    if not 0 <= penalty < math.inf:
        raise ValueError(f"penalty must be ≥ 0 and finite, got {penalty}")
    z = x @ net.features.T
    if penalty == 0:
        return net._replace(head=torch.linalg.pinv(z) @ y)
    ridge = len(x) * penalty * torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
    return net._replace(head=torch.linalg.solve(z.T @ z + ridge, z.T @ y))


def fine_tune(
    net: TwoLinear, x: Tensor, y: Tensor, *, lr: float, steps: int
) -> TwoLinear:
    """Gradient descent on both factors.

    As lr → 0, BBᵀ − vvᵀ stays what it was: a head that must grow takes features along.

    Raises:
        ValueError: if lr is not positive, steps < 0, or it diverges; names the value.
    """
    require_positive("lr", lr)
    require_at_least("steps", steps, 0)
    for _ in range(steps):
        slope = slopes(net, x, y)
        net = TwoLinear(net.features - lr * slope.features, net.head - lr * slope.head)
    require_finite("head", net.head)
    return net


def risk_of_least_squares(noise: float, width: int, count: int) -> float:
    """Mean squared error on new data after least squares, σ² (1 + k/(n − k − 1)).

    Exact for normally distributed features of any covariance, a linear truth and
    independent noise: E (ZᵀZ)⁻¹ = Σ⁻¹/(n − k − 1). ∞ where n ≤ k + 1.

    Args:
        noise: σ², variance of what the features do not explain.
        width: k, the number of features.
        count: n, of labelled examples.
    Raises:
        ValueError: if the noise is not positive or a number is below 1.
    Source:
        Breiman & Freedman (1983), *How many variables should be entered in a regression
        equation?*
    """
    require_positive("noise", noise)
    require_at_least("width", width, 1)
    require_at_least("count", count, 1)
    free = count - width - 1
    return noise * (1 + width / free) if free > 0 else math.inf
