"""Gradient descent and its relatives: pure rules, one driver, and the theory they are held to.

Two kinds of function take a step. A *rule* sees only the gradient,

    rule(grad, state, *, lr, …) → (update, new state),

a *method* may ask the objective for more (its value, its Hessian),

    method(objective, x, state) → (update, new state).

`first_order` makes a method of a rule, `minimize` runs a method. Nothing is hidden:
what a rule remembers is its state, which goes in and comes out; ours here remember
nothing, so it is `()`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

import torch
from torch import Tensor

from d2lcompanion.optimization.checks import (
    require_curvatures,
    require_fraction,
    require_nonnegative,
    require_positive,
    require_shape,
    require_vector,
)
from d2lcompanion.optimization.objectives import Objective
from d2lcompanion.optimization.rules import Rule, State, initial_state, takes_param

Method: TypeAlias = Callable[[Objective, Tensor, State], tuple[Tensor, State]]
Number = TypeVar("Number", float, Tensor)

DIVERGED = 1e100  # |f| above this counts as divergence, as do inf and nan

# ------------------------------------------------------------------------------------------- rules


def gradient_descent(
    grad: Tensor, state: State = (), *, lr: float
) -> tuple[Tensor, State]:
    """x ← x − ηg.

    Args:
        grad: g = ∇f(x), [..., d].
        state: passed through; gradient descent remembers nothing.
        lr: η > 0, the step size or learning rate.
    Returns:
        (update, state); the caller adds the update to x.
    Raises:
        ValueError: if lr is not a positive number.
    Source:
        Zhang et al., *Dive into Deep Learning* (d2l), §12.3; Nesterov (2018), §1.2.3.
    """
    require_positive("lr", lr)
    return -lr * grad, state


def preconditioned(
    grad: Tensor, state: State = (), *, lr: float, diagonal: Tensor
) -> tuple[Tensor, State]:
    """x ← x − η P⁻¹g: every coordinate gets a step size of its own, η/Pᵢᵢ.

    With P the diagonal of the Hessian, badly scaled coordinates move alike; correlated
    ones are not helped, since P⁻¹ sees no entry off the diagonal.

    Args:
        grad: g = ∇f(x), [..., d].
        state: passed through.
        lr: η > 0.
        diagonal: of P, [d], every entry > 0.
    Raises:
        ValueError: if lr or an entry of P is not positive, or P does not fit g.
    Source:
        d2l, §12.3.3.3.
    """
    require_positive("lr", lr)
    require_shape("diagonal", diagonal, grad.shape[-1:])
    if not bool((diagonal > 0).all()):
        raise ValueError(
            f"diagonal must be > 0 everywhere, got {float(diagonal.min()):g}"
        )
    return -lr * grad / diagonal, state


# ----------------------------------------------------------------------------------------- methods


def first_order(rule: Rule, **hyperparameters: Any) -> Method:
    """Turn a rule into a method: `first_order(gradient_descent, lr=0.1)`.

    A rule that remembers something begins at `initial_state`, unless a state is given;
    a rule with an argument `param`, as weight decay needs, is given x.
    """
    with_param = takes_param(rule)

    def method(objective: Objective, x: Tensor, state: State) -> tuple[Tensor, State]:
        before = state or initial_state(rule, x)
        more = {"param": x} if with_param else {}
        return rule(objective.gradient(x), before, **hyperparameters, **more)

    return method


def newton(
    objective: Objective,
    x: Tensor,
    state: State = (),
    *,
    lr: float = 1.0,
    ridge: float = 0.0,
) -> tuple[Tensor, State]:
    """x ← x − η (H + τI)⁻¹g, with H = ∇²f(x).

    With η = 1 and τ = 0 one step solves a quadratic, and near a minimizer with positive
    definite H the error is about squared at every step: *quadratic* convergence.
    Elsewhere the step may go uphill; it is sure to point downhill only where H + τI is
    positive definite. A step solves a d × d system, O(d³) operations, where a rule
    needs O(d).

    Args:
        objective: gives g and H.
        x: [d].
        state: passed through.
        lr: η > 0; below 1 the method is *damped*.
        ridge: τ ≥ 0, added to every eigenvalue of H.
    Raises:
        ValueError: if lr or ridge is out of range, x is not [d], or H + τI is singular.
    Source:
        d2l, §12.3.3; Nesterov (2018), §1.2.4; Boyd & Vandenberghe (2004), §9.5.
    """
    require_positive("lr", lr)
    require_nonnegative("ridge", ridge)
    require_vector("x", x)
    identity = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    hessian = objective.hessian(x) + ridge * identity
    singular_values = torch.linalg.svdvals(hessian)  # falling
    smallest, largest = float(singular_values[-1]), float(singular_values[0])
    if smallest <= len(x) * torch.finfo(x.dtype).eps * largest:
        raise ValueError(
            f"the Hessian is singular: smallest singular value {smallest:g}"
        )
    return -lr * torch.linalg.solve(hessian, objective.gradient(x)), state


def backtracking_line_search(
    objective: Objective,
    x: Tensor,
    direction: Tensor,
    *,
    initial: float = 1.0,
    shrink: float = 0.5,
    sufficient_decrease: float = 1e-4,
    max_halvings: int = 50,
) -> float:
    """The first t = initial · shrinkᵐ, m = 0, 1, …, with f(x + ts) ≤ f(x) + c t gᵀs.

    Args:
        objective: gives f and g = ∇f(x).
        x: [d].
        direction: s, [d], a descent direction: gᵀs < 0.
        initial: the step tried first, > 0.
        shrink: factor in (0, 1) between two trials.
        sufficient_decrease: c in (0, 1), the share of the linear forecast that is
            demanded.
        max_halvings: how often the step may shrink, ≥ 0.
    Raises:
        ValueError: if an argument is out of range, f(x) is not finite, or the direction
            does not descend.
        RuntimeError: if no trial descends enough: the gradient is then likely to be
            wrong.
    Source:
        Nocedal & Wright (2006), Algorithm 3.1; Boyd & Vandenberghe (2004), Alg. 9.2.
    """
    require_positive("initial", initial)
    require_fraction("shrink", shrink)
    require_fraction("sufficient_decrease", sufficient_decrease)
    if max_halvings < 0:
        raise ValueError(f"max_halvings must be ≥ 0, got {max_halvings}")
    require_vector("x", x)
    require_shape("direction", direction, x.shape)
    value, slope = float(objective(x)), float(objective.gradient(x) @ direction)  # gᵀs
    if not math.isfinite(value):
        raise ValueError(f"f(x) must be finite, got {value:g}")
    if not slope < 0:
        raise ValueError(f"direction must descend: gᵀs must be < 0, got {slope:g}")
    step = initial
    for _ in range(max_halvings + 1):
        trial = float(objective(x + step * direction))
        if trial <= value + sufficient_decrease * step * slope:
            return step
        step *= shrink
    raise RuntimeError(
        f"no step down to {step / shrink:g} decreases f = {value:g} enough"
    )


def steepest_descent(
    objective: Objective,
    x: Tensor,
    state: State = (),
    *,
    initial: float = 1.0,
    shrink: float = 0.5,
    sufficient_decrease: float = 1e-4,
) -> tuple[Tensor, State]:
    """x ← x − tg, where the step t comes from `backtracking_line_search`: no η to choose."""
    direction = -objective.gradient(x)
    step = backtracking_line_search(
        objective,
        x,
        direction,
        initial=initial,
        shrink=shrink,
        sufficient_decrease=sufficient_decrease,
    )
    return step * direction, state


# ------------------------------------------------------------------------------------------ driver


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What a run of `minimize` went through, the start included. Never holds inf or nan.

    Attributes:
        points: [T+1, d], x₀ … x_T.
        values: [T+1], f(x₀) … f(x_T).
        gradient_norms: [T+1], ‖∇f(x₀)‖ … ‖∇f(x_T)‖.
        status: "converged" (‖∇f‖ ≤ tolerance), "max_steps" or "diverged".
        steps: T, the number of steps that were kept.
        message: one sentence on how the run ended.
    """

    points: Tensor
    values: Tensor
    gradient_norms: Tensor
    status: Literal["converged", "max_steps", "diverged"]
    steps: int
    message: str


