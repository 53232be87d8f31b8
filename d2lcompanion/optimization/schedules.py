"""Learning-rate schedules: pure functions of the step, t = 0, 1, 2, …, that give a rate.

Rate t is the one of update t, so the first update has rate 0. Nothing is remembered: a
schedule may be plotted, called twice or out of order. Whether t counts steps or epochs
is the caller's choice.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch

from d2lcompanion.optimization.checks import (
    require_at_least,
    require_fraction,
    require_nonnegative,
    require_positive,
)

Schedule: TypeAlias = Callable[[int], float]

# ------------------------------------------------------------------------------ falling schedules


def constant(lr: float) -> Schedule:
    """η at every step.

    Raises:
        ValueError: if lr is not positive.
    """
    require_positive("lr", lr)
    return _checked(lambda step: lr)


def factor(lr: float, gamma: float, *, every: int = 1, floor: float = 0.0) -> Schedule:
    """η γ^⌊t/every⌋, not below the floor: `StepLR`; `ExponentialLR` for every = 1.

    Args:
        lr: η > 0, the first rate.
        gamma: γ in (0, 1].
        every: steps between two reductions, ≥ 1.
        floor: the smallest rate, ≥ 0 and ≤ lr.
    Raises:
        ValueError: if a number is out of range.
    Source:
        Zhang et al., *Dive into Deep Learning* (d2l), §12.11.4.1.
    """
    require_positive("lr", lr)
    _require_gamma(gamma)
    require_at_least("every", every, 1)
    _require_end("floor", floor, lr)
    return _checked(lambda step: max(floor, lr * gamma ** (step // every)))


def multi_step(lr: float, milestones: Sequence[int], gamma: float = 0.1) -> Schedule:
    """η γᵐ, where m milestones have been reached: t ≥ milestone. `MultiStepLR`.

    Args:
        lr: η > 0.
        milestones: steps at which the rate falls, rising, all > 0.
        gamma: γ in (0, 1].
    Raises:
        ValueError: if a number is out of range, or the milestones do not rise.
    Source:
        d2l, §12.11.4.2.
    """
    require_positive("lr", lr)
    _require_gamma(gamma)
    _require_rising("milestones", milestones)
    return _checked(lambda step: lr * gamma ** sum(step >= m for m in milestones))


def inverse_power(lr: float, *, scale: float = 1.0, power: float = 0.5) -> Schedule:
    """η (1 + t/s)^(−p): for ½ < p ≤ 1 the rates of Robbins and Monro.

    Σηₜ diverges for p ≤ 1, so the iterate can still go anywhere; Σηₜ² converges for
    p > ½, so the noise dies out. d2l's `SquareRootScheduler` is s = 1, p = ½.

    Args:
        lr: η > 0, the first rate.
        scale: s > 0, the step at which the rate has fallen to 2^(−p) η.
        power: p > 0.
    Raises:
        ValueError: if a number is out of range.
    Source:
        Robbins & Monro (1951); d2l, §12.4.4 and §12.11.3.
    """
    require_positive("lr", lr)
    require_positive("scale", scale)
    require_positive("power", power)
    return _checked(lambda step: lr * (1 + step / scale) ** -power)


def polynomial(
    lr: float, steps: int, *, power: float = 1.0, end: float = 0.0
) -> Schedule:
    """end + (η − end)(1 − t/T)^p up to T, then end: `PolynomialLR`; p = 1 is linear.

    Args:
        lr: η > 0, the first rate.
        steps: T ≥ 1.
        power: p > 0.
        end: the last rate, ≥ 0 and ≤ lr.
    Raises:
        ValueError: if a number is out of range.
    """
    require_positive("lr", lr)
    require_at_least("steps", steps, 1)
    require_positive("power", power)
    _require_end("end", end, lr)
    return _checked(lambda t: end + (lr - end) * (1 - min(t, steps) / steps) ** power)


def cosine(lr: float, steps: int, *, end: float = 0.0) -> Schedule:
    """end + ½(η − end)(1 + cos(πt/T)) until step T, then end.

    `CosineAnnealingLR` follows it up to T and rises again afterwards.

    Args:
        lr: η > 0, the first rate.
        steps: T ≥ 1.
        end: the last rate, ≥ 0 and ≤ lr.
    Raises:
        ValueError: if a number is out of range.
    Source:
        Loshchilov & Hutter (2017), *SGDR*, equation (5); d2l, §12.11.4.3.
    """
    require_positive("lr", lr)
    require_at_least("steps", steps, 1)
    _require_end("end", end, lr)
    return _checked(
        lambda t: end + (lr - end) * (1 + math.cos(math.pi * min(t, steps) / steps)) / 2
    )


def cosine_restarts(
    lr: float, period: int, *, multiplier: int = 1, end: float = 0.0
) -> Schedule:
    """Cosines that start again at η, each `multiplier` times as long as the one before.

    `CosineAnnealingWarmRestarts`.

    Args:
        lr: η > 0.
        period: length of the first, ≥ 1 steps.
        multiplier: ≥ 1.
        end: the rate that each falls towards, ≥ 0 and ≤ lr.
    Raises:
        ValueError: if a number is out of range.
    Source:
        Loshchilov & Hutter (2017), §3.
    """
    require_positive("lr", lr)
    require_at_least("period", period, 1)
    require_at_least("multiplier", multiplier, 1)
    _require_end("end", end, lr)

    def rate(step: int) -> float:
        length = period
        while step >= length:
            step, length = step - length, length * multiplier
        return end + (lr - end) * (1 + math.cos(math.pi * step / length)) / 2

    return _checked(rate)


# ------------------------------------------------------------------------ schedules that rise first


def warmup(schedule: Schedule, steps: int, *, start: float = 0.0) -> Schedule:
    """A line from `start` to schedule(0) in W steps, then the schedule from its step 0.

    Rate t < W is start + (schedule(0) − start)t/W. With start = 0, as is usual for
    Transformers, update 0 does nothing.

    Args:
        schedule: what to do after the warm-up.
        steps: W ≥ 0; 0 leaves the schedule as it is.
        start: the first rate, ≥ 0.
    Raises:
        ValueError: if a number is out of range.
    Source:
        Goyal et al. (2017), §2.2; d2l, §12.11.4.4.
    """
    require_at_least("steps", steps, 0)
    require_nonnegative("start", start)
    peak = schedule(0)
    return _checked(
        lambda t: (
            start + (peak - start) * t / steps if t < steps else schedule(t - steps)
        )
    )


def warmup_stable_decay(
    lr: float, steps: int, *, warmup_steps: int, decay_steps: int, end: float = 0.0
) -> Schedule:
    """A line up, a plateau at η, at the end a line down: the length can be chosen late.

    Unlike the cosine, the plateau does not depend on T: a run may go on from any point
    of it, and be finished by its own decay.

    Args:
        lr: η > 0, the plateau.
        steps: T, the whole length.
        warmup_steps: ≥ 0.
        decay_steps: ≥ 1, the last part; both together at most T.
        end: the last rate, ≥ 0 and ≤ lr.
    Raises:
        ValueError: if a number is out of range, or the parts are longer than the whole.
    Source:
        Hu et al. (2024), *MiniCPM*, §4; Hägele et al. (2024), arXiv:2405.18392.
    """
    require_at_least("warmup_steps", warmup_steps, 0)
    require_at_least("decay_steps", decay_steps, 1)
    stable = steps - warmup_steps - decay_steps
    if stable < 0:
        raise ValueError(
            f"warmup_steps + decay_steps must be ≤ steps = {steps}, "
            f"got {warmup_steps} + {decay_steps}"
        )
    down = polynomial(lr, decay_steps, end=end)
    after = chain([constant(lr), down], [stable]) if stable else down
    return warmup(after, warmup_steps)


def one_cycle(
    lr: float,
    steps: int,
    *,
    rising: float = 0.3,
    start_factor: float = 25.0,
    end_factor: float = 1e4,
) -> Schedule:
    """Half a cosine up from η/25 to η, half a cosine down to η/(25 · 10⁴). `OneCycleLR`.

    The peak is at step rising · T − 1, the end at step T − 1.

    Args:
        lr: η > 0, the *largest* rate.
        steps: T ≥ 2.
        rising: share of the steps on the way up, in (0, 1).
        start_factor: largest over first rate, ≥ 1.
        end_factor: first over last rate, ≥ 1.
    Raises:
        ValueError: if a number is out of range, or rising · steps is not above 1.
    Source:
        Smith & Topin (2019), *Super-convergence*; the defaults are PyTorch's.
    """
    require_positive("lr", lr)
    require_at_least("steps", steps, 2)
    require_fraction("rising", rising)
    for name, value in (("start_factor", start_factor), ("end_factor", end_factor)):
        if not 1 <= value < math.inf:
            raise ValueError(f"{name} must be ≥ 1 and finite, got {value}")
    peak, last = rising * steps - 1, steps - 1
    if peak <= 0:
        raise ValueError(f"rising · steps must be > 1, got {rising} · {steps}")
    first, final = lr / start_factor, lr / start_factor / end_factor

    def rate(step: int) -> float:
        if step <= peak:
            return _half_cosine(first, lr, step / peak)
        return _half_cosine(lr, final, min(1.0, (step - peak) / (last - peak)))

    return _checked(rate)


def range_test(low: float, high: float, steps: int) -> Schedule:
    """low · (high/low)^(t/(T−1)): from too small to too large, evenly in the logarithm.

    Train once with it, plot the loss over the rate: rates somewhat below the point where
    the loss turns up are candidates. After step T − 1 the rate stays at high.

    Args:
        low: > 0.
        high: > low.
        steps: T ≥ 2.
    Raises:
        ValueError: if a number is out of range.
    Source:
        Smith (2017), §3.3 (linear there).
    """
    require_positive("low", low)
    require_at_least("steps", steps, 2)
    if not low < high < math.inf:
        raise ValueError(f"high must be > low = {low} and finite, got {high}")
    return _checked(lambda t: low * (high / low) ** (min(t, steps - 1) / (steps - 1)))


# -------------------------------------------------------------------------- composition and PyTorch


def chain(schedules: Sequence[Schedule], milestones: Sequence[int]) -> Schedule:
    """One schedule after the other; each begins at its own step 0. `SequentialLR`.

    Args:
        schedules: k ≥ 1.
        milestones: the k − 1 steps at which the next takes over, rising, all > 0.
    Raises:
        ValueError: if their numbers do not fit, or the milestones do not rise.
    """
    if not schedules or len(milestones) != len(schedules) - 1:
        raise ValueError(
            f"{len(schedules)} schedules need {max(0, len(schedules) - 1)} milestones, "
            f"got {len(milestones)}"
        )
    _require_rising("milestones", milestones)
    begins = [0, *milestones]

    def rate(step: int) -> float:
        part = max(k for k, begin in enumerate(begins) if step >= begin)
        return schedules[part](step - begins[part])

    return _checked(rate)


def as_lambda_lr(
    optimizer: torch.optim.Optimizer, schedule: Schedule
) -> torch.optim.lr_scheduler.LambdaLR:
    """PyTorch's scheduler object of a schedule; call its `step()` after each update.

    Every group gets rate(t), whatever its lr was. The schedule has no state, plotting
    it uses up nothing; the object has one, the number of steps, which `state_dict`
    saves.

    Args:
        optimizer: any of `torch.optim`, or of `as_torch_optimizer`; its lr must be > 0,
            as PyTorch multiplies it.
        schedule: step → rate.
    Raises:
        ValueError: if a group has no positive lr.
    """
    bases = [float(group["lr"]) for group in optimizer.param_groups]
    for base in bases:
        require_positive("lr", base)
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, [_relative_to(base, schedule) for base in bases]
    )


# ------------------------------------------------------------------------------------- small parts


def _checked(rate: Schedule) -> Schedule:
    """The schedule, refusing steps that are no steps."""

    def schedule(step: int) -> float:
        require_at_least("step", step, 0)
        return rate(step)

    return schedule


def _relative_to(base: float, schedule: Schedule) -> Schedule:
    """rate/base, as `LambdaLR` multiplies."""
    return lambda step: schedule(step) / base


def _half_cosine(start: float, end: float, share: float) -> float:
    """From start (share 0) to end (share 1) along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _require_gamma(gamma: float) -> None:
    if not 0 < gamma <= 1:
        raise ValueError(f"gamma must be in (0, 1], got {gamma}")


def _require_end(name: str, value: float, lr: float) -> None:
    if not 0 <= value <= lr:
        raise ValueError(f"{name} must be in [0, lr = {lr}], got {value}")


def _require_rising(name: str, values: Sequence[int]) -> None:
    for value in values:
        require_at_least(name, value, 1)
    if any(later <= earlier for earlier, later in itertools.pairwise(values)):
        raise ValueError(f"{name} must rise, got {list(values)}")
