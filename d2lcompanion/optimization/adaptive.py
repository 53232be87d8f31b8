"""Adaptive methods: every coordinate gets a learning rate of its own, from its own gradients.

Each rule is pure, (gradient, state) → (update, new state), and elementwise; the caller
adds the update to x. ε stands outside the root, as in PyTorch. A leaky average
βs + (1 − β)g is written `torch.lerp(g, s, β)`, which is g + β(s − g).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.optimization.checks import (
    require_decay,
    require_nonnegative,
    require_positive,
)
from d2lcompanion.optimization.rules import checks_gradient

# ------------------------------------------------------------------------------- squared gradients


class AdaGradState(NamedTuple):
    """The sum of squared gradients, s, of the shape of the parameter."""

    squares: Tensor

    @classmethod
    def zeros(cls, param: Tensor) -> "AdaGradState":
        """Before the first step: s = 0."""
        return cls(torch.zeros_like(param))


@checks_gradient
def adagrad(
    grad: Tensor,
    state: AdaGradState,
    *,
    lr: float,
    eps: float = 1e-10,
    inside_root: bool = False,
) -> tuple[Tensor, AdaGradState]:
    """s ← s + g²; x ← x − ηg/(√s + ε).

    The rate of a coordinate falls with the gradients it has seen: rare features keep a
    large one. On a steady gradient it falls like 1/√t.

    Args:
        grad: g, any shape.
        state: `AdaGradState.zeros(x)` before the first step.
        lr: η > 0.
        eps: ε ≥ 0.
        inside_root: √(s + ε) in place of √s + ε, as d2l has it, with ε = 10⁻⁶.
    Returns:
        (update, new state).
    Raises:
        ValueError: if a number is out of range, shapes differ, or g is not finite.
    Source:
        Duchi, Hazan & Singer (2011), with the diagonal; d2l, §12.7.
    """
    _require_numbers(lr, eps)
    squares = torch.addcmul(state.squares, grad, grad)  # s + g²
    update = _by_root(grad, squares, eps, inside_root).mul_(-lr)
    return update, AdaGradState(squares)


class RMSPropState(NamedTuple):
    """The leaky average of squared gradients, s."""

    squares: Tensor

    @classmethod
    def zeros(cls, param: Tensor) -> "RMSPropState":
        """Before the first step: s = 0."""
        return cls(torch.zeros_like(param))


@checks_gradient
def rmsprop(
    grad: Tensor,
    state: RMSPropState,
    *,
    lr: float,
    gamma: float = 0.9,
    eps: float = 1e-8,
    inside_root: bool = False,
) -> tuple[Tensor, RMSPropState]:
    """s ← γs + (1 − γ)g²; x ← x − ηg/(√s + ε): AdaGrad that forgets.

    The weights (1 − γ)γⁱ have the time constant 1/(1 − γ) steps, nearly, and the
    half-life ln 2/(−ln γ): 10 and 6.6 steps at γ = 0.9.

    Args:
        grad: g, any shape.
        state: `RMSPropState.zeros(x)` before the first step.
        lr: η > 0.
        gamma: γ in [0, 1); PyTorch calls it alpha and has 0.99.
        eps: ε ≥ 0.
        inside_root: √(s + ε) in place of √s + ε, as TensorFlow and d2l have it.
    Returns:
        (update, new state).
    Raises:
        ValueError: if a number is out of range, shapes differ, or g is not finite.
    Source:
        Tieleman & Hinton (2012), lecture 6.5; d2l, §12.8.
    """
    _require_numbers(lr, eps, gamma=gamma)
    squares = (gamma * state.squares).addcmul_(grad, grad, value=1 - gamma)
    update = _by_root(grad, squares, eps, inside_root).mul_(-lr)
    return update, RMSPropState(squares)


class AdadeltaState(NamedTuple):
    """Leaky averages of squared gradients, s, and of squared rescaled gradients, d."""

    squares: Tensor
    squared_updates: Tensor

    @classmethod
    def zeros(cls, param: Tensor) -> "AdadeltaState":
        """Before the first step: s = d = 0."""
        return cls(torch.zeros_like(param), torch.zeros_like(param))


@checks_gradient
def adadelta(
    grad: Tensor,
    state: AdadeltaState,
    *,
    lr: float = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
) -> tuple[Tensor, AdadeltaState]:
    """s ← ρs + (1 − ρ)g²; u = g√(d + ε)/√(s + ε); d ← ρd + (1 − ρ)u²; x ← x − ηu.

    u has the unit of x, not that of 1/x as g has. ε is more than a guard: with d = 0 it
    sets the first steps, √(ε/(1 − ρ)) long.

    Args:
        grad: g, any shape.
        state: `AdadeltaState.zeros(x)` before the first step.
        lr: η > 0; the paper has none, which is 1.
        rho: ρ in [0, 1).
        eps: ε > 0, inside both roots.
    Returns:
        (update, new state).
    Raises:
        ValueError: if a number is out of range, shapes differ, or g is not finite.
    Source:
        Zeiler (2012), Algorithm 1; d2l, §12.9.
    """
    _require_numbers(lr, rho=rho)
    require_positive("eps", eps)
    squares = (rho * state.squares).addcmul_(grad, grad, value=1 - rho)
    scale = (state.squared_updates + eps).div_(squares + eps).sqrt_()
    rescaled = scale.mul_(grad)  # u
    squared_updates = torch.lerp(rescaled.square(), state.squared_updates, rho)
    return -lr * rescaled, AdadeltaState(squares, squared_updates)


# ------------------------------------------------------------------------------------ Adam and kin


class AdamState(NamedTuple):
    """Leaky averages of gradients, m, and of squared gradients, v; steps taken, t."""

    first: Tensor
    second: Tensor
    steps: int

    @classmethod
    def zeros(cls, param: Tensor) -> "AdamState":
        """Before the first step: m = v = 0, t = 0."""
        return cls(torch.zeros_like(param), torch.zeros_like(param), 0)


@checks_gradient
def adam(
    grad: Tensor,
    state: AdamState,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> tuple[Tensor, AdamState]:
    """m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; x ← x − ηm̂/(√v̂ + ε).

    m̂ = m/(1 − β₁ᵗ) and v̂ = v/(1 − β₂ᵗ) undo the start at zero: the weights of m sum
    to (1 − β₁) Σ_{i=0}^{t−1} β₁ⁱ = 1 − β₁ᵗ.

    Args:
        grad: g, any shape.
        state: `AdamState.zeros(x)` before the first step.
        lr: η > 0, about the length of a coordinate's step.
        beta1: β₁ in [0, 1).
        beta2: β₂ in [0, 1).
        eps: ε ≥ 0, outside the root, after the correction.
    Returns:
        (update, new state).
    Raises:
        ValueError: if a number is out of range, shapes differ, or g is not finite.
    Source:
        Kingma & Ba (2015), Algorithm 1; d2l, §12.10.
    """
    _require_numbers(lr, eps, beta1=beta1, beta2=beta2)
    first, second, t = _moments(grad, state, beta1, beta2)
    update = _adam_update(first, second, t, lr, beta1, beta2, eps)
    return update, AdamState(first, second, t)


@checks_gradient
def adamw(
    grad: Tensor,
    state: AdamState,
    *,
    param: Tensor,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> tuple[Tensor, AdamState]:
    """Adam with decoupled weight decay: x ← (1 − ηλ)x − ηm̂/(√v̂ + ε).

    An L2 penalty would add λx to g: Adam would divide it by √v̂, and weights with large
    gradients would hardly decay. Here all decay at one rate.

    Args:
        grad: g, of the loss without any penalty.
        state: `AdamState.zeros(x)` before the first step.
        param: x, of the shape of g.
        lr: η > 0, which also scales the decay, as in PyTorch; in the paper only its
            schedule does.
        beta1, beta2, eps: as in `adam`.
        weight_decay: λ ≥ 0.
    Returns:
        (update, new state).
    Raises:
        ValueError: if a number is out of range, shapes differ, or g is not finite.
    Source:
        Loshchilov & Hutter (2019), Algorithm 2.
    """
    _require_numbers(lr, eps, beta1=beta1, beta2=beta2)
    require_nonnegative("weight_decay", weight_decay)
    first, second, t = _moments(grad, state, beta1, beta2)
    update = _adam_update(first, second, t, lr, beta1, beta2, eps)
    return update.sub_(param, alpha=lr * weight_decay), AdamState(first, second, t)


class AMSGradState(NamedTuple):
    """Adam's state, and the largest v so far."""

    first: Tensor
    second: Tensor
    largest: Tensor
    steps: int

    @classmethod
    def zeros(cls, param: Tensor) -> "AMSGradState":
        """Before the first step: all zero."""
        first, second, largest = (torch.zeros_like(param) for _ in range(3))
        return cls(first, second, largest, 0)