def minimize(
    objective: Objective,
    start: Tensor | Sequence[float] | float,
    method: Method,
    *,
    steps: int,
    state: State = (),
    tolerance: float = 0.0,
) -> Trajectory:
    """Run a method from a start and record every point.

    Ends after `steps` steps, at the first point with ‖∇f(x)‖ ≤ tolerance, or when f
    leaves [−10¹⁰⁰, 10¹⁰⁰] or any number stops being finite; the trajectory then ends at
    the last point before. "Converged" says that the gradient is small, not that the
    point is a minimum.

    Args:
        objective: f.
        start: x₀, [d]; a plain number counts as [1]. Plain numbers become float64.
        method: `first_order(rule, lr=…)`, `newton`, `steepest_descent`, or one of your
            own.
        steps: the most steps to take, ≥ 0.
        state: the method's state before the first step.
        tolerance: on the Euclidean norm of the gradient, ≥ 0.
    Raises:
        ValueError: if an argument is out of range, f is not finite at the start, or an
            update has another shape than x.
    """
    if steps < 0 or not tolerance >= 0:
        raise ValueError(
            f"steps and tolerance must be ≥ 0, got {steps} and {tolerance}"
        )
    status: Literal["converged", "max_steps", "diverged"] = "max_steps"
    message = f"stopped after {steps} steps"
    points, values, norms = [], [], []
    x = _point(start)
    for step in range(steps + 1):
        value, norm = objective(x), objective.gradient(x).norm()
        f_and_norm = f"f(x) = {float(value):g}, ‖∇f(x)‖ = {float(norm):g}"
        if not _is_finite(x, value, norm):
            if step == 0:
                raise ValueError(
                    f"start must have a finite f, got x = {x.tolist()}, {f_and_norm}"
                )
            status, message = "diverged", f"diverged at step {step}: {f_and_norm}"
            break
        points.append(x)
        values.append(value)
        norms.append(norm)
        if float(norm) <= tolerance:
            status, message = "converged", f"converged at step {step}: {f_and_norm}"
            break
        if step < steps:
            update, state = method(objective, x, state)
            require_shape("update", update, x.shape)
            x = x + update
    record = torch.stack(points), torch.stack(values), torch.stack(norms)
    return Trajectory(*record, status, len(points) - 1, message)


