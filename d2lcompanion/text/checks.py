"""What the functions of this topic demand of their arguments; errors name the value."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def require_at_least(name: str, value: int, least: int) -> None:
    """A whole number ≥ least.

    Raises:
        ValueError: otherwise, also for 2.5, True and nan.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number ≥ {least}, got {value!r}")


def require_unit_interval(name: str, value: float) -> None:
    """0 ≤ value ≤ 1.

    Raises:
        ValueError: otherwise, also for nan.
    """
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be in [0, 1], got {value}")


def require_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """One of the allowed words.

    Raises:
        ValueError: otherwise.
    """
    if value not in allowed:
        raise ValueError(f"{name} must be one of {list(allowed)}, got {value!r}")


def require_shape(name: str, x: Tensor, shape: Sequence[int]) -> None:
    """Exactly this shape: nothing is broadcast by accident.

    Raises:
        ValueError: otherwise.
    """
    if tuple(x.shape) != tuple(shape):
        raise ValueError(f"{name} must have shape {list(shape)}, got {list(x.shape)}")


def require_matrix(name: str, x: Tensor) -> None:
    """[N, d] of floats, a vector a row, N and d ≥ 1.

    Raises:
        ValueError: otherwise.
    """
    if x.ndim != 2 or 0 in x.shape or not x.is_floating_point():
        raise ValueError(
            f"{name} must be [N, d] of floats, got shape {list(x.shape)}, {x.dtype}"
        )


def require_vector_tables(center_vectors: Tensor, context_vectors: Tensor) -> None:
    """Two tables [V, d] of one shape: every word has a vector for each role.

    Raises:
        ValueError: otherwise.
    """
    require_matrix("center_vectors", center_vectors)
    require_matrix("context_vectors", context_vectors)
    require_shape("context_vectors", context_vectors, center_vectors.shape)


def require_ids(name: str, ids: Tensor, size: int) -> None:
    """Whole numbers in [0, size), of any shape.

    The smallest and the largest are read back.

    Raises:
        ValueError: otherwise; names an id that is out of range.
    """
    if ids.is_floating_point() or ids.dtype == torch.bool:
        raise ValueError(f"{name} must be whole numbers, got {ids.dtype}")
    if ids.numel() == 0:
        return
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= size:
        raise ValueError(
            f"{name} must be ids in [0, {size}), got {low if low < 0 else high}"
        )


def require_mask(name: str, mask: Tensor, shape: Sequence[int]) -> None:
    """Booleans of this shape.

    Raises:
        ValueError: otherwise.
    """
    if mask.dtype != torch.bool:
        raise ValueError(f"{name} must be of booleans, got {mask.dtype}")
    require_shape(name, mask, shape)


def require_weights(name: str, weights: Tensor, *, zeros: bool = False) -> None:
    """[V] of positive finite numbers, V ≥ 2; with `zeros`, some but not all may be 0.

    Raises:
        ValueError: otherwise; names the first bad entry and its id.
    """
    if weights.ndim != 1 or len(weights) < 2:
        raise ValueError(
            f"{name} must be [V] with V ≥ 2 words, got shape {list(weights.shape)}"
        )
    good = ((weights >= 0) if zeros else (weights > 0)) & (weights < math.inf)
    if not bool(good.all()):
        first = int((~good).nonzero()[0, 0])
        bound = "≥ 0" if zeros else "> 0"
        raise ValueError(
            f"{name} must be {bound} and finite, got {weights[first].item()} "
            f"for word {first}"
        )
    if zeros and not bool((weights > 0).any()):
        raise ValueError(f"{name} must not all be 0, got {len(weights)} zeros")
