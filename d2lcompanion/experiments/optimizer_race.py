"""Adaptive methods and their rivals on real least squares and on a small network.

Every method gets the same number of learning rates to choose among, half a decade apart.
On the diabetes data all get the *same* rates, choose by the loss at the end, and are then
run anew with other batches: this run is what counts. On Fashion-MNIST every method gets
rates around its usual one and chooses by the accuracy on held-out images; test images
only judge. All runs of one seed start at the same weights and see the same batches.
"""

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch

from d2lcompanion.data.diabetes import load_diabetes
from d2lcompanion.data.fashion_mnist import load_fashion_mnist
from d2lcompanion.data.regression import RegressionData
from d2lcompanion.experiments.image_classification import Tuned, prepare
from d2lcompanion.experiments.image_race import image_race
from d2lcompanion.optimization import adaptive
from d2lcompanion.optimization.descent import gradient_descent
from d2lcompanion.optimization.momentum import heavy_ball
from d2lcompanion.optimization.rules import Rule, initial_state, takes_param
from d2lcompanion.optimization.schedule_free import schedule_free_sgd
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers
from d2lcompanion.training.progress import Track, silent

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        passes: over the diabetes data, ≥ 1.
        images: "subset" (8,000 training images, in the package) or "full" (60,000).
        channels: of the first layer; the second has twice as many.
        epochs: passes over the images, ≥ 1.
        batch_size: rows or images a step.
    Raises:
        ValueError: if a number is below 1.
    """

    passes: int
    images: Literal["subset", "full"]
    channels: int
    epochs: int
    batch_size: int

    def __post_init__(self) -> None:
        require_numbers(self, passes=1, channels=1, epochs=1, batch_size=1)


PRESETS = {
    "ci": Preset(passes=20, images="subset", channels=8, epochs=2, batch_size=64),
    "laptop": Preset(passes=100, images="full", channels=16, epochs=3, batch_size=64),
    "gpu": Preset(passes=1000, images="full", channels=64, epochs=20, batch_size=64),
}

# ------------------------------------------------------------------------------------ least squares

LINEAR: dict[str, Rule] = {
    "sgd": gradient_descent,
    "heavy_ball": partial(heavy_ball, beta=0.9),
    "schedule_free": schedule_free_sgd,
    "adagrad": adaptive.adagrad,
    "rmsprop": adaptive.rmsprop,
    "adadelta": adaptive.adadelta,
    "adam": adaptive.adam,
    "amsgrad": adaptive.amsgrad,
    "yogi": adaptive.yogi,
    "nadam": adaptive.nadam,
    "lion": adaptive.lion,
}
LINEAR_RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class LinearRun(NamedTuple):
    """One method on least squares: the rate it chose, and a fresh run with it."""

    rate: float
    losses: list[float]  # before the first pass and after each; inf once diverged


def fit(
    rule: Rule,
    data: RegressionData,
    *,
    lr: float,
    passes: int,
    batch_size: int,
    generator: torch.Generator,
) -> list[float]:
    """½ mean squared residual over all rows, before the first pass and after each.

    Starts at w = 0 and has no intercept. A run that is no longer finite stays at inf.
    """
    x, y = data.features, data.target
    w = x.new_zeros(x.shape[1])
    core = inspect.unwrap(getattr(rule, "func", rule))  # divergence is a result here
    given = getattr(rule, "keywords", {})
    state = initial_state(core, w)
    losses = [float(0.5 * y.square().mean())]
    for _ in range(passes):
        for batch in torch.randperm(len(x), generator=generator).split(batch_size):  # type: ignore[no-untyped-call]
            grad = x[batch].T @ (x[batch] @ w - y[batch]) / len(batch)
            more = {"param": w} if takes_param(core) else {}
            update, state = core(grad, state, lr=lr, **given, **more)
            w = w + update
        answer = getattr(state, "average", w)  # schedule-free: the average, not y
        loss = float(0.5 * (x @ answer - y).square().mean())
        losses.append(loss if math.isfinite(loss) else math.inf)
    return losses


def linear_race(
    data: RegressionData,
    *,
    passes: int,
    batch_size: int,
    seed: int,
    rates: Sequence[float] = LINEAR_RATES,
    methods: Sequence[str] = tuple(LINEAR),
    track: Track = silent,
) -> dict[str, LinearRun]:
    """Choose a rate for every method on one order of batches, and run it on another."""
    found = {}
    for index in track(range(len(methods)), "least squares"):
        name = methods[index]

        def once(lr: float, order: int, rule: Rule = LINEAR[name]) -> list[float]:
            return fit(
                rule,
                data,
                lr=lr,
                passes=passes,
                batch_size=batch_size,
                generator=torch.Generator().manual_seed(order),
            )

        ends = {lr: once(lr, 2 * seed + 1)[-1] for lr in rates}
        rate = min(rates, key=lambda lr: (ends[lr], lr))
        found[name] = LinearRun(rate, once(rate, 2 * seed))
    return found


# --------------------------------------------------------------------------------- the experiment


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """Both races as numbers for `d2lc run`.

    Raises:
        SettingsError: for fp16, whose small gradients need a loss scaling that is not
            built in here.
    """
    context.refuse_fp16()
    linear = linear_race(
        load_diabetes(),
        passes=preset.passes,
        batch_size=preset.batch_size,
        seed=context.settings.seed,
        track=context.track,
    )
    with context.autocast():
        images = image_race(
            prepare(load_fashion_mnist(preset.images), context.device, context.dtype),
            channels=preset.channels,
            epochs=preset.epochs,
            batch_size=preset.batch_size,
            seed=context.settings.seed,
            track=context.track,
        )
    return {
        "diabetes": {
            name: {"rate": r.rate, "loss": r.losses[-1], "losses": r.losses}
            for name, r in linear.items()
        },
        "images": {name: _numbers(tuned) for name, tuned in images.items()},
    }


def _numbers(tuned: Tuned) -> dict[str, object]:
    rates = sorted(tuned.by_rate)
    histories = [tuned.by_rate[rate] for rate in rates]
    return {
        "rate": tuned.rate,
        "test_accuracy": tuned.chosen.test_accuracy[-1],
        "train_loss": tuned.chosen.train_loss[-1],
        "rates": rates,
        "diverged_at": [history.diverged_at for history in histories],
        "test_accuracy_by_epoch": [history.test_accuracy for history in histories],
    }


def _images(name: str, label: str) -> Column:
    return Column(f"images.{name}.test_accuracy", Text(label, label), ".3f")


EXPERIMENT = Experiment(
    name="optimizer-race",
    title=Text(
        "Eight methods on Fashion-MNIST, each tuned alike: test accuracy",
        "Fashion-MNIST 上的八种方法（同等调参预算）：测试精度",
    ),
    chapter="optimization/adaptive-methods",
    presets=PRESETS,
    notes={
        "ci": "8,000 images, 2 epochs, 32 runs, and 110 on diabetes: a minute on one CPU thread",
        "laptop": "60,000 images, 3 epochs, 32 runs: a quarter of an hour on a CPU",
        "gpu": "60,000 images, 20 epochs, 64 and 128 channels, 32 runs",
    },
    run=run,
    columns=(
        _images("sgd", "SGD"),
        _images("heavy_ball", "heavy ball"),
        _images("adagrad", "AdaGrad"),
        _images("rmsprop", "RMSProp"),
        _images("adam", "Adam"),
        _images("adamw", "AdamW"),
        _images("lion", "Lion"),
        _images("muon", "Muon"),
    ),
)
