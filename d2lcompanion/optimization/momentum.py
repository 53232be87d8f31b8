"""Momentum: the heavy ball, Nesterov's variant, and the theory of both on quadratics.

The velocity is the sum of past gradients, the older the less: v ← βv + g. Libraries
differ in what they call momentum. Here, as in PyTorch, the learning rate stands outside
the velocity, so that changing it takes effect at once.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.optimization.checks import (
    require_curvatures,
    require_decay,
    require_positive,
)
from d2lcompanion.optimization.objectives import Objective
from d2lcompanion.optimization.rules import checks_gradient

# ------------------------------------------------------------------------------------------- rules


class HeavyBallState(NamedTuple):
    """What heavy ball and Nesterov's method remember: v, of the shape of the parameter."""

    velocity: Tensor

    @classmethod
    def zeros(cls, param: Tensor) -> "HeavyBallState":
        """At rest: v = 0."""
        return cls(torch.zeros_like(param))


@checks_gradient
def heavy_ball(
    grad: Tensor,
    state: HeavyBallState,
    *,
    lr: float,
    beta: float = 0.9,
    dampening: float = 0.0,
) -> tuple[Tensor, HeavyBallState]:
    """v ← βv + (1 − d)g; x ← x − ηv.

    On a constant gradient v tends to (1 − d)g/(1 − β): with d = 0 a step is up to
    1/(1 − β) times as long as without momentum, with d = β it is the gradient's leaky
    average. `torch.optim.SGD` has the same convention, but its first step is not
    dampened.

    Args:
        grad: g = ∇f(x), any shape.
        state: v, of the same shape; `HeavyBallState.zeros(x)` before the first step.
        lr: η > 0.
        beta: β in [0, 1); 0 is gradient descent.
        dampening: d in [0, 1).
    Returns:
        (update, new state).
    Raises:
        ValueError: if a number is out of range, shapes differ, or g is not finite.
    Source:
        Polyak (1964); Zhang et al., *Dive into Deep Learning* (d2l), §12.6.
    """
    require_positive("lr", lr)
    require_decay("beta", beta)
    require_decay("dampening", dampening)
    velocity = beta * state.velocity + (1 - dampening) * grad
    return -lr * velocity, HeavyBallState(velocity)


@checks_gradient
def nesterov(
    grad: Tensor, state: HeavyBallState, *, lr: float, beta: float = 0.9
) -> tuple[Tensor, HeavyBallState]:
    """v ← βv + g; x ← x − η(g + βv): the step looks ahead along the new velocity.

    This is PyTorch's form, in which gradients are taken at x itself. Nesterov writes
    w ← x − η∇f(x), x ← w + β(w − w before). Both visit the same x.

    Args:
        grad: g = ∇f(x), any shape.
        state: v, of the same shape; `HeavyBallState.zeros(x)` before the first step.
        lr: η > 0.
        beta: β in [0, 1).
    Returns:
        (update, new state).
    Raises:
        ValueError: if a number is out of range, shapes differ, or g is not finite.
    Source:
        Nesterov (1983); Sutskever, Martens, Dahl & Hinton (2013), §2.
    """
    require_positive("lr", lr)
    require_decay("beta", beta)
    velocity = beta * state.velocity + grad
    return -lr * (grad + beta * velocity), HeavyBallState(velocity)


# ------------------------------------------------------------------------------------------ theory


def mode_matrix(eta_lambda: Tensor | float, beta: Tensor | float) -> Tensor:
    """One step of heavy ball on ½λx², as a matrix: (ηv, x) ← M (ηv, x).

    From v' = βv + λx and x' = x − ηv' follows

        M = [ β    ηλ   ]
            [ −β   1 − ηλ ],   det M = β,   tr M = 1 + β − ηλ.

    Args:
        eta_lambda: ηλ, [...].
        beta: β, [...], broadcast with ηλ.
    Returns:
        [..., 2, 2], float64 unless ηλ or β is a tensor of another type.
    Source:
        d2l, §12.6.3.2; there the recursion of gradient descent lacks the η (errata E2).
    """
    product, decay = _broadcast(eta_lambda, beta)
    top = torch.stack([decay, product], -1)
    bottom = torch.stack([-decay, 1 - product], -1)
    return torch.stack([top, bottom], -2)


def convergence_rate(eta_lambda: Tensor | float, beta: Tensor | float) -> Tensor:
    """The spectral radius of `mode_matrix`: the factor per step of heavy ball on ½λx².

    With t = 1 + β − ηλ the eigenvalues solve z² − tz + β = 0: a complex pair of modulus
    √β where t² < 4β, else real, and the larger has modulus (|t| + √(t² − 4β))/2.
    For 0 ≤ β < 1 the rate is below 1 if and only if 0 < ηλ < 2 + 2β.

    Args:
        eta_lambda: ηλ, [...].
        beta: β ≥ 0, [...], broadcast with ηλ.
    Returns:
        ρ ≥ 0, [...].
    Source:
        Flammarion & Bach (2015), §2; d2l, §12.6.3.2.
    """
    product, decay = _broadcast(eta_lambda, beta)
    return _largest_root(1 + decay - product, decay)


