"""Convexity: how to test it, how to refute it, how to use it under constraints.

A function is passed as a callable of points, [..., d] → [...], as an `Objective` is
one. A search can refute convexity and never prove it; curvature bounds come from a
Hessian, or from products v ↦ Hv alone where the matrix is too large to write down.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from d2lcompanion.optimization.checks import (
    require_at_least,
    require_nonnegative,
    require_positive,
    require_shape,
    require_vector,
)
from d2lcompanion.optimization.objectives import Objective
from d2lcompanion.optimization.rules import State

Function: TypeAlias = Callable[[Tensor], Tensor]  # [..., d] → [...]
Projection: TypeAlias = Callable[[Tensor], Tensor]  # [d] → [d], onto a convex set
Product: TypeAlias = Callable[[Tensor], Tensor]  # v ↦ Hv, [d] → [d]

NEAREST = 1e-3  # pairs of `find_nonconvexity` are as close as this share of the box

# ---------------------------------------------------------------------------- evidence and proof


def jensen_gap(
    function: Function, points: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Σ αᵢ f(xᵢ) − f(Σ αᵢxᵢ): nowhere negative for a convex f (Jensen's inequality).

    With α = (½, ½) it is the height of the chord over the graph at the midpoint.

    Args:
        function: f, [..., d] → [...].
        points: x₁ … x_m, [..., m, d].
        weights: α, [m], each ≥ 0, with the sum 1; equal if left out.
    Returns:
        [...], one gap for each group of m points.
    Raises:
        ValueError: if the points are not [..., m, d], or the weights are no such
            weights.
    Source:
        Boyd & Vandenberghe (2004), §3.1.8.
    """
    if points.ndim < 2:
        raise ValueError(f"points must be [..., m, d], got shape {list(points.shape)}")
    m = points.shape[-2]
    alpha = points.new_full((m,), 1 / m) if weights is None else weights
    require_shape("weights", alpha, (m,))
    total = float(alpha.sum())
    if not bool((alpha >= 0).all()) or not math.isclose(total, 1, rel_tol=1e-5):
        raise ValueError(
            f"weights must be ≥ 0 with the sum 1, got {alpha.tolist()}, sum {total:g}"
        )
    mean = (alpha[:, None] * points).sum(-2)  # Σ αᵢxᵢ
    return (alpha * function(points)).sum(-1) - function(mean)


class Counterexample(NamedTuple):
    """Two points that show a function not to be convex."""

    x: Tensor  # [d]
    y: Tensor  # [d]
    excess: float  # f((x + y)/2) − (f(x) + f(y))/2 > 0


def find_nonconvexity(
    function: Function,
    low: Tensor,
    high: Tensor,
    *,
    pairs: int = 10_000,
    tolerance: float | None = None,
    generator: torch.Generator,
) -> Counterexample | None:
    """Search a box for x, y with f((x + y)/2) > (f(x) + f(y))/2; return the worst.

    x is uniform in the box; y lies between x and a second uniform point, at a share of
    the way from 10⁻³ to 1 (its logarithm is uniform): wide and narrow dents are both
    met. A pair that is found refutes convexity; None proves nothing.

    Args:
        function: f, [n, d] → [n], finite on the box.
        low: lower corner, [d].
        high: upper corner, [d].
        pairs: how many to try, ≥ 1.
        tolerance: an excess must be above tolerance · (|f(x)| + |f(y)| + |f(mid)|), so
            that rounding is not taken for a dent; √ε of the dtype if left out.
        generator: source of the randomness; it is drawn on its device, then moved.
    Raises:
        ValueError: if the corners are not [d] with low ≤ high, an argument is out of
            range, or f is not finite at a point that was tried.
    """
    require_vector("low", low)
    _require_box(low, high)
    require_shape("high", high, low.shape)
    require_at_least("pairs", pairs, 1)
    if tolerance is None:
        tolerance = math.sqrt(torch.finfo(low.dtype).eps)
    require_nonnegative("tolerance", tolerance)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(
            shape, generator=generator, device=generator.device, dtype=torch.float64
        ).to(low)

    x = low + (high - low) * uniform(pairs, len(low))
    far = low + (high - low) * uniform(pairs, len(low))
    y = x + NEAREST ** uniform(pairs, 1) * (far - x)
    f_x, f_y, f_mid = function(x), function(y), function((x + y) / 2)
    size = f_x.abs() + f_y.abs() + f_mid.abs()
    if not bool(size.isfinite().all()):
        raise ValueError("the function must be finite on the box, got nan or inf")
    excess = f_mid - (f_x + f_y) / 2
    worst = excess.argmax()
    if not bool(excess[worst] > tolerance * size[worst]):
        return None
    return Counterexample(x[worst], y[worst], float(excess[worst]))


# ----------------------------------------------------------------------------------- projections


