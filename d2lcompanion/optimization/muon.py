"""Muon: the update of a matrix is its momentum with all singular values made about equal."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.optimization.checks import (
    require_at_least,
    require_decay,
    require_nonnegative,
    require_positive,
)
from d2lcompanion.optimization.rules import checks_gradient

# z → az + bz³ + cz⁵, chosen for a large slope at 0; singular values end in about [0.7, 1.2].
QUINTIC = (3.4445, -4.7750, 2.0315)


class MuonState(NamedTuple):
    """The leaky average of gradients, [m, n]."""

    momentum: Tensor

    @classmethod
    def zeros(cls, param: Tensor) -> "MuonState":
        """Before the first step: zero."""
        return cls(torch.zeros_like(param))


def orthogonalize(
    matrix: Tensor,
    *,
    steps: int = 5,
    coefficients: tuple[float, float, float] = QUINTIC,
    eps: float = 1e-7,
) -> Tensor:
    """X ← aX + b(XXᵀ)X + c(XXᵀ)²X, from X = G/‖G‖: tends towards UVᵀ, where G = UΣVᵀ.

    A matrix polynomial of odd degree acts on the singular values alone, and needs
    nothing but products: 5 steps bring all that are above about 1% of ‖G‖ into the
    neighbourhood of 1.

    Args:
        matrix: G, [m, n], in the type in which to iterate.
        steps: how often, ≥ 1.
        coefficients: (a, b, c).
        eps: smallest divisor, > 0.
    Returns:
        [m, n]; zero where G is zero.
    Raises:
        ValueError: if G is not a matrix, or a number is out of range.
    Source:
        Jordan et al. (2024), *Muon*; Bernstein & Newhouse (2024), arXiv:2409.20325.
    """
    if matrix.ndim != 2:
        raise ValueError(f"matrix must be [m, n], got shape {list(matrix.shape)}")
    require_at_least("steps", steps, 1)
    require_positive("eps", eps)
    a, b, c = coefficients
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T  # smaller XXᵀ
    x: Tensor = wide / wide.norm().clamp(min=eps)  # Frobenius: all singular values ≤ 1
    for _ in range(steps):
        gram = x @ x.T
        polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)  # bA + cA²
        x = torch.addmm(x, polynomial, x, beta=a)
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


@checks_gradient
def muon(
    grad: Tensor,
    state: MuonState,
    *,
    param: Tensor,
    lr: float,
    beta: float = 0.95,
    weight_decay: float = 0.1,
    steps: int = 5,
    iterate_in: torch.dtype | None = None,
) -> tuple[Tensor, MuonState]:
    """m ← βm + (1 − β)g; x ← (1 − ηλ)x − η√max(1, rows/columns) · orthogonalize((1 − β)g + βm).

    For the weights of hidden layers only; biases, embeddings and the last layer keep
    Adam. No direction of the matrix is left behind, however small its singular value.

    Args:
        grad: g, [rows, columns].
        state: `MuonState.zeros(x)` before the first step.
        param: x, of the shape of g.
        lr: η > 0.
        beta: β in [0, 1); Nesterov's look-ahead is built in.
        weight_decay: λ ≥ 0, decoupled.
        steps: of `orthogonalize`.
        iterate_in: type of its products; that of g if left out. PyTorch: bfloat16.
    Returns:
        (update, new state).
    Raises:
        ValueError: if g is not a matrix or not finite, shapes differ, or a number is out
            of range.
    Source:
        Jordan et al. (2024); `torch.optim.Muon`.
    """
    require_positive("lr", lr)
    require_decay("beta", beta)
    require_nonnegative("weight_decay", weight_decay)
    momentum = torch.lerp(grad, state.momentum, beta)
    look_ahead = torch.lerp(grad, momentum, beta)
    direction = orthogonalize(look_ahead.to(iterate_in or grad.dtype), steps=steps)
    rows, columns = grad.shape
    scale = lr * math.sqrt(max(1.0, rows / columns))
    update = -scale * direction.to(grad.dtype) - lr * weight_decay * param
    return update, MuonState(momentum)
