"""How far does a larger batch help? Steps and examples to a target, against the noise scale.

For every batch size all rates of one grid race, and the one whose mean loss over several
runs is first at the target wins. Runs with new random numbers then measure how many steps
it takes. Two numbers, S_min and E_min, are fitted to the steps of all batch sizes; their
quotient is the critical batch size. It is compared with the gradient noise scale,
averaged along a path of small steps on all rows, as the theory has it, and along the run
of the largest batch itself, as it is measured in practice.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.airfoil import load_airfoil
from d2lcompanion.data.diabetes import load_diabetes
from d2lcompanion.data.fashion_mnist import load_fashion_mnist
from d2lcompanion.experiments.batch_size_problems import (
    Problem,
    image_problem,
    least_squares_problem,
)
from d2lcompanion.experiments.image_classification import prepare
from d2lcompanion.experiments.published_batches import published_losses
from d2lcompanion.optimization.critical_batch import Tradeoff, fit_tradeoff
from d2lcompanion.optimization.minibatch import NoiseScale
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers
from d2lcompanion.training.progress import Track, silent

CHECK = 0.03  # the loss is looked at whenever the steps have grown by this share
FLOW = 8  # the noise scale is measured along steps so many times smaller than the best
NOISE_POINTS = 24  # at about so many points

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        problem: "diabetes" (least squares) or "fashion" (a small network on 7,200 images).
        batch_sizes: B, rising, drawn with replacement.
        rates: the grid, the same for every batch size.
        runs: whose mean loss must reach the target.
        target: gap to the smallest loss (diabetes), cross-entropy on held-out images
            (fashion).
        max_steps: a budget that no run may pass.
        hidden: width of the network.
    Raises:
        ValueError: if a number is out of range.
    """

    problem: Literal["diabetes", "fashion"]
    batch_sizes: tuple[int, ...]
    rates: tuple[float, ...]
    runs: int
    target: float
    max_steps: int
    hidden: int = 32

    def __post_init__(self) -> None:
        require_numbers(self, runs=1, max_steps=1, hidden=1)
        sizes = self.batch_sizes
        if len(sizes) < 2 or sizes[0] < 1 or list(sizes) != sorted(set(sizes)):
            raise ValueError(
                f"batch_sizes must be two or more, ≥ 1 and rising, got {sizes}"
            )
        if not self.rates or not all(0 < rate < math.inf for rate in self.rates):
            raise ValueError(
                f"rates must be one or more positive numbers, got {self.rates}"
            )
        if not 0 < self.target < math.inf:
            raise ValueError(f"target must be > 0 and finite, got {self.target}")


def _grid(largest: float, count: int) -> tuple[float, ...]:
    """largest, largest/√2, largest/2 …"""
    return tuple(round(largest / 2 ** (i / 2), 6) for i in range(count))


SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 442)
PRESETS = {
    "ci": Preset("diabetes", SIZES, _grid(0.48, 14), 128, target=0.01, max_steps=5000),
    "laptop": Preset(
        "fashion", (4, 16, 64, 256, 1024, 4096), _grid(0.64, 14), 5, target=0.6, max_steps=10_000
    ),
    "gpu": Preset(
        "fashion", (4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096), _grid(0.64, 16), 20,
        target=0.5, max_steps=30_000, hidden=128,
    ),
}  # fmt: skip

# --------------------------------------------------------------------------------------- one race


class Arrival(NamedTuple):
    """The first rate at the target.

    Attributes:
        rate: its position in the grid.
        steps: when its mean loss was there, between two looks by interpolation.
        path: the steps looked at and its points then, of the first run.
    """

    rate: int
    steps: float
    path: list[tuple[int, Tensor]]