def project_ball(
    x: Tensor, radius: float = 1.0, *, center: Tensor | None = None
) -> Tensor:
    """The point of {p : ‖p − c‖ ≤ r} nearest to x: c + (x − c) · min(1, r/‖x − c‖).

    Args:
        x: [..., d].
        radius: r ≥ 0.
        center: c, [d]; the origin if left out.
    Returns:
        [..., d].
    Raises:
        ValueError: if the radius is negative or not finite, or the centre is not [d].
    """
    require_nonnegative("radius", radius)
    if center is None:
        center = x.new_zeros(x.shape[-1:])
    require_shape("center", center, x.shape[-1:])
    offset = x - center
    distance = offset.norm(dim=-1, keepdim=True)
    return torch.where(distance > radius, center + offset * (radius / distance), x)


def project_box(x: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """The point of {p : l ≤ p ≤ u} nearest to x: each coordinate is clipped.

    Args:
        x: [..., d].
        low: l, a number or [d].
        high: u, a number or [d].
    Returns:
        [..., d].
    Raises:
        ValueError: if l ≤ u does not hold everywhere.
    """
    low, high = (
        bound if isinstance(bound, Tensor) else x.new_tensor(bound)
        for bound in (low, high)
    )
    _require_box(low, high)
    return torch.minimum(torch.maximum(x, low), high)


def project_simplex(x: Tensor, total: float = 1.0) -> Tensor:
    """The point of {p : p ≥ 0, Σpᵢ = s} nearest to x: pᵢ = max(xᵢ − θ, 0).

    The shift θ makes the sum s. With the coordinates sorted, u₁ ≥ u₂ ≥ …, it is
    θ = (u₁ + … + u_ρ − s)/ρ for the largest ρ that leaves u_ρ > θ. This takes
    O(d log d) operations.

    Args:
        x: [..., d].
        total: s > 0.
    Returns:
        [..., d].
    Raises:
        ValueError: if x has no coordinate, or the total is not a positive number.
    Source:
        Held, Wolfe & Crowder (1974); Duchi et al. (2008), Figure 1.
    """
    require_positive("total", total)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"x must be [..., d] with d ≥ 1, got shape {list(x.shape)}")
    u = x.sort(dim=-1, descending=True).values
    k = torch.arange(1, x.shape[-1] + 1, dtype=x.dtype, device=x.device)
    shifts = (u.cumsum(-1) - total) / k  # θ if the k largest stay positive
    rho = (u > shifts).sum(-1, keepdim=True)  # true for k = 1 … ρ, then false
    theta = shifts.gather(-1, rho - 1)
    return (x - theta).clamp(min=0)


# ---------------------------------------------------------------------------- projected gradient


def projected_gradient(
    objective: Objective,
    x: Tensor,
    state: State = (),
    *,
    lr: float,
    project: Projection,
) -> tuple[Tensor, State]:
    """x ← P(x − ηg): a gradient step, then back to the nearest allowed point.

    A method for `minimize`. Its test ‖∇f‖ ≤ tolerance is not the right one here, since
    the gradient need not vanish on the boundary: look at `gradient_mapping` instead.

    Args:
        objective: gives g = ∇f(x).
        x: [d].
        state: passed through.
        lr: η > 0; on an L-smooth f, η ≤ 1/L never makes f rise from an allowed point.
        project: P, e.g. `partial(project_ball, radius=1.0)`.
    Raises:
        ValueError: if lr is not a positive number.
    Source:
        Nesterov (2018), §2.2.5; Boyd & Vandenberghe (2004), §8.1 on projections.
    """
    require_positive("lr", lr)
    return project(x - lr * objective.gradient(x)) - x, state


def gradient_mapping(
    objective: Objective, x: Tensor, *, lr: float, project: Projection
) -> Tensor:
    """G(x) = (x − P(x − ηg))/η, the part of the gradient that no constraint holds up.

    Without a constraint it is the gradient. For a convex f it is 0 exactly at the
    minimizers of f over the set.

    Args:
        objective, lr, project: as in `projected_gradient`.
        x: [d].
    Returns:
        [d].
    Raises:
        ValueError: if lr is not a positive number.
    Source:
        Nesterov (2018), Definition 2.2.3.
    """
    require_positive("lr", lr)
    return (x - project(x - lr * objective.gradient(x))) / lr


# -------------------------------------------------------------------------------------- curvature


class CurvatureBounds(NamedTuple):
    """Smallest and largest curvature, μ and L, and how far off an eigenvalue may be.

    Within `mu_residual` of `mu` lies an eigenvalue, likewise for `smoothness`. It need
    not be the outermost one: what an iteration finds lies inside [μ, L], never outside.
    """

    mu: float
    smoothness: float
    mu_residual: float = 0.0
    smoothness_residual: float = 0.0


def smoothness_bounds(hessian: Tensor) -> CurvatureBounds:
    """μ and L, the smallest and largest eigenvalue, exact up to rounding: about εL.

    For one matrix these are the constants of a quadratic function. For Hessians at
    several points they are what these points show: f cannot have a larger μ or a
    smaller L.

    Args:
        hessian: H, [d, d] or [..., d, d], symmetric.
    Raises:
        ValueError: if H is not square, not finite or not symmetric.
    """
    if hessian.ndim < 2 or hessian.shape[-1] != hessian.shape[-2]:
        raise ValueError(f"hessian must be [..., d, d], got {list(hessian.shape)}")
    asymmetry = (hessian - hessian.mT).abs().max()
    if not bool(asymmetry <= 1e-6 * hessian.abs().max()):  # false for nan
        raise ValueError(
            "hessian must be finite and symmetric, "
            f"got max |H − Hᵀ| = {float(asymmetry):g}"
        )
    eigenvalues = torch.linalg.eigvalsh(hessian)  # rising
    return CurvatureBounds(float(eigenvalues.min()), float(eigenvalues.max()))


