"""Noisy gradients on ½λx²: what a schedule leaves of E[x²], the best, and momentum's floor."""

from collections.abc import Sequence

from d2lcompanion.optimization.checks import (
    require_decay,
    require_nonnegative,
    require_positive,
)


def mean_squares(
    rates: Sequence[float], *, start: float, curvature: float, noise: float
) -> list[float]:
    """E[xₜ²] for x ← x − η(λx + σξ), E[ξ] = 0, E[ξ²] = 1, exactly.

    The noise is independent of x, so E[x²] ← (1 − ηλ)² E[x²] + η²σ².

    Args:
        rates: η₀ … η_{T−1}, ≥ 0.
        start: E[x₀²] ≥ 0.
        curvature: λ > 0.
        noise: σ ≥ 0, the standard deviation of the gradient.
    Returns:
        T + 1 numbers, the first is `start`.
    Raises:
        ValueError: if a number is out of range.
    """
    require_nonnegative("start", start)
    require_positive("curvature", curvature)
    require_nonnegative("noise", noise)
    squares = [start]
    for rate in rates:
        require_nonnegative("rate", rate)
        kept = (1 - rate * curvature) ** 2 * squares[-1]
        squares.append(kept + (rate * noise) ** 2)
    return squares


def best_rates(
    steps: int, *, start: float, curvature: float, noise: float
) -> list[float]:
    """The rates that make E[x_T²] smallest: ηₜ = 1/(λ(1 + t + σ²/(λ²E[x₀²]))).

    One step is best with η = λv/(λ²v + σ²), v = E[x²]; it gives 1/v ← 1/v + λ²/σ².
    As a smaller v is never worse later, the best single steps are the best sequence.

    Args:
        steps: T ≥ 0.
        start: E[x₀²] > 0.
        curvature: λ > 0.
        noise: σ ≥ 0; with 0 the first step goes to the minimum.
    Raises:
        ValueError: if a number is out of range.
    """
    require_nonnegative("steps", steps)
    require_positive("start", start)
    require_positive("curvature", curvature)
    require_nonnegative("noise", noise)
    delay = noise**2 / (curvature**2 * start)
    return [1 / (curvature * (1 + t + delay)) for t in range(steps)]


def momentum_floor(lr: float, beta: float, *, curvature: float, noise: float) -> float:
    """The noise floor lim E ½λxₜ² of heavy ball: ½ησ²(1 + β)/((1 − β)(2(1 + β) − ηλ)).

    With v ← βv + λx + σξ, x ← x − ηv the points obey xₜ₊₁ = txₜ − βxₜ₋₁ − ησξₜ with
    t = 1 + β − ηλ. Of a stationary sequence c₀ = E xₜ² and c₁ = E xₜxₜ₋₁ satisfy
    c₁ = tc₀ − βc₁ and c₀ = (t² + β²)c₀ − 2tβc₁ + η²σ². For small ηλ the floor is about
    ησ²/(4(1 − β)): what counts is the effective rate η/(1 − β).

    Args:
        lr: η > 0, with ηλ < 2(1 + β).
        beta: β in [0, 1).
        curvature: λ > 0.
        noise: σ ≥ 0, the standard deviation of the gradient.
    Raises:
        ValueError: if a number is out of range, or ηλ is beyond the edge, where E x²
            grows without bound.
    """
    require_positive("lr", lr)
    require_decay("beta", beta)
    require_positive("curvature", curvature)
    require_nonnegative("noise", noise)
    room = 2 * (1 + beta) - lr * curvature
    if room <= 0:
        raise ValueError(
            f"lr must be below 2(1 + β)/λ = {2 * (1 + beta) / curvature:g}, got {lr}"
        )
    return 0.5 * lr * noise**2 * (1 + beta) / ((1 - beta) * room)
