"""Several rates in one call: blocks of runs that differ in a factor alone."""

from typing import Any

from torch import Tensor


def many_rates(
    grad: Tensor, state: Any, *, lr: float, factors: Tensor
) -> tuple[Tensor, Any]:
    """x ← x − c ηₜ g, with a factor c of its own for every block of runs.

    Args:
        grad: [blocks, runs, d].
        state: none is needed; it is handed on.
        lr: ηₜ.
        factors: c, [blocks].
    """
    return -lr * factors[:, None, None] * grad, state
