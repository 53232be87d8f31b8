"""What the presets of several experiments refuse, with the field and the value named."""

import math


def require_numbers(preset: object, **least: int) -> None:
    """Fields are at least so large.

    Raises:
        ValueError: if one is smaller.
    """
    for name, bound in least.items():
        if getattr(preset, name) < bound:
            raise ValueError(f"{name} must be ≥ {bound}, got {getattr(preset, name)}")


def require_positive(preset: object, *names: str) -> None:
    """Fields are tuples of one or more numbers > 0, and finite.

    Raises:
        ValueError: if one is not.
    """
    for name in names:
        values = getattr(preset, name)
        if not values or not all(0 < value < math.inf for value in values):
            raise ValueError(
                f"{name} must be one or more positive numbers, got {values}"
            )


def require_sizes(preset: object, name: str = "sizes") -> None:
    """A field is a tuple of two or more different sizes, each ≥ 2.

    Raises:
        ValueError: if it is not.
    """
    sizes = getattr(preset, name)
    if len(set(sizes)) < 2 or min(sizes) < 2:
        raise ValueError(f"{name} must be two or more, each ≥ 2, got {sizes}")
