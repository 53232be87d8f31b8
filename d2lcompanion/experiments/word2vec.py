"""Skip-gram and CBOW with the full softmax, on a hundred articles of the Wikipedia.

The vocabulary is small, so that every step can afford the whole of it. Both models see
the same windows in the same order, with Adam, a rate that falls to zero along a line,
and the same rates to choose among; the held-out paragraphs choose, the test paragraphs
judge. The seed splits the paragraphs, draws the first vectors and orders the
minibatches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.experiments.full_softmax import (
    MODELS,
    Trained,
    loss,
    predicted_counts,
    train,
)
from d2lcompanion.experiments.word_vector_report import report
from d2lcompanion.experiments.word_windows import Corpus, prepare
from d2lcompanion.text.entropy import conditional_entropy, unigram_loss
from d2lcompanion.text.windows import pair_counts
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers, require_positive
from d2lcompanion.training.progress import Track, silent

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        vocabulary_size: V, the most frequent words that are left, ≥ 2.
        dim: d, numbers a vector.
        window: words on either side.
        epochs: passes over the training windows.
        batch_size: windows a step.
        rates: the first rates to choose among, the same for both models.
    Raises:
        ValueError: if a number is out of range.
    """

    vocabulary_size: int
    dim: int
    window: int
    epochs: int
    batch_size: int
    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        require_numbers(
            self, vocabulary_size=2, dim=1, window=1, epochs=1, batch_size=1
        )
        require_positive(self, "rates")


RATES = (0.003, 0.01, 0.03)
PRESETS = {
    "ci": Preset(1000, 32, window=5, epochs=4, batch_size=512, rates=RATES),
    "laptop": Preset(4000, 64, window=5, epochs=6, batch_size=512, rates=RATES),
    "gpu": Preset(20_000, 300, window=5, epochs=10, batch_size=512, rates=RATES),
}

# --------------------------------------------------------------------------------------- the study


class Tuned(NamedTuple):
    """One model: the rate that the held-out paragraphs chose, and all its runs."""

    rate: float
    by_rate: dict[float, Trained]

    @property
    def chosen(self) -> Trained:
        """The run at that rate."""
        return self.by_rate[self.rate]


def study(
    corpus: Corpus,
    *,
    dim: int,
    epochs: int,
    batch_size: int,
    rates: Sequence[float],
    seed: int,
    models: Sequence[str] = tuple(MODELS),
    track: Track = silent,
) -> dict[str, Tuned]:
    """Every model at every rate, from one seed; the smaller rate wins a tie."""
    runs: dict[str, dict[float, Trained]] = {name: {} for name in models}
    tasks = [(name, lr) for name in models for lr in sorted(rates)]
    for index in track(range(len(tasks)), "training"):
        name, lr = tasks[index]
        runs[name][lr] = train(
            MODELS[name],
            corpus,
            dim=dim,
            lr=lr,
            epochs=epochs,
            batch_size=batch_size,
            generator=torch.Generator().manual_seed(seed),
        )
    return {
        name: Tuned(min(by_rate, key=lambda lr: by_rate[lr].held_out[-1]), by_rate)
        for name, by_rate in runs.items()
    }


# ------------------------------------------------------------------------------------- measurement


def word_vectors(name: str, trained: Trained) -> Tensor:
    """The table that is looked up: v for skip-gram, u for CBOW, as gensim has it."""
    return trained.context_vectors if name == "cbow" else trained.center_vectors


def numbers(name: str, tuned: Tuned, corpus: Corpus) -> dict[str, object]:
    """One model as nested numbers and lists, ready for JSON."""
    size, chosen = len(corpus.vocab), tuned.chosen
    seen, asked = (
        predicted_counts(name, part, size) for part in (corpus.train, corpus.test)
    )
    tables = chosen.center_vectors, chosen.context_vectors
    test, line = loss(MODELS[name], corpus.test, tables), unigram_loss(seen, asked)
    return {
        "rate": tuned.rate,
        "test_loss": test,
        "unigram_loss": float(line),
        "gain": float(line) - test,
        "train_by_epoch": chosen.train,
        "held_out_by_epoch": chosen.held_out,
        "held_out_by_rate": {
            str(lr): run.held_out[-1] for lr, run in tuned.by_rate.items()
        },
        **report(word_vectors(name, chosen), corpus.vocab),
    }


# --------------------------------------------------------------------------------- the experiment


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """The study as numbers for `d2lc run`."""
    corpus = prepare(
        preset.vocabulary_size, preset.window, seed=context.settings.seed
    ).to(context.device)
    results = study(
        corpus,
        dim=preset.dim,
        epochs=preset.epochs,
        batch_size=preset.batch_size,
        rates=preset.rates,
        seed=context.settings.seed,
        track=context.track,
    )
    centers, contexts, mask = corpus.train
    counts = pair_counts(centers, contexts, len(corpus.vocab), mask=mask)
    return {
        "words": len(corpus.vocab),
        "windows": len(centers),
        "pairs": int(mask.sum()),
        "conditional_entropy": float(conditional_entropy(counts)),
        **{name: numbers(name, tuned, corpus) for name, tuned in results.items()},
    }


def _columns(name: str, label: str) -> tuple[Column, ...]:
    return (
        Column(
            f"{name}.unigram_loss", Text(f"{label}: unigram", f"{label}：一元"), ".3f"
        ),
        Column(f"{name}.test_loss", Text(f"{label}: test", f"{label}：测试"), ".3f"),
    )


EXPERIMENT = Experiment(
    name="word2vec",
    title=Text(
        "Full softmax on the Wikipedia extract: nats a predicted word on test paragraphs, "
        "beside the unigram line",
        "维基百科节选上的完整 softmax：测试段落上每个被预测词的损失（奈特）与一元基线",
    ),
    chapter="text/word2vec",
    presets=PRESETS,
    notes={
        "ci": "1,000 words, 32 dimensions, 6 runs: half a minute on one CPU thread",
        "laptop": "4,000 words, 64 dimensions, 6 runs: minutes on a CPU",
        "gpu": "20,000 words, 300 dimensions, 6 runs",
    },
    run=run,
    columns=(
        Column("words", Text("words", "词数"), ".0f"),
        *_columns("skip_gram", "skip-gram"),
        *_columns("cbow", "CBOW"),
    ),
)
