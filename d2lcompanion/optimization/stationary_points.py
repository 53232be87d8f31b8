"""Points where the gradient is zero: which kind they are, and how noise leaves a saddle."""

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from d2lcompanion.optimization.checks import (
    require_fraction,
    require_nonnegative,
    require_positive,
)
from d2lcompanion.optimization.rules import State

Kind: TypeAlias = Literal["minimum", "maximum", "saddle", "undecided"]


def classify_stationary_point(hessian: Tensor, *, tolerance: float = 1e-8) -> Kind:
    """What the Hessian says about a point where the gradient is zero.

    All eigenvalues positive: a strict local minimum. All negative: a strict local
    maximum. Some of either sign: a saddle point, whatever the others are. Else the
    Hessian cannot tell: x⁴, x³ and −x⁴ have the same Hessian 0 at 0.

    Args:
        hessian: H, [d, d], symmetric; the lower triangle is read.
        tolerance: eigenvalues of at most this share of the largest size count as zero;
            in (0, 1).
    Raises:
        ValueError: if H is not a square matrix of finite floats, or the tolerance is
            out of range.
    Source:
        Nocedal & Wright (2006), Theorems 2.3 and 2.4.
    """
    require_fraction("tolerance", tolerance)
    if hessian.ndim != 2 or hessian.shape[0] != hessian.shape[1] or len(hessian) == 0:
        raise ValueError(f"hessian must be [d, d], got shape {list(hessian.shape)}")
    if not bool(hessian.isfinite().all()):
        raise ValueError("hessian must be finite, got inf or nan")
    eigenvalues = torch.linalg.eigvalsh(hessian)  # rising
    smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    zero = tolerance * max(abs(smallest), abs(largest))
    if smallest < -zero and largest > zero:
        return "saddle"
    if smallest > zero:
        return "minimum"
    return "maximum" if largest < -zero else "undecided"


def noisy_gradient_descent(
    grad: Tensor,
    state: State = (),
    *,
    lr: float,
    noise: float,
    generator: torch.Generator,
) -> tuple[Tensor, State]:
    """x ← x − η(g + σξ), with ξ standard normal: the gradient is right only on average.

    Args:
        grad: g = ∇f(x), [..., d]; every row of a batch gets noise of its own.
        state: passed through.
        lr: η > 0.
        noise: σ ≥ 0, the standard deviation of each coordinate; 0 is gradient descent.
        generator: of the noise. It is drawn on the generator's device and moved, so
            that one seed gives one run on every device.
    Returns:
        (update, state); the caller adds the update to x.
    Raises:
        ValueError: if lr or noise is out of range.
    Source:
        Ge, Huang, Jin & Yuan (2015), Algorithm 1, whose noise lies on the unit sphere.
    """
    require_positive("lr", lr)
    require_nonnegative("noise", noise)
    xi = torch.randn(
        grad.shape, generator=generator, device=generator.device, dtype=grad.dtype
    )
    return -lr * (grad + noise * xi.to(grad.device)), state


def saddle_escape_steps(
    offset: float, distance: float, *, lr: float, curvature: float
) -> int:
    """The first k with |y_k| ≥ distance, where y_{k+1} = (1 + ηλ) y_k and |y₀| = offset.

    k = ⌈ln(distance/offset)/ln(1 + ηλ)⌉: gradient descent near a saddle point, along
    the eigenvector of the eigenvalue −λ. It grows with the logarithm of 1/offset, and
    for offset 0 there is no such k.

    Args:
        offset: |y₀| > 0.
        distance: > 0; at most offset gives 0 steps.
        lr: η > 0.
        curvature: λ > 0, the size of the negative eigenvalue.
    Raises:
        ValueError: if a number is not positive and finite.
    """
    for name, value in (
        ("offset", offset), ("distance", distance), ("lr", lr), ("curvature", curvature)
    ):  # fmt: skip
        require_positive(name, value)
    growth = math.log1p(lr * curvature)
    return max(0, math.ceil(math.log(distance / offset) / growth))
