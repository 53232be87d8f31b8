"""Steps to a given accuracy on real least squares: gradient descent, Nesterov, heavy ball.

All three run with the constants that theory gives for μ and L, from the same random
starts, and are stopped when the mean gap has come down to a given share of its first
value. Theory says that gradient descent needs a number of steps proportional to κ, the
two others one proportional to √κ, and it names a factor per step for each. The factor
that a run shows at its end is measured and put beside the one predicted. What the scales
add is conditioning: κ ≈ 470 for the ten columns of diabetes, κ ≈ 3·10⁷ for their products
of degree 2, where gradient descent would have to be waited for.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.diabetes import load_diabetes
from d2lcompanion.experiments.least_squares import Problem, polynomial_features, solve
from d2lcompanion.optimization.descent import (
    Method,
    contraction_factor,
    first_order,
    gradient_descent,
    measured_rate,
)
from d2lcompanion.optimization.momentum import (
    heavy_ball,
    nesterov,
    nesterov_constants,
    nesterov_rate,
    optimal_heavy_ball,
)
from d2lcompanion.optimization.objectives import least_squares
from d2lcompanion.optimization.rules import State
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers
from d2lcompanion.training.progress import Track, silent


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        degree: products of up to so many columns of diabetes are the features, ≥ 1.
        starts: number of standard normal starts, ≥ 1; they run as rows of one matrix.
        share: the mean gap is to fall to this share of its first value, in (0, 1).
        steps: the most steps to take, ≥ 1.
        every: the gap is looked at every so many steps, ≥ 1; counts of steps are
            multiples of it.
    Raises:
        ValueError: if a number is out of range.
    """

    degree: int
    starts: int
    share: float
    steps: int
    every: int = 1

    def __post_init__(self) -> None:
        require_numbers(self, degree=1, starts=1, steps=1, every=1)
        if not 0 < self.share < 1:
            raise ValueError(f"share must be in (0, 1), got {self.share}")


PRESETS = {
    "ci": Preset(degree=1, starts=20, share=1e-6, steps=10_000),
    "laptop": Preset(degree=2, starts=20, share=1e-6, steps=200_000, every=20),
    "gpu": Preset(degree=3, starts=4096, share=1e-6, steps=2_000_000, every=200),
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


def predicted_rates(problem: Problem) -> dict[str, float]:
    """The factor per step of the error ‖x − x*‖ that theory gives each of `methods`.

    Gradient descent (κ − 1)/(κ + 1), Nesterov on quadratics 1 − 1/√κ (the guarantee for
    all functions is the weaker √(1 − 1/√κ)), heavy ball √β = (√κ − 1)/(√κ + 1).
    """
    mu, smoothness = problem.mu, problem.smoothness
    safe = nesterov_constants(mu, smoothness)
    return {
        "gradient_descent": contraction_factor(problem.lr, mu, smoothness),
        "nesterov": float(nesterov_rate(safe.lr * mu, safe.beta)),
        "heavy_ball": optimal_heavy_ball(mu, smoothness).rate,
    }


class Course(NamedTuple):
    """What one run did.

    Attributes:
        steps: until the mean gap was at most the given share of its first value; None
            where the steps allowed were not enough.
        largest_gap: the largest mean gap on the way, as a multiple of the first.
        rate: the factor per step of the error at the end of the run: the root of that
            of the gap, from a line through its logarithms over the last half; None
            where fewer than four gaps were looked at.
    """

    steps: int | None
    largest_gap: float
    rate: float | None


def steps_until(
    problem: Problem,
    starts: Tensor,
    method: Method,
    *,
    share: float,
    steps: int,
    every: int = 1,
    track: Track = silent,
) -> Course:
    """Run until the mean gap over the starts is at most `share` of its first value.

    Args:
        problem: least squares on real data.
        starts: x₀, [m, d], on the device and in the type to iterate in.
        method: may have a state.
        share: in (0, 1).
        steps: the most to take.
        every: how often to look.
        track: progress bar.
    """
    f = least_squares(problem.data.features.to(starts), problem.data.target.to(starts))
    x = starts
    state: State = ()
    gaps = [float(problem.gap(x).mean())]
    reached = None
    for step in track(range(1, steps + 1), "steps"):
        update, state = method(f, x, state)
        x = x + update
        if step % every == 0:
            gaps.append(float(problem.gap(x).mean()))
            if gaps[-1] <= share * gaps[0]:
                reached = step
                break
    rate = None
    if len(gaps) >= 4:
        rate = math.sqrt(measured_rate(gaps)) ** (1 / every)
    return Course(reached, max(gaps) / gaps[0], rate)


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """Steps and factors of the three methods as numbers for `d2lc run`."""
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
    predicted = predicted_rates(problem)
    for name, method in methods(problem).items():
        course = steps_until(
            problem,
            starts,
            method,
            share=preset.share,
            steps=preset.steps,
            every=preset.every,
            track=context.track,
        )
        found[name] = {**course._asdict(), "predicted_rate": predicted[name]}
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
        "ci": "diabetes, 10 columns, κ ≈ 470, looking at every step: seconds on a CPU thread",
        "laptop": "products of degree 2, κ ≈ 3e7, at most 200,000 steps, looking at every 20th: "
        "a minute on a CPU",
        "gpu": "products of degree 3, κ ≈ 8e12, 4,096 starts, at most 2,000,000 steps, looking "
        "at every 200th",
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
        *(
            Column(f"{name}.{key}", Text(english, chinese), ".8g")
            for name, letters in (
                ("gradient_descent", "GD"),
                ("nesterov", "N"),
                ("heavy_ball", "HB"),
            )
            for key, english, chinese in (
                ("rate", f"{letters}: factor", f"{letters}：倍数"),
                ("predicted_rate", f"{letters}: predicted", f"{letters}：预测"),
            )
        ),
    ),
    precision="fp64",
)
