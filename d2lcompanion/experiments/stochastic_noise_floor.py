"""The noise floor of SGD on real least squares: how it depends on the rate, and on shuffling.

With a constant rate η SGD does not stop at the minimum; its gap f(xₜ) − f* hovers around
a floor. For rows drawn with replacement the floor can be computed exactly
(`least_squares_noise.stationary_gap`); for small η it is ησ²/4. The study measures, for
rates that halve from one to the next and over many seeds,

- the floor with replacement, beside its exact value;
- the floor without replacement, at the ends of epochs: lower, and falling faster with η;
- the slope of both in log-log over the smaller rates, one fit a seed.

Runs start at the minimum, so that what is measured is the floor and not the way there.
All seeds, with and without replacement, go side by side as rows of one tensor.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.airfoil import load_airfoil
from d2lcompanion.data.diabetes import load_diabetes
from d2lcompanion.data.regression import RegressionData
from d2lcompanion.experiments.gradient_descent import in_one_process
from d2lcompanion.experiments.least_squares import Problem, polynomial_features, solve
from d2lcompanion.optimization.descent import gradient_descent
from d2lcompanion.optimization.least_squares_noise import (
    mean_square_edge,
    stationary_gap,
)
from d2lcompanion.optimization.stochastic import (
    FiniteSum,
    gradient_variance,
    least_squares_sum,
    sample_indices,
    sgd,
)
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.progress import Track, silent

SLOW_SHARE = 0.02  # flat directions with this share of tr H together need not settle
SMALL = 16  # rates up to edge/16 count as small: the slope is fitted over them
CHUNK = 10_000  # about so many steps are drawn at a time

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        dataset: "diabetes" (442 rows, 10 columns) or "airfoil" (1,500 rows, 5 columns).
        degree: products of up to so many columns are the features.
        rates: k, the rates are edge/2, edge/4, … edge/2ᵏ; at least 6, so that two or
            more are small.
        seeds: independent runs at every rate.
        relaxations: how many time constants 1/(2ηλ) of the slowest direction that
            counts a run settles before it is measured; it is measured for twice as
            long.
    Raises:
        ValueError: if a number is out of range.
    """

    dataset: Literal["diabetes", "airfoil"]
    degree: int
    rates: int
    seeds: int
    relaxations: float

    def __post_init__(self) -> None:
        for name, least in (("degree", 1), ("rates", 6), ("seeds", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be ≥ {least}, got {getattr(self, name)}")
        if not 0 < self.relaxations < math.inf:
            raise ValueError(
                f"relaxations must be > 0 and finite, got {self.relaxations}"
            )


PRESETS = {
    "ci": Preset("diabetes", degree=1, rates=7, seeds=40, relaxations=4.0),
    "laptop": Preset("diabetes", degree=1, rates=11, seeds=200, relaxations=6.0),
    "gpu": Preset("diabetes", degree=2, rates=7, seeds=4096, relaxations=6.0),
}


def load(preset: Preset) -> RegressionData:
    """The preset's data set, with products of columns where degree > 1.

    Raises:
        FileNotFoundError: if airfoil is asked for and not on this machine; says how to
            get it.
    """
    data = load_diabetes() if preset.dataset == "diabetes" else load_airfoil()
    return polynomial_features(data, preset.degree)


# ----------------------------------------------------------------------------- rows for many runs


def streams(runs: int, generator: torch.Generator) -> list[torch.Generator]:
    """A generator of its own for each run, so that a run does not depend on how many there are.

    Args:
        runs: how many.
        generator: draws their seeds.
    """
    seeds = torch.randint(2**62, (runs,), generator=generator)
    return [torch.Generator().manual_seed(seed) for seed in seeds.tolist()]


def draw_rows(
    generators: Sequence[torch.Generator],
    n: int,
    steps: int,
    *,
    replacement: bool = True,
) -> Tensor:
    """One row of n for every step of every run: [runs, steps, 1], int64.

    Drawing goes on where it stopped: without replacement the steps of one call should
    be whole epochs, else the next call starts a new one.
    """
    return torch.stack(
        [
            sample_indices(n, steps, replacement=replacement, generator=generator)
            for generator in generators
        ]
    )


# -------------------------------------------------------------------------------------- the study


class Slope(NamedTuple):
    """A slope in log-log, fitted for each seed alone."""

    mean: float
    error: float  # standard error of the mean over seeds


@dataclass(frozen=True, eq=False)
class NoiseFloorStudy:
    """What `study` measured, float64 tensors on the CPU.

    Attributes:
        problem: the data, their spectrum and optimum.
        variance: σ², of a single gradient at the minimum.
        edge: the rate beyond which E f(xₜ) explodes.
        lrs: [k], falling: edge/2 … edge/2ᵏ.
        steps: [k], of each run.
        floors: [k, seeds], mean gap at the ends of the measured epochs, with
            replacement.
        reshuffled: [k, seeds], likewise without replacement.
        predicted: [k], the exact floor with replacement.
    """

    problem: Problem
    variance: float
    edge: float
    lrs: Tensor
    steps: list[int]
    floors: Tensor
    reshuffled: Tensor
    predicted: Tensor

    @property
    def small(self) -> Tensor:
        """[k] of bool: which rates are small, η ≤ edge/16."""
        return self.lrs <= self.edge / SMALL * (1 + 1e-9)

    def slope(self, floors: Tensor) -> Slope:
        """Of log floor over log η, small rates only.

        Args:
            floors: [k, seeds], or [k] for an exact curve (its error is 0).
        """
        x = self.lrs[self.small].log()
        y = floors[self.small].log().reshape(len(x), -1)
        x = x - x.mean()
        slopes = (x @ y) / (x @ x)  # [seeds]
        error = float(slopes.std()) / math.sqrt(len(slopes)) if len(slopes) > 1 else 0.0
        return Slope(float(slopes.mean()), error)


def study(
    data: RegressionData,
    *,
    rates: int,
    seeds: int,
    relaxations: float,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float64,
    track: Track = silent,
    map_rows: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor] = in_one_process,
) -> NoiseFloorStudy:
    """Measure the list of this module on one data set.

    SGD runs on `device` in `dtype`; rows are drawn on the CPU. The optimum, the exact
    floors and every gap are computed in float64 on the CPU.

    Args:
        data: features [n, d], independent columns.
        rates, seeds, relaxations: as in `Preset`.
        generator: on the CPU; gives every seed its stream.
        device: where to iterate.
        dtype: what to iterate in.
        track: progress bar.
        map_rows: applies a function to the seeds, over several processes if it likes.
    Raises:
        ValueError: if columns depend on one another, or a run diverges.
    """
    problem = solve(data)
    features, target, n = data.features, data.target, len(data.target)
    edge = mean_square_edge(features)
    lrs = edge / 2.0 ** torch.arange(1, rates + 1, dtype=torch.float64)
    seed_numbers = torch.randint(2**62, (seeds,), generator=generator)
    terms = least_squares_sum(
        features.to(dtype).to(device), target.to(dtype).to(device)
    )
    start = problem.minimizer.to(dtype).to(device)
    steps, floors = [], []
    for lr in lrs.tolist():
        settle = math.ceil(relaxations / (2 * lr * _slowest(problem) * n))  # epochs
        steps.append(3 * settle * n)

        def floors_of(numbers: Tensor, lr: float = lr, settle: int = settle) -> Tensor:
            return _floors(problem, terms, start, numbers, lr, settle, track)

        floors.append(map_rows(floors_of, seed_numbers))  # [seeds, 2]
    measured = torch.stack(floors)
    return NoiseFloorStudy(
        problem=problem,
        variance=gradient_variance(
            least_squares_sum(features, target), problem.minimizer
        ),
        edge=edge,
        lrs=lrs,
        steps=steps,
        floors=measured[..., 0],
        reshuffled=measured[..., 1],
        predicted=torch.tensor(
            [stationary_gap(features, target, lr) for lr in lrs.tolist()],
            dtype=torch.float64,
        ),
    )


def _slowest(problem: Problem) -> float:
    """The smallest eigenvalue that counts: those below hold 2 % of tr H together, at most."""
    rising = problem.eigenvalues.flip(0)
    share = rising.cumsum(0) / rising.sum()
    return float(rising[share > SLOW_SHARE][0])


def _floors(
    problem: Problem,
    terms: FiniteSum,
    start: Tensor,
    seeds: Tensor,
    lr: float,
    settle: int,
    track: Track,
) -> Tensor:
    """The mean gap over 2 · settle epochs after settle epochs, [seeds, 2]: with and without
    replacement, from the same streams."""
    n, both = terms.size, (True, False)
    generators = [
        [torch.Generator().manual_seed(seed) for seed in seeds.tolist()] for _ in both
    ]
    x = start.expand(2, len(seeds), -1)
    total = torch.zeros(2, len(seeds), dtype=torch.float64)
    per_chunk = max(1, CHUNK // n)
    for part in track(range(3), f"rate {lr:.2g}"):
        for first in range(0, settle, per_chunk):
            steps = min(per_chunk, settle - first) * n
            rows = torch.stack(
                [
                    draw_rows(g, n, steps, replacement=replacement)
                    for g, replacement in zip(generators, both, strict=True)
                ]
            )  # [2, seeds, steps, 1]
            run = sgd(terms, x, gradient_descent, indices=rows, schedule=lr, every=n)
            if run.status == "diverged":
                raise ValueError(f"rate {lr:g}: {run.message}")
            x = run.points[..., -1, :]
            if part > 0:  # settled
                total += problem.gap(run.points[..., 1:, :]).sum(-1)
    return (total / (2 * settle)).T


# -------------------------------------------------------------------------------- the experiment


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """The study as numbers for `d2lc run`."""
    with context.autocast():
        result = study(
            load(preset),
            rates=preset.rates,
            seeds=preset.seeds,
            relaxations=preset.relaxations,
            generator=context.generator,
            device=context.device,
            dtype=context.dtype,
            track=context.track,
            map_rows=context.map_rows,
        )
    return metrics(result)


def metrics(result: NoiseFloorStudy) -> dict[str, object]:
    """The study as nested numbers and lists, ready for JSON; floors are means over seeds."""
    problem, seeds = result.problem, result.floors.shape[1]
    rows, columns = problem.data.features.shape
    floors, reshuffled = result.floors.mean(1), result.reshuffled.mean(1)
    return {
        "data": problem.data.name,
        "rows": rows,
        "columns": columns,
        "seeds": seeds,
        "variance": result.variance,
        "edge": result.edge,
        "smoothness_edge": 2 / problem.smoothness,
        "slope": {
            "measured": result.slope(result.floors)._asdict(),
            "predicted": result.slope(result.predicted).mean,
            "reshuffled": result.slope(result.reshuffled)._asdict(),
        },
        "smallest": {
            "lr": float(result.lrs[-1]),
            "steps": result.steps[-1],
            "floor": float(floors[-1]),
            "predicted": float(result.predicted[-1]),
            "quarter_rule": float(result.lrs[-1]) * result.variance / 4,
            "times_lower": float(floors[-1] / reshuffled[-1]),
        },
        "curves": {
            "lr": result.lrs.tolist(),
            "floor": floors.tolist(),
            "floor_sd": result.floors.std(1).tolist(),
            "reshuffled": reshuffled.tolist(),
            "reshuffled_sd": result.reshuffled.std(1).tolist(),
            "predicted": result.predicted.tolist(),
        },
    }


EXPERIMENT = Experiment(
    name="stochastic-noise-floor",
    title=Text(
        "SGD on least squares: the noise floor",
        "最小二乘上的随机梯度下降：噪声底",
    ),
    chapter="optimization/stochastic-gradient-descent",
    presets=PRESETS,
    notes={
        "ci": "diabetes, 7 rates, 40 runs each: seconds on one CPU thread",
        "laptop": "diabetes, 11 rates, 200 runs each: minutes on a CPU",
        "gpu": "products of degree 2, 64 columns: 4,096 runs each as rows of one tensor",
    },
    run=run,
    columns=(
        Column("columns", Text("columns", "列数"), "d"),
        Column("seeds", Text("runs", "运行数"), "d"),
        Column("edge", Text("edge", "分界线"), ".3g"),
        Column("smallest.lr", Text("smallest rate", "最小学习率"), ".2g"),
        Column("smallest.floor", Text("its floor", "它的噪声底"), ".3g"),
        Column("smallest.predicted", Text("exact", "精确值"), ".3g"),
        Column("slope.measured.mean", Text("slope", "斜率"), ".3f"),
        Column("slope.predicted", Text("exact slope", "斜率精确值"), ".3f"),
        Column(
            "slope.reshuffled.mean", Text("slope, reshuffled", "不放回的斜率"), ".2f"
        ),
        Column(
            "smallest.times_lower", Text("reshuffling lower by", "不放回低几倍"), ".0f"
        ),
    ),
    precision="fp64",
)
