"""What the ways to word vectors cost: against tokens, words of the vocabulary, dimensions.

One of the three grows, the other two stay. Sizes and stages take turns, so that other
work on the machine falls on all of them alike, and medians count.
"""

import itertools
import statistics
from dataclasses import dataclass

import numpy as np
import torch

from d2lcompanion.experiments.word_vector_stages import STAGES, Size, Task, prepare
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers
from d2lcompanion.training.progress import Track, silent
from d2lcompanion.training.wall_time import Stopwatch

LABELS = {
    "count": "counting",
    "ppmi": "PPMI",
    "svd": "SVD",
    "glove": "GloVe, an epoch",
    "sgns": "SGNS, an epoch",
}

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        tokens, words, dimensions: the sizes of each sweep, rising, two or more.
        middle: what stays while something else grows.
        rounds: measurements of each, ≥ 1.
    Raises:
        ValueError: if a number is out of range.
    """

    tokens: tuple[int, ...]
    words: tuple[int, ...]
    dimensions: tuple[int, ...]
    middle: Size
    rounds: int

    def __post_init__(self) -> None:
        for name in ("tokens", "words", "dimensions"):
            sizes = getattr(self, name)
            rising = all(a < b for a, b in itertools.pairwise(sizes))
            if len(sizes) < 2 or sizes[0] < 2 or not rising:
                raise ValueError(
                    f"{name} must be two or more rising sizes, each ≥ 2, got {sizes}"
                )
        if min(self.middle) < 2:
            raise ValueError(f"sizes must be ≥ 2, got {self.middle}")
        require_numbers(self, rounds=1)

    def sweeps(self) -> dict[str, list[Size]]:
        """What grows → the sizes."""
        middle = self.middle
        return {
            "tokens": [middle._replace(tokens=n) for n in self.tokens],
            "words": [middle._replace(words=n) for n in self.words],
            "dimension": [middle._replace(dimension=n) for n in self.dimensions],
        }


TOKENS = (30_000, 60_000, 120_000, 240_000)
WORDS, DIMENSIONS = (1000, 2000, 4000, 8000), (16, 32, 64, 128)
PRESETS = {
    "ci": Preset(TOKENS, WORDS, DIMENSIONS, Size(120_000, 4000, 64), rounds=3),
    "laptop": Preset(TOKENS, WORDS, DIMENSIONS, Size(240_000, 8000, 100), rounds=7),
    "gpu": Preset(TOKENS, WORDS, DIMENSIONS, Size(240_000, 8000, 100), rounds=15),
}

# -------------------------------------------------------------------------------------- the study


def measure(
    tasks: dict[Size, Task],
    rounds: int,
    generator: torch.Generator,
    track: Track = silent,
) -> dict[str, dict[Size, list[float]]]:
    """Stage → size → seconds in each round; a round before them is not counted."""
    seconds: dict[str, dict[Size, list[float]]] = {
        name: {size: [] for size in tasks} for name in STAGES
    }
    for number in track(range(-1, rounds), "rounds"):
        for size, task in tasks.items():
            for name, act in STAGES.items():
                with Stopwatch(task.stream.ids.device) as watch:
                    act(task, generator)
                if number >= 0:
                    seconds[name][size].append(watch.seconds)
    return seconds


def exponent(sizes: list[int], values: list[float]) -> float:
    """The power with which values grow: the slope of the line through both logarithms."""
    relative = np.log(np.divide(values, values[0]))  # exactly 0 where nothing grows
    return float(np.polyfit(np.log(sizes), relative, 1)[0]) + 0.0


# --------------------------------------------------------------------------------- the experiment


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """Median seconds of each stage along each sweep, with entries and exponents."""
    sweeps = preset.sweeps()
    sizes = dict.fromkeys(size for sweep in sweeps.values() for size in sweep)
    tasks = {size: prepare(size, context.device) for size in sizes}
    seconds = measure(tasks, preset.rounds, context.generator, context.track)
    found: dict[str, object] = {}
    for grows, sweep in sweeps.items():
        values = [int(getattr(size, grows)) for size in sweep]
        medians = {
            name: [statistics.median(by_size[size]) for size in sweep]
            for name, by_size in seconds.items()
        }
        found[grows] = {
            "sizes": values,
            "entries": [int(tasks[size].counts.nnz) for size in sweep],
            **medians,
            "exponent": {name: exponent(values, y) for name, y in medians.items()},
        }
    return found


EXPERIMENT = Experiment(
    name="word-vectors-cost",
    title=Text(
        "With which power of the number of tokens the time grows: counting, SVD, and an epoch of "
        "either training",
        "时间随词例数的几次方增长：计数、SVD，以及两种训练各一轮",
    ),
    chapter="text/glove",
    presets=PRESETS,
    notes={
        "ci": "up to 240,000 tokens, 8,000 words, 256 dimensions: minutes on one CPU thread",
        "laptop": "the same sizes around a larger middle: minutes on a CPU",
        "gpu": "the same around the largest",
    },
    run=run,
    columns=tuple(
        Column(f"tokens.exponent.{name}", Text(label, label_zh), ".2f")
        for name, label, label_zh in (
            ("count", "counting", "计数"),
            ("svd", "SVD", "SVD"),
            ("glove", "GloVe", "GloVe"),
            ("sgns", "SGNS", "SGNS"),
        )
    ),
)
