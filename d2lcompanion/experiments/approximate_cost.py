"""What a training step costs against the vocabulary: full, negative, hierarchical.

The same minibatch of real windows, the same plain gradient descent in place; the
methods and the sizes take turns, so that other work on the machine falls on all of them
alike. Samplers of the noise are timed beside them.
"""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch

from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.experiments import softmax_cost
from d2lcompanion.experiments.approximate_steps import (
    SAMPLERS,
    STEPS,
    Task,
    operations,
)
from d2lcompanion.text.entropy import entropy
from d2lcompanion.text.hierarchical_softmax import (
    HuffmanTree,
    huffman_codes,
)
from d2lcompanion.text.noise import AliasSampler, noise_distribution
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers, require_sizes
from d2lcompanion.training.progress import Track, silent
from d2lcompanion.training.wall_time import Stopwatch

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        sizes: of the vocabulary, V, two or more.
        dim: d, numbers a vector.
        window: words on either side.
        batch_size: windows a step.
        negatives: k.
        rounds: measurements of each, ≥ 1.
    Raises:
        ValueError: if a number is out of range.
    """

    sizes: tuple[int, ...]
    dim: int
    window: int
    batch_size: int
    negatives: int
    rounds: int

    def __post_init__(self) -> None:
        require_sizes(self)
        require_numbers(self, dim=1, window=1, batch_size=1, negatives=1, rounds=1)


SIZES = (1000, 2000, 4000, 8000, 16_000, 28_000)
PRESETS = {
    "ci": Preset(SIZES, 64, window=5, batch_size=128, negatives=5, rounds=9),
    "laptop": Preset(SIZES, 300, window=5, batch_size=256, negatives=5, rounds=11),
    "gpu": Preset(SIZES, 300, window=5, batch_size=4096, negatives=5, rounds=31),
}

# -------------------------------------------------------------------------------------- the study


def prepare(
    preset: Preset, *, device: torch.device, generator: torch.Generator
) -> dict[int, Task]:
    """A task for each size, of the most frequent words of the extract."""
    made = softmax_cost.prepare(
        preset.sizes,
        dim=preset.dim,
        window=preset.window,
        batch_size=preset.batch_size,
        device=device,
        generator=generator,
    )
    counts = Vocab.from_sequences(load_wikipedia().paragraphs).counts
    tasks = {}
    for size, task in made.items():
        centers, contexts, mask = task.batch
        pairs = centers[:, None].expand_as(contexts)[mask], contexts[mask]
        noise = noise_distribution(counts[:size]).to(device)
        tree = HuffmanTree(*(part.to(device) for part in huffman_codes(counts[:size])))
        tasks[size] = Task(
            task, *pairs, noise, AliasSampler(noise), tree, preset.negatives
        )
    return tasks


def measure(
    actions: dict[str, Callable[[Task, torch.Generator], None]],
    tasks: dict[int, Task],
    rounds: int,
    generator: torch.Generator,
    track: Track = silent,
) -> dict[str, dict[int, list[float]]]:
    """Name → size → seconds in each round; each runs twice before."""
    seconds: dict[str, dict[int, list[float]]] = {
        name: {size: [] for size in tasks} for name in actions
    }
    for number in track(range(-2, rounds), "rounds"):
        for size, task in tasks.items():
            for name, act in actions.items():
                with Stopwatch(task.noise.device) as watch:
                    act(task, generator)
                if number >= 0:
                    seconds[name][size].append(watch.seconds)
    return seconds


# --------------------------------------------------------------------------------- the experiment


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """Medians by method and size, what the tree says of its paths, and the samplers."""
    generator = context.generator
    tasks = prepare(preset, device=context.device, generator=generator)
    steps = measure(STEPS, tasks, preset.rounds, generator, context.track)
    draws = measure(SAMPLERS, tasks, preset.rounds, generator, context.track)
    counts = Vocab.from_sequences(load_wikipedia().paragraphs).counts
    bits = {size: float(entropy(counts[:size])) / math.log(2) for size in tasks}
    return {
        "sizes": list(tasks),
        **{name: _medians(by_size) for name, by_size in (steps | draws).items()},
        "operations": {
            name: [operations(task)[name] for task in tasks.values()] for name in STEPS
        },
        "entropy_bits": list(bits.values()),
        "path": [
            float(
                task.tree.expected_length(counts[: len(task.noise)].to(context.device))
            )
            for task in tasks.values()
        ],
        "longest": [task.tree.mask.shape[1] for task in tasks.values()],
        "ratio": {
            name: _medians(steps["full"])[-1] / _medians(steps[name])[-1]
            for name in ("negative", "hierarchical")
        },
    }


def _medians(by_size: dict[int, list[float]]) -> list[float]:
    return [statistics.median(times) for times in by_size.values()]


EXPERIMENT = Experiment(
    name="approximate-cost",
    title=Text(
        "A step with the full softmax, as a multiple of a step without, at 28,000 words",
        "词表有 28,000 个词时，完整 softmax 的一步相当于近似方法的几步",
    ),
    chapter="text/approximate-training",
    presets=PRESETS,
    notes={
        "ci": "128 windows, 64 dimensions, up to 28,000 words: twenty seconds",
        "laptop": "256 windows, 300 dimensions, up to 28,000 words: minutes on a CPU",
        "gpu": "4,096 windows, 300 dimensions, up to 28,000 words",
    },
    run=run,
    columns=(
        Column("ratio.negative", Text("negative sampling", "负采样"), ".1f"),
        Column(
            "ratio.hierarchical", Text("hierarchical softmax", "层序 softmax"), ".1f"
        ),
    ),
)