def power_bounds(product: Product, start: Tensor, *, steps: int) -> CurvatureBounds:
    """μ and L from products v ↦ Hv: power iteration on H, then on LI − H.

    v ← Hv/‖Hv‖ turns towards the eigenvector of L, and vᵀHv rises to L. On LI − H,
    whose largest eigenvalue is L − μ, it falls to μ. The error shrinks by the square of
    a ratio of eigenvalues a step; that of μ is small against L only, hence useless for
    μ itself where κ = L/μ is large. `lanczos_bounds` gets more out of the products.

    Args:
        product: v ↦ Hv, [d] → [d], H symmetric and positive semidefinite.
        start: [d], not 0; take a random one, as an eigenvector that is orthogonal to it
            is never found.
        steps: of each of the two iterations, ≥ 1; 2 · steps + 2 products in all.
    Raises:
        ValueError: if start is not [d] or is 0, or steps is below 1.
    Source:
        Golub & Van Loan (2013), §8.2.1.
    """
    v = _unit("start", start)
    require_at_least("steps", steps, 1)
    smoothness, smoothness_residual = _power(product, product, v, steps)

    def shifted(v: Tensor) -> Tensor:
        return smoothness * v - product(v)

    mu, mu_residual = _power(shifted, product, v, steps)
    return CurvatureBounds(mu, smoothness, mu_residual, smoothness_residual)


def lanczos_bounds(product: Product, start: Tensor, *, steps: int) -> CurvatureBounds:
    """μ and L from k products v ↦ Hv: extreme eigenvalues of H on span(v, …, Hᵏ⁻¹v).

    In an orthonormal basis of that space H is a tridiagonal matrix T. Its eigenvalues
    lie in [μ, L], and no polynomial in H, power iteration included, gets closer to
    either end with as many products. After d of them the result is exact.

    Args:
        product: v ↦ Hv, [d] → [d], H symmetric; it need not be positive.
        start: v, [d], not 0; take a random one.
        steps: k ≥ 1; more than d are not taken.
    Raises:
        ValueError: if start is not [d] or is 0, or steps is below 1.
    Source:
        Golub & Van Loan (2013), §10.1; full reorthogonalization as in §10.3.1.
    """
    basis, diagonal, beside = [_unit("start", start)], [], []
    require_at_least("steps", steps, 1)
    for _ in range(min(steps, len(start))):
        w = product(basis[-1])
        diagonal.append(float(w @ basis[-1]))  # T[j, j]
        q = torch.stack(basis)  # [j, d]
        size = float(w.norm())
        for _ in range(2):  # twice is enough: w is then orthogonal up to rounding
            w = w - q.T @ (q @ w)
        beside.append(float(w.norm()))  # T[j, j+1]
        if beside[-1] <= len(start) * torch.finfo(w.dtype).eps * size:
            break  # the space is mapped into itself: nothing more can be found from v
        basis.append(w / beside[-1])
    t = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    off = torch.diag(torch.tensor(beside[:-1], dtype=torch.float64), 1)
    values, vectors = torch.linalg.eigh(t + off + off.T)  # rising
    residuals = beside[-1] * vectors[-1].abs()  # ‖Hz − θz‖ of z = Qᵀs is β|s_k|
    return CurvatureBounds(
        float(values[0]), float(values[-1]), float(residuals[0]), float(residuals[-1])
    )


# ------------------------------------------------------------------------------------ small parts


def _require_box(low: Tensor, high: Tensor) -> None:
    """l ≤ u in every coordinate."""
    if not bool((low <= high).all()):  # false for nan
        raise ValueError(
            f"low ≤ high must hold everywhere, got {low.tolist()} and {high.tolist()}"
        )


def _unit(name: str, v: Tensor) -> Tensor:
    """v/‖v‖."""
    require_vector(name, v)
    norm = torch.linalg.vector_norm(v)
    if not bool(norm > 0):
        raise ValueError(f"{name} must not be 0, got norm {float(norm):g}")
    unit: Tensor = v / norm
    return unit


def _power(
    step: Product, product: Product, v: Tensor, steps: int
) -> tuple[float, float]:
    """vᵀHv and ‖Hv − (vᵀHv)v‖ after `steps` times v ← step(v)/‖step(v)‖."""
    for _ in range(steps):
        w = step(v)
        if not bool(w.norm() > 0):  # v is an eigenvector of the eigenvalue 0
            break
        v = w / w.norm()
    image = product(v)
    rayleigh = image @ v
    return float(rayleigh), float((image - rayleigh * v).norm())
