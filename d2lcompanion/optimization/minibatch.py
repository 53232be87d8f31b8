"""Minibatches: how rows are dealt out, how noisy their gradients are, how fast they go through.

The gradient g_B of a batch of b rows has the mean G, the gradient of the whole loss, and
E‖g_B − G‖² = tr Σ/b, where Σ is the covariance of the gradient of a single row. The
*gradient noise scale* tr Σ/‖G‖² is the batch size at which noise and signal are equally
large.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from d2lcompanion.optimization.checks import (
    require_at_least,
    require_finite,
    require_shape,
)

Batch = TypeVar("Batch")

# ------------------------------------------------------------------------------------------ batches


def minibatches(
    *tensors: Tensor,
    batch_size: int,
    generator: torch.Generator | None = None,
    drop_last: bool = False,
) -> Iterator[tuple[Tensor, ...]]:
    """One epoch: every row once, in batches of b rows.

    Call it again for the next epoch; the generator goes on, so the order is another.
    `minibatches(torch.arange(n), …)` gives the numbers of the rows.

    Args:
        tensors: one or more, [n, …] each, n ≥ 1; row i of all belongs together.
        batch_size: b, 1 ≤ b ≤ n.
        generator: on any device, shuffles the rows; None keeps their order.
        drop_last: leave out the n mod b rows that fill no batch; PyTorch's `DataLoader`
            has the same default, `sample_indices` always leaves them out.
    Returns:
        An iterator over tuples ([b, …], …), on the devices of the tensors; the last
        batch may be smaller.
    Raises:
        ValueError: at once, if there is no row, the lengths differ, or b does not fit.
    """
    lengths = [len(x) if x.ndim else 0 for x in tensors]
    if not lengths or min(lengths) == 0 or len(set(lengths)) > 1:
        raise ValueError(f"tensors must have one length n ≥ 1, got {lengths}")
    n = lengths[0]
    _require_batch(batch_size, n)
    if generator is None:
        order = torch.arange(n)
    else:
        order = torch.randperm(n, generator=generator, device=generator.device)
    end = n - n % batch_size if drop_last else n
    starts = range(0, end, batch_size)
    return (  # lazy: a batch is cut out when it is asked for
        tuple(x[order[s : s + batch_size].to(x.device)] for x in tensors)
        for s in starts
    )


def _require_batch(batch_size: int, n: int) -> None:
    require_at_least("batch_size", batch_size, 1)
    if batch_size > n:
        raise ValueError(f"batch_size must be ≤ n, got {batch_size} and {n}")


# -------------------------------------------------------------------------------------------- noise


class NoiseScale(NamedTuple):
    """Signal and noise of the gradients of single rows.

    Attributes:
        signal: ‖G‖²; an unbiased estimate of it may be negative.
        noise: tr Σ.
    """

    signal: float
    noise: float

    @property
    def batch(self) -> float:
        """tr Σ/‖G‖², in rows: at this batch size noise and signal are equally large.

        inf where there is no signal (‖G‖² ≤ 0), as at the minimum.
        """
        return self.noise / self.signal if self.signal > 0 else math.inf


def gradient_noise_scale(
    gradients: Tensor, *, hessian: Tensor | None = None
) -> NoiseScale:
    """‖G‖² and tr Σ from the gradients of all rows: B_simple = tr Σ/‖G‖².

    G = (1/n) Σ gᵢ and Σ = (1/n) Σ (gᵢ − G)(gᵢ − G)ᵀ; it divides by n, as all rows are
    known. With a Hessian H it gives GᵀHG and tr HΣ, whose quotient is B_noise.

    Args:
        gradients: gᵢ, [n, p], finite, n ≥ 1.
        hessian: H, [p, p], symmetric; left out, it is the identity.
    Raises:
        ValueError: if shapes do not fit, there is no row, or a number is not finite.
    Source:
        McCandlish, Kaplan, Amodei & others (2018), *An empirical model of large-batch
        training*, §2.
    """
    if gradients.ndim != 2 or gradients.numel() == 0:
        raise ValueError(
            f"gradients must be [n, p] with n ≥ 1, got {list(gradients.shape)}"
        )
    require_finite("gradients", gradients)
    mean = gradients.mean(0)
    centred = gradients - mean
    if hessian is None:
        return NoiseScale(float(mean @ mean), float(centred.square().sum(1).mean()))
    require_shape("hessian", hessian, (gradients.shape[1],) * 2)
    require_finite("hessian", hessian)
    noise = ((centred @ hessian) * centred).sum(1).mean()  # (1/n) Σ cᵢᵀHcᵢ = tr HΣ
    return NoiseScale(float(mean @ hessian @ mean), float(noise))


def two_batch_noise_scale(
    small_squared: float, big_squared: float, *, small: int, big: int
) -> NoiseScale:
    """‖G‖² and tr Σ from the squared lengths of two batch gradients, without bias.

    E‖g_b‖² = ‖G‖² + tr Σ/b holds for b and for B. Two equations, two unknowns:

        ‖G‖² ≈ (B‖g_B‖² − b‖g_b‖²)/(B − b),   tr Σ ≈ (‖g_b‖² − ‖g_B‖²)/(1/b − 1/B).

    Both are unbiased; their quotient is not. So average the lengths, or both results,
    over many batches before dividing. For rows drawn without replacement from n the
    results belong to the population that the n rows were drawn from: tr Σ is then the
    sample covariance, which divides by n − 1.

    Args:
        small_squared: ‖g_b‖², or a mean of several.
        big_squared: ‖g_B‖², likewise.
        small, big: b and B, 1 ≤ b < B.
    Raises:
        ValueError: if a length is negative or not finite, or b, B are out of range.
    Source:
        McCandlish, Kaplan, Amodei & others (2018), appendix A.1.
    """
    require_at_least("small", small, 1)
    require_at_least("big", big, 2)
    if small >= big:
        raise ValueError(f"small must be < big, got {small} and {big}")
    for name, value in (("small_squared", small_squared), ("big_squared", big_squared)):
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must be ≥ 0 and finite, got {value}")
    signal = (big * big_squared - small * small_squared) / (big - small)
    return NoiseScale(signal, (small_squared - big_squared) / (1 / small - 1 / big))


# ------------------------------------------------------------------------------------------- speed


class Throughput(NamedTuple):
    """Rows a second, and where the time went.

    Attributes:
        rows: how many went through.
        loading: seconds in which the next batch was waited for.
        computing: seconds in the steps.
    """

    rows: int
    loading: float
    computing: float

    @property
    def end_to_end(self) -> float:
        """Rows a second with everything counted: what a user waits for."""
        return self.rows / (self.loading + self.computing)

    @property
    def compute_only(self) -> float:
        """Rows a second of the steps alone: what the model could do if data were free."""
        return self.rows / self.computing


def _rows(batch: object) -> int:
    """The length of a batch, or of the first tensor in a tuple of them."""
    first = batch[0] if isinstance(batch, tuple | list) else batch
    if not isinstance(first, Sized):
        raise TypeError(f"a batch must have a length, got {type(first).__name__}")
    return len(first)


def throughput(
    batches: Iterable[Batch],
    step: Callable[[Batch], object],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Throughput:
    """Run a step on every batch; time the wait for the batch and the step apart.

    The clock starts *before* the first batch is drawn. A timer that starts after it
    leaves data loading out.

    Args:
        batches: a loader, or what `minibatches` gives.
        step: does the work of one batch.
        clock: seconds. On an accelerator it must wait for the device, see
            `training.wall_time.device_clock`.
    Raises:
        ValueError: if there is no batch.
    """
    rows, loading, computing = 0, 0.0, 0.0
    start = clock()
    for batch in batches:
        drawn = clock()
        step(batch)
        done = clock()
        rows += _rows(batch)
        loading, computing = loading + drawn - start, computing + done - drawn
        start = done
    if rows == 0:
        raise ValueError("batches must hold one row or more, got none")
    return Throughput(rows, loading, computing)
