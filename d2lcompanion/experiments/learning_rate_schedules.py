"""Six learning-rate schedules on Fashion-MNIST, each with its own rate, chosen under one budget.

A small convolutional network is trained with heavy ball. For every schedule the largest
rate is chosen among the same few values by the accuracy on a held-out tenth of the
training images; what is reported is the accuracy on the test images, which nothing was
chosen by. All runs of one seed start at the same weights and see the same batches in the
same order, so they differ by the schedule alone; seeds differ in both.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from d2lcompanion.data.fashion_mnist import load_fashion_mnist
from d2lcompanion.data.images import ImageData
from d2lcompanion.experiments.image_classification import (
    History,
    Images,
    Tuned,
    prepare,
    small_cnn,
    train,
    tune,
)
from d2lcompanion.optimization.momentum import heavy_ball
from d2lcompanion.optimization.schedules import (
    Schedule,
    as_lambda_lr,
    constant,
    cosine,
    inverse_power,
    multi_step,
    warmup,
    warmup_stable_decay,
)
from d2lcompanion.optimization.torch_optimizer import as_torch_optimizer
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.progress import Track, silent

BETA = 0.9

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        images: "subset" (8,000 training images, in the package) or "full" (60,000).
        channels: of the first layer; the second has twice as many.
        epochs: passes over the training images, ≥ 2.
        batch_size: images a step.
        rates: the largest rates to choose among.
    Raises:
        ValueError: if a number is out of range.
    """

    images: Literal["subset", "full"]
    channels: int
    epochs: int
    batch_size: int
    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        for name, least in (("channels", 1), ("epochs", 2), ("batch_size", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be ≥ {least}, got {getattr(self, name)}")
        if not self.rates or not all(0 < rate < math.inf for rate in self.rates):
            raise ValueError(
                f"rates must be one or more positive numbers, got {self.rates}"
            )


PRESETS = {
    "ci": Preset("subset", 8, epochs=5, batch_size=64, rates=(0.01, 0.03, 0.1, 0.3)),
    "laptop": Preset("full", 16, epochs=8, batch_size=64, rates=(0.01, 0.03, 0.1)),
    "gpu": Preset("full", 64, epochs=30, batch_size=64, rates=(0.003, 0.01, 0.03, 0.1)),
}

# ----------------------------------------------------------------------------------- the schedules

MakeSchedule = Callable[[float, int, int], Schedule]  # (lr, steps, steps an epoch)


def _warmup_cosine(lr: float, steps: int, epoch: int) -> Schedule:
    return warmup(cosine(lr, steps - steps // 10), steps // 10)


SCHEDULES: dict[str, MakeSchedule] = {
    "constant": lambda lr, steps, epoch: constant(lr),
    "square_root": lambda lr, steps, epoch: inverse_power(lr, scale=epoch),
    "multi_step": lambda lr, steps, epoch: multi_step(
        lr, [steps // 2, 3 * steps // 4], gamma=0.2
    ),
    "cosine": lambda lr, steps, epoch: cosine(lr, steps),
    "warmup_cosine": _warmup_cosine,
    "warmup_stable_decay": lambda lr, steps, epoch: warmup_stable_decay(
        lr, steps, warmup_steps=steps // 10, decay_steps=3 * steps // 10
    ),
}

# -------------------------------------------------------------------------------------- the study


def study(
    images: Images,
    *,
    rates: Sequence[float],
    channels: int,
    epochs: int,
    batch_size: int,
    seed: int,
    schedules: Sequence[str] = tuple(SCHEDULES),
    track: Track = silent,
) -> dict[str, Tuned]:
    """Train every schedule at every rate, and choose the rate by the held-out images.

    Args:
        images: on the device to train on.
        rates: the largest rates, the same for all schedules.
        channels, epochs, batch_size: as in the preset.
        seed: of weights and batches, the same for all runs.
        schedules: names out of SCHEDULES.
        track: progress bar.
    """
    an_epoch = math.ceil(len(images.train) / batch_size)
    runs: dict[str, dict[float, History]] = {name: {} for name in schedules}
    tasks = [(name, rate) for name in schedules for rate in rates]
    for index in track(range(len(tasks)), "training"):
        name, rate = tasks[index]
        generator = torch.Generator().manual_seed(seed)
        net = small_cnn(channels, generator).to(images.train)
        # The scheduler sets the rate: 1 is only what it multiplies.
        optimizer = as_torch_optimizer(
            net.parameters(), heavy_ball, check_finite=False, lr=1.0, beta=BETA
        )
        schedule = SCHEDULES[name](rate, epochs * an_epoch, an_epoch)
        runs[name][rate] = train(
            net,
            images,
            optimizer,
            as_lambda_lr(optimizer, schedule),
            epochs=epochs,
            batch_size=batch_size,
            generator=generator,
        )
    return {name: _tune(by_rate) for name, by_rate in runs.items()}


def _tune(by_rate: dict[float, History]) -> Tuned:
    """The rate with the best held-out accuracy at the end; the smaller one on a tie.

    Raises:
        ValueError: if all runs diverged.
    """
    tuned = tune(by_rate)
    if tuned is None:
        raise ValueError(f"every rate diverged: {', '.join(map(str, by_rate))}")
    return tuned


# -------------------------------------------------------------------------------- the experiment


def load(preset: Preset) -> ImageData:
    """The preset's images.

    Raises:
        FileNotFoundError: if the full set is asked for and not on this machine.
    """
    return load_fashion_mnist(preset.images)


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """The study as numbers for `d2lc run`.

    Raises:
        SettingsError: for fp16, whose small gradients need a loss scaling that is not
            built in here.
    """
    context.refuse_fp16()
    with context.autocast():
        results = study(
            prepare(load(preset), context.device, context.dtype),
            rates=preset.rates,
            channels=preset.channels,
            epochs=preset.epochs,
            batch_size=preset.batch_size,
            seed=context.settings.seed,
            track=context.track,
        )
    return metrics(results)


def metrics(results: dict[str, Tuned]) -> dict[str, object]:
    """The study as nested numbers and lists, ready for JSON."""
    return {name: _numbers(tuned) for name, tuned in results.items()}


def _numbers(tuned: Tuned) -> dict[str, object]:
    rates = sorted(tuned.by_rate)
    histories = [tuned.by_rate[rate] for rate in rates]
    return {
        "rate": tuned.rate,
        "test_accuracy": tuned.chosen.test_accuracy[-1],
        "held_out_accuracy": tuned.chosen.held_out_accuracy[-1],
        "train_loss": tuned.chosen.train_loss[-1],
        "rates": rates,
        "diverged_at": [history.diverged_at for history in histories],
        "test_accuracy_by_epoch": [history.test_accuracy for history in histories],
        "train_loss_by_epoch": [history.train_loss for history in histories],
    }


def _column(name: str, en: str, zh: str) -> Column:
    return Column(f"{name}.test_accuracy", Text(en, zh), ".3f")


EXPERIMENT = Experiment(
    name="learning-rate-schedules",
    title=Text(
        "Six learning-rate schedules on Fashion-MNIST, each tuned alike: test accuracy",
        "Fashion-MNIST 上的六种学习率调度（同等调参预算）：测试精度",
    ),
    chapter="optimization/learning-rate-schedules",
    presets=PRESETS,
    notes={
        "ci": "8,000 images, 5 epochs, 24 runs: half a minute on one CPU thread",
        "laptop": "60,000 images, 8 epochs, 18 runs: minutes on a CPU",
        "gpu": "60,000 images, 30 epochs, 64 and 128 channels, 24 runs",
    },
    run=run,
    columns=(
        _column("constant", "constant", "恒定"),
        _column("square_root", "square root", "平方根"),
        _column("multi_step", "multi-step", "分段"),
        _column("cosine", "cosine", "余弦"),
        _column("warmup_cosine", "warm-up, cosine", "预热 + 余弦"),
        _column("warmup_stable_decay", "warm-up, stable, decay", "预热–稳定–衰减"),
    ),
)
