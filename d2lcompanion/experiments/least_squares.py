"""Least squares problems of chosen difficulty, made from real data, with their exact answers.

Products of columns make a problem ill-conditioned, other units do so too. `solve` gives
spectrum and optimum, by which a descent is judged; `descend` runs one and measures its
gap.
"""

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.regression import RegressionData, standardize
from d2lcompanion.optimization.descent import Method, optimal_step
from d2lcompanion.optimization.objectives import least_squares
from d2lcompanion.training.progress import Track, silent

# A column with a smaller share outside the span of the others adds nothing.
DEPENDENT = 1e-8
CURVE_POINTS = 1000  # at most so many points of a curve are kept
UNITS = (-2, 2)  # the powers of ten that the columns of a rescaled copy run through

# --------------------------------------------------------------------------------------- the data


def polynomial_features(data: RegressionData, degree: int) -> RegressionData:
    """All products of up to `degree` columns, standardized, without those that add nothing.

    Ten columns give 65 products of degree ≤ 2 and 285 of degree ≤ 3. A product that is
    a linear combination of the columns before it, and of a constant, is left out, so
    that μ > 0: in diabetes `sex` has two values, hence its square is one. What is left
    out is named in `source`.

    Args:
        data: features [n, d].
        degree: 1 gives the data back as they are.
    Returns:
        features [n, D] with D < n, every column with mean 0 and sd 1; names read
            "bmi·bp".
    Raises:
        ValueError: if degree < 1.
    """
    if degree < 1:
        raise ValueError(f"degree must be ≥ 1, got {degree}")
    if degree == 1:
        return data
    n, d = data.features.shape
    columns, names, dropped = [], [], []
    basis = data.features.new_zeros(n, 0)  # orthonormal, of the columns kept
    for factors in _products(d, degree):
        product = data.features[:, factors].prod(1)
        rest = product - product.mean()
        for _ in range(2):  # twice is enough: what is left is orthogonal up to rounding
            rest = rest - basis @ (basis.T @ rest)
        name = "·".join(data.feature_names[i] for i in factors)
        if float(rest.norm()) <= DEPENDENT * float(product.norm()):
            dropped.append(name)
            continue
        columns.append(standardize(product))
        names.append(name)
        basis = torch.cat([basis, (rest / rest.norm())[:, None]], 1)
    source = f"{data.source} Products of up to {degree} columns, standardized"
    source += f"; left out as dependent: {', '.join(dropped)}." if dropped else "."
    return RegressionData(
        features=torch.stack(columns, 1),
        target=data.target,
        feature_names=tuple(names),
        source=source,
        name=f"{data.name}, degree {degree}",
    )


def _products(d: int, degree: int) -> list[list[int]]:
    """[[0], [1], …, [0, 0], [0, 1], …]: which columns each product multiplies."""
    return [
        list(factors)
        for k in range(1, degree + 1)
        for factors in itertools.combinations_with_replacement(range(d), k)
    ]


def in_other_units(data: RegressionData) -> RegressionData:
    """The same data with columns multiplied by 10⁻², 10⁻¹, …, 10², in turn.

    Nothing that can be learned has changed; gradient descent sees another problem.
    """
    low, high = UNITS
    powers = torch.arange(data.features.shape[1]) % (high - low + 1) + low
    units = torch.pow(10.0, powers.to(data.features.dtype))
    return RegressionData(
        features=data.features * units,
        target=data.target,
        feature_names=data.feature_names,
        source=f"{data.source} Columns in other units, 10^{low} to 10^{high}.",
        name=f"{data.name}, rescaled",
    )


# ------------------------------------------------------------------------------------ the problem


