"""Run one experiment as the settings say, and record it."""

import shlex
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import torch

from d2lcompanion.extras import require
from d2lcompanion.training.devices import (
    Precision,
    make_accelerator,
    resolve_device,
    resolve_precision,
)
from d2lcompanion.training.experiment import Experiment, RunContext
from d2lcompanion.training.hardware import describe_hardware, describe_versions
from d2lcompanion.training.presets import resolve
from d2lcompanion.training.progress import silent, track
from d2lcompanion.training.results import Result, read_result
from d2lcompanion.training.settings import Settings, SettingsError
from d2lcompanion.training.wall_time import Stopwatch

P = TypeVar("P")


def run_experiment(
    experiment: Experiment[P], settings: Settings, command: str | None = None
) -> Result:
    """Run it here: on the device, in the precision and from the seed of the settings.

    Args:
        experiment: what to run.
        settings: how.
        command: the line to record; None is the `d2lc run` line of these settings.
    Raises:
        SettingsError: before anything runs, if a setting is not allowed or cannot be
            had here.
        ValueError: if a metric is not finite; names it.
    """
    preset = resolve(experiment.presets, settings)
    device = resolve_device(settings.device)
    precision = resolve_precision(settings.precision, experiment.precision, device)
    accelerator = _start(experiment, settings, device, precision)
    context = RunContext(
        settings=settings,
        device=accelerator.device,
        dtype=precision.dtype,
        generator=torch.Generator().manual_seed(settings.seed),
        track=track if accelerator.is_main_process else silent,
        accelerator=accelerator,
    )
    when = datetime.now(UTC).isoformat(timespec="seconds")
    with Stopwatch(context.device) as watch:
        metrics = experiment.run(preset, context)
    return Result(
        experiment=experiment.name,
        scale=settings.scale,
        preset=_as_dict(preset),
        metrics=metrics,
        seconds=watch.seconds,
        seed=settings.seed,
        device=context.device.type,
        devices=settings.devices,
        precision=precision.name,
        hardware=describe_hardware(context.device),
        versions=describe_versions(),
        command=command or command_line(experiment.name, settings),
        when=when,
    )


def command_line(name: str, settings: Settings) -> str:
    """The line that repeats a run: `d2lc run …`, under `accelerate launch` for several devices.

    --multi_gpu is Accelerate's word for several processes here, with `--device cpu` on
    CPUs too; its --cpu starts one process.
    """
    arguments = ["run", name, *settings.arguments()]
    if settings.devices == 1:
        return shlex.join(["d2lc", *arguments])
    launch = [
        "accelerate",
        "launch",
        "--multi_gpu",
        "--num_processes",
        str(settings.devices),
    ]
    return shlex.join([*launch, "--module", "d2lcompanion.cli", *arguments])


def same_run(result: Result, experiment: Experiment[P], settings: Settings) -> bool:
    """Whether a result was measured with these settings: preset, seed, device and precision."""
    device = resolve_device(settings.device)
    precision = resolve_precision(settings.precision, experiment.precision, device)
    chosen = (
        experiment.name, settings.scale, settings.seed, settings.devices,
        device.type, precision.name,
    )  # fmt: skip
    measured = (
        result.experiment, result.scale, result.seed, result.devices,
        result.device, result.precision,
    )  # fmt: skip
    preset = resolve(experiment.presets, settings)
    return chosen == measured and _plain_preset(preset) == dict(result.preset)


def is_main_process() -> bool:
    """Whether this process is the one that prints and writes: the first of those launched."""
    return bool(require("accelerate", "run").PartialState().is_main_process)


def resume(path: Path, experiment: Experiment[P], settings: Settings) -> Result | None:
    """The result at `path` if it was measured with these settings; None if there is no file yet.

    Raises:
        SettingsError: if the file holds another run or is no result: resuming must not
            replace it.
    """
    if not path.exists():
        return None
    try:
        result = read_result(path)
    except ValueError as error:
        raise SettingsError(f"--resume: {error}") from error
    if not same_run(result, experiment, settings):
        raise SettingsError(
            f"--resume: {path} holds another run, `{result.command}`; "
            "name another file, or leave --resume out to replace it"
        )
    return result


def _start(
    experiment: Experiment[P],
    settings: Settings,
    device: torch.device,
    precision: Precision,
) -> Any:
    """Accelerate, with the command to type where several devices need several processes."""
    if device.type == "mps" and settings.devices > 1:
        raise SettingsError(f"mps is a single device, --devices is {settings.devices}")
    try:
        return make_accelerator(settings, device, precision)
    except SettingsError as error:
        if settings.devices == 1:
            raise
        line = command_line(experiment.name, settings)
        raise SettingsError(f"{error}; start them all with: {line}") from error


def _as_dict(preset: object) -> dict[str, Any]:
    if not is_dataclass(preset) or isinstance(preset, type):
        raise TypeError(f"a preset must be an instance of a dataclass, got {preset!r}")
    return asdict(preset)


def _plain_preset(preset: object) -> dict[str, Any]:
    """The preset as a result holds it: tuples as lists."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in _as_dict(preset).items()
    }