def race(
    problem: Problem,
    rates: Sequence[float],
    *,
    batch_size: int,
    runs: int,
    target: float,
    max_steps: int,
    generator: torch.Generator,
    track: Track = silent,
) -> Arrival:
    """SGD with every rate side by side until the mean loss of one is at the target.

    A rate that diverges just never arrives. A batch is drawn with replacement; a batch
    of all n rows is the data set itself.

    Args:
        rates: η, [k].
        batch_size, runs, target, max_steps: as in `Preset`.
        generator: on the CPU; draws starts and rows.
        track: progress bar.
    Raises:
        ValueError: if no rate is there after max_steps; says how near the best one came.
    """
    x = problem.start(runs, generator).expand(len(rates), -1, -1)
    eta = torch.tensor(rates, dtype=x.dtype, device=x.device)[:, None, None]
    full = torch.arange(problem.size, device=x.device).expand(runs, -1)
    before, points, look = problem.loss(x).mean(1), [(0, x[:, 0])], 1
    for t in track(range(1, max_steps + 1), f"batches of {batch_size}"):
        rows = full
        if batch_size < problem.size:
            rows = torch.randint(problem.size, (runs, batch_size), generator=generator)
        x = x - eta * problem.gradient(x, rows.to(x.device))
        if t < look and t < max_steps:
            continue
        look = t + max(1, int(CHECK * t))
        now = problem.loss(x).mean(1)  # [k]
        points.append((t, x[:, 0]))
        if bool((now <= target).any()):
            last = points[-2][0]
            share = (before.log() - math.log(target)) / (before.log() - now.log())
            arrived = torch.where(now <= target, last + share * (t - last), math.inf)
            best = int(arrived.argmin())
            return Arrival(
                best, float(arrived[best]), [(s, p[best]) for s, p in points]
            )
        before = now
    raise ValueError(
        f"batches of {batch_size}: no rate was at {target:g} after {max_steps} steps, "
        f"the best at {float(before.nan_to_num(nan=math.inf).min()):g}"
    )


# -------------------------------------------------------------------------------------- the study


@dataclass(frozen=True, eq=False)
class BatchStudy:
    """What `study` measured.

    Attributes:
        batch_sizes: B, [m].
        rates: the best rate of each.
        steps: S of each, from runs that the rate was not chosen by.
        tradeoff: the curve fitted to them.
        path: steps of the path, of η/8 on all rows, at which noise was measured.
        noise_scales: name → noise scale at each of these steps.
        predicted: name → its mean over that path, "hessian" with the weights 1/η_max of
            the theory; "run" is "simple" over the steps of the largest batch's own run.
    """

    batch_sizes: list[int]
    rates: list[float]
    steps: list[float]
    tradeoff: Tradeoff
    path: list[int]
    noise_scales: dict[str, list[float]]
    predicted: dict[str, float]

    @property
    def worst_misfit(self) -> float:
        """The largest factor between measured and fitted steps."""
        pairs = zip(self.batch_sizes, self.steps, strict=True)
        return max(
            math.exp(abs(math.log(s / self.tradeoff.steps(b)))) for b, s in pairs
        )


def study(
    problem: Problem,
    *,
    batch_sizes: Sequence[int],
    rates: Sequence[float],
    runs: int,
    target: float,
    max_steps: int,
    generator: torch.Generator,
    track: Track = silent,
) -> BatchStudy:
    """Tune every batch size over the same rates, measure steps to the target, fit, predict."""
    chosen: list[float] = []
    steps: list[float] = []
    for b in batch_sizes:
        options = {
            "batch_size": b,
            "runs": runs,
            "target": target,
            "max_steps": max_steps,
        }
        tuned = race(problem, rates, **options, generator=generator, track=track)  # type: ignore[arg-type]
        chosen.append(rates[tuned.rate])
        fresh = race(problem, chosen[-1:], **options, generator=generator, track=track)  # type: ignore[arg-type]
        steps.append(fresh.steps)
    flow = race(
        problem,
        [chosen[-1] / FLOW],
        batch_size=problem.size,
        runs=1,
        target=target,
        max_steps=FLOW * max_steps,
        generator=generator,
        track=track,
    )
    path, measured = _measure_noise(problem, flow)
    own_path, own = _measure_noise(problem, fresh)
    scales = {name: [m[name].batch for m in measured] for name in measured[0]}
    predicted = {"simple": _mean_over_path(path, scales["simple"], [1.0] * len(path))}
    if "hessian" in scales:
        curvatures = [
            m["hessian"].signal / m["simple"].signal for m in measured
        ]  # 1/η_max
        predicted["hessian"] = _mean_over_path(path, scales["hessian"], curvatures)
    began = [m["simple"].batch for m in own[:-1]]  # where the steps of the run began
    predicted["run"] = _mean_of_steps(own_path[:-1], began, fresh.steps)
    tradeoff = fit_tradeoff(list(batch_sizes), steps)
    return BatchStudy(
        list(batch_sizes), chosen, steps, tradeoff, path, scales, predicted
    )


