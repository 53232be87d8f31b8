"""Seconds from words to vectors: ours in blocks and on pairs, gensim, d2l, in turn.

Vocabulary, subsampling, windows and training are all timed. In each round everybody
trains once, in an order that turns; what counts is the median of the ratios of a round.
gensim trains on all of the corpus, the slow ones on a part of it, one epoch, and ours
on the same.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import torch

from d2lcompanion.experiments.skip_gram import PAIRS_A_STEP
from d2lcompanion.experiments.skip_gram_peers import (
    Sentences,
    d2l_epoch,
    gensim_vectors,
    import_peers,
)
from d2lcompanion.experiments.skip_gram_training import Trainer
from d2lcompanion.experiments.text_corpora import load_corpus
from d2lcompanion.text.sgns import Recipe, initial_vectors, train_on_pairs
from d2lcompanion.text.sgns_blocks import train_in_blocks
from d2lcompanion.text.token_stream import TokenStream, encode
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers
from d2lcompanion.training.wall_time import Stopwatch

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        corpus: a name of `load_corpus`.
        rounds: ≥ 1.
        part: of the sentences, for d2l and the trainer on pairs, in (0, 1].
        epochs: against gensim.
        threads: workers of gensim and of the blocks. More than one are for PyTorch with
            one thread each.
        min_count: rarer words are left out.
    Raises:
        ValueError: if a number is out of range.
    """

    corpus: str
    rounds: int
    part: float
    epochs: int = 5
    threads: int = 1
    min_count: int = 5

    def __post_init__(self) -> None:
        require_numbers(self, rounds=1, epochs=1, threads=1, min_count=1)
        if not 0 < self.part <= 1:
            raise ValueError(f"part must be in (0, 1], got {self.part}")


PRESETS = {
    "ci": Preset("wikipedia", 2, part=0.1),
    "laptop": Preset("wikipedia", 7, part=0.2, threads=2),
    "gpu": Preset("text8", 3, part=0.01),
}

# -------------------------------------------------------------------------------------- the study


class Time(NamedTuple):
    """Of one training: center words, wall seconds, seconds of all processors."""

    tokens: int
    seconds: float
    cpu: float


def timed(work: Callable[[], int], device: torch.device | None = None) -> Time:
    """What a function that returns its center words takes."""
    before = time.process_time()
    with Stopwatch(device) as watch:
        tokens = work()
    return Time(tokens, watch.seconds, time.process_time() - before)


def ours(
    sentences: Sentences,
    recipe: Recipe,
    trainer: Trainer,
    *,
    min_count: int,
    seed: int,
    device: torch.device,
    **options: int,
) -> int:
    """From words to vectors; center words of all epochs."""
    vocab = Vocab.from_sequences(sentences, min_count=min_count)
    stream = TokenStream(*(part.to(device) for part in encode(sentences, vocab)))
    generator = torch.Generator().manual_seed(seed)
    vectors = initial_vectors(len(vocab), recipe.dimension, generator, device=device)
    passing = trainer(vectors, stream, recipe, generator, **options)
    return sum(report.tokens for report in passing)


def one_round(
    sentences: Sentences, preset: Preset, number: int, device: torch.device
) -> dict[str, Time]:
    """Everybody once; odd rounds begin at the other end."""
    recipe, once = Recipe(epochs=preset.epochs), Recipe(epochs=1)
    some = sentences[: max(1, round(preset.part * len(sentences)))]
    min_count, threads = preset.min_count, preset.threads
    more: dict[str, Any] = {"min_count": min_count, "seed": number}

    def peer() -> int:
        found = gensim_vectors(sentences, recipe, threads=threads, **more)
        return found.tokens

    works: dict[str, Callable[[], int]] = {
        "blocks": lambda: ours(
            sentences, recipe, train_in_blocks, workers=threads, device=device, **more
        ),
        "gensim": peer,
        "blocks, part": lambda: ours(
            some, once, train_in_blocks, workers=threads, device=device, **more
        ),
        "pairs, part": lambda: ours(
            some, once, train_on_pairs, device=device, batch_size=PAIRS_A_STEP, **more
        ),
        "d2l, part": lambda: d2l_epoch(some, once, min_count=min_count),
    }
    order = list(works) if number % 2 == 0 else list(works)[::-1]
    return {name: timed(works[name], device) for name in order}


def ratios(rounds: list[dict[str, Time]], slow: str, fast: str) -> dict[str, object]:
    """How many times as many center words a second the second trains: each round, median.

    By the wall clock, and by the seconds of all processors.
    """
    found: dict[str, list[float]] = {"wall": [], "cpu": []}
    for one in rounds:
        a, b = one[slow], one[fast]
        found["wall"].append(b.tokens / b.seconds / (a.tokens / a.seconds))
        found["cpu"].append(b.tokens / b.cpu / (a.tokens / a.cpu))
    return {
        "rounds": found["wall"],
        "cpu_rounds": found["cpu"],
        "median": median(found["wall"]),
        "cpu_median": median(found["cpu"]),
        "lowest": min(found["wall"]),
        "highest": max(found["wall"]),
    }


# --------------------------------------------------------------------------------- the experiment


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """Rounds after one that warms up, as ratios and as medians of seconds."""
    sentences = list(load_corpus(preset.corpus).sentences())
    order = torch.randperm(len(sentences), generator=context.generator)
    sentences = [sentences[n] for n in order.tolist()]
    few = sentences[: max(1, len(sentences) // 20)]
    once = Recipe(epochs=1)
    more: dict[str, Any] = {"min_count": 1, "seed": 0}
    import_peers()
    ours(few, once, train_in_blocks, device=context.device, **more)  # memory is warm
    rounds = [
        one_round(sentences, preset, number, context.device)
        for number in context.track(range(preset.rounds), "rounds")
    ]
    return {
        "torch_threads": torch.get_num_threads(),
        "gensim": ratios(rounds, "gensim", "blocks"),
        "d2l": ratios(rounds, "d2l, part", "blocks, part"),
        "pairs": ratios(rounds, "pairs, part", "blocks, part"),
        "seconds": {
            name: median(one[name].seconds for one in rounds) for name in rounds[0]
        },
        "tokens": {name: rounds[0][name].tokens for name in rounds[0]},
    }


EXPERIMENT = Experiment(
    name="skip-gram-speed",
    title=Text(
        "Speed of training skip-gram, from words to vectors: blocks against others",
        "训练跳元模型的速度，从文本到词向量：分块与其他实现",
    ),
    chapter="text/training-word2vec",
    presets=PRESETS,
    notes={
        "ci": "the Wikipedia extract, 2 rounds: a minute",
        "laptop": "two workers each, 7 rounds, slow ones on a fifth of the text: a minute",
        "gpu": "text8, 17 million tokens, to be downloaded",
    },
    run=run,
    columns=(
        Column("gensim.median", Text("× gensim", "× gensim"), ".2f"),
        Column("gensim.lowest", Text("lowest", "最低"), ".2f"),
        Column("d2l.median", Text("× d2l", "× d2l"), ".0f"),
        Column("pairs.median", Text("× on pairs", "× 逐对"), ".1f"),
    ),
)
