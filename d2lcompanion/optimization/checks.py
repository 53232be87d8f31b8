"""What the functions of this topic demand of their arguments; errors name the value."""

import math
from collections.abc import Sequence

from torch import Tensor


def require_positive(name: str, value: float) -> None:
    """0 < value < ∞.

    Raises:
        ValueError: otherwise, also for nan.
    """
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be > 0 and finite, got {value}")


def require_nonnegative(name: str, value: float) -> None:
    """0 ≤ value < ∞.

    Raises:
        ValueError: otherwise, also for nan.
    """
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be ≥ 0 and finite, got {value}")


def require_fraction(name: str, value: float) -> None:
    """0 < value < 1.

    Raises:
        ValueError: otherwise, also for nan.
    """
    if not 0 < value < 1:
        raise ValueError(f"{name} must be in (0, 1), got {value}")


def require_decay(name: str, value: float) -> None:
    """0 ≤ value < 1, as for the β of a leaky average.

    Raises:
        ValueError: otherwise, also for nan.
    """
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1), got {value}")


def require_at_least(name: str, value: int, least: int) -> None:
    """A whole number ≥ least.

    Raises:
        ValueError: otherwise, also for 2.5, True and nan.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number ≥ {least}, got {value!r}")


def require_vector(name: str, x: Tensor) -> None:
    """[d] of floats.

    Raises:
        ValueError: otherwise.
    """
    if x.ndim != 1 or not x.is_floating_point():
        raise ValueError(
            f"{name} must be [d] of floats, got shape {list(x.shape)}, {x.dtype}"
        )


def require_shape(name: str, x: Tensor, shape: Sequence[int]) -> None:
    """Exactly this shape: nothing is broadcast by accident.

    Raises:
        ValueError: otherwise.
    """
    if tuple(x.shape) != tuple(shape):
        raise ValueError(f"{name} must have shape {list(shape)}, got {list(x.shape)}")


def require_curvatures(mu: float, smoothness: float) -> None:
    """0 < μ ≤ L < ∞.

    Raises:
        ValueError: otherwise, also for nan.
    """
    if not 0 < mu <= smoothness < math.inf:
        raise ValueError(
            f"0 < mu ≤ smoothness < ∞ must hold, got {mu} and {smoothness}"
        )


def require_finite(name: str, x: Tensor) -> None:
    """No entry is inf or nan. One number is read back.

    Raises:
        ValueError: otherwise; names the first.
    """
    finite = x.isfinite()
    if bool(finite.all()):
        return
    first = (~finite).nonzero()[0].tolist()
    raise ValueError(f"{name} must be finite, got {float(x[tuple(first)])} at {first}")


def require_gradient(grad: Tensor, **state: Tensor) -> None:
    """A finite gradient, and a state of its shape.

    One number is read back, the sum: it is not finite if an entry is not. Only then are
    the entries looked at, as a sum may overflow where no entry does.

    Args:
        grad: g, any shape, floats.
        state: name → tensor that must have the shape of g.
    Raises:
        ValueError: if a shape differs, or an entry of g is inf or nan; names the first.
    """
    for name, tensor in state.items():
        if tensor.shape != grad.shape:
            raise ValueError(
                f"{name} and gradient must have one shape, "
                f"got {list(tensor.shape)} and {list(grad.shape)}"
            )
    if math.isfinite(float(grad.detach().sum())):
        return
    bad = (~grad.isfinite()).nonzero()
    if len(bad):
        first = tuple(bad[0].tolist())
        raise ValueError(
            f"the gradient must be finite, got {float(grad[first])} at {list(first)} "
            f"({len(bad)} of {grad.numel()} entries are not)"
        )
