"""Skip-gram and CBOW with the full softmax, on a hundred articles of the Wikipedia.

The vocabulary is small, so that every step can afford the whole of it. Both models see
the same windows in the same order, with Adam, a rate that falls to zero along a line,
and the same rates to choose among; the held-out paragraphs choose, the test paragraphs
judge. The seed splits the paragraphs, draws the first vectors and orders the
minibatches.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.experiments.word_vector_report import report
from d2lcompanion.experiments.word_windows import Corpus, prepare
from d2lcompanion.optimization.adaptive import AdamState, adam
from d2lcompanion.optimization.schedules import polynomial
from d2lcompanion.text.entropy import conditional_entropy, unigram_loss
from d2lcompanion.text.windows import Windows, pair_counts
from d2lcompanion.text.word2vec import (
    VectorGradients,
    cbow_gradients,
    cbow_log_likelihood,
    skip_gram_gradients,
    skip_gram_log_likelihood,
)
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.progress import Track, silent

SPREAD = 0.1  # standard deviation of the first coordinates
SAMPLE = 10_000  # training windows that the training loss is measured on

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
        least = {"vocabulary_size": 2, "dim": 1, "window": 1, "epochs": 1}
        for name, bound in {**least, "batch_size": 1}.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name} must be ≥ {bound}, got {getattr(self, name)}")
        if not self.rates or not all(0 < rate < math.inf for rate in self.rates):
            raise ValueError(
                f"rates must be one or more positive numbers, got {self.rates}"
            )


RATES = (0.003, 0.01, 0.03)
PRESETS = {
    "ci": Preset(1000, 32, window=5, epochs=4, batch_size=512, rates=RATES),
    "laptop": Preset(4000, 64, window=5, epochs=6, batch_size=512, rates=RATES),
    "gpu": Preset(20_000, 300, window=5, epochs=10, batch_size=512, rates=RATES),
}

# -------------------------------------------------------------------------------------- training


class Model(NamedTuple):
    """What is maximized, and its gradient: both take windows and tables of vectors."""

    log_likelihood: Callable[..., Tensor]
    gradients: Callable[..., VectorGradients]


MODELS = {
    "skip_gram": Model(skip_gram_log_likelihood, skip_gram_gradients),
    "cbow": Model(cbow_log_likelihood, cbow_gradients),
}


class Trained(NamedTuple):
    """Vectors, and losses (minus log-likelihood a predicted word) after 0, 1, … epochs."""

    center_vectors: Tensor  # [V, d]
    context_vectors: Tensor  # [V, d]
    train: list[float]
    held_out: list[float]


def loss(model: Model, part: Windows, tables: Sequence[Tensor]) -> float:
    """Minus the mean log-likelihood, over windows that are taken a thousand at a time."""
    total, predicted = 0.0, 0
    for rows in torch.arange(len(part.centers)).split(1000):  # type: ignore[no-untyped-call]
        centers, contexts, mask = part.rows(rows.to(part.centers.device))
        once = model.log_likelihood is cbow_log_likelihood  # CBOW predicts the center
        number = len(centers) if once else int(mask.sum())
        total -= number * float(
            model.log_likelihood(
                centers, contexts, *tables, mask=mask, reduction="mean"
            )
        )
        predicted += number
    return total / predicted


def train(
    model: Model,
    corpus: Corpus,
    *,
    dim: int,
    lr: float,
    epochs: int,
    batch_size: int,
    generator: torch.Generator,
) -> Trained:
    """Adam along the analytic gradient of each minibatch of windows.

    The parts of the corpus lie on the device to train on; the generator, on the CPU,
    draws the first vectors and the order of the windows.
    """
    device, count = corpus.train.centers.device, len(corpus.train.centers)
    shape = len(corpus.vocab), dim
    tables = [
        (SPREAD * torch.randn(shape, generator=generator)).to(device) for _ in range(2)
    ]
    states = [AdamState.zeros(table) for table in tables]
    rate = polynomial(lr, epochs * math.ceil(count / batch_size))
    sample = corpus.train.rows(torch.arange(min(SAMPLE, count), device=device))
    losses = [(loss(model, sample, tables), loss(model, corpus.held_out, tables))]
    step = 0
    for _ in range(epochs):
        order = torch.randperm(count, generator=generator).to(device)
        for rows in order.split(batch_size):  # type: ignore[no-untyped-call]
            centers, contexts, mask = corpus.train.rows(rows)
            uphill = model.gradients(
                centers, contexts, *tables, mask=mask, reduction="mean"
            )
            for k in range(2):
                update, states[k] = adam(-uphill[k], states[k], lr=rate(step))
                tables[k] = tables[k] + update
            step += 1
        losses.append(
            (loss(model, sample, tables), loss(model, corpus.held_out, tables))
        )
    on_train, on_held_out = zip(*losses, strict=True)
    return Trained(tables[0], tables[1], list(on_train), list(on_held_out))


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


def predicted_counts(name: str, part: Windows, size: int) -> Tensor:
    """How often each word is predicted, [V]: in the contexts for skip-gram, else as center."""
    if name == "cbow":
        return torch.bincount(part.centers, minlength=size)
    return torch.bincount(part.contexts[part.mask], minlength=size)


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
