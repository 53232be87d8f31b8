"""How many steps, how many examples: the price of a batch size.

Where noise and signal have the noise scale B_noise, the best step on a batch of B rows
gains ΔL_max/(1 + B_noise/B). Summed over a run, S steps and E = SB examples reach a
target on the curve

    S = S_min (1 + B_crit/B),   E = E_min (1 + B/B_crit),   B_crit = E_min/S_min,

which is the hyperbola (S/S_min − 1)(E/E_min − 1) = 1. At B = B_crit both are twice what
is least.

Source: McCandlish, Kaplan, Amodei & others (2018), *An empirical model of large-batch
training*, §2.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from d2lcompanion.optimization.checks import require_nonnegative, require_positive

GRID = 400  # points of the first search for log B_crit


class Tradeoff(NamedTuple):
    """S_min and E_min of one problem and one target."""

    min_steps: float
    min_examples: float

    @property
    def critical_batch(self) -> float:
        """B_crit = E_min/S_min, in rows."""
        return self.min_examples / self.min_steps

    def steps(self, batch_size: float) -> float:
        """S = S_min (1 + B_crit/B)."""
        require_positive("batch_size", batch_size)
        return self.min_steps * (1 + self.critical_batch / batch_size)

    def examples(self, batch_size: float) -> float:
        """E = SB = E_min (1 + B/B_crit)."""
        return batch_size * self.steps(batch_size)


def best_rate(batch_size: float, *, largest: float, noise_scale: float) -> float:
    """η(B) = η_max/(1 + B_noise/B), the rate of the best single step.

    For B ≪ B_noise it is proportional to B, the linear scaling rule; for B ≫ B_noise it
    is η_max.

    Args:
        batch_size: B > 0.
        largest: η_max = ‖G‖²/GᵀHG > 0, the best rate without noise.
        noise_scale: B_noise ≥ 0.
    Raises:
        ValueError: if a number is out of range.
    """
    require_positive("batch_size", batch_size)
    require_positive("largest", largest)
    require_nonnegative("noise_scale", noise_scale)
    return largest / (1 + noise_scale / batch_size)


def fit_tradeoff(batch_sizes: Sequence[float], steps: Sequence[float]) -> Tradeoff:
    """S_min and E_min whose curve lies closest to measured steps, in log S.

    For a given B_crit the best log S_min is a mean, so one number is left to search
    for: on a grid of log B_crit, ten thousand times beyond both ends of the batch
    sizes, then by golden section.

    Args:
        batch_sizes: B, [m], m ≥ 2 different ones.
        steps: S, [m], all > 0.
    Raises:
        ValueError: if there are too few, a number is not positive and finite, or the
            steps do not fall with the batch size at all: then nothing tells B_crit.
    """
    if len(batch_sizes) != len(steps) or len(set(batch_sizes)) < 2:
        raise ValueError(
            "two or more batch sizes and as many steps are needed, "
            f"got {list(batch_sizes)} and {list(steps)}"
        )
    for name, numbers in (("batch_sizes", batch_sizes), ("steps", steps)):
        for value in numbers:
            require_positive(name, value)
    b = torch.tensor(batch_sizes, dtype=torch.float64)
    y = torch.tensor(steps, dtype=torch.float64).log()

    def misfit(x: float) -> float:
        rest = y - torch.log1p(math.exp(x) / b)
        return float(rest.var(correction=0))  # with the best log S_min taken off

    low, high = math.log(float(b.min()) / 1e4), math.log(float(b.max()) * 1e4)
    width = (high - low) / GRID
    at = min(range(GRID + 1), key=lambda i: misfit(low + i * width))
    if at in (0, GRID):
        raise ValueError(f"these steps have no critical batch size: {list(steps)}")
    critical = math.exp(
        _golden_section(misfit, low + (at - 1) * width, low + (at + 1) * width)
    )
    min_steps = math.exp(float((y - torch.log1p(critical / b)).mean()))
    return Tradeoff(min_steps, critical * min_steps)


def _golden_section(f: Callable[[float], float], low: float, high: float) -> float:
    """The minimum of a function with one valley in [low, high]."""
    share = (math.sqrt(5) - 1) / 2
    for _ in range(60):
        left, right = high - share * (high - low), low + share * (high - low)
        if f(left) <= f(right):
            high = right
        else:
            low = left
    return (low + high) / 2
