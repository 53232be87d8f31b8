"""A network small enough for its whole Hessian, as an objective like any other."""

import torch
from torch import Tensor

from d2lcompanion.data.regression import RegressionData
from d2lcompanion.optimization.objectives import Objective


def network_objective(data: RegressionData, hidden: int) -> Objective:
    """f(p) = mean (aᵀ tanh(Wx + b) + c − y)²/2 over the rows (x, y) of the data.

    Gradient and Hessian come from automatic differentiation.

    Args:
        data: features [n, d], target [n].
        hidden: m ≥ 1 units.
    Returns:
        An objective of p [m(d + 2) + 1]: W row by row, b, a, c.
    Raises:
        ValueError: if hidden < 1.
    """
    if hidden < 1:
        raise ValueError(f"hidden must be ≥ 1, got {hidden}")
    x, y = data.features, data.target
    m, d = hidden, x.shape[1]

    def value(p: Tensor) -> Tensor:
        w, b, a, c = torch.split(p, [m * d, m, m, 1], -1)
        features = torch.tanh(x @ w.reshape(*p.shape[:-1], m, d).mT + b[..., None, :])
        residual = (features * a[..., None, :]).sum(-1) + c - y  # [..., n]
        loss: Tensor = 0.5 * residual.square().mean(-1)
        return loss

    def gradient(p: Tensor) -> Tensor:
        with torch.enable_grad():
            q = p.detach().requires_grad_()
            return torch.autograd.grad(value(q).sum(), q)[0]

    def hessian(p: Tensor) -> Tensor:
        rows: Tensor = torch.autograd.functional.hessian(value, p.detach())  # type: ignore[no-untyped-call]
        return (rows + rows.mT) / 2  # equal up to rounding

    return Objective(
        f"{data.name}, {m} hidden units", value, gradient, hessian, m * (d + 2) + 1
    )


def random_parameters(objective_dim: int, *, generator: torch.Generator) -> Tensor:
    """A start for `network_objective`: independent N(0, ¼)."""
    return 0.5 * torch.randn(objective_dim, generator=generator, dtype=torch.float64)
