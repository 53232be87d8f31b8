"""Online learning on an interval: one number, one linear loss a round, projection, regret.

Losses fₜ(x) = cₜx arrive one after the other; xₜ is played before cₜ is seen. The
regret compares with the best fixed point in hindsight, which for linear losses is an end
of the interval.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from d2lcompanion.optimization.rules import Rule, initial_state


class Play(NamedTuple):
    """What was played, and what it cost beyond the best fixed point."""

    points: Tensor  # x₁, …, x_T, [T]
    regret: Tensor  # after 1, …, T rounds, [T]; the best point is chosen anew for every length


def play(
    rule: Rule,
    slopes: Sequence[float] | Tensor,
    *,
    lr: float,
    start: float = 0.0,
    low: float = -1.0,
    high: float = 1.0,
    decay: float = 0.0,
    **hyperparameters: Any,
) -> Play:
    """xₜ₊₁ = clip(xₜ + update), with the rate ηt^(−p) in round t = 1, 2, …

    In one dimension the projection in the norm of an adaptive method is that of every
    norm: clipping.

    Args:
        rule: any rule of one number that needs no `param`.
        slopes: cₜ, [T].
        lr: η > 0.
        start: x₁, in the interval.
        low, high: ends of the interval, low < high.
        decay: p ≥ 0; ½ in proofs about Adam.
        hyperparameters: of the rule.
    Raises:
        ValueError: if there is no slope, the interval is empty or x₁ outside.
    """
    c = torch.as_tensor(slopes, dtype=torch.float64)
    if c.ndim != 1 or len(c) == 0:
        raise ValueError(f"slopes must be [T] with T ≥ 1, got shape {list(c.shape)}")
    if not low < high or not low <= start <= high:
        raise ValueError(
            f"start must be in an interval, got {start} in [{low}, {high}]"
        )
    x = torch.tensor([start], dtype=torch.float64)
    state, points = initial_state(rule, x), []
    for t, slope in enumerate(c.split(1), start=1):  # type: ignore[no-untyped-call]
        points.append(x)
        update, state = rule(slope, state, lr=lr * t**-decay, **hyperparameters)
        x = (x + update).clamp(low, high)
    played = torch.cat(points)
    total = c.cumsum(0)
    best = torch.minimum(low * total, high * total)
    return Play(played, (c * played).cumsum(0) - best)


def adagrad_bound(
    slopes: Sequence[float] | Tensor, *, lr: float, width: float
) -> Tensor:
    """(D²/(2η) + η) √(c₁² + … + c_T²): AdaGrad's regret on an interval of width D, after 1, …, T.

    Args:
        slopes: cₜ, [T].
        lr: η > 0; the bound is smallest at D/√2, where it is √2 D √(Σc²).
        width: D > 0.
    """
    c = torch.as_tensor(slopes, dtype=torch.float64)
    return (width**2 / (2 * lr) + lr) * c.square().cumsum(0).sqrt()


def rare_large_slopes(rounds: int, *, large: float) -> Tensor:
    """C, −1, −1, C, −1, −1, …: the losses on which Adam ends at the worst point, [rounds].

    With β₁ = 0 and β₂ = 1/(1 + C²) Adam divides C by about C and −1 by less than √2: one
    step back is shorter than two steps forth, while C > 2 says that back is right.

    Args:
        rounds: T ≥ 1.
        large: C > 2.
    Source:
        Reddi, Kale & Kumar (2018), Theorem 1.
    """
    if rounds < 1 or not 2 < large < math.inf:
        raise ValueError(f"rounds must be ≥ 1 and large > 2, got {rounds} and {large}")
    slopes = torch.full((rounds,), -1.0, dtype=torch.float64)
    slopes[::3] = large
    return slopes