@checks_gradient
def amsgrad(
    grad: Tensor,
    state: AMSGradState,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> tuple[Tensor, AMSGradState]:
    """Adam with v_max ← max(v_max, v) in place of v, so that η/√v_max never grows.

    As in PyTorch the maximum is taken of v, and then divided by 1 − β₂ᵗ; the paper has
    no such correction.

    Args:
        grad: g, any shape.
        state: `AMSGradState.zeros(x)` before the first step.
        lr, beta1, beta2, eps: as in `adam`.
    Returns:
        (update, new state).
    Raises:
        ValueError: if a number is out of range, shapes differ, or g is not finite.
    Source:
        Reddi, Kale & Kumar (2018), Algorithm 2.
    """
    _require_numbers(lr, eps, beta1=beta1, beta2=beta2)
    before = AdamState(state.first, state.second, state.steps)
    first, second, t = _moments(grad, before, beta1, beta2)
    largest = torch.maximum(state.largest, second)
    update = _adam_update(first, largest, t, lr, beta1, beta2, eps)
    return update, AMSGradState(first, second, largest, t)


@checks_gradient
def yogi(
    grad: Tensor,
    state: AdamState,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-3,
) -> tuple[Tensor, AdamState]:
    """Adam with v ← v − (1 − β₂) sign(v − g²) g²: v changes by g² and not by their distance.

    After large gradients v falls only as fast as the small ones allow, and the rate does
    not jump up.

    Args:
        grad: g, any shape.
        state: `AdamState.zeros(x)`, or with v from a first minibatch, as the paper does.
        lr, beta1, beta2: as in `adam`.
        eps: ε ≥ 0; the authors use 10⁻³.
    Returns:
        (update, new state).
    Raises:
        ValueError: if a number is out of range, shapes differ, or g is not finite.
    Source:
        Zaheer et al. (2018), Algorithm 2; d2l, §12.10.3.
    """
    _require_numbers(lr, eps, beta1=beta1, beta2=beta2)
    first = torch.lerp(grad, state.first, beta1)
    squares = grad.square()
    sign = torch.sign(state.second - squares)
    second = torch.addcmul(state.second, sign, squares, value=beta2 - 1)
    t = state.steps + 1
    update = _adam_update(first, second, t, lr, beta1, beta2, eps)
    return update, AdamState(first, second, t)


class NAdamState(NamedTuple):
    """Adam's state, and the product of the momenta so far."""

    first: Tensor
    second: Tensor
    momentum_product: float
    steps: int

    @classmethod
    def zeros(cls, param: Tensor) -> "NAdamState":
        """Before the first step: m = v = 0, an empty product."""
        return cls(torch.zeros_like(param), torch.zeros_like(param), 1.0, 0)


@checks_gradient
def nadam(
    grad: Tensor,
    state: NAdamState,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    momentum_decay: float = 0.004,
) -> tuple[Tensor, NAdamState]:
    """Adam whose m̂ looks one step ahead, as Nesterov's method does.

    With μₜ = β₁(1 − ½ · 0.96^{tψ}) the step uses
    μₜ₊₁ m/(1 − μ₁…μₜ₊₁) + (1 − μₜ) g/(1 − μ₁…μₜ) in place of m̂.

    Args:
        grad: g, any shape.
        state: `NAdamState.zeros(x)` before the first step.
        lr, beta1, beta2, eps: as in `adam`.
        momentum_decay: ψ ≥ 0, how fast μₜ grows from β₁/2 to β₁.
    Returns:
        (update, new state).
    Raises:
        ValueError: if a number is out of range, shapes differ, or g is not finite.
    Source:
        Dozat (2016), Algorithm 2; `torch.optim.NAdam`.
    """
    _require_numbers(lr, eps, beta1=beta1, beta2=beta2)
    require_nonnegative("momentum_decay", momentum_decay)
    before = AdamState(state.first, state.second, state.steps)
    first, second, t = _moments(grad, before, beta1, beta2)
    now, later = (
        beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay)) for step in (t, t + 1)
    )
    product = state.momentum_product * now
    look_ahead = grad * ((1 - now) / (1 - product))
    look_ahead.add_(first, alpha=later / (1 - product * later))
    root = second.sqrt().div_(math.sqrt(1 - beta2**t))
    update = _divide(look_ahead, root, eps).mul_(-lr)
    return update, NAdamState(first, second, product, t)