def _measure_noise(
    problem: Problem, arrival: Arrival
) -> tuple[list[int], list[dict[str, NoiseScale]]]:
    """Steps, and the noise scales there, at about NOISE_POINTS points and the last one."""
    every = max(1, len(arrival.path) // NOISE_POINTS)
    kept = [*arrival.path[:-1:every], arrival.path[-1]]
    return [step for step, _ in kept], [problem.noise_scales(x) for _, x in kept]


def _mean_of_steps(steps: Sequence[int], values: Sequence[float], end: float) -> float:
    """The mean over 0 … end of what each step saw when it began; the last may be cut."""
    lengths = [b - a for a, b in zip(steps, [*steps[1:], end], strict=True)]
    return sum(n * v for n, v in zip(lengths, values, strict=True)) / end


def _mean_over_path(
    steps: Sequence[int], values: Sequence[float], weights: Sequence[float]
) -> float:
    """∫ values · weights d steps / ∫ weights d steps, by trapezoids."""
    x, w = (torch.tensor(numbers, dtype=torch.float64) for numbers in (steps, weights))
    v = torch.tensor(values, dtype=torch.float64)
    return float(torch.trapezoid(v * w, x) / torch.trapezoid(w, x))


# -------------------------------------------------------------------------------- the experiment


def load(preset: Preset, dtype: torch.dtype, device: torch.device | str) -> Problem:
    """The preset's problem, ready to train."""
    if preset.problem == "diabetes":
        return least_squares_problem(load_diabetes(), dtype, device)
    return image_problem(prepare(load_fashion_mnist(), device, dtype), preset.hidden)


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """The study as numbers for `d2lc run`; the airfoil losses too where the file is."""
    with context.autocast():
        result = study(
            load(preset, context.dtype, context.device),
            batch_sizes=preset.batch_sizes,
            rates=preset.rates,
            runs=preset.runs,
            target=preset.target,
            max_steps=preset.max_steps,
            generator=context.generator,
            track=context.track,
        )
    return {**metrics(result), "airfoil": _airfoil_losses(context.generator)}


def _airfoil_losses(generator: torch.Generator) -> dict[str, float] | None:
    try:
        data = load_airfoil()
    except FileNotFoundError:
        return None
    return published_losses(data, generator)


def metrics(result: BatchStudy) -> dict[str, object]:
    """The study as nested numbers and lists, ready for JSON."""
    return {
        "batch_sizes": result.batch_sizes,
        "rates": result.rates,
        "steps": result.steps,
        "min_steps": result.tradeoff.min_steps,
        "min_examples": result.tradeoff.min_examples,
        "critical_batch": result.tradeoff.critical_batch,
        "worst_misfit": result.worst_misfit,
        "path": result.path,
        "noise_scales": result.noise_scales,
        "predicted": result.predicted,
        "ratio": result.tradeoff.critical_batch / result.predicted["simple"],
        "ratio_run": result.tradeoff.critical_batch / result.predicted["run"],
    }


EXPERIMENT = Experiment(
    name="batch-size",
    title=Text(
        "Steps and examples to a target: where larger batches stop helping",
        "达到目标要多少步、多少样本：批量大到哪里为止还有用",
    ),
    chapter="optimization/minibatch-sgd",
    presets=PRESETS,
    notes={
        "ci": "diabetes, 10 batch sizes, 14 rates, 128 runs each: seconds on a CPU",
        "laptop": "a network with 32 hidden units on 7,200 images, 6 batch sizes: minutes",
        "gpu": "128 hidden units, 11 batch sizes, 16 rates, 20 runs side by side",
    },
    run=run,
    columns=(
        Column("min_steps", Text("fewest steps", "最少步数"), ".3g"),
        Column("min_examples", Text("fewest examples", "最少样本数"), ".3g"),
        Column(
            "critical_batch", Text("critical batch, fitted", "临界批量（拟合）"), ".3g"
        ),
        Column(
            "predicted.simple",
            Text("noise scale, small steps", "噪声尺度（小步）"),
            ".3g",
        ),
        Column(
            "predicted.run", Text("noise scale, own run", "噪声尺度（实跑）"), ".3g"
        ),
        Column(
            "worst_misfit", Text("largest misfit (factor)", "最大偏差（倍）"), ".2f"
        ),
    ),
)
