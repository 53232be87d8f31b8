"""What dimension, window, step and rate do to word vectors, and what they cost.

One number is changed at a time. Cost is that of one epoch in blocks, against d, c, the
tokens of the corpus and the words of the vocabulary.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from d2lcompanion.data.word_similarity import load_simlex999, load_wordsim353
from d2lcompanion.experiments.skip_gram_training import Task, prepare, train
from d2lcompanion.experiments.word_vector_report import agreement
from d2lcompanion.text.block_layout import Layout
from d2lcompanion.text.sgns import Recipe
from d2lcompanion.text.token_stream import TokenStream, encode, token_counts
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.text.zipf import fit_power_law
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        corpus: a name of `load_corpus`.
        dimensions, windows: trained with all else as in `Recipe`.
        blocks: of a layout, each a step of 32 · blocks tokens.
        shared: noise words of 32 tokens, in steps of 256.
        rates: each with the largest number of blocks.
        parts: shares of the corpus, and vocabularies: of them only cost is taken.
        epochs: of training; cost is that of one.
        min_count: rarer words are left out.
    Raises:
        ValueError: if a list is empty or a number is not positive.
    """

    corpus: str
    dimensions: tuple[int, ...]
    windows: tuple[int, ...]
    blocks: tuple[int, ...]
    shared: tuple[int, ...]
    rates: tuple[float, ...]
    parts: tuple[float, ...]
    vocabularies: tuple[int, ...]
    epochs: int
    min_count: int = 5

    def __post_init__(self) -> None:
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, tuple) and (not value or min(value) <= 0):
                raise ValueError(f"{entry.name} must hold numbers > 0, got {value}")
        if min(self.epochs, self.min_count) < 1:
            raise ValueError(
                f"epochs and min_count must be ≥ 1, got {self.epochs}, {self.min_count}"
            )


PARTS = (0.125, 0.25, 0.5, 1.0)
SIZES = (1000, 2000, 4000, 8000, 16_000, 32_000)
PRESETS = {
    "ci": Preset(
        "wikipedia", (25, 50, 100, 200), (2, 5, 10), (8, 64), (16, 64),
        (0.025,), PARTS, SIZES, epochs=1
    ),
    "laptop": Preset(
        "wikipedia", (10, 25, 50, 100, 200), (1, 2, 5, 10), (1, 4, 8, 16, 32, 64),
        (2, 8, 32, 128), (0.0125, 0.025, 0.05, 0.1), PARTS, SIZES, epochs=5,
    ),
    "gpu": Preset(
        "text8", (100, 300, 1000), (2, 5, 10), (8, 64, 512), (16, 128), (0.025,), PARTS,
        (4000, 16_000, 64_000), epochs=5,
    ),
}  # fmt: skip

# -------------------------------------------------------------------------------------- the study


def outcome(
    task: Task, recipe: Recipe, generator: torch.Generator, layout: Layout | None = None
) -> dict[str, Any]:
    """Quality and seconds of one training; all None if it diverges."""
    try:
        trained = train(task, recipe, generator, layout=layout)
    except FloatingPointError:
        names = ("loss", "wordsim", "simlex", "seconds")
        return dict.fromkeys(names) | {"diverged": True}
    center = trained.vectors.center.cpu()
    return {
        "loss": trained.losses[-1],
        "wordsim": agreement(load_wordsim353(), center, task.vocab)["correlation"],
        "simlex": agreement(load_simlex999(), center, task.vocab)["correlation"],
        "seconds": median(trained.seconds),
        "diverged": False,
    }


def seconds_an_epoch(
    task: Task, generator: torch.Generator, repeats: int = 3
) -> tuple[int, float]:
    """Center words and the median of some epochs."""
    trained = train(task, Recipe(epochs=repeats), generator, probe=False)
    return trained.tokens[0], median(trained.seconds)


def part_of(task: Task, share: float, min_count: int) -> Task:
    """The first sentences, with a vocabulary of their own."""
    some = task.sentences[: max(1, round(share * len(task.sentences)))]
    return _task_of(task, some, Vocab.from_sequences(some, min_count=min_count))


def with_vocabulary(task: Task, every: Vocab, size: int) -> Task:
    """The same sentences, of which only the most frequent words are known."""
    return _task_of(
        task, task.sentences, Vocab(every.tokens[:size], every.counts[:size])
    )


