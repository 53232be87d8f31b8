"""What an experiment is to the runner: a name, a preset for every scale, and a function."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from d2lcompanion.training.progress import Track
from d2lcompanion.training.settings import PRECISIONS, SCALES, Settings, SettingsError

P = TypeVar("P")


class Text(NamedTuple):
    """A short text in both languages of the course."""

    en: str
    zh: str

    def of(self, lang: str) -> str:
        """The text in one language.

        Raises:
            ValueError: if lang is neither "en" nor "zh".
        """
        if lang not in ("en", "zh"):
            raise ValueError(f"lang must be en or zh, got {lang!r}")
        return self.en if lang == "en" else self.zh


class Column(NamedTuple):
    """A metric that the table of results shows."""

    key: str  # dotted name, as in "newton.gap"
    header: Text
    format: str = ".3g"  # of one number


@dataclass(frozen=True)
class RunContext:
    """What the runner gives an experiment beside its preset.

    Attributes:
        settings: as chosen.
        device: where to compute.
        dtype: of parameters and data.
        generator: on the CPU, seeded: one seed gives the same numbers on every device.
        track: a progress bar, `for step in context.track(range(n), "training")`.
        accelerator: Accelerate's object, to prepare models, optimizers and loaders.
    """

    settings: Settings
    device: torch.device
    dtype: torch.dtype
    generator: torch.Generator
    track: Track
    accelerator: Any

    def autocast(self) -> AbstractContextManager[None]:
        """Matrix products in bf16 or fp16 where the precision says so, else nothing."""
        context: AbstractContextManager[None] = self.accelerator.autocast()
        return context

    def refuse_fp16(self) -> None:
        """For experiments that scale no loss, which small gradients in fp16 need.

        Raises:
            SettingsError: if the precision is fp16.
        """
        if self.accelerator.mixed_precision == "fp16":
            raise SettingsError("precision must be fp32 or bf16 here, got fp16")

    def map_rows(self, function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """Apply a function of rows over all processes, [m, …] → [m, …]; every one gets all of it.

        Args:
            function: acts on each row alone.
            rows: [n, …] with n ≥ 1, the same on every process.
        Returns:
            [n, …], in the order of the rows.
        """
        if self.accelerator.num_processes == 1:
            return function(rows)
        with self.accelerator.split_between_processes(
            rows, apply_padding=True
        ) as share:
            results = function(share).to(
                self.device
            )  # some backends gather on the device only
        gathered: Tensor = self.accelerator.gather(results)
        return gathered[: len(rows)].cpu()


@dataclass(frozen=True)
class Experiment(Generic[P]):
    """One scalable experiment.

    Attributes:
        name: as on the command line, words joined by hyphens.
        title: what it asks, in both languages.
        chapter: path of its page below `book/<language>/`, e.g.
            "optimization/gradient-descent".
        presets: scale → preset, a frozen dataclass.
        notes: scale → one sentence on what this preset does.
        run: (preset, context) → metrics, numbers and lists under dotted or nested
            names.
        columns: the metrics that the table of results shows.
        precision: its own, used for "auto".
    Raises:
        ValueError: if the scales of presets and notes are not "ci", "laptop" and "gpu",
            or the precision is unknown.
    """

    name: str
    title: Text
    chapter: str
    presets: Mapping[str, P]
    notes: Mapping[str, str]
    run: Callable[[P, RunContext], Mapping[str, object]]
    columns: tuple[Column, ...]
    precision: str = "fp32"

    def __post_init__(self) -> None:
        for name, mapping in (("presets", self.presets), ("notes", self.notes)):
            if set(mapping) != set(SCALES):
                raise ValueError(
                    f"{name} of {self.name} must have the scales {', '.join(SCALES)}, "
                    f"got {', '.join(mapping)}"
                )
        if self.precision not in PRECISIONS or self.precision == "auto":
            raise ValueError(
                f"precision of {self.name} must be fixed, got {self.precision!r}"
            )
