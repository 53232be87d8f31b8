"""How large the gradient is in each layer of a deep network, and whether the network trains.

Two networks of one shape on real digits, without biases: sigmoid with weights of
variance 1/fan_in (gain 1), and ReLU with 2/fan_in (gain √2). The study measures

- at the start, the norm of ∂(loss)/∂Wˡ in every layer, over many networks;
- the factor by which the norm changes from layer to layer, and how much it scatters;
- the loss after full-batch gradient descent, for a smaller depth: both networks get the
  same number of steps and the same grid of learning rates, and the best of each counts.

What the scales add is depth and width. Depth makes the sigmoid's gradient vanish to
nothing; width makes the ReLU's steadier, as its logarithm scatters like √(depth/width).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.digits import CLASSES, load_digit_images
from d2lcompanion.optimization.deep_gradients import (
    RELU,
    SIGMOID,
    Activation,
    backpropagate,
    cross_entropy_gradient,
    gaussian_weights,
    gradient_norms,
    mean_field_factor,
    weight_gradients,
)
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.progress import Track, silent

LEARNING_RATES = tuple(10 ** (k / 2) for k in range(-4, 3))  # 0.01, 0.032, … 10
ACTIVATIONS = (SIGMOID, RELU)

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        depth: hidden layers of the networks whose gradients are measured, ≥ 3.
        width: units of a hidden layer.
        rows: digits used, from the top of 1,797.
        networks: random networks of each kind, ≥ 2.
        trained_depth: hidden layers of the networks that are trained.
        trained_rows: digits they are trained on.
        steps: of gradient descent, for each learning rate.
    Raises:
        ValueError: if a number is out of range.
    """

    depth: int
    width: int
    rows: int
    networks: int
    trained_depth: int
    trained_rows: int
    steps: int

    def __post_init__(self) -> None:
        for name, least in (
            ("depth", 3),
            ("width", 1),
            ("rows", 1),
            ("networks", 2),
            ("trained_depth", 1),
            ("trained_rows", 1),
            ("steps", 1),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be ≥ {least}, got {getattr(self, name)}")


PRESETS = {
    "ci": Preset(20, 64, 512, 10, trained_depth=10, trained_rows=128, steps=100),
    "laptop": Preset(50, 256, 512, 20, trained_depth=20, trained_rows=256, steps=100),
    "gpu": Preset(
        100, 1024, 1797, 100, trained_depth=50, trained_rows=1797, steps=1000
    ),
}


# -------------------------------------------------------------------------------------- the study


class Flow(NamedTuple):
    """What was measured for one activation."""

    norms: Tensor  # [networks, L+1], ‖∂(loss)/∂Wˡ‖ at the start
    factor: float  # per layer, towards the input; geometric mean over hidden layers and networks
    predicted_factor: float  # `mean_field_factor`
    scatter: float  # standard deviation over networks of ln ‖∂(loss)/∂W²‖
    final_losses: Tensor  # [learning rates], nan where the run diverged

    @property
    def best_loss(self) -> float:
        """The smallest final loss over the learning rates."""
        return float(self.final_losses.nan_to_num(math.inf).min())

    @property
    def best_lr(self) -> float:
        """The learning rate that reached it."""
        return LEARNING_RATES[int(self.final_losses.nan_to_num(math.inf).argmin())]


@dataclass(frozen=True, eq=False)
class GradientFlowStudy:
    """What `study` measured; tensors are float64 on the CPU.

    Attributes:
        flows: activation's name → what was measured.
        label_entropy: in nats, of the labels trained on: the loss of a network that
            ignores its input.
        source: a sentence on the data.
    """

    flows: dict[str, Flow]
    label_entropy: float
    source: str


def study(
    preset: Preset,
    *,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float64,
    track: Track = silent,
) -> GradientFlowStudy:
    """Measure the list of this module.

    Args:
        preset: sizes.
        generator: of all weights, on the CPU.
        device: where to compute.
        dtype: what to compute in. In float32 gradients below 10⁻³⁸ are 0.
        track: progress bar.
    Raises:
        ValueError: if there are fewer digits than the preset asks for.
    """
    digits = load_digit_images(rows=preset.rows)
    trained = load_digit_images(rows=preset.trained_rows)
    place = {"device": device, "dtype": dtype}
    images, labels = digits.images.to(**place), digits.labels.to(device)  # type: ignore[call-overload]
    few, few_labels = trained.images.to(**place), trained.labels.to(device)  # type: ignore[call-overload]
    flows = {}
    for activation in ACTIVATIONS:
        draw = partial(
            _draw, images.shape[1], preset.width, activation, generator, device, dtype
        )
        norms = torch.stack([
            starting_norms(draw(preset.depth), images, labels, activation)
            for _ in track(range(preset.networks), f"{activation.name}: gradients")
        ])  # fmt: skip
        start = draw(preset.trained_depth)
        final = [
            train(start, few, few_labels, activation, lr=lr, steps=preset.steps)
            for lr in LEARNING_RATES
        ]
        flows[activation.name] = Flow(
            norms,
            factor_per_layer(norms),
            mean_field_factor(activation, activation.gain),
            float(norms[:, 1].log().std()),
            torch.tensor(final, dtype=torch.float64),
        )
    shares = trained.labels.bincount(minlength=CLASSES).double() / len(trained.labels)
    entropy = float(-torch.special.xlogy(shares, shares).sum())
    return GradientFlowStudy(flows, entropy, digits.source)


def _draw(
    inputs: int,
    width: int,
    activation: Activation,
    generator: torch.Generator,
    device: torch.device | str,
    dtype: torch.dtype,
    depth: int,
) -> list[Tensor]:
    """A random network on the device, drawn where the generator is."""
    widths = [inputs, *[width] * depth, CLASSES]
    weights = gaussian_weights(
        widths, gain=activation.gain, generator=generator, dtype=dtype
    )
    return [w.to(device) for w in weights]


def starting_norms(
    weights: Sequence[Tensor], images: Tensor, labels: Tensor, activation: Activation
) -> Tensor:
    """‖∂(mean cross-entropy)/∂Wˡ‖ for every layer, float64 on the CPU: [L + 1]."""
    slope = partial(cross_entropy_gradient, labels=labels)
    return (
        gradient_norms(backpropagate(weights, images, activation, slope)).double().cpu()
    )


def factor_per_layer(norms: Tensor) -> float:
    """(‖∂/∂W²‖/‖∂/∂W^L‖)^{1/(L−2)}, the geometric mean over networks.

    W¹ and W^{L+1} are left out: they have other shapes.

    Args:
        norms: [networks, L + 1] with L ≥ 3.
    Raises:
        ValueError: if there are fewer than four layers.
    """
    if norms.shape[1] < 4:
        raise ValueError(f"norms must be [networks, ≥ 4], got {list(norms.shape)}")
    logs = norms.log()
    return float(((logs[:, 1] - logs[:, -2]) / (norms.shape[1] - 3)).mean().exp())


def train(
    weights: Sequence[Tensor],
    images: Tensor,
    labels: Tensor,
    activation: Activation,
    *,
    lr: float,
    steps: int,
) -> float:
    """The mean cross-entropy after full-batch gradient descent; nan where it diverged."""
    slope = partial(cross_entropy_gradient, labels=labels)
    weights = list(weights)
    for _ in range(steps):
        signals = backpropagate(weights, images, activation, slope)
        gradients = weight_gradients(signals)
        weights = [w - lr * g for w, g in zip(weights, gradients, strict=True)]
    outputs = backpropagate(weights, images, activation, slope).outputs
    return float(torch.nn.functional.cross_entropy(outputs, labels))


# -------------------------------------------------------------------------------- the experiment


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """The study as numbers for `d2lc run`."""
    with context.autocast():
        result = study(
            preset,
            generator=context.generator,
            device=context.device,
            dtype=context.dtype,
            track=context.track,
        )
    return metrics(result)


def metrics(result: GradientFlowStudy) -> dict[str, object]:
    """The study as nested numbers and lists, ready for JSON; a run that diverged is null."""
    values: dict[str, object] = {"label_entropy": result.label_entropy}
    for name, flow in result.flows.items():
        logs = flow.norms.log10()
        values[name.lower()] = {
            "factor": flow.factor,
            "predicted_factor": flow.predicted_factor,
            "scatter": flow.scatter,
            "log10_norm_mean": logs.mean(0).tolist(),
            "log10_norm_sd": logs.std(0).tolist(),
            "first_over_last": float((logs[:, 1] - logs[:, -2]).mean()),
            "best_loss": flow.best_loss,
            "best_lr": flow.best_lr,
            "final_losses": [
                loss if math.isfinite(loss) else None
                for loss in flow.final_losses.tolist()
            ],
        }
    return values


EXPERIMENT = Experiment(
    name="gradient-flow",
    title=Text(
        "Gradients layer by layer: sigmoid and ReLU on digits",
        "逐层的梯度：手写数字上的 sigmoid 与 ReLU",
    ),
    chapter="optimization/introduction",
    presets=PRESETS,
    notes={
        "ci": "20 layers of 64 units, 10 layers trained: seconds on one CPU thread",
        "laptop": "50 layers of 256 units, 20 layers trained: minutes on a CPU",
        "gpu": "100 layers of 1,024 units, 50 layers trained on all 1,797 digits",
    },
    run=run,
    columns=(
        Column(
            "sigmoid.factor",
            Text("factor per layer, sigmoid", "每层因子，sigmoid"),
            ".3f",
        ),
        Column("relu.factor", Text("ReLU", "ReLU"), ".3f"),
        Column(
            "relu.scatter",
            Text("sd of ln norm, ReLU", "ln 范数的标准差，ReLU"),
            ".2f",
        ),
        Column(
            "sigmoid.best_loss",
            Text("loss after training, sigmoid", "训练后的损失，sigmoid"),
            ".3f",
        ),
        Column("relu.best_loss", Text("ReLU", "ReLU"), ".2g"),
    ),
    precision="fp64",
)