def _task_of(task: Task, sentences: list[list[str]], vocab: Vocab) -> Task:
    device = task.stream.ids.device
    stream = TokenStream(*(part.to(device) for part in encode(sentences, vocab)))
    return Task(sentences, vocab, stream, token_counts(stream, len(vocab)), task.probe)


def table(rows: Iterable[tuple[float, dict[str, Any]]]) -> dict[str, list[Any]]:
    """Rows of one sweep as columns."""
    found: dict[str, list[Any]] = {"value": []}
    for value, row in rows:
        found["value"].append(value)
        for key, number in row.items():
            found.setdefault(key, []).append(number)
    return found


# --------------------------------------------------------------------------------- the experiment


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """All sweeps as columns of numbers."""
    whole = prepare(
        preset.corpus,
        min_count=preset.min_count,
        held_out=0.05,
        threshold=1e-3,
        seed=context.settings.seed,
    ).to(context.device)
    every = Vocab.from_sequences(whole.sentences)
    recipe, generator = Recipe(epochs=preset.epochs), context.generator
    most = Layout(blocks=max(preset.blocks))
    train(whole, Recipe(epochs=1), generator, probe=False)  # memory is warm
    found = {
        "dimension": table(
            (d, outcome(whole, dataclasses.replace(recipe, dimension=d), generator))
            for d in preset.dimensions
        ),
        "window": table(
            (c, outcome(whole, dataclasses.replace(recipe, window=c), generator))
            for c in preset.windows
        ),
        "step": table(
            (32 * m, outcome(whole, recipe, generator, Layout(blocks=m)))
            for m in preset.blocks
        ),
        "shared": table(
            (k, outcome(whole, recipe, generator, Layout(shared=k)))
            for k in preset.shared
        ),
        "rate": table(
            (r, outcome(whole, dataclasses.replace(recipe, rate=r), generator, most))
            for r in preset.rates
        ),
        "tokens": table(
            _cost(part_of(whole, share, preset.min_count), generator)
            for share in preset.parts
        ),
        "vocabulary": table(
            _cost(with_vocabulary(whole, every, size), generator)
            for size in preset.vocabularies
        ),
    }
    return found | {
        "exponents": {
            name: _exponent(found[name][x], found[name]["seconds"])
            for name, x in (
                ("dimension", "value"),
                ("window", "value"),
                ("tokens", "tokens"),
                ("vocabulary", "words"),
            )
        }
    }


def _exponent(x: list[float], seconds: list[float | None]) -> float:
    """Of the power law of seconds that fits best."""
    seen = [(a, b) for a, b in zip(x, seconds, strict=True) if b is not None]
    law = fit_power_law(*(torch.tensor(part) for part in zip(*seen, strict=True)))
    return float(law.exponent)


def _cost(task: Task, generator: torch.Generator) -> tuple[float, dict[str, Any]]:
    tokens, seconds = seconds_an_epoch(task, generator)
    return len(task.stream.ids), {
        "tokens": tokens,
        "words": len(task.vocab),
        "seconds": seconds,
    }


EXPERIMENT = Experiment(
    name="skip-gram-sweep",
    title=Text(
        "Dimension, window, step and rate of skip-gram: what they give and what they cost",
        "跳元模型的维数、窗口、步子与学习率：收益与代价",
    ),
    chapter="text/training-word2vec",
    presets=PRESETS,
    notes={
        "ci": "the Wikipedia extract, one epoch each: half a minute",
        "laptop": "22 trainings of 5 epochs, and costs: minutes on a CPU",
        "gpu": "text8, to be downloaded; up to 1,000 dimensions",
    },
    run=run,
    columns=(
        Column("exponents.dimension", Text("time ∝ d^", "时间 ∝ d 的幂"), ".2f"),
        Column("exponents.window", Text("time ∝ c^", "时间 ∝ c 的幂"), ".2f"),
        Column("exponents.tokens", Text("time ∝ tokens^", "时间 ∝ 词元数的幂"), ".2f"),
        Column("exponents.vocabulary", Text("time ∝ V^", "时间 ∝ V 的幂"), ".2f"),
    ),
)
