"""What suppression costs against the number of boxes: ours, torchvision's C++, and d2l's loop.

Boxes of 30 to 90 pixels in a square that grows with their number, so that the same share, about
30 %, is suppressed. All sides take turns; the median counts.
"""

import statistics
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from d2lcompanion.extras import require
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers, require_sizes
from d2lcompanion.training.progress import Track, silent
from d2lcompanion.training.wall_time import Stopwatch
from d2lcompanion.vision.nms import nms, soft_nms

SPACING = 930 / 2000**0.5  # pixels: side of the square over √(number of boxes)
THRESHOLD = 0.5


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        counts: numbers of boxes, two or more.
        rounds: measurements of each, ≥ 1.
    Raises:
        ValueError: if a number is out of range.
    """

    counts: tuple[int, ...]
    rounds: int

    def __post_init__(self) -> None:
        require_sizes(self, "counts")
        require_numbers(self, rounds=1)


COUNTS = (125, 250, 500, 1000, 2000, 4000)
PRESETS = {
    "ci": Preset(COUNTS, rounds=9),
    "laptop": Preset((*COUNTS, 8000), rounds=15),
    "gpu": Preset((*COUNTS, 8000, 16_000), rounds=15),
}


def crowd(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Boxes [count, 4] in pixels and scores [count], as dense for any count."""
    return boxes_in(SPACING * count**0.5, count, generator)


def boxes_in(
    square: float, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Boxes [count, 4] of 30 to 90 pixels with corners uniform in a square, and scores."""
    corner = torch.rand(count, 2, generator=generator) * square
    size = torch.rand(count, 2, generator=generator) * 60 + 30
    return torch.cat([corner, corner + size], -1), torch.rand(
        count, generator=generator
    )


def sides() -> dict[str, Callable[[Tensor, Tensor], Any]]:
    """What is compared; each takes boxes and scores.

    Raises:
        ImportError: without the extra `d2l`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        d2l = require("d2l.torch", "d2l")
        torchvision = require("torchvision.ops", "d2l")
    return {
        "ours": lambda boxes, scores: nms(boxes, scores, THRESHOLD),
        "torchvision": lambda boxes, scores: torchvision.nms(boxes, scores, THRESHOLD),
        "d2l": lambda boxes, scores: d2l.nms(boxes, scores, THRESHOLD),
        "soft": lambda boxes, scores: soft_nms(boxes, scores),
    }


def measure(
    tasks: dict[int, tuple[Tensor, Tensor]], rounds: int, track: Track = silent
) -> dict[str, dict[int, list[float]]]:
    """Side → number of boxes → seconds in each round; each runs once before."""
    functions = sides()
    seconds: dict[str, dict[int, list[float]]] = {
        name: {count: [] for count in tasks} for name in functions
    }
    for number in track(range(-1, rounds), "rounds"):
        for count, (boxes, scores) in tasks.items():
            for name, function in functions.items():
                with Stopwatch(boxes.device) as watch:
                    function(boxes, scores)
                if number >= 0:
                    seconds[name][count].append(watch.seconds)
    return seconds


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """Medians of all sides, the share that is suppressed, and whether the boxes kept agree."""
    tasks = {}
    for count in preset.counts:
        boxes, scores = crowd(count, context.generator)
        tasks[count] = boxes.to(context.device), scores.to(context.device)
    functions = sides()
    kept = {
        n: {c: functions[n](*t) for c, t in tasks.items()}
        for n in ("ours", "torchvision")
    }
    gone = [1 - len(kept["ours"][count]) / count for count in tasks]
    same = all(torch.equal(kept["ours"][c], kept["torchvision"][c]) for c in tasks)
    seconds = measure(tasks, preset.rounds, context.track)
    medians = {
        name: [statistics.median(of_count) for of_count in by_count.values()]
        for name, by_count in seconds.items()
    }
    largest = {name: values[-1] for name, values in medians.items()}
    return {
        "counts": list(tasks),
        "suppressed": gone,
        "equal": same,
        "seconds": medians,
        "per_torchvision": largest["ours"] / largest["torchvision"],
        "per_d2l": largest["d2l"] / largest["ours"],
    }


EXPERIMENT = Experiment(
    name="suppression-cost",
    title=Text(
        "Seconds of non-maximum suppression against the number of boxes",
        "非极大值抑制的时间与边界框的个数",
    ),
    chapter="vision/object-detection",
    presets=PRESETS,
    notes={
        "ci": "125 to 4,000 boxes, nine rounds: half a minute",
        "laptop": "125 to 8,000 boxes, fifteen rounds: two minutes on a CPU",
        "gpu": "125 to 16,000 boxes, fifteen rounds",
    },
    run=run,
    columns=(
        Column(
            "per_torchvision", Text("time / torchvision's", "时间 / torchvision"), ".2f"
        ),
        Column("per_d2l", Text("d2l's time / ours", "d2l 的时间 / 我们的"), ".1f"),
    ),
)
