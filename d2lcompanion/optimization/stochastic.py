"""Stochastic gradient descent on finite sums: sampling, a driver for many runs, averages.

A *finite sum* is f(x) = (1/n) Σᵢ fᵢ(x), one term for every row of the data. A step
looks at b of the n terms and moves by their mean gradient. Whoever draws the rows
decides what is random: they are an argument, so a run can be repeated and many runs,
one a seed, can go side by side as rows of one tensor.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from d2lcompanion.optimization.checks import (
    require_at_least,
    require_shape,
)
from d2lcompanion.optimization.descent import DIVERGED
from d2lcompanion.optimization.objectives import Objective, least_squares
from d2lcompanion.optimization.rules import Rule, State
from d2lcompanion.optimization.schedules import Schedule, constant

# ----------------------------------------------------------------------------------------- sampling


def sample_indices(
    n: int,
    count: int,
    *,
    replacement: bool,
    generator: torch.Generator,
    batch_size: int = 1,
) -> Tensor:
    """Which rows each of `count` steps looks at.

    With replacement every entry is uniform on 0 … n−1 and independent of all others; a
    batch may hold a row twice. Without replacement random permutations of the n rows
    follow one another, each cut into ⌊n/b⌋ batches: within an epoch no row comes twice.
    The n mod b rows that fill no batch are left out until the next permutation, as with
    `drop_last=True` in PyTorch.

    Args:
        n: number of rows, ≥ 1.
        count: number of steps, ≥ 1.
        replacement: whether a row is put back before the next is drawn.
        generator: source of the randomness; the result lies on its device.
        batch_size: b ≥ 1, rows a step; at most n without replacement.
    Returns:
        [count, b], int64, in 0 … n−1.
    Raises:
        ValueError: if a number is out of range.
    """
    require_at_least("n", n, 1)
    require_at_least("count", count, 1)
    require_at_least("batch_size", batch_size, 1)
    device = generator.device
    if replacement:
        return torch.randint(n, (count, batch_size), generator=generator, device=device)
    if batch_size > n:
        raise ValueError(
            f"batch_size must be ≤ n without replacement, got {batch_size} and {n}"
        )
    batches = n // batch_size  # of one epoch
    epochs = []
    for _ in range(math.ceil(count / batches)):
        order = torch.randperm(n, generator=generator, device=device)
        epochs.append(order[: batches * batch_size].view(batches, batch_size))
    return torch.cat(epochs)[:count]


# ----------------------------------------------------------------------------------------- problems


@dataclass(frozen=True, eq=False)
class FiniteSum:
    """f(x) = (1/n) Σᵢ fᵢ(x), whose gradient can be asked of a few terms.

    Attributes:
        objective: f itself, to judge a run by.
        sample_gradient: (x [..., d], rows [..., b]) → [..., d], the mean of ∇fᵢ(x) over
            the b rows; the leading dimensions broadcast.
        size: n, the number of terms.
    """

    objective: Objective
    sample_gradient: Callable[[Tensor, Tensor], Tensor]
    size: int


def least_squares_sum(features: Tensor, target: Tensor) -> FiniteSum:
    """fᵢ(w) = ½ (aᵢᵀw − yᵢ)², so that f is `objectives.least_squares`.

    ∇fᵢ(w) = (aᵢᵀw − yᵢ) aᵢ, where aᵢ is row i of the features.

    Args:
        features: [n, d], n ≥ 1.
        target: y, [n].
    Raises:
        ValueError: if the shapes do not match, or there is no row.
    """

    def sample_gradient(w: Tensor, rows: Tensor) -> Tensor:
        a = features[rows]  # [..., b, d]
        residual = (a * w[..., None, :]).sum(-1) - target[rows]  # [..., b]
        return (residual[..., None] * a).mean(-2)

    objective = least_squares(features, target)
    return FiniteSum(objective, sample_gradient, len(target))


def absolute_deviations_sum(features: Tensor, target: Tensor) -> FiniteSum:
    """fᵢ(w) = |aᵢᵀw − yᵢ|: convex, with a kink, and gradients no longer than ‖aᵢ‖.

    ∇fᵢ(w) = sign(aᵢᵀw − yᵢ) aᵢ; in the kink sign(0) = 0, which is a subgradient. The
    Hessian is 0 where it exists. No minimizer is listed: it takes a linear program.

    Args:
        features: [n, d], n ≥ 1.
        target: y, [n].
    Raises:
        ValueError: if the shapes do not match, or there is no row.
    """
    if features.ndim != 2 or target.shape != features.shape[:1] or len(target) == 0:
        raise ValueError(
            "features must be [n, d] and target [n] with n ≥ 1, "
            f"got {list(features.shape)} and {list(target.shape)}"
        )
    n, d = features.shape

    def residual(w: Tensor) -> Tensor:
        return w @ features.T - target  # [..., n]

    def sample_gradient(w: Tensor, rows: Tensor) -> Tensor:
        a = features[rows]  # [..., b, d]
        residual = (a * w[..., None, :]).sum(-1) - target[rows]  # [..., b]
        return (residual.sign()[..., None] * a).mean(-2)

    objective = Objective(
        "mean absolute deviation",
        value=lambda w: residual(w).abs().mean(-1),
        gradient=lambda w: residual(w).sign() @ features / n,
        hessian=lambda w: w.new_zeros(*w.shape, d),
        dim=d,
    )
    return FiniteSum(objective, sample_gradient, n)


def gradient_covariance(problem: FiniteSum, x: Tensor) -> Tensor:
    """C(x) = (1/n) Σᵢ (gᵢ − g)(gᵢ − g)ᵀ with gᵢ = ∇fᵢ(x) and g = ∇f(x).

    The covariance of a single gradient, its row drawn uniformly. It divides by n, as
    all n terms are known; nothing is estimated.

    Args:
        problem: f.
        x: [d].
    Returns:
        [d, d].
    """
    gradients = _all_gradients(problem, x)  # [n, d]
    centred = gradients - gradients.mean(0)
    return centred.T @ centred / problem.size


def gradient_variance(
    problem: FiniteSum, x: Tensor, *, batch_size: int = 1, replacement: bool = True
) -> float:
    """E‖g_B − g‖²: how far a batch gradient is from the full one, squared, on average.

    With σ² = tr C(x) it is σ²/b for b draws with replacement, and
    σ²/b · (n − b)/(n − 1) for b different rows.

    Args:
        problem: f.
        x: [d].
        batch_size: b ≥ 1; at most n without replacement.
        replacement: whether the batch may hold a row twice.
    Raises:
        ValueError: if batch_size is out of range.
    Source:
        Cochran (1977), *Sampling Techniques*, §2.5, for the factor (n − b)/(n − 1).
    """
    require_at_least("batch_size", batch_size, 1)
    n, b = problem.size, batch_size
    variance = float(gradient_covariance(problem, x).trace()) / b
    if replacement:
        return variance
    if b > n:
        raise ValueError(f"batch_size must be ≤ n without replacement, got {b} and {n}")
    return variance * (n - b) / (n - 1) if n > 1 else 0.0


# ------------------------------------------------------------------------------------------- driver


@dataclass(frozen=True, eq=False)
class StochasticTrajectory:
    """What `sgd` recorded, the start included. Values are never inf or nan.

    Attributes:
        measured: [m], the steps at which the runs were recorded; 0 first.
        points: [..., m, d], where the runs then were.
        values: [..., m], f there: the full objective, not the sampled one.
        state: of the rule after the last step, to go on from.
        status: "max_steps", or "diverged" if any run did.
        steps: the last recorded step.
        message: one sentence on how the runs ended.
    """

    measured: Tensor
    points: Tensor
    values: Tensor
    state: State
    status: Literal["max_steps", "diverged"]
    steps: int
    message: str


def sgd(
    problem: FiniteSum,
    start: Tensor | Sequence[float],
    rule: Rule,
    *,
    indices: Tensor,
    schedule: Schedule | float,
    state: State = (),
    every: int = 1,
) -> StochasticTrajectory:
    """xₜ₊₁ = xₜ + rule(mean of ∇fᵢ(xₜ) over i in indices[t], lr = ηₜ), t = 0 … T−1.

    Leading dimensions of `indices` are independent runs, as of many seeds; they take
    their steps together. When the value of any run leaves [−10¹⁰⁰, 10¹⁰⁰] or is not
    finite, all end at the record before, and the message names run, step and value.

    Args:
        problem: f as a finite sum.
        start: x₀, [d] for all runs or [..., d]; plain numbers become float64.
        rule: (gradient, state, lr=ηₜ) → (update, state), as `descent.gradient_descent`.
        indices: [T, b] or [..., T, b], int64, from `sample_indices`.
        schedule: t → ηₜ, or one number for a constant rate.
        state: of the rule before the first step.
        every: record each so many steps; step 0 and step T always are.
    Raises:
        ValueError: if an argument does not fit, f is not finite at the start, or an
            update has another shape than x.
    """
    require_at_least("every", every, 1)
    rate = schedule if callable(schedule) else constant(schedule)
    x, rows = _runs(problem, start, indices)
    steps = len(rows)
    status: Literal["max_steps", "diverged"] = "max_steps"
    message = f"stopped after {steps} steps"
    measured, points, values = [], [], []
    for t in range(steps + 1):
        if t % every == 0 or t == steps:
            value = problem.objective(x)
            if not bool((value.abs() <= DIVERGED).all()):  # nan is not ≤
                status, message = "diverged", _worst_run(value, t)
                break
            measured.append(t)
            points.append(x)
            values.append(value)
        if t < steps:
            gradient = problem.sample_gradient(x, rows[t])
            update, state = rule(gradient, state, lr=rate(t))
            require_shape("update", update, x.shape)
            x = x + update
    if not measured:
        raise ValueError(f"start must have a finite f: {message}")
    return StochasticTrajectory(
        torch.tensor(measured, device=x.device),
        torch.stack(points, -2),
        torch.stack(values, -1),
        state,
        status,
        measured[-1],
        message,
    )


def polyak_average(
    points: Tensor, *, first: int = 0, weights: Tensor | None = None
) -> Tensor:
    """x̄ₜ = Σ wₖxₖ / Σ wₖ over k = s … t: the running mean from step s = first on.

    Before s there is nothing to average: x̄ₜ = xₜ for t < s. It is summed around x_s,
    so that little is lost where the iterates differ by less than their size.

    Args:
        points: [..., T+1, d], one iterate after the other.
        first: s, 0 ≤ s ≤ T. With s = 0 the average still remembers the start; a later s
            gives a *tail average*.
        weights: w, [T+1], all > 0; equal ones if left out. `averaged_bound` is about
            wₖ = ηₖ.
    Returns:
        [..., T+1, d].
    Raises:
        ValueError: if points has fewer than two dimensions, first is out of range, or
            the weights do not fit.
    Source:
        Polyak & Juditsky (1992).
    """
    require_at_least("first", first, 0)
    if points.ndim < 2 or first >= points.shape[-2]:
        raise ValueError(
            f"points must be [..., T+1, d] with first ≤ T, got {list(points.shape)} "
            f"and first = {first}"
        )
    w = torch.ones_like(points[(0,) * (points.ndim - 2)][:, 0])  # [T+1]
    if weights is not None:
        require_shape("weights", weights, w.shape)
        if not bool((weights > 0).all()):
            raise ValueError(f"weights must be > 0, got {float(weights.min()):g}")
        w = weights.to(w)
    w, tail, origin = w[first:, None], points[..., first:, :], points[..., [first], :]
    means = origin + (w * (tail - origin)).cumsum(-2) / w.cumsum(0)
    return torch.cat([points[..., :first, :], means], -2)


# ------------------------------------------------------------------------------------------- theory


def averaged_bound(
    distance: float, gradient_bound: float, rates: Tensor | Sequence[float]
) -> float:
    """(r² + G² Σ ηₜ²)/(2 Σ ηₜ) ≥ E f(x̄) − f*, for convex f and E‖g(xₜ)‖² ≤ G².

    x̄ = Σ ηₜxₜ/Σ ηₜ is the average of the points at which gradients were taken, x₀ …
    x_{T−1}, weighted by the rates (`polyak_average`). Nothing is said about the last
    point.

    Args:
        distance: r = ‖x₀ − x*‖ ≥ 0.
        gradient_bound: G ≥ 0.
        rates: η₀ … η_{T−1}, [T], all > 0.
    Raises:
        ValueError: if there is no rate, or a number is out of range.
    Source:
        Nemirovski, Juditsky, Lan & Shapiro (2009), §2.2.
    """
    if not (0 <= distance < math.inf and 0 <= gradient_bound < math.inf):
        raise ValueError(
            "distance and gradient_bound must be ≥ 0 and finite, "
            f"got {distance} and {gradient_bound}"
        )
    eta = torch.as_tensor(rates, dtype=torch.float64).cpu()
    if eta.ndim != 1 or len(eta) == 0 or not bool((eta > 0).all()):
        raise ValueError("rates must be [T] with T ≥ 1, all > 0")
    squares = float(eta.square().sum())
    return (distance**2 + gradient_bound**2 * squares) / (2 * float(eta.sum()))


# -------------------------------------------------------------------------------------- small parts


def _all_gradients(problem: FiniteSum, x: Tensor) -> Tensor:
    """∇f₀(x) … ∇f_{n−1}(x), [n, d]."""
    if x.ndim != 1:
        raise ValueError(f"x must be [d], got shape {list(x.shape)}")
    rows = torch.arange(problem.size, device=x.device)[:, None]  # [n, 1]
    return problem.sample_gradient(x.expand(problem.size, -1), rows)


def _runs(
    problem: FiniteSum, start: Tensor | Sequence[float], indices: Tensor
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The points of all runs, [..., d], and their rows, T tensors [..., b]."""
    x = start if isinstance(start, Tensor) else torch.tensor(start, dtype=torch.float64)
    if x.ndim == 0 or not x.is_floating_point():
        raise ValueError(
            f"start must be [..., d] of floats, got {list(x.shape)}, {x.dtype}"
        )
    if indices.ndim < 2 or indices.dtype != torch.int64 or indices.numel() == 0:
        raise ValueError(
            "indices must be [..., T, b] of int64 with T, b ≥ 1, "
            f"got {list(indices.shape)}, {indices.dtype}"
        )
    low, high = int(indices.min()), int(indices.max())
    if low < 0 or high >= problem.size:
        raise ValueError(
            f"indices must be in 0 … {problem.size - 1}, got {low} … {high}"
        )
    shape: torch.Size = torch.broadcast_shapes(  # type: ignore[no-untyped-call]
        x.shape[:-1], indices.shape[:-2]
    )
    rows = indices.to(x.device).expand(*shape, *indices.shape[-2:])
    return x.detach().expand(*shape, x.shape[-1]), rows.unbind(-2)


def _worst_run(value: Tensor, step: int) -> str:
    """Which run has run away, and how far."""
    size = value.abs().nan_to_num(nan=math.inf).reshape(-1)
    run = int(size.argmax())
    worst = float(value.reshape(-1)[run])
    return f"diverged by step {step}: run {run} of {len(size)} has f(x) = {worst:g}"
