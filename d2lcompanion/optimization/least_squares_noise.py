"""SGD on least squares, averaged over all draws: nothing is sampled or neglected.

With the error e = x − x* and the residual ρᵢ = aᵢᵀx − yᵢ of row i, a step on b rows
drawn with replacement changes the mean m = E e and the second moment M = E eeᵀ by

    m ← (I − ηH) m,
    M ← M − η(HM + MH) + η² [ E ρᵢ²aᵢaᵢᵀ / b + (1 − 1/b) HMH ],

where H = (1/n) Σ aᵢaᵢᵀ and E ρᵢ² = aᵢᵀMaᵢ − 2rᵢaᵢᵀm + rᵢ², rᵢ = yᵢ − aᵢᵀx*. The gap is
E f − f* = ½ tr HM. Least squares is the rare problem where the noise of SGD can be
followed in closed form, noise that grows with the distance included.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from d2lcompanion.optimization.checks import require_at_least, require_shape
from d2lcompanion.optimization.objectives import least_squares
from d2lcompanion.optimization.schedules import Schedule, constant


def expected_gaps(
    features: Tensor,
    target: Tensor,
    start: Tensor,
    *,
    schedule: Schedule | float,
    steps: int,
    batch_size: int = 1,
) -> Tensor:
    """E f(xₜ) − f*, t = 0 … T, of SGD with replacement: the limit of means over seeds.

    Args:
        features: [n, d], independent columns.
        target: y, [n].
        start: x₀, [d].
        schedule: t → ηₜ, or one number.
        steps: T ≥ 0.
        batch_size: b ≥ 1.
    Returns:
        [T+1]; where ηₜ is too large for too long it grows without bound, up to inf.
    Raises:
        ValueError: if shapes do not fit, a number is out of range, or columns depend on
            one another.
    """
    require_at_least("steps", steps, 0)
    rate = schedule if callable(schedule) else constant(schedule)
    p = _problem(features, target, batch_size)
    require_shape("start", start, features.shape[1:])
    a, v, r, b = p.features, p.eigenvalues, p.residuals, batch_size
    m = p.axes.T @ (start - p.minimizer)
    second = m.outer(m)  # M
    gaps = [0.5 * (v * second.diagonal()).sum()]
    for t in range(steps):
        eta = rate(t)
        squares = ((a @ second) * a).sum(1) - 2 * r * (a @ m) + r**2  # E ρᵢ², [n]
        noise = (a.T * squares) @ a / (b * len(a))  # E ρᵢ²aᵢaᵢᵀ / b
        second = second - eta * p.drift(eta) * second + eta**2 * noise
        m = m - eta * v * m
        gaps.append(0.5 * (v * second.diagonal()).sum())
    return torch.stack(gaps)


def stationary_gap(
    features: Tensor, target: Tensor, lr: float, *, batch_size: int = 1
) -> float:
    """The noise floor lim E f(xₜ) − f* of SGD with a constant rate, with replacement.

    M no longer changes: HM + MH − η(1 − 1/b)HMH = (η/b) E ρᵢ²aᵢaᵢᵀ. In the axes of the
    eigenvectors the left side is a product, entry by entry; put into qᵢ = aᵢᵀMaᵢ it
    leaves n linear equations, q = ηG(q + r²). For small η, q is small beside r², and
    the trace of the equation, 2 tr HM ≈ (η/b) E rᵢ²‖aᵢ‖², says floor ≈ ησ²/(4b) with
    the gradient variance σ² at x*.

    Args:
        features: [n, d], independent columns.
        target: y, [n].
        lr: η > 0, below `mean_square_edge`.
        batch_size: b ≥ 1.
    Raises:
        ValueError: if shapes do not fit, a number is out of range, or columns depend on
            one another.
    """
    p = _problem(features, target, batch_size)
    edge = mean_square_edge(features, batch_size=batch_size)
    if not 0 < lr < edge:
        raise ValueError(f"lr must be > 0 and below the edge {edge:g}, got {lr}")
    r = p.residuals
    g = p.feedback(lr)  # [n, n]
    identity = torch.eye(len(r), dtype=r.dtype, device=r.device)
    squares = r**2 + torch.linalg.solve(identity - lr * g, lr * g @ r**2)  # E ρᵢ²
    noise = (p.features.T * squares) @ p.features / len(r)  # E ρᵢ²aᵢaᵢᵀ
    second = lr / batch_size * noise / p.drift(lr)  # M
    return 0.5 * float((p.eigenvalues * second.diagonal()).sum())


def mean_square_edge(features: Tensor, *, batch_size: int = 1) -> float:
    """The largest η below which E‖xₜ − x*‖² stays bounded, for draws with replacement.

    It is where ηG has the spectral radius 1, never beyond 2/L, the edge of gradient
    descent. Above it the mean over all runs explodes, while most single runs may still
    look fine: a few carry the mean.

    Args:
        features: [n, d], independent columns.
        batch_size: b ≥ 1.
    Raises:
        ValueError: if batch_size < 1, or columns depend on one another.
    """
    p = _problem(features, features.new_zeros(len(features)), batch_size)
    if batch_size == 1:  # G does not depend on η
        return 1 / p.radius(0.0)
    low, high = 0.0, 2 / float(p.eigenvalues[-1])
    for _ in range(50):
        middle = (low + high) / 2
        stable = middle * p.radius(middle) < 1
        low, high = (middle, high) if stable else (low, middle)
    return low


# ------------------------------------------------------------------------------------- small parts


@dataclass(frozen=True, eq=False)
class _Problem:
    """Least squares in the axes of the eigenvectors of H."""

    features: Tensor  # [n, d], the rows aᵢ in these axes
    eigenvalues: Tensor  # of H, [d], rising
    residuals: Tensor  # rᵢ = yᵢ − aᵢᵀx*, [n]
    axes: Tensor  # [d, d], an eigenvector a column
    minimizer: Tensor  # x* in the old axes, [d]
    batch_size: int

    def drift(self, lr: float) -> Tensor:
        """λₖ + λₗ − η(1 − 1/b)λₖλₗ, [d, d]: HM + MH − η(1 − 1/b)HMH over M."""
        v = self.eigenvalues
        return v[:, None] + v - lr * (1 - 1 / self.batch_size) * v.outer(v)

    def feedback(self, lr: float) -> Tensor:
        """G, [n, n]: how the squared residual of row j drives aᵢᵀMaᵢ, over η.

        Gᵢⱼ = Σₖₗ aᵢₖaᵢₗ aⱼₖaⱼₗ / (nb driftₖₗ), symmetric.
        """
        half = self._half(lr)
        return half @ half.T

    def radius(self, lr: float) -> float:
        """The largest eigenvalue of G, from G or from the product turned round."""
        half = self._half(lr)
        n, squares = half.shape
        small = half @ half.T if n <= squares else half.T @ half
        return float(torch.linalg.eigvalsh(small)[-1])

    def _half(self, lr: float) -> Tensor:
        """aᵢₖaᵢₗ/√(nb driftₖₗ), [n, d²]: G is this times its transpose."""
        a = self.features
        weights = (len(a) * self.batch_size * self.drift(lr)).sqrt()
        return (a[:, :, None] * a[:, None, :] / weights).flatten(1)


def _problem(features: Tensor, target: Tensor, batch_size: int) -> _Problem:
    """Diagonalize H, refuse what has no unique minimizer."""
    require_at_least("batch_size", batch_size, 1)
    objective = least_squares(features, target)
    assert objective.minimizers is not None
    x = objective.minimizers[0]
    eigenvalues, axes = torch.linalg.eigh(objective.hessian(x))
    smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    if smallest <= len(x) * torch.finfo(x.dtype).eps * largest:
        raise ValueError(
            "the columns must be independent, got a Hessian with eigenvalues from "
            f"{smallest:g} to {largest:g}"
        )
    residuals = target - features @ x
    return _Problem(features @ axes, eigenvalues, residuals, axes, x, batch_size)