# ------------------------------------------------------------------------------------------ theory


def optimal_step(mu: float, smoothness: float) -> float:
    """η* = 2/(μ + L), which minimizes max(|1 − ημ|, |1 − ηL|).

    Args:
        mu: μ > 0, the smallest curvature (strong convexity).
        smoothness: L ≥ μ, the largest curvature.
    Raises:
        ValueError: unless 0 < μ ≤ L < ∞.
    Source:
        Nesterov (2018), Theorem 2.1.15; the rate it gives is `contraction_factor`.
    """
    require_curvatures(mu, smoothness)
    return 2 / (mu + smoothness)


def contraction_factor(lr: float, mu: float, smoothness: float) -> float:
    """ρ(η) = max(|1 − ημ|, |1 − ηL|): ‖xₖ₊₁ − x*‖ ≤ ρ ‖xₖ − x*‖ for gradient descent.

    Exact on quadratics, where the eigenvalue λ contracts by 1 − ηλ. Below 1 if and only
    if 0 < η < 2/L; at η = 2/(μ + L) it is (κ − 1)/(κ + 1), with κ = L/μ.

    Raises:
        ValueError: unless η > 0 and 0 < μ ≤ L < ∞.
    Source:
        Nesterov (2018), §2.1.5; Nocedal & Wright (2006), §3.3.
    """
    require_positive("lr", lr)
    require_curvatures(mu, smoothness)
    return max(abs(1 - lr * mu), abs(1 - lr * smoothness))


def closed_form_iterates(
    spectrum: Tensor, start: Tensor, lr: float, steps: int
) -> Tensor:
    """xₖ = (1 − ηλ)ᵏ x₀: gradient descent on ½ Σ λᵢxᵢ², one coordinate per eigenvalue.

    Args:
        spectrum: λ, [d].
        start: x₀, [d], in the axes of the eigenvectors.
        lr: η.
        steps: K ≥ 0.
    Returns:
        [K+1, d], x₀ … x_K.
    Raises:
        ValueError: if the shapes differ, or steps is negative.
    """
    if spectrum.ndim != 1 or spectrum.shape != start.shape:
        raise ValueError(
            f"spectrum and start must be [d], got {list(spectrum.shape)} and {list(start.shape)}"
        )
    if steps < 0:
        raise ValueError(f"steps must be ≥ 0, got {steps}")
    k = torch.arange(steps + 1, dtype=start.dtype, device=start.device)
    return (1 - lr * spectrum) ** k[:, None] * start


