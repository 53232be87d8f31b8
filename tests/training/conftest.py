"""A tiny experiment and a maker of results, for the tests of the runner."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.results import Result


@dataclass(frozen=True)
class Preset:
    steps: int = 3
    sizes: tuple[int, ...] = (1, 2)


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    noise = torch.randn(2, generator=context.generator, dtype=context.dtype)
    total = context.map_rows(lambda rows: rows.sum(-1), noise[None])
    steps = sum(1 for _ in context.track(range(preset.steps), "counting"))
    return {"steps": steps, "noise": noise.tolist(), "sum": {"total": float(total[0])}}


@pytest.fixture
def experiment() -> Experiment[Preset]:
    return Experiment(
        name="tiny",
        title=Text("A tiny experiment", "小实验"),
        chapter="optimization/tiny",
        presets={"ci": Preset(), "laptop": Preset(30), "gpu": Preset(300)},
        notes={"ci": "counts", "laptop": "counts more", "gpu": "counts most"},
        run=run,
        columns=(
            Column("steps", Text("steps", "步数"), "d"),
            Column("sum.total", Text("total", "总和"), ".2f"),
        ),
        precision="fp64",
    )


@pytest.fixture
def make_result() -> Callable[..., Result]:
    def make(**changes: Any) -> Result:
        values: dict[str, Any] = {
            "experiment": "tiny",
            "scale": "ci",
            "preset": {"steps": 3, "sizes": [1, 2]},
            "metrics": {"steps": 3, "sum": {"total": 1.25}},
            "seconds": 0.5,
            "seed": 0,
            "device": "cpu",
            "devices": 1,
            "precision": "fp64",
            "hardware": {"cpu": "Abacus", "threads": 1, "accelerator": None},
            "versions": {"python": "3.11"},
            "command": "d2lc run tiny",
            "when": "2026-01-01T00:00:00+00:00",
        }
        return Result(**values | changes)

    return make
