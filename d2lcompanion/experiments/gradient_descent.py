"""Gradient descent on real least squares: how fast, how fast at worst, and what repairs it.

Half the mean squared residual of a linear model has the Hessian XᵀX/n, with eigenvalues
from μ to L. At η = 2/(μ + L) theory promises that the gap f(xₖ) − f* shrinks at least
by ((κ−1)/(κ+1))² a step, κ = L/μ. The study measures

- the gap from x₀ = 0, its rate after a long run, and a start for which the promise is exact;
- Newton's method: one step, any κ;
- preconditioning by the Hessian's diagonal: it repairs badly scaled columns (a copy of the data in
  other units), and does nothing where all columns have one scale, as correlation
  remains;
- random starts, drawn from the seed.

What the scales add is conditioning. The ten columns of diabetes have κ ≈ 470 (ci).
Their products of degree 2 have κ ≈ 3·10⁷ (laptop), of degree 3 κ ≈ 8·10¹² (gpu): the
promise then holds for times nobody waits for, while the measured gap falls all the
same, as most of it lies between the two ends of the spectrum. Random starts run
together as the rows of one matrix, so that an accelerator has work to do.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.airfoil import load_airfoil
from d2lcompanion.data.diabetes import load_diabetes
from d2lcompanion.data.regression import RegressionData
from d2lcompanion.experiments.least_squares import (
    CURVE_POINTS,
    Problem,
    descend,
    in_other_units,
    polynomial_features,
    solve,
)
from d2lcompanion.optimization.descent import (
    contraction_factor,
    first_order,
    gradient_descent,
    measured_rate,
    newton,
    preconditioned,
)
from d2lcompanion.optimization.objectives import least_squares
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.progress import Track, silent

JSON_POINTS = 40  # about so many points of each curve are written to a result

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        dataset: "diabetes" (442 rows, 10 columns) or "airfoil" (1,500 rows, 5 columns).
        degree: products of up to so many columns are the features.
        steps: of every run whose gap is compared.
        rate_steps: of the run that the rate is measured on, ≥ 8.
        starts: number of random starting points.
    Raises:
        ValueError: if a number is out of range.
    """

    dataset: Literal["diabetes", "airfoil"]
    degree: int
    steps: int
    rate_steps: int
    starts: int

    def __post_init__(self) -> None:
        for name, least in (
            ("degree", 1),
            ("steps", 1),
            ("rate_steps", 8),
            ("starts", 2),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be ≥ {least}, got {getattr(self, name)}")


PRESETS = {
    "ci": Preset("diabetes", degree=1, steps=100, rate_steps=4000, starts=64),
    "laptop": Preset(
        "diabetes", degree=2, steps=100_000, rate_steps=1_000_000, starts=64
    ),
    "gpu": Preset(
        "diabetes", degree=3, steps=200_000, rate_steps=1_000_000, starts=4096
    ),
}


# --------------------------------------------------------------------------------------- the data


def load(preset: Preset) -> RegressionData:
    """The preset's data set, with products of columns where degree > 1.

    Raises:
        FileNotFoundError: if airfoil is asked for and not on this machine; says how to
            get it.
    """
    data = load_diabetes() if preset.dataset == "diabetes" else load_airfoil()
    return polynomial_features(data, preset.degree)


# -------------------------------------------------------------------------------------- the study


class Preconditioning(NamedTuple):
    """Gradient descent from 0 with and without the Hessian's diagonal, on one data set."""

    condition_number: float  # κ of the Hessian H
    preconditioned_condition_number: float  # κ of D^(−½) H D^(−½)
    gaps: Tensor  # [m], at 2/(μ + L)
    preconditioned_gaps: Tensor  # [m], at its own 2/(μ + L)


@dataclass(frozen=True, eq=False)
class GradientDescentStudy:
    """What `study` measured. All gaps are f(x) − f*, float64 tensors on the CPU.

    Attributes:
        problem: the data, their spectrum (`mu`, `smoothness`, `condition_number`,
            `lr`), optimum.
        optimum: f*, the least-squares floor.
        curve_steps: [m], the steps at which the curves are measured, 0 first, `steps`
            last.
        gaps: [m], gradient descent from 0.
        bounds: [m], ((κ−1)/(κ+1))²ᵏ times the first gap.
        worst_gaps: [m], gradient descent from `Problem.worst_start`.
        predicted_rate: ((κ−1)/(κ+1))², the promise for the gap's factor per step.
        measured_rate: that factor over the last half of `rate_steps` steps from 0.
        newton_gap: after one step of Newton's method from 0.
        standardized: preconditioning of the data as they are; `gaps` again for
            comparison.
        rescaled: preconditioning of the copy in other units.
        random_start_gaps: [starts], at standard normal starts.
        random_gaps: [starts], after `steps` steps from there.
    """

    problem: Problem
    optimum: float
    curve_steps: Tensor
    gaps: Tensor
    bounds: Tensor
    worst_gaps: Tensor
    predicted_rate: float
    measured_rate: float
    newton_gap: float
    standardized: Preconditioning
    rescaled: Preconditioning
    random_start_gaps: Tensor
    random_gaps: Tensor


def in_one_process(function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """All rows here: what `RunContext.map_rows` is without several processes."""
    return function(rows)


def study(
    data: RegressionData,
    *,
    steps: int,
    starts: int,
    generator: torch.Generator,
    rate_steps: int = 4000,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float64,
    track: Track = silent,
    map_rows: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor] = in_one_process,
) -> GradientDescentStudy:
    """Measure the list of this module on one data set.

    Descent runs on `device` in `dtype`. The spectrum, the optimum, Newton's step and
    every gap are computed in float64 on the CPU: they are what the runs are judged by.

    Args:
        data: features [n, d], independent columns.
        steps: of each run, ≥ 1.
        starts: random starts, ≥ 1.
        generator: of the random starts, on the CPU.
        rate_steps: of the run that the rate is measured on, ≥ 8; the promised rate
            shows only once the slowest modes are alone.
        device: where to iterate.
        dtype: what to iterate in.
        track: progress bar.
        map_rows: applies a function to the rows of the starts, over several processes
            if it likes.
    Raises:
        ValueError: if a number is out of range, or columns depend on one another.
    """
    for name, value, least in (
        ("steps", steps, 1), ("starts", starts, 1), ("rate_steps", rate_steps, 8)
    ):  # fmt: skip
        if value < least:
            raise ValueError(f"{name} must be ≥ {least}, got {value}")
    problem = solve(data)
    follow = partial(descend, device=device, dtype=dtype, track=track)
    objective = least_squares(data.features, data.target)
    method = first_order(gradient_descent, lr=problem.lr)
    zero = torch.zeros_like(problem.minimizer)
    both = torch.stack([zero, problem.worst_start()])
    curve_steps, curves = follow(
        problem, both, method, steps=steps, label="gradient descent"
    )

    def gaps_of(rows: Tensor) -> Tensor:
        return follow(
            problem, rows, method, steps=steps, points=1, label="random starts"
        )[1][-1]

    points = torch.randn(starts, len(zero), generator=generator, dtype=torch.float64)
    contraction = contraction_factor(problem.lr, problem.mu, problem.smoothness)
    return GradientDescentStudy(
        problem=problem,
        optimum=float(objective(problem.minimizer)),
        curve_steps=curve_steps,
        gaps=curves[:, 0],
        bounds=float(curves[0, 0]) * contraction ** (2 * curve_steps.double()),
        worst_gaps=curves[:, 1],
        predicted_rate=contraction**2,
        measured_rate=_rate(
            *follow(problem, zero, method, steps=rate_steps, label="rate"), dtype
        ),
        newton_gap=float(problem.gap(zero + newton(objective, zero)[0])),
        standardized=_precondition(problem, follow, steps, device, dtype),
        rescaled=_precondition(
            solve(in_other_units(data)), follow, steps, device, dtype
        ),
        random_start_gaps=problem.gap(points),
        random_gaps=map_rows(gaps_of, points),
    )


def _precondition(
    problem: Problem,
    follow: Callable[..., tuple[Tensor, Tensor]],
    steps: int,
    device: torch.device | str,
    dtype: torch.dtype,
) -> Preconditioning:
    """The same data with and without D = diag(H), Dᵢ = Σₙ xₙᵢ²/n."""
    diagonal = problem.data.features.square().mean(0)
    # with z = D^½ x the preconditioned method is plain descent, with columns divided by D^½
    even = solve(
        replace(problem.data, features=problem.data.features / diagonal.sqrt())
    )
    on_device = diagonal.to(dtype).to(device)
    zero = torch.zeros_like(problem.minimizer)
    plain = first_order(gradient_descent, lr=problem.lr)
    repaired = first_order(preconditioned, lr=even.lr, diagonal=on_device)
    return Preconditioning(
        problem.condition_number,
        even.condition_number,
        follow(problem, zero, plain, steps=steps, label="without diagonal")[1],
        follow(problem, zero, repaired, steps=steps, label="with diagonal")[1],
    )


def _rate(steps: Tensor, gaps: Tensor, dtype: torch.dtype) -> float:
    """The gap's factor per step over the last half of the evenly spaced measurements.

    Gaps that only show rounding are left out: x* is hit to about ε, the gap hence to
    ε².
    """
    every = math.ceil(int(steps[-1]) / CURVE_POINTS)
    even = gaps[steps % every == 0]
    rounding = float(gaps[0]) * (100 * torch.finfo(dtype).eps) ** 2
    return float(measured_rate(even[even > rounding]) ** (1 / every))


def half_life(rate: float) -> float | None:
    """Steps in which a gap that shrinks by `rate` a step is halved, ln ½ / ln rate.

    None where it does not shrink, as when a low precision can get no closer.

    Raises:
        ValueError: if the rate is not positive.
    """
    if not rate > 0:
        raise ValueError(f"rate must be > 0, got {rate}")
    return math.log(0.5) / math.log(rate) if rate < 1 else None


# -------------------------------------------------------------------------------- the experiment


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """The study as numbers for `d2lc run`; curves are thinned to about 40 points."""
    with context.autocast():
        result = study(
            load(preset),
            steps=preset.steps,
            rate_steps=preset.rate_steps,
            starts=preset.starts,
            generator=context.generator,
            device=context.device,
            dtype=context.dtype,
            track=context.track,
            map_rows=context.map_rows,
        )
    return metrics(result)


def metrics(result: GradientDescentStudy) -> dict[str, object]:
    """The study as nested numbers and lists, ready for JSON."""
    problem = result.problem
    rows, columns = problem.data.features.shape
    return {
        "data": problem.data.name,
        "rows": rows,
        "columns": columns,
        "mu": problem.mu,
        "smoothness": problem.smoothness,
        "condition_number": problem.condition_number,
        "optimum": result.optimum,
        "lr": problem.lr,
        "start_gap": float(result.gaps[0]),
        "gap": float(result.gaps[-1]),
        "bound": float(result.bounds[-1]),
        "worst_start_gap": float(result.worst_gaps[-1]),
        "rate": {"predicted": result.predicted_rate, "measured": result.measured_rate},
        "half_life": {
            "predicted": half_life(result.predicted_rate),
            "measured": half_life(result.measured_rate),
        },
        "newton_gap": result.newton_gap,
        "standardized": _preconditioning_metrics(result.standardized),
        "rescaled": _preconditioning_metrics(result.rescaled),
        "random_starts": {
            "count": len(result.random_gaps),
            "start_gap_mean": float(result.random_start_gaps.mean()),
            "gap_mean": float(result.random_gaps.mean()),
            "gap_sd": float(result.random_gaps.std()),
        },
        "curves": _curves(result),
    }


def _preconditioning_metrics(measured: Preconditioning) -> dict[str, float]:
    return {
        "condition_number": measured.condition_number,
        "preconditioned_condition_number": measured.preconditioned_condition_number,
        "gap": float(measured.gaps[-1]),
        "preconditioned_gap": float(measured.preconditioned_gaps[-1]),
    }


def _curves(result: GradientDescentStudy) -> dict[str, list[float]]:
    """Curves at 0 and at about evenly spaced logarithms of the step."""
    last = len(result.curve_steps) - 1
    exponents = [math.log(last) * i / (JSON_POINTS - 1) for i in range(JSON_POINTS)]
    kept = torch.tensor(sorted({0, last, *(round(math.exp(t)) for t in exponents)}))
    curves = {
        "gap": result.gaps,
        "bound": result.bounds,
        "worst_start": result.worst_gaps,
        "rescaled": result.rescaled.gaps,
        "rescaled_preconditioned": result.rescaled.preconditioned_gaps,
    }
    return {"step": result.curve_steps[kept].tolist()} | {
        name: curve[kept].tolist() for name, curve in curves.items()
    }


EXPERIMENT = Experiment(
    name="gradient-descent",
    title=Text(
        "Gradient descent on least squares: conditioning",
        "最小二乘上的梯度下降：条件数",
    ),
    chapter="optimization/gradient-descent",
    presets=PRESETS,
    notes={
        "ci": "diabetes, 10 columns, κ ≈ 470: seconds on one CPU thread",
        "laptop": "products of degree 2, 64 columns, κ ≈ 3e7: a million steps, minutes on a CPU",
        "gpu": "products of degree 3, 274 columns, κ ≈ 8e12: 4,096 starts as rows of one matrix",
    },
    run=run,
    columns=(
        Column("columns", Text("columns", "列数"), "d"),
        Column("condition_number", Text("κ", "κ"), ".3g"),
        Column("gap", Text("final gap", "最终差距"), ".2g"),
        Column("bound", Text("its bound", "理论上界"), ".2g"),
        Column(
            "half_life.measured",
            Text("steps to halve the gap", "差距减半所需步数"),
            ".3g",
        ),
        Column("half_life.predicted", Text("at worst", "最坏情形"), ".3g"),
        Column(
            "newton_gap", Text("gap after one Newton step", "一步牛顿法后的差距"), ".0e"
        ),
        Column(
            "random_starts.gap_mean",
            Text("gap, random starts", "随机起点的差距"),
            ".2f",
        ),
    ),
    precision="fp64",
)
