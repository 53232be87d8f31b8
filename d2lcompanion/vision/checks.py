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


def require_unit_interval(name: str, value: float) -> None:
    """0 ≤ value ≤ 1, as for a threshold of IoU.

    Raises:
        ValueError: otherwise, also for nan.
    """
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be in [0, 1], got {value}")


def require_at_least(name: str, value: int, least: int) -> None:
    """A whole number ≥ least.

    Raises:
        ValueError: otherwise, also for 2.5, True and nan.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number ≥ {least}, got {value!r}")


def require_shape(name: str, x: Tensor, shape: Sequence[int]) -> None:
    """Exactly this shape: nothing is broadcast by accident.

    Raises:
        ValueError: otherwise.
    """
    if tuple(x.shape) != tuple(shape):
        raise ValueError(f"{name} must have shape {list(shape)}, got {list(x.shape)}")


def require_finite(name: str, x: Tensor) -> None:
    """Floats, none of them inf or nan. One number is read back.

    Args:
        x: any shape.
    Raises:
        ValueError: otherwise; names the first entry.
    """
    if not x.is_floating_point():
        raise ValueError(f"{name} must be floats, got {x.dtype}")
    finite = x.isfinite()
    if bool(finite.all()):
        return
    first = tuple((~finite).nonzero()[0].tolist())
    raise ValueError(f"{name} must be finite, got {float(x[first])} at {list(first)}")


def require_images(name: str, x: Tensor) -> None:
    """[n, c, H, W] of floats, none of the sizes 0. No value is read.

    Raises:
        ValueError: otherwise.
    """
    if x.ndim != 4 or 0 in x.shape or not x.is_floating_point():
        raise ValueError(
            f"{name} must be [n, c, H, W] of floats, got shape {list(x.shape)}, {x.dtype}"
        )


def require_pixels(name: str, x: Tensor, channels: Sequence[int] | None = None) -> None:
    """Images with every value in [0, 1]. One number is read back.

    Args:
        x: [n, c, H, W].
        channels: the numbers of channels that are allowed, by default all.
    Raises:
        ValueError: otherwise, also for nan; names the first pixel.
    """
    require_images(name, x)
    if channels is not None and x.shape[1] not in channels:
        raise ValueError(
            f"{name} must have {' or '.join(map(str, channels))} channels, "
            f"got {x.shape[1]} in [n, c, H, W] = {list(x.shape)}"
        )
    require_range(name, x, 0, 1)


def require_range(name: str, x: Tensor, low: float, high: float) -> None:
    """Every value in [low, high]; either may be infinite. One number is read back.

    Raises:
        ValueError: otherwise, also for nan; names the first entry.
    """
    if x.numel() == 0:
        return
    least, most = x.aminmax()  # nan if there is one
    if bool((least >= low) & (most <= high)):
        return
    first = tuple((~((x >= low) & (x <= high))).nonzero()[0].tolist())
    raise ValueError(
        f"{name} must be in [{low:g}, {high:g}], got {x[first].item():g} at {list(first)}"
    )


def require_last_four(name: str, x: Tensor, convention: str) -> None:
    """[..., 4] of finite floats.

    Args:
        convention: what the four numbers are, for the message: "x1, y1, x2, y2".
    Raises:
        ValueError: otherwise; names the shape, or the first row and its values.
    """
    if x.ndim == 0 or x.shape[-1] != 4:
        raise ValueError(
            f"{name}: last dimension must be 4 ({convention}), got {tuple(x.shape)}"
        )
    if not x.is_floating_point():
        raise ValueError(f"{name} must be floats, got {x.dtype}")
    _require_rows(name, x, x.isfinite(), f"be finite ({convention})")


def require_boxes(name: str, boxes: Tensor, *, positive: bool = False) -> None:
    """[..., 4] finite floats (x1, y1, x2, y2) with x1 ≤ x2 and y1 ≤ y2.

    Args:
        positive: whether x1 < x2 and y1 < y2 must hold, as where a width divides.
    Raises:
        ValueError: otherwise; names the shape, or the first bad row and its values.
    """
    require_last_four(name, boxes, "x1, y1, x2, y2")
    low, high = boxes[..., :2], boxes[..., 2:]
    if positive:
        _require_rows(name, boxes, low < high, "have x1 < x2 and y1 < y2")
    else:
        _require_rows(name, boxes, low <= high, "have x1 ≤ x2 and y1 ≤ y2")


def require_sizes(name: str, boxes: Tensor, convention: str) -> None:
    """[..., 4] finite floats of which the last two, width and height, are ≥ 0.

    Raises:
        ValueError: otherwise; names the shape, or the first bad row and its values.
    """
    require_last_four(name, boxes, convention)
    _require_rows(
        name, boxes, boxes[..., 2:] >= 0, f"have w ≥ 0 and h ≥ 0 ({convention})"
    )


def _require_rows(name: str, x: Tensor, good: Tensor, rule: str) -> None:
    """All of good, [..., k], is true; one number is read back, and the rows only on failure."""
    if bool(good.all()):
        return
    row = (~good.all(-1)).nonzero()[0].tolist()
    values = [float(f"{value:.6g}") for value in x[tuple(row)].tolist()]
    where = f"row {row[0] if len(row) == 1 else row}" if row else "the box"
    raise ValueError(f"{name} must {rule}, got {values} in {where}")