class LionState(NamedTuple):
    """The leaky average of gradients, m: half of Adam's memory."""

    momentum: Tensor

    @classmethod
    def zeros(cls, param: Tensor) -> "LionState":
        """Before the first step: m = 0."""
        return cls(torch.zeros_like(param))


@checks_gradient
def lion(
    grad: Tensor,
    state: LionState,
    *,
    param: Tensor,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
) -> tuple[Tensor, LionState]:
    """x ← x − η(sign(β₁m + (1 − β₁)g) + λx), then m ← β₂m + (1 − β₂)g.

    Every coordinate moves by exactly η (where λ = 0), whatever the gradient's size. The
    step leans more on the newest gradient than the memory does, as β₁ < β₂.

    Args:
        grad: g, any shape.
        state: `LionState.zeros(x)` before the first step.
        param: x, of the shape of g.
        lr: η > 0, a third to a tenth of what Adam takes.
        beta1, beta2: in [0, 1).
        weight_decay: λ ≥ 0, decoupled.
    Returns:
        (update, new state).
    Raises:
        ValueError: if a number is out of range, shapes differ, or g is not finite.
    Source:
        Chen et al. (2023), *Symbolic discovery of optimization algorithms*, Algorithm 2.
    """
    _require_numbers(lr, beta1=beta1, beta2=beta2)
    require_nonnegative("weight_decay", weight_decay)
    direction = torch.lerp(grad, state.momentum, beta1).sign_()
    momentum = torch.lerp(grad, state.momentum, beta2)
    update = direction.add_(param, alpha=weight_decay).mul_(-lr)
    return update, LionState(momentum)