def descent_lemma_bound(
    value: Number, gradient_norm: Number, lr: float, smoothness: float
) -> Number:
    """f(x − ηg) ≤ f(x) − η(1 − ηL/2)‖g‖², the guarantee of one step on an L-smooth function.

    It promises descent exactly for 0 < η < 2/L, and the most at η = 1/L: ‖g‖²/(2L).

    Args:
        value: f(x), a number or a tensor of any shape.
        gradient_norm: ‖g‖, likewise.
        lr: η.
        smoothness: L > 0.
    Returns:
        The upper bound on the next value.
    Raises:
        ValueError: if smoothness is not a positive number.
    Source:
        Nesterov (2018), §1.2.3.
    """
    require_positive("smoothness", smoothness)
    return value - lr * (1 - lr * smoothness / 2) * gradient_norm**2


def convergence_order(errors: Tensor | Sequence[float]) -> float:
    """The order p in eₖ₊₁ ≈ C eₖᵖ: the slope of log eₖ₊₁ over log eₖ, by least squares.

    p = 1 is *linear* convergence (eₖ₊₁ ≤ αeₖ), p = 2 *quadratic*, Newton's near a
    minimizer.

    Args:
        errors: e₀, e₁, …, three or more, all > 0: leave out those that only show
            rounding.
    Raises:
        ValueError: if there are fewer than three, one is not positive, or they do not
            change.
    Source:
        Nocedal & Wright (2006), appendix A.2.
    """
    logs = _logarithms("errors", errors, at_least=3)
    return _slope(logs[:-1], logs[1:])


def measured_rate(gaps: Tensor | Sequence[float]) -> float:
    """The factor q per step in gapₖ ≈ C qᵏ, from a line through log gapₖ over the last half.

    Distances ‖xₖ − x*‖ shrink by ρ = `contraction_factor`, gaps f(xₖ) − f* by ρ².

    Args:
        gaps: four or more, all > 0: leave out those that only show rounding.
    Raises:
        ValueError: if there are fewer than four, or one is not positive.
    """
    logs = _logarithms("gaps", gaps, at_least=4)
    logs = logs[len(logs) // 2 :]
    return math.exp(_slope(torch.arange(len(logs), dtype=logs.dtype), logs))


# ------------------------------------------------------------------------------------- small parts


def _point(start: Tensor | Sequence[float] | float) -> Tensor:
    """A point [d]; plain numbers become float64."""
    x = start if isinstance(start, Tensor) else torch.tensor(start, dtype=torch.float64)
    x = x.detach().reshape(1) if x.ndim == 0 else x.detach()
    require_vector("start", x)
    return x


def _is_finite(x: Tensor, value: Tensor, norm: Tensor) -> bool:
    """Whether the point is finite, and f and ‖∇f‖ have not run away."""
    in_range = abs(float(value)) <= DIVERGED  # nan is not ≤
    return in_range and bool(norm.isfinite() & x.isfinite().all())


def _logarithms(
    name: str, numbers: Tensor | Sequence[float], *, at_least: int
) -> Tensor:
    """log of positive numbers, [m], on the CPU in float64."""
    values = torch.as_tensor(numbers, dtype=torch.float64).detach().cpu()
    if values.ndim != 1 or len(values) < at_least:
        raise ValueError(
            f"{name} must be [m] with m ≥ {at_least}, got {list(values.shape)}"
        )
    for k, value in enumerate(values.tolist()):
        if not 0 < value < math.inf:
            raise ValueError(
                f"{name} must be positive and finite, got {name}[{k}] = {value:g}"
            )
    return values.log()


def _slope(x: Tensor, y: Tensor) -> float:
    """The slope of the least-squares line through (x, y)."""
    centred = x - x.mean()
    spread = float(centred @ centred)
    if spread == 0:
        raise ValueError("the numbers must not all be equal")
    return float(centred @ y) / spread
