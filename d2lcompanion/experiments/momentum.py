"""Steps to a given accuracy on real least squares: gradient descent, Nesterov, heavy ball.

All three run with the constants that theory gives for μ and L, from the same random
starts, and are stopped when the mean gap has come down to a given share of its first
value. Theory says that gradient descent needs a number of steps proportional to κ, the
two others one proportional to √κ. What the scales add is conditioning: κ ≈ 470 for the
ten columns of diabetes, κ ≈ 3·10⁷ for their products of degree 2, where gradient descent
would have to be waited for.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from d2lcompanion.data.diabetes import load_diabetes
from d2lcompanion.experiments.least_squares import Problem, polynomial_features, solve
from d2lcompanion.optimization.descent import Method, first_order, gradient_descent
from d2lcompanion.optimization.momentum import (
    heavy_ball,
    nesterov,
    nesterov_constants,
    optimal_heavy_ball,
)
from d2lcompanion.optimization.objectives import least_squares
from d2lcompanion.optimization.rules import State
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.progress import Track, silent


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        degree: products of up to so many columns of diabetes are the features, ≥ 1.
        starts: number of standard normal starts, ≥ 1; they run as rows of one matrix.
        share: the mean gap is to fall to this share of its first value, in (0, 1).
        steps: the most steps to take, ≥ 1.
    Raises:
        ValueError: if a number is out of range.
    """

    degree: int
    starts: int
    share: float
    steps: int

    def __post_init__(self) -> None:
        for name in ("degree", "starts", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be ≥ 1, got {getattr(self, name)}")
        if not 0 < self.share < 1:
            raise ValueError(f"share must be in (0, 1), got {self.share}")


PRESETS = {
    "ci": Preset(degree=1, starts=20, share=1e-6, steps=10_000),
    "laptop": Preset(degree=2, starts=20, share=1e-6, steps=200_000),
    "gpu": Preset(degree=3, starts=4096, share=1e-6, steps=2_000_000),
}


def methods(problem: Problem) -> dict[str, Method]:
    """The three methods with the constants of theory for the problem's μ and L."""
    ball = optimal_heavy_ball(problem.mu, problem.smoothness)
    safe = nesterov_constants(problem.mu, problem.smoothness)
    return {
        "gradient_descent": first_order(gradient_descent, lr=problem.lr),
        "nesterov": first_order(nesterov, lr=safe.lr, beta=safe.beta),
        "heavy_ball": first_order(heavy_ball, lr=ball.lr, beta=ball.beta),
    }


def steps_until(
    problem: Problem,
    starts: Tensor,
    method: Method,
    *,
    share: float,
    steps: int,
    every: int = 1,
    track: Track = silent,
) -> tuple[int | None, float]:
    """Steps until the mean gap over the starts is at most `share` of its first value.

    Args:
        problem: least squares on real data.
        starts: x₀, [m, d], on the device and in the type to iterate in.
        method: may have a state.
        share: in (0, 1).
        steps: the most to take.
        every: how often to look.
        track: progress bar.
    Returns:
        (steps, largest mean gap on the way as a multiple of the first); None where
        `steps` were not enough.
    """
    f = least_squares(problem.data.features.to(starts), problem.data.target.to(starts))
    x = starts
    state: State = ()
    first = float(problem.gap(x).mean())
    largest = first
    for step in track(range(1, steps + 1), "steps"):
        update, state = method(f, x, state)
        x = x + update
        if step % every == 0:
            gap = float(problem.gap(x).mean())
            largest = max(largest, gap)
            if gap <= share * first:
                return step, largest / first
    return None, largest / first


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """Steps of the three methods as numbers for `d2lc run`."""
    problem = solve(polynomial_features(load_diabetes(), preset.degree))
    d = len(problem.minimizer)
    drawn = torch.randn(
        preset.starts, d, generator=context.generator, dtype=torch.float64
    )
    starts = drawn.to(context.dtype).to(context.device)
    found: dict[str, object] = {
        "columns": d,
        "condition_number": problem.condition_number,
    }
    for name, method in methods(problem).items():
        steps, largest = steps_until(
            problem,
            starts,
            method,
            share=preset.share,
            steps=preset.steps,
            every=max(1, preset.steps // 10_000),
            track=context.track,
        )
        found[name] = {"steps": steps, "largest_gap": largest}
    return found


EXPERIMENT = Experiment(
    name="momentum",
    title=Text(
        "Momentum on least squares: steps until the gap is a millionth of its first value",
        "最小二乘上的动量：差距缩小到最初的百万分之一所需的步数",
    ),
    chapter="optimization/momentum",
    presets=PRESETS,
    notes={
        "ci": "diabetes, 10 columns, κ ≈ 470: seconds on one CPU thread",
        "laptop": "products of degree 2, κ ≈ 3e7, at most 200,000 steps: a minute on a CPU",
        "gpu": "products of degree 3, κ ≈ 8e12, 4,096 starts, at most 2,000,000 steps",
    },
    run=run,
    columns=(
        Column("condition_number", Text("κ", "κ"), ".3g"),
        Column("gradient_descent.steps", Text("gradient descent", "梯度下降"), ".0f"),
        Column("nesterov.steps", Text("Nesterov", "Nesterov"), ".0f"),
        Column("heavy_ball.steps", Text("heavy ball", "重球法"), ".0f"),
        Column(
            "heavy_ball.largest_gap",
            Text("overshoot of heavy ball", "重球法的过冲"),
            ".2g",
        ),
    ),
    precision="fp64",
)
