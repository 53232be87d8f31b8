"""One loss that is convex and one that is not, on the same images: what many starts find.

Multinomial logistic regression with a ridge λ is λ-strongly convex: whatever the start,
gradient descent ends at one point, and ‖∇f(w)‖/λ says how far from it a run still is,
although nobody knows the point. A network with one hidden layer is not convex, and here
is the certificate: with its hidden units in another order it is the same function, hence
has the same loss; half-way between the two parameter vectors the loss is higher.

What the scales add: starts, a smaller λ (a larger κ = L/λ, hence more steps), wider
networks and more of them. Starts and networks run as rows of one matrix.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from d2lcompanion.data.classification import ClassificationData
from d2lcompanion.data.digits import load_digits
from d2lcompanion.experiments.two_layer import TwoLayerNetwork, shuffled_order
from d2lcompanion.optimization.convexity import jensen_gap
from d2lcompanion.optimization.logistic import softmax_regression, softmax_smoothness
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.progress import Track, silent

Rows: TypeAlias = Callable[[Tensor], Tensor]  # [m, d] → [m, d]

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        ridge: λ > 0 of the logistic regression.
        starts: random starts of it, ≥ 2.
        steps: of gradient descent from each start, at 1/L.
        width: hidden units of a network, ≥ 2.
        networks: how many are trained, ≥ 2.
        network_steps: of gradient descent for each.
        network_lr: its learning rate.
        permutations: other orders of the hidden units that are tried for each network.
    Raises:
        ValueError: if a number is out of range.
    """

    ridge: float
    starts: int
    steps: int
    width: int
    networks: int
    network_steps: int
    network_lr: float
    permutations: int

    def __post_init__(self) -> None:
        for name in ("ridge", "network_lr"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        for name, least in (
            ("starts", 2), ("steps", 1), ("width", 2), ("networks", 2),
            ("network_steps", 1), ("permutations", 1),
        ):  # fmt: skip
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be ≥ {least}, got {getattr(self, name)}")


PRESETS = {
    "ci": Preset(
        ridge=0.02, starts=5, steps=500, width=8, networks=5,
        network_steps=150, network_lr=2.0, permutations=20,
    ),
    "laptop": Preset(
        ridge=0.001, starts=16, steps=8000, width=64, networks=5,
        network_steps=600, network_lr=1.0, permutations=20,
    ),
    "gpu": Preset(
        ridge=0.0001, starts=256, steps=80_000, width=1024, networks=32,
        network_steps=4000, network_lr=0.1, permutations=20,
    ),
}  # fmt: skip


# --------------------------------------------------------------------------------------- the runs


class Descent(NamedTuple):
    """Gradient descent from many starts, each a row."""

    ends: Tensor  # [m, d]
    curve_steps: Tensor  # [t], 0 first, the last step last
    curves: Tensor  # [t, m], f at those steps


def descend_rows(
    value: Callable[[Tensor], Tensor],
    gradient: Rows,
    starts: Tensor,
    *,
    lr: float,
    steps: int,
    every: int | None = None,
    track: Track = silent,
    label: str = "descent",
) -> Descent:
    """x ← x − η∇f(x) for each row by itself, all in one matrix product.

    Args:
        value: f, [m, d] → [m].
        gradient: ∇f, [m, d] → [m, d].
        starts: [m, d].
        lr: η.
        steps: ≥ 1.
        every: measure f so often; None: at the start and at the end alone.
        track: progress bar.
        label: shown beside it.
    Raises:
        ValueError: if steps or every is below 1.
    """
    every = steps if every is None else every
    if min(steps, every) < 1:
        raise ValueError(f"steps and every must be ≥ 1, got {steps} and {every}")
    x, measured, curves = starts, [0], [value(starts)]
    for k in track(range(1, steps + 1), label):
        x = x - lr * gradient(x)
        if k % every == 0 or k == steps:
            measured.append(k)
            curves.append(value(x))
    return Descent(x, torch.tensor(measured), torch.stack(curves))


def train_networks(
    network: TwoLayerNetwork, starts: Tensor, *, lr: float, steps: int, track: Track
) -> Tensor:
    """Gradient descent on every network, [m, dim] → [m, dim]."""
    run = descend_rows(
        network.loss, network.gradient, starts, lr=lr, steps=steps, track=track,
        label="networks",
    )  # fmt: skip
    return run.ends


def midpoint_losses(
    network: TwoLayerNetwork, theta: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    """Loss half-way between a network and itself with its hidden units in another order.

    Args:
        network: the loss.
        theta: trained networks, [m, dim].
        count: other orders, drawn anew for each.
        generator: of the orders, on the CPU.
    Returns:
        [count, m].
    """
    losses = []
    for _ in range(count):
        order = shuffled_order(network.width, generator).to(theta.device)
        losses.append(network.loss((theta + network.permuted(theta, order)) / 2))
    return torch.stack(losses)


# -------------------------------------------------------------------------------------- the study


@dataclass(frozen=True, eq=False)
class ConvexityStudy:
    """What `study` measured; tensors are on the CPU.

    Attributes:
        smoothness: L of the logistic regression.
        jensen_gaps: [starts], height of the chord between two neighbouring starts over
            the midpoint.
        losses: [starts], where the runs ended.
        ends: [starts, d].
        distance_bounds: [starts], ‖∇f(w)‖/λ, no less than the distance to the minimizer.
        network_losses: [networks], after training.
        network_midpoints: [permutations, networks], half-way to other orders.
    """

    smoothness: float
    jensen_gaps: Tensor
    losses: Tensor
    ends: Tensor
    distance_bounds: Tensor
    network_losses: Tensor
    network_midpoints: Tensor

    @property
    def spread(self) -> float:
        """The largest distance of an end from the mean of all, as a share of its norm."""
        mean = self.ends.mean(0)
        return float((self.ends - mean).norm(dim=1).max() / mean.norm())

    @property
    def excess(self) -> Tensor:
        """[permutations, networks]: above 0, each is a certificate of non-convexity."""
        return self.network_midpoints - self.network_losses


def in_one_process(function: Rows, rows: Tensor) -> Tensor:
    """All rows here: what `RunContext.map_rows` is without several processes."""
    return function(rows)


def study(
    data: ClassificationData,
    preset: Preset,
    *,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float64,
    track: Track = silent,
    map_rows: Callable[[Rows, Tensor], Tensor] = in_one_process,
) -> ConvexityStudy:
    """Train both models from random starts and compare what the starts found.

    Args:
        data: features [n, d], labels [n].
        preset: sizes.
        generator: of starts and orders, on the CPU.
        device: where to compute.
        dtype: what to compute in.
        track: progress bar.
        map_rows: applies a function to the rows of the starts, over several processes
            if it likes.
    """
    features, labels = data.features.to(device, dtype), data.labels.to(device)
    objective = softmax_regression(
        features, labels, classes=data.classes, ridge=preset.ridge
    )
    smoothness = softmax_smoothness(features, ridge=preset.ridge)
    assert objective.dim is not None
    starts = torch.randn(
        preset.starts, objective.dim, generator=generator, dtype=torch.float64
    ).to(features)

    def descend(rows: Tensor) -> Tensor:
        return descend_rows(
            objective, objective.gradient, rows, lr=1 / smoothness, steps=preset.steps,
            track=track, label="logistic regression",
        ).ends  # fmt: skip

    ends = map_rows(descend, starts).to(features)
    pairs = torch.stack([starts, starts.roll(1, 0)], 1)  # [starts, 2, d]
    network = TwoLayerNetwork(features, labels, data.classes, preset.width)

    def train(rows: Tensor) -> Tensor:
        lr, steps = preset.network_lr, preset.network_steps
        return train_networks(network, rows, lr=lr, steps=steps, track=track)

    theta = map_rows(train, network.initial(preset.networks, generator)).to(features)
    middles = midpoint_losses(network, theta, preset.permutations, generator)
    return ConvexityStudy(
        smoothness=smoothness,
        jensen_gaps=jensen_gap(objective, pairs).cpu(),
        losses=objective(ends).cpu(),
        ends=ends.cpu(),
        distance_bounds=objective.gradient(ends).norm(dim=1).cpu() / preset.ridge,
        network_losses=network.loss(theta).cpu(),
        network_midpoints=middles.cpu(),
    )


# --------------------------------------------------------------------------------- the experiment


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """The study as numbers for `d2lc run`."""
    data = load_digits()
    with context.autocast():
        result = study(
            data,
            preset,
            generator=context.generator,
            device=context.device,
            dtype=context.dtype,
            track=context.track,
            map_rows=context.map_rows,
        )
    return {"data": data.name, **metrics(result, preset)}


def metrics(result: ConvexityStudy, preset: Preset) -> dict[str, object]:
    """The study as nested numbers, ready for JSON."""
    excess = result.excess
    return {
        "logistic": {
            "ridge": preset.ridge,
            "starts": len(result.losses),
            "condition_number": result.smoothness / preset.ridge,
            "loss": float(result.losses.mean()),
            "loss_spread": float(result.losses.max() - result.losses.min()),
            "weight_norm": float(result.ends.mean(0).norm()),
            "weight_spread": result.spread,
            "distance_bound": float(result.distance_bounds.max()),
            "smallest_jensen_gap": float(result.jensen_gaps.min()),
        },
        "network": {
            "width": preset.width,
            "networks": len(result.network_losses),
            "loss": float(result.network_losses.mean()),
            "loss_sd": float(result.network_losses.std()),
            "midpoint": float(result.network_midpoints.mean()),
            "midpoint_sd": float(result.network_midpoints.std()),
            "smallest_excess": float(excess.min()),
            "share_above": float((excess > 0).double().mean()),
        },
    }


EXPERIMENT = Experiment(
    name="convexity",
    title=Text(
        "Many starts, one minimizer; one network, two parameter vectors",
        "多个起点，一个最小值点；一个网络，两个参数向量",
    ),
    chapter="optimization/convexity",
    presets=PRESETS,
    notes={
        "ci": "λ = 0.02, 5 starts; 5 networks of 8 hidden units: seconds on one CPU thread",
        "laptop": "λ = 0.001, 16 starts; 5 networks of 64 units: minutes on a CPU",
        "gpu": "λ = 0.0001, 256 starts of 80,000 steps; 32 networks of 1,024 units",
    },
    run=run,
    columns=(
        Column("logistic.condition_number", Text("κ", "κ"), ".3g"),
        Column("logistic.starts", Text("starts", "起点数"), "d"),
        Column(
            "logistic.weight_spread",
            Text("relative spread of their ends", "终点的相对散布"),
            ".0e",
        ),
        Column("network.width", Text("hidden units", "隐藏单元数"), "d"),
        Column("network.loss", Text("their loss", "其损失"), ".3f"),
        Column("network.midpoint", Text("half-way", "中点的损失"), ".2f"),
    ),
    precision="fp64",
)
