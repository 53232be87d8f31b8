"""One matrix product, computed in four ways: the same numbers, at very different speeds.

C = AB with A [m, k] and B [k, n] takes k multiplications and k additions for each of its
mn entries, in whatever order: 2mkn operations. What differs is how many calls they are
spread over, and how often a number is fetched from memory before it is used up.
"""

import torch
from torch import Tensor

from d2lcompanion.optimization.checks import require_at_least


def floating_point_operations(m: int, k: int, n: int) -> int:
    """2mkn: for [m, k] times [k, n], a multiplication and an addition in each of k steps.

    2 · 256³ = 33,554,432, that is 0.0336 · 10⁹.

    Raises:
        ValueError: if a size is not a whole number ≥ 1.
    """
    for name, size in (("m", m), ("k", k), ("n", n)):
        require_at_least(name, size, 1)
    return 2 * m * k * n


def elementwise(a: Tensor, b: Tensor) -> Tensor:
    """Cᵢⱼ = Aᵢ,: · B:,ⱼ: one call for every entry, mn of them."""
    c = _empty_product(a, b)
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            c[i, j] = torch.dot(a[i], b[:, j])
    return c


def by_column(a: Tensor, b: Tensor) -> Tensor:
    """C:,ⱼ = A B:,ⱼ: one call for every column, and each reads all of A again."""
    c = _empty_product(a, b)
    for j in range(c.shape[1]):
        c[:, j] = a @ b[:, j]
    return c


def in_full(a: Tensor, b: Tensor) -> Tensor:
    """C = AB: one call. The library cuts the matrices into blocks that fit its caches."""
    _empty_product(a, b)
    return a @ b


def in_blocks(a: Tensor, b: Tensor, *, columns: int = 64) -> Tensor:
    """C:,J = A B:,J for blocks J of some columns: ⌈n/columns⌉ calls.

    A block of columns is to the matrix what a minibatch is to the data.

    Args:
        a: [m, k].
        b: [k, n].
        columns: of a block, ≥ 1; the last block may be narrower.
    """
    require_at_least("columns", columns, 1)
    c = _empty_product(a, b)
    for j in range(0, c.shape[1], columns):
        c[:, j : j + columns] = a @ b[:, j : j + columns]
    return c


def _empty_product(a: Tensor, b: Tensor) -> Tensor:
    """A place for AB, [m, n].

    Raises:
        ValueError: if a and b cannot be multiplied.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise ValueError(
            f"a must be [m, k] and b [k, n], got {list(a.shape)} and {list(b.shape)}"
        )
    return a.new_empty(a.shape[0], b.shape[1])
