"""Symmetric random matrices, and how seldom one of them has only positive eigenvalues.

A picture of the Hessian at a stationary point about which nothing is known. It is no
statement about networks: their Hessians are not made of independent numbers.
"""

import math
from decimal import Decimal, localcontext
from functools import cache

import torch
from torch import Tensor

from d2lcompanion.optimization.checks import require_at_least, require_positive

LARGEST = 20  # beyond, the digits of π below would not do
DIGITS = 100
PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510"
    "5820974944592307816406286208998628034825342117067982"
)


def gaussian_orthogonal_ensemble(
    n: int,
    count: int,
    *,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """(A + Aᵀ)/2 with independent standard normal Aᵢⱼ: var Hᵢᵢ = 1, var Hᵢⱼ = ½.

    The density of H is proportional to exp(−½ tr H²), so it is the same in all
    orthogonal coordinates. Conventions differ by a factor: others take A + Aᵀ, or
    divide by √n.

    Args:
        n: rows of a matrix, ≥ 1.
        count: number of matrices, ≥ 1.
        generator: of the randomness; the matrices are on its device.
        dtype: of the matrices.
    Returns:
        [count, n, n].
    Raises:
        ValueError: if n or count is no whole number ≥ 1.
    Source:
        Mehta (2004), *Random Matrices*, §2.3 and §2.6.
    """
    require_at_least("n", n, 1)
    require_at_least("count", count, 1)
    a = torch.randn(
        count, n, n, generator=generator, dtype=dtype, device=generator.device
    )
    return (a + a.mT) / 2


def is_positive_definite(matrices: Tensor) -> Tensor:
    """Whether every eigenvalue is positive: whether there is a Cholesky factor.

    Args:
        matrices: [..., n, n], symmetric, floats; only the lower triangle is read.
    Returns:
        [...] of bool.
    Raises:
        ValueError: if the last two dimensions differ.
    """
    if matrices.ndim < 2 or matrices.shape[-1] != matrices.shape[-2]:
        raise ValueError(
            f"matrices must be [..., n, n], got shape {list(matrices.shape)}"
        )
    definite: Tensor = torch.linalg.cholesky_ex(matrices).info == 0
    return definite


def positive_definite_share(n: int) -> float:
    """P(all eigenvalues > 0) in the Gaussian orthogonal ensemble, exactly.

    ½, (2 − √2)/4 and (π − 2√2)/(4π) for n = 1, 2, 3, and about 3^(−n²/4) for large n.
    The eigenvalues have the density Π_{i<j} |λᵢ − λⱼ| exp(−½ Σλᵢ²)/Mₙ. By de Bruijn's
    formula its integral over 0 < λ₁ < … < λₙ is a Pfaffian, and Pf² = det:

        P = n! Pf(J)/Mₙ,  Jᵢⱼ = ∫∫_{x,y>0} sgn(y − x) xⁱ yʲ e^{−(x²+y²)/2} dx dy,

    0 ≤ i, j < n. For odd n, J gets a border ∫_{x>0} xⁱ e^{−x²/2} dx. The arithmetic has
    100 digits, as J is very ill-conditioned.

    Args:
        n: rows of the matrix, 1 … 20.
    Raises:
        ValueError: if n is out of range.
    Source:
        de Bruijn (1955), J. Indian Math. Soc. 19; Mehta (2004), §17.6 for Mₙ; Dean &
        Majumdar (2006), Phys. Rev. Lett. 97, 160201 for large n.
    """
    require_at_least("n", n, 1)
    if n > LARGEST:
        raise ValueError(f"n must be ≤ {LARGEST}, got {n}")
    with localcontext() as context:
        context.prec = DIGITS
        rows = [
            [_radial(i + j) * (_angular(j, i) - _angular(i, j)) for j in range(n)]
            for i in range(n)
        ]
        if n % 2:
            border = [_radial(i - 1) for i in range(n)]
            rows = [[*row, b] for row, b in zip(rows, border, strict=True)]
            rows.append([*(-b for b in border), Decimal(0)])
        pfaffian = abs(_determinant(rows)).sqrt()
        return float(math.factorial(n) * pfaffian / _mehta(n))


def wilson_interval(
    successes: int, trials: int, *, z: float = 1.96
) -> tuple[float, float]:
    """The shares p for which the observed one is at most z standard deviations away.

    |k/N − p| ≤ z √(p(1 − p)/N), solved for p. It keeps its meaning at k = 0, where it
    ends at z²/(N + z²): an upper bound from never having seen the event.

    Args:
        successes: k, 0 ≤ k ≤ N.
        trials: N ≥ 1.
        z: > 0; 1.96 gives about 95 per cent.
    Returns:
        (low, high), in [0, 1].
    Raises:
        ValueError: if a number is out of range.
    Source:
        Wilson (1927), J. Amer. Stat. Assoc. 22.
    """
    require_at_least("trials", trials, 1)
    require_at_least("successes", successes, 0)
    require_positive("z", z)
    if successes > trials:
        raise ValueError(f"successes must be ≤ {trials}, got {successes}")
    share = successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    spread = math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    half = z * spread / (1 + z * z / trials)
    return max(middle - half, 0.0), min(middle + half, 1.0)


# ------------------------------------------------------------------- parts of the Pfaffian


@cache
def _angular(i: int, j: int) -> Decimal:
    """∫₀^{π/4} cosⁱθ sinʲθ dθ; from i ≥ 2 by cos² = 1 − sin², for i = 0 by parts."""
    s = 1 / Decimal(2).sqrt()  # sin π/4 = cos π/4
    if i >= 2:
        return _angular(i - 2, j) - _angular(i - 2, j + 2)
    if i == 1:
        return s ** (j + 1) / (j + 1)
    if j == 0:
        return PI / 4
    return 1 - s if j == 1 else ((j - 1) * _angular(0, j - 2) - s**j) / j


def _radial(k: int) -> Decimal:
    """I(k) = ∫₀^∞ r^{k+1} e^{−r²/2} dr, k ≥ −1: I(−1) = √(π/2), I(0) = 1, I(k) = k I(k − 2)."""
    if k <= 0:
        return Decimal(1) if k == 0 else (PI / 2).sqrt()
    return k * _radial(k - 2)


def _mehta(n: int) -> Decimal:
    """Mₙ = ∫ Π_{i<j} |λᵢ − λⱼ| e^{−½Σλᵢ²} dλ = (2π)^{n/2} Π_{j=1}^{n} Γ(1 + j/2)/Γ(3/2)."""
    gamma = [Decimal(1), PI.sqrt() / 2]  # Γ(1 + j/2), j = 0, 1, …
    for j in range(2, n + 1):
        gamma.append(gamma[j - 2] * j / 2)
    product = (2 * PI).sqrt() ** n
    for j in range(1, n + 1):
        product *= gamma[j] / gamma[1]
    return product


def _determinant(rows: list[list[Decimal]]) -> Decimal:
    """By elimination with the largest pivot of each column."""
    rows, result = [list(row) for row in rows], Decimal(1)
    for k in range(len(rows)):
        largest = max(range(k, len(rows)), key=lambda i: abs(rows[i][k]))
        if largest != k:
            rows[k], rows[largest] = rows[largest], rows[k]
            result = -result
        result *= rows[k][k]
        for i in range(k + 1, len(rows)):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    return result
