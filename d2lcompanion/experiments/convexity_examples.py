"""Small functions on which convexity is checked: one that is convex, one that is not quite."""

import torch
from torch import Tensor


def vector(*numbers: float) -> Tensor:
    """Numbers in double precision, [d]."""
    return torch.tensor(numbers, dtype=torch.float64)


def softplus_bowl(x: Tensor) -> Tensor:
    """log(1 + e⁻ˣ) + x²/20: curvature in (0.1, 0.35]."""
    return torch.nn.functional.softplus(-x) + 0.05 * x**2


def dented(x: Tensor) -> Tensor:
    """x² less a dent, 0.01 deep and about 10⁻⁷ wide, at 0.3: [..., 1] → [...]."""
    return x[..., 0] ** 2 - 0.01 * torch.exp(-(((x[..., 0] - 0.3) / 1e-7) ** 2))