# ------------------------------------------------------------------------------------- small parts


def _moments(
    grad: Tensor,
    state: AdamState,
    beta1: float,
    beta2: float,
) -> tuple[Tensor, Tensor, int]:
    """(m, v, t) after this gradient."""
    first = torch.lerp(grad, state.first, beta1)
    second = (beta2 * state.second).addcmul_(grad, grad, value=1 - beta2)
    return first, second, state.steps + 1


def _adam_update(
    first: Tensor,
    second: Tensor,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
) -> Tensor:
    """−ηm̂/(√v̂ + ε); the two corrections are numbers, so √v̂ = √v/√(1 − β₂ᵗ)."""
    root = second.sqrt().div_(math.sqrt(1 - beta2**t))
    return _divide(first, root, eps).mul_(-lr / (1 - beta1**t))


def _by_root(grad: Tensor, squares: Tensor, eps: float, inside_root: bool) -> Tensor:
    """g/(√s + ε), or g/√(s + ε)."""
    if inside_root:
        return _divide(grad, (squares + eps).sqrt_(), 0.0)
    return _divide(grad, squares.sqrt(), eps)


def _divide(grad: Tensor, root: Tensor, eps: float) -> Tensor:
    """g/(root + ε), and 0 where both g and the root are 0, which ε = 0 would make nan.

    `root` is overwritten.
    """
    quotient = torch.div(grad, root.add_(eps), out=root)
    return quotient if eps > 0 else quotient.nan_to_num_(nan=0.0)


def _require_numbers(lr: float, eps: float = 0.0, **decays: float) -> None:
    require_positive("lr", lr)
    require_nonnegative("eps", eps)
    for name, value in decays.items():
        require_decay(name, value)