def nesterov_rate(eta_lambda: Tensor | float, beta: Tensor | float) -> Tensor:
    """The factor per step of Nesterov's method on ½λx².

    Its modes solve z² − (1 + β)(1 − ηλ)z + β(1 − ηλ) = 0.

    Args:
        eta_lambda: ηλ, [...].
        beta: β ≥ 0, [...], broadcast with ηλ.
    Returns:
        ρ ≥ 0, [...].
    Source:
        Lessard, Recht & Packard (2016), §2.2.
    """
    product, decay = _broadcast(eta_lambda, beta)
    return _largest_root((1 + decay) * (1 - product), decay * (1 - product))


class MomentumChoice(NamedTuple):
    """Learning rate and β, and the factor per step that they promise for the error."""

    lr: float
    beta: float
    rate: float


def optimal_heavy_ball(mu: float, smoothness: float) -> MomentumChoice:
    """η = 4/(√L + √μ)², β = ((√κ − 1)/(√κ + 1))², rate √β: the best on quadratics.

    With them t² ≤ 4β for every eigenvalue in [μ, L], with equality at both ends: all
    modes shrink by √β, the two extreme ones with a factor k beside it: from rest the
    steepest is (1 + (1 + √β)k)(−√β)ᵏ, and its part of the gap rises about κ/e²-fold at
    first. A promise for quadratics only: on `cycling_example` these numbers never
    converge.

    Args:
        mu: μ > 0, the smallest curvature.
        smoothness: L ≥ μ, the largest.
    Raises:
        ValueError: unless 0 < μ ≤ L < ∞.
    Source:
        Polyak (1964), Theorem 9; Polyak (1987), §3.2.1.
    """
    require_curvatures(mu, smoothness)
    high, low = math.sqrt(smoothness), math.sqrt(mu)
    root = (high - low) / (high + low)  # (√κ − 1)/(√κ + 1)
    return MomentumChoice(4 / (high + low) ** 2, root**2, root)


def nesterov_constants(mu: float, smoothness: float) -> MomentumChoice:
    """η = 1/L, β = (√κ − 1)/(√κ + 1): safe on every L-smooth, μ-strongly convex function.

    f(wₖ) − f* ≤ (1 − 1/√κ)ᵏ (f(w₀) − f* + ½μ‖w₀ − x*‖²) for the w of Nesterov's form: a
    bound on the whole run, while single steps may go up. `rate` is √(1 − 1/√κ), for the
    error ‖wₖ − x*‖.

    Args:
        mu: μ > 0.
        smoothness: L ≥ μ.
    Raises:
        ValueError: unless 0 < μ ≤ L < ∞.
    Source:
        Nesterov (2018), §2.2.1, scheme 2.2.22.
    """
    require_curvatures(mu, smoothness)
    high, low = math.sqrt(smoothness), math.sqrt(mu)
    return MomentumChoice(
        1 / smoothness, (high - low) / (high + low), math.sqrt(1 - low / high)
    )


def cycling_example() -> Objective:
    """A strongly convex function of one number, 1 ≤ f″ ≤ 25, on which heavy ball cycles.

    f′(x) = 25x for x < 1, x + 24 for 1 ≤ x < 2, 25x − 24 for x ≥ 2. With
    `optimal_heavy_ball(1, 25)`, η = 1/9 and β = 4/9, and a start near 3.3, the method
    runs into a cycle of three points; Nesterov's method and gradient descent converge
    to 0.

    Source:
        Lessard, Recht & Packard (2016), equation (4.11).
    """

    def value(x: Tensor) -> Tensor:
        z = x[..., 0]
        middle, right = 0.5 * z**2 + 24 * z - 12, 12.5 * z**2 - 24 * z + 36
        return torch.where(z < 1, 12.5 * z**2, torch.where(z < 2, middle, right))

    def gradient(x: Tensor) -> Tensor:
        return torch.where(x < 1, 25 * x, torch.where(x < 2, x + 24, 25 * x - 24))

    def hessian(x: Tensor) -> Tensor:
        flat = (x >= 1) & (x < 2)  # at the two kinks the slope to the right is taken
        return torch.where(flat, 1.0, 25.0).to(x.dtype)[..., None]

    origin = torch.zeros(1, 1, dtype=torch.float64)
    return Objective("cycling example", value, gradient, hessian, 1, origin, 0.0)


# ------------------------------------------------------------------------------------- small parts


def _broadcast(
    eta_lambda: Tensor | float, beta: Tensor | float
) -> tuple[Tensor, Tensor]:
    """Both as tensors of one shape; plain numbers become float64."""
    given = [value for value in (eta_lambda, beta) if isinstance(value, Tensor)]
    like = given[0] if given else torch.zeros((), dtype=torch.float64)
    product, decay = (
        value if isinstance(value, Tensor) else torch.full_like(like, value)
        for value in (eta_lambda, beta)
    )
    if float(decay.min()) < 0:
        raise ValueError(f"beta must be ≥ 0, got {float(decay.min()):g}")
    zeros = torch.zeros_like(product + decay)
    return product + zeros, decay + zeros


def _largest_root(t: Tensor, d: Tensor) -> Tensor:
    """The largest modulus of the roots of z² − tz + d."""
    discriminant = t**2 - 4 * d
    real = (t.abs() + discriminant.clamp(min=0).sqrt()) / 2
    return torch.where(discriminant < 0, d.clamp(min=0).sqrt(), real)
