"""What one gradient of skip-gram with the full softmax costs, against the vocabulary.

Real windows from the Wikipedia extract, encoded with its 1,000, 2,000, … most frequent
words; the vectors are as at the start of training, for their values cost nothing. The
sizes take turns, so that other work on the machine falls on all of them alike; the
median counts.
"""

import statistics
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.text.windows import Windows, windows
from d2lcompanion.text.word2vec import skip_gram_gradients
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers, require_sizes
from d2lcompanion.training.progress import Track, silent
from d2lcompanion.training.wall_time import Stopwatch

PARAGRAPHS = 100  # of the corpus, from which the windows are taken

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        sizes: of the vocabulary, V, two or more.
        dim: d, numbers a vector.
        window: words on either side.
        batch_size: windows a step.
        rounds: measurements of each size, ≥ 1.
    Raises:
        ValueError: if a number is out of range.
    """

    sizes: tuple[int, ...]
    dim: int
    window: int
    batch_size: int
    rounds: int

    def __post_init__(self) -> None:
        require_sizes(self)
        require_numbers(self, dim=1, window=1, batch_size=1, rounds=1)


SIZES = (1000, 2000, 4000, 8000, 16_000)
PRESETS = {
    "ci": Preset(SIZES, 64, window=5, batch_size=256, rounds=9),
    "laptop": Preset(SIZES, 300, window=5, batch_size=256, rounds=15),
    "gpu": Preset(SIZES, 300, window=5, batch_size=4096, rounds=31),
}

# -------------------------------------------------------------------------------------- the study


class Task(NamedTuple):
    """A minibatch, and tables of vectors: what a gradient is taken of."""

    batch: Windows
    center_vectors: Tensor  # [V, d]
    context_vectors: Tensor  # [V, d]


def prepare(
    sizes: tuple[int, ...],
    *,
    dim: int,
    window: int,
    batch_size: int,
    device: torch.device,
    generator: torch.Generator,
) -> dict[int, Task]:
    """A task for each size; the corpus must have as many words.

    Raises:
        ValueError: if it has fewer.
    """
    paragraphs = load_wikipedia().paragraphs
    every = Vocab.from_sequences(paragraphs)
    if max(sizes) > len(every):
        raise ValueError(
            f"sizes must be ≤ {len(every)} words of the corpus, got {max(sizes)}"
        )
    tasks = {}
    for size in sizes:
        vocab = Vocab(every.tokens[:size], every.counts[:size])
        known = [[w for w in row if w in vocab] for row in paragraphs[:PARAGRAPHS]]
        lengths = torch.tensor([len(row) for row in known])
        sentences = torch.arange(len(known)).repeat_interleave(lengths)
        ids = vocab.encode(word for row in known for word in row)
        found = windows(ids, sentences, window)
        batch = found.rows(torch.arange(batch_size) % len(found.centers))
        tables = 0.1 * torch.randn(2, size, dim, generator=generator)
        tasks[size] = Task(batch.to(device), *tables.to(device))
    return tasks


def step(task: Task) -> None:
    """One gradient."""
    centers, contexts, mask = task.batch
    tables = task.center_vectors, task.context_vectors
    skip_gram_gradients(centers, contexts, *tables, mask=mask)


def measure(
    tasks: dict[int, Task], rounds: int, track: Track = silent
) -> dict[int, list[float]]:
    """Size → seconds of a gradient in each round; each size runs twice before."""
    seconds: dict[int, list[float]] = {size: [] for size in tasks}
    for number in track(range(-2, rounds), "rounds"):
        for size, task in tasks.items():
            with Stopwatch(task.center_vectors.device) as watch:
                step(task)
            if number >= 0:
                seconds[size].append(watch.seconds)
    return seconds


class Line(NamedTuple):
    """seconds ≈ intercept + slope · V, and the share of the variance it explains."""

    intercept: float
    slope: float
    r_squared: float


def fit(sizes: list[int], seconds: list[float]) -> Line:
    """The least-squares line."""
    line = statistics.linear_regression(sizes, seconds)
    correlation = statistics.correlation(sizes, seconds)
    return Line(line.intercept, line.slope, correlation**2)


def products(size: int, dim: int, batch_size: int) -> int:
    """Floating-point operations of the three matrix products of a gradient, 6 B V d."""
    return 6 * batch_size * size * dim


# --------------------------------------------------------------------------------- the experiment


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """Medians, the line through them, and the speed of the products at the largest V."""
    tasks = prepare(
        preset.sizes,
        dim=preset.dim,
        window=preset.window,
        batch_size=preset.batch_size,
        device=context.device,
        generator=context.generator,
    )
    seconds = measure(tasks, preset.rounds, context.track)
    medians = [statistics.median(seconds[size]) for size in tasks]
    line = fit(list(tasks), medians)
    largest = max(tasks)
    done = products(largest, preset.dim, preset.batch_size)
    return {
        "sizes": list(tasks),
        "medians": medians,
        "fastest": [min(seconds[size]) for size in tasks],
        "slowest": [max(seconds[size]) for size in tasks],
        **line._asdict(),
        "gflops": done / statistics.median(seconds[largest]) / 1e9,
    }


EXPERIMENT = Experiment(
    name="softmax-cost",
    title=Text(
        "Seconds of one gradient with the full softmax, against the vocabulary",
        "完整 softmax 下算一次梯度的时间与词表大小",
    ),
    chapter="text/word2vec",
    presets=PRESETS,
    notes={
        "ci": "256 windows, 64 dimensions, up to 16,000 words: ten seconds",
        "laptop": "256 windows, 300 dimensions, up to 16,000 words: a minute on a CPU",
        "gpu": "4,096 windows, 300 dimensions, up to 16,000 words",
    },
    run=run,
    columns=(
        Column("slope", Text("seconds a word", "每词秒数"), ".2e"),
        Column("r_squared", Text("R²", "R²"), ".3f"),
        Column("gflops", Text("GFLOP/s", "GFLOP/s"), ".3g"),
    ),
)
