"""Functions to minimize, each with its gradient, its Hessian and the minimizers that are known.

Everything is batched: a point is the last dimension, all dimensions before it are a
batch. The derivatives are written out, so that a reader can check them by hand; the
tests check them by automatic differentiation.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Objective:
    """A function f: ℝᵈ → ℝ that an optimizer can ask for its value, gradient and Hessian.

    Attributes:
        name: what the function is called in tables and figures.
        value: [..., d] → [...], f(x).
        gradient: [..., d] → [..., d], ∇f(x).
        hessian: [..., d] → [..., d, d], ∇²f(x).
        dim: d, or None where any d will do.
        minimizers: [m, d], known *global* minimizers; None where there is none (f has
            no lower bound, or does not attain it) or where it is unknown.
        minimum: f at the minimizers, else None.

    Results have the dtype and the device of x. What a function holds (Q, X) stays on its
    own device, and x must be there too.
    """

    name: str
    value: Callable[[Tensor], Tensor]
    gradient: Callable[[Tensor], Tensor]
    hessian: Callable[[Tensor], Tensor]
    dim: int | None = None
    minimizers: Tensor | None = None
    minimum: float | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """f(x), with a look at the shapes: [..., d] → [...].

        Raises:
            ValueError: if the last dimension of x is not `dim`, or `value` does not drop it.
        """
        if x.ndim == 0 or (self.dim is not None and x.shape[-1] != self.dim):
            allowed = "d" if self.dim is None else self.dim
            raise ValueError(
                f"{self.name}: x must have shape [..., {allowed}], got {list(x.shape)}"
            )
        value = self.value(x)
        if value.shape != x.shape[:-1]:
            raise ValueError(
                f"{self.name}: value must map [..., d] to [...], "
                f"got {list(x.shape)} to {list(value.shape)}"
            )
        return value


# ---------------------------------------------------------------------------- quadratic functions


def quadratic(
    matrix_or_spectrum: Tensor | Sequence[float],
    *,
    linear: Tensor | Sequence[float] | None = None,
    offset: float = 0.0,
    name: str = "quadratic",
) -> Objective:
    """f(x) = ½ xᵀQx + cᵀx + b, with ∇f(x) = Qx + c and ∇²f(x) = Q.

    With Q positive definite the one minimizer is x* = −Q⁻¹c, and f(x*) = b − ½ cᵀQ⁻¹c.
    The book's x₁² + 2x₂² is `quadratic([2, 4])`: mind the factor ½.

    Args:
        matrix_or_spectrum: Q, [d, d] and symmetric, or [d], the diagonal of a diagonal
            Q. Plain numbers become float64. Q need not be positive definite; then no
            minimizer is listed.
        linear: c, [d]; zero if left out.
        offset: b.
        name: for tables and figures.
    Raises:
        ValueError: if Q is neither a vector nor a symmetric square matrix, or is not
            finite, or c does not fit.
    Source:
        Zhang et al., *Dive into Deep Learning*, §12.6.3; Boyd & Vandenberghe, §9.1.1.
    """
    q = _square_matrix(matrix_or_spectrum)
    c = q.new_zeros(len(q)) if linear is None else _floating(linear)
    if c.shape != q.shape[:1]:
        raise ValueError(f"linear must have shape [{len(q)}], got {list(c.shape)}")

    def value(x: Tensor) -> Tensor:
        return 0.5 * (x * (x @ q.to(x.dtype))).sum(-1) + x @ c.to(x.dtype) + offset

    def gradient(x: Tensor) -> Tensor:
        return x @ q.to(x.dtype) + c.to(x.dtype)  # xᵀQ = (Qx)ᵀ, as Q is symmetric

    def hessian(x: Tensor) -> Tensor:
        return q.to(x.dtype).expand(*x.shape, len(q))

    minimizers, minimum = None, None
    eigenvalues = torch.linalg.eigvalsh(q)  # rising
    smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    if smallest > len(q) * torch.finfo(q.dtype).eps * abs(largest):  # > 0, not rounding
        minimizers = -torch.linalg.solve(q, c)[None]  # [1, d]
        minimum = offset + 0.5 * float(minimizers[0] @ c)
    return Objective(name, value, gradient, hessian, len(q), minimizers, minimum)


def quadratic_with_spectrum(
    spectrum: Tensor | Sequence[float], *, generator: torch.Generator
) -> Objective:
    """f(x) = ½ xᵀQx with Q = UΛUᵀ: the eigenvalues are chosen, the axes are random.

    U is the orthogonal factor of a Gaussian matrix, whose axes point anywhere with
    equal probability (the signs of its columns cancel in UΛUᵀ). It is drawn on the
    generator's device and then moved, so that one seed gives one function on every
    device.

    Args:
        spectrum: Λ, [d], any sign.
        generator: source of the randomness.
    Raises:
        ValueError: if the spectrum is not a vector of one or more finite numbers.
    Source:
        Mezzadri (2007), *How to generate random matrices from the classical compact
            groups*.
    """
    eigenvalues = _floating(spectrum)
    if eigenvalues.ndim != 1:
        raise ValueError(f"spectrum must be [d], got shape {list(eigenvalues.shape)}")
    d = len(eigenvalues)
    gaussian = torch.randn(
        d, d, generator=generator, device=generator.device, dtype=torch.float64
    )
    u = torch.linalg.qr(gaussian).Q.to(eigenvalues)
    q = (u * eigenvalues) @ u.T  # UΛUᵀ
    symmetric = (q + q.T) / 2  # to the last bit
    return quadratic(symmetric, name="rotated quadratic")


def least_squares(features: Tensor, target: Tensor) -> Objective:
    """f(w) = ‖Xw − y‖² / (2n), half the mean squared residual, with no intercept.

    ∇f(w) = Xᵀ(Xw − y)/n and ∇²f(w) = XᵀX/n. On centred data the best intercept is 0.
    Libraries differ by the factor: `torch.nn.MSELoss` has no ½, and its gradient is
    twice as long.

    Args:
        features: X, [n, d], n ≥ 1.
        target: y, [n].
    Returns:
        An objective of w [..., d]. Its minimizer is X⁺y; where columns depend on one
        another, this is the shortest of infinitely many.
    Raises:
        ValueError: if the shapes do not match, or there is no row.
    """
    if features.ndim != 2 or target.shape != features.shape[:1] or len(target) == 0:
        raise ValueError(
            "features must be [n, d] and target [n] with n ≥ 1, "
            f"got {list(features.shape)} and {list(target.shape)}"
        )
    n, d = features.shape

    def residual(w: Tensor) -> Tensor:
        return w @ features.T - target  # [..., n]

    def value(w: Tensor) -> Tensor:
        return 0.5 * residual(w).square().mean(-1)

    def gradient(w: Tensor) -> Tensor:
        return residual(w) @ features / n

    def hessian(w: Tensor) -> Tensor:
        return (features.T @ features / n).expand(*w.shape, d)

    best = torch.linalg.pinv(features) @ target
    return Objective(
        "least squares", value, gradient, hessian, d, best[None], float(value(best))
    )


# ------------------------------------------------------------------- functions of one real number


def _function_of_one_number(
    name: str,
    f: Callable[[Tensor], Tensor],
    derivative: Callable[[Tensor], Tensor],
    second_derivative: Callable[[Tensor], Tensor],
    minimizer: float | None = None,
) -> Objective:
    """Wrap f, f′, f″ (elementwise) as an objective of points [..., 1]."""
    known = (
        None if minimizer is None else torch.tensor([[minimizer]], dtype=torch.float64)
    )
    return Objective(
        name,
        value=lambda x: f(x[..., 0]),
        gradient=derivative,
        hessian=lambda x: second_derivative(x)[..., None],
        dim=1,
        minimizers=known,
        minimum=None if known is None else float(f(known)),
    )


def cosine(frequency: float = 0.15 * math.pi) -> Objective:
    """f(x) = x cos(ωx): ever deeper local minima, no global one.

    f′(x) = cos(ωx) − ωx sin(ωx), f″(x) = −2ω sin(ωx) − ω²x cos(ωx).
    ω = 0.15π is the book's example of local minima (§12.3.1), ω = π its risk (§12.1.1).
    """
    w = frequency
    return _function_of_one_number(
        "x cos(ωx)",
        lambda x: x * torch.cos(w * x),
        lambda x: torch.cos(w * x) - w * x * torch.sin(w * x),
        lambda x: -2 * w * torch.sin(w * x) - w * w * x * torch.cos(w * x),
    )


def perturbed_cosine(
    frequency: float = math.pi, *, amplitude: float = 0.2, wiggle: float = 5 * math.pi
) -> Objective:
    """g(x) = x cos(ωx) + a cos(νx): the empirical risk of the book's chapter 12.1.

    The risk is `cosine(math.pi)`; a finite sample adds the wiggle 0.2 cos(5πx), which
    moves the minimizer. `risk_gap` says by how much.
    """
    risk, a, v = cosine(frequency), amplitude, wiggle
    return Objective(
        "x cos(ωx) + a cos(νx)",
        value=lambda x: risk.value(x) + a * torch.cos(v * x[..., 0]),
        gradient=lambda x: risk.gradient(x) - a * v * torch.sin(v * x),
        hessian=lambda x: risk.hessian(x) - a * v * v * torch.cos(v * x)[..., None],
        dim=1,
    )


def cosh(c: float = 0.5) -> Objective:
    """f(x) = cosh(cx): convex, f′ = c sinh(cx), f″ = c² cosh(cx), minimum 1 at 0 (§12.3.3)."""
    return _function_of_one_number(
        "cosh(cx)",
        lambda x: torch.cosh(c * x),
        lambda x: c * torch.sinh(c * x),
        lambda x: c * c * torch.cosh(c * x),
        minimizer=0.0,
    )


def tanh() -> Objective:
    """f(x) = tanh x: f′ = 1 − tanh²x vanishes far from 0; the infimum −1 is not attained."""
    return _function_of_one_number(
        "tanh(x)",
        torch.tanh,
        lambda x: 1 - torch.tanh(x) ** 2,
        lambda x: -2 * torch.tanh(x) * (1 - torch.tanh(x) ** 2),
    )


# ------------------------------------------------------------------- functions of two real numbers


def saddle() -> Objective:
    """f(x, y) = x² − y²: the gradient is 0 at the origin, which is no minimum."""
    return quadratic([2.0, -2.0], name="saddle")


def double_well() -> Objective:
    """f(x, y) = ½x² + ¼(y² − 1)²: two minima, 0 at (0, ±1), and a saddle point between them.

    ∇f = (x, y³ − y), ∇²f = diag(1, 3y² − 1). At the origin f = ¼ and the Hessian has
    the eigenvalues 1 and −1; the line y = 0 leads there and nowhere else.
    """

    def value(p: Tensor) -> Tensor:
        x, y = p.unbind(-1)
        return x**2 / 2 + (y**2 - 1) ** 2 / 4

    def gradient(p: Tensor) -> Tensor:
        x, y = p.unbind(-1)
        return torch.stack([x, y**3 - y], -1)

    def hessian(p: Tensor) -> Tensor:
        x, y = p.unbind(-1)
        return _symmetric(torch.ones_like(x), torch.zeros_like(x), 3 * y**2 - 1)

    best = torch.tensor([[0.0, -1.0], [0.0, 1.0]], dtype=torch.float64)
    return Objective("double well", value, gradient, hessian, 2, best, 0.0)


def rosenbrock(a: float = 1.0, b: float = 100.0) -> Objective:
    """f(x, y) = (a − x)² + b(y − x²)²: a curved valley, minimum 0 at (a, a²), for b > 0.

    ∇f = (−2(a − x) − 4bx(y − x²), 2b(y − x²)).
    Source: Rosenbrock (1960), *The Computer Journal* 3(3).
    """
    if not b > 0:
        raise ValueError(f"b must be > 0, got {b}")

    def value(p: Tensor) -> Tensor:
        x, y = p.unbind(-1)
        return (a - x) ** 2 + b * (y - x**2) ** 2

    def gradient(p: Tensor) -> Tensor:
        x, y = p.unbind(-1)
        return torch.stack(
            [-2 * (a - x) - 4 * b * x * (y - x**2), 2 * b * (y - x**2)], -1
        )

    def hessian(p: Tensor) -> Tensor:
        x, y = p.unbind(-1)
        return _symmetric(
            2 - 4 * b * (y - 3 * x**2), -4 * b * x, 2 * b * torch.ones_like(x)
        )

    best = torch.tensor([[a, a * a]], dtype=torch.float64)
    return Objective("Rosenbrock", value, gradient, hessian, 2, best, 0.0)


def beale() -> Objective:
    """f(x, y) = Σᵢ rᵢ², rᵢ = cᵢ − x(1 − yⁱ), i = 1, 2, 3: flat far out, minimum 0 at (3, ½).

    c = (1.5, 2.25, 2.625). With rᵢ and its derivatives, ∇f = 2 Σ rᵢ∇rᵢ and
    ∇²f = 2 Σ (∇rᵢ∇rᵢᵀ + rᵢ∇²rᵢ).
    Source: Beale (1958); Moré, Garbow & Hillstrom (1981), *ACM TOMS* 7(1), problem 5.
    """

    def parts(p: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x, y = p[..., :1], p[..., 1:]
        c = p.new_tensor([1.5, 2.25, 2.625])
        r_x = torch.cat([y - 1, y**2 - 1, y**3 - 1], -1)  # ∂rᵢ/∂x
        dr_x = torch.cat([torch.ones_like(y), 2 * y, 3 * y**2], -1)  # ∂²rᵢ/∂x∂y
        ddr_x = torch.cat([torch.zeros_like(y), 2 * torch.ones_like(y), 6 * y], -1)
        return c + x * r_x, r_x, dr_x, ddr_x  # each [..., 3]

    def value(p: Tensor) -> Tensor:
        return parts(p)[0].square().sum(-1)

    def gradient(p: Tensor) -> Tensor:
        r, r_x, dr_x, _ = parts(p)
        r_y = p[..., :1] * dr_x
        return 2 * torch.stack([(r * r_x).sum(-1), (r * r_y).sum(-1)], -1)

    def hessian(p: Tensor) -> Tensor:
        r, r_x, dr_x, ddr_x = parts(p)
        r_y, r_yy = p[..., :1] * dr_x, p[..., :1] * ddr_x
        return 2 * _symmetric(
            (r_x * r_x).sum(-1),
            (r_x * r_y + r * dr_x).sum(-1),
            (r_y * r_y + r * r_yy).sum(-1),
        )

    best = torch.tensor([[3.0, 0.5]], dtype=torch.float64)
    return Objective("Beale", value, gradient, hessian, 2, best, 0.0)


# ------------------------------------------------------------------------------ what a sample costs


class RiskGap(NamedTuple):
    """Where two risks are smallest, and what choosing by the wrong one costs."""

    risk_minimizer: float  # x* = argmin R
    empirical_minimizer: float  # x̂ = argmin R̂
    excess_risk: float  # R(x̂) − R(x*) ≥ 0


def risk_gap(risk: Objective, empirical: Objective, grid: Tensor) -> RiskGap:
    """Minimize risk R and empirical risk R̂ over a grid; report R(x̂) − R(x*).

    Args:
        risk: R, of one variable.
        empirical: R̂, of one variable.
        grid: [m], the candidates for x.
    Raises:
        ValueError: if the grid is not a non-empty vector, or a risk is not finite on it.
    """
    if grid.ndim != 1 or grid.numel() == 0:
        raise ValueError(
            f"grid must be a non-empty vector [m], got shape {list(grid.shape)}"
        )
    r, r_hat = risk(grid[:, None]), empirical(grid[:, None])  # [m] each
    if not bool((r.isfinite() & r_hat.isfinite()).all()):
        raise ValueError("both risks must be finite on the whole grid, got nan or inf")
    best, chosen = r.argmin(), r_hat.argmin()
    excess = r[chosen] - r[best]
    return RiskGap(float(grid[best]), float(grid[chosen]), float(excess))


# -------------------------------------------------------------------------------------- small parts


def _floating(values: Tensor | Sequence[float]) -> Tensor:
    """Tensors stay as they are; plain numbers become float64."""
    if isinstance(values, Tensor):
        return values if values.is_floating_point() else values.double()
    return torch.tensor(values, dtype=torch.float64)


def _square_matrix(matrix_or_spectrum: Tensor | Sequence[float]) -> Tensor:
    """Q itself, or the diagonal matrix of a spectrum; finite and symmetric, or an error."""
    q = _floating(matrix_or_spectrum)
    if q.ndim not in (1, 2) or q.shape[0] != q.shape[-1] or len(q) == 0:
        raise ValueError(
            f"Q must be [d] or [d, d] with d ≥ 1, got shape {list(q.shape)}"
        )
    if not bool(q.isfinite().all()):
        raise ValueError(f"Q must be finite, got {q.tolist()}")
    if q.ndim == 1:
        return torch.diag(q)
    asymmetry = (q - q.T).abs().max()
    if not bool(asymmetry <= 1e-6 * q.abs().max()):
        raise ValueError(
            f"Q must be symmetric, got max |Q − Qᵀ| = {float(asymmetry):g}"
        )
    return q


def _symmetric(xx: Tensor, xy: Tensor, yy: Tensor) -> Tensor:
    """[[xx, xy], [xy, yy]] for every point of the batch: [...] → [..., 2, 2]."""
    return torch.stack([torch.stack([xx, xy], -1), torch.stack([xy, yy], -1)], -2)