class Problem(NamedTuple):
    """Least squares on one data set, with all that the runs are judged by, in float64 on the CPU.

    The eigenvalues of XᵀX/n are taken from the singular values of X, λᵢ = σᵢ²/n: the
    smallest is then right to about ε√κ, and from XᵀX itself only to εκ. At κ = 10¹²
    these are ten digits and three.
    """

    data: RegressionData
    minimizer: Tensor  # x*, [d]
    eigenvalues: Tensor  # [d], falling
    eigenvectors: Tensor  # [d, d], one a row

    @property
    def smoothness(self) -> float:
        """L, the largest eigenvalue."""
        return float(self.eigenvalues[0])

    @property
    def mu(self) -> float:
        """μ, the smallest eigenvalue."""
        return float(self.eigenvalues[-1])

    @property
    def condition_number(self) -> float:
        """κ = L/μ."""
        return self.smoothness / self.mu

    @property
    def lr(self) -> float:
        """η = 2/(μ + L)."""
        return optimal_step(self.mu, self.smoothness)

    def gap(self, x: Tensor) -> Tensor:
        """f(x) − f(x*) = ‖X(x − x*)‖²/(2n), [..., d] → [...], on the CPU in float64.

        As a difference of two values it would be lost in rounding below 10⁻¹⁶.
        """
        offset = x.cpu().double() - self.minimizer
        return 0.5 * (offset @ self.data.features.T).square().mean(-1)

    def worst_start(self) -> Tensor:
        """x₀, [d], with the gap of 0, from which ((κ−1)/(κ+1))²ᵏ is not a bound but exact.

        x₀ − x* lies in the eigenvectors of μ and L alone, half of the gap in each: at η
        = 2/(μ + L) both shrink by (κ−1)/(κ+1) a step, the one of L with changing sign.
        """
        start_gap = float(self.gap(torch.zeros_like(self.minimizer)))
        steep = math.sqrt(start_gap / self.smoothness) * self.eigenvectors[0]
        flat = math.sqrt(start_gap / self.mu) * self.eigenvectors[-1]
        return self.minimizer + steep + flat


def solve(data: RegressionData) -> Problem:
    """Spectrum and optimum by the singular value decomposition of X.

    Args:
        data: features [n, d] with independent columns, hence n ≥ d.
    Raises:
        ValueError: if columns depend on one another: then μ = 0 and there is no κ.
    """
    x, n = data.features, len(data.features)
    left, singular_values, right = torch.linalg.svd(x, full_matrices=False)
    largest, smallest = float(singular_values[0]), float(singular_values[-1])
    if n < x.shape[1] or smallest <= n * torch.finfo(x.dtype).eps * largest:
        raise ValueError(
            f"{data.name}: the columns depend on one another, singular values of "
            f"[{n}, {x.shape[1]}] run from {largest:g} to {smallest:g}"
        )
    minimizer = right.T @ ((left.T @ data.target) / singular_values)  # x* = X⁺y
    return Problem(data, minimizer, singular_values.square() / n, right)


def descend(
    problem: Problem,
    start: Tensor,
    method: Method,
    *,
    steps: int,
    points: int = CURVE_POINTS,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float64,
    track: Track = silent,
    label: str = "descent",
) -> tuple[Tensor, Tensor]:
    """Follow a method from one start or many; measure the gap at `measured_steps`.

    Args:
        problem: what to minimize.
        start: x₀, [..., d]; every row runs by itself, all in one matrix product.
        method: one without state, e.g. `first_order(gradient_descent, lr=0.1)`.
        steps: K ≥ 1.
        points: how many evenly spaced measurements; 1 measures at 0 and at K alone.
        device: where to iterate.
        dtype: what to iterate in.
        track: progress bar.
        label: shown beside it.
    Returns:
        (steps measured [m], gaps [m, ...]), on the CPU.
    Raises:
        ValueError: if steps or points is below 1.
    """
    features, target = problem.data.features, problem.data.target
    objective = least_squares(
        features.to(dtype).to(device), target.to(dtype).to(device)
    )
    x = start.to(dtype).to(device)
    measured, gaps = measured_steps(steps, points), [problem.gap(x)]
    remaining = iter([*measured[1:], None])
    following = next(remaining)
    for k in track(range(1, steps + 1), label):
        update, _ = method(objective, x, ())
        x = x + update
        if k == following:
            gaps.append(problem.gap(x))
            following = next(remaining)
    return torch.tensor(measured), torch.stack(gaps)


def measured_steps(steps: int, points: int) -> list[int]:
    """0, every ⌈K/points⌉ steps, K; and for points > 1 also ten a decade, as descent starts fast.

    Raises:
        ValueError: if steps or points is below 1.
    """
    if min(steps, points) < 1:
        raise ValueError(f"steps and points must be ≥ 1, got {steps} and {points}")
    even = range(0, steps, math.ceil(steps / points))
    decades = round(10 * math.log10(steps)) if points > 1 else 0
    return sorted({*even, steps, *(round(10 ** (i / 10)) for i in range(decades))})
