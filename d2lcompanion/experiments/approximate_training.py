"""One task, four objectives: full softmax, hierarchical, negative sampling and NCE.

Skip-gram on the windows of chapter word2vec, equal windows in equal order, equal steps
of Adam, the same rates to choose among. All are judged as predictors: by the
log-likelihood of test paragraphs, normalized over the vocabulary. Negative sampling is
not trained for that: its scores are read twice, as they are, and with the noise
multiplied back. Beside it, how many nearest words are those of the full softmax.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.experiments.full_softmax import (
    Model,
    Trained,
    loss,
    predicted_counts,
    train,
)
from d2lcompanion.experiments.skip_gram_objectives import Objective, objectives
from d2lcompanion.experiments.word_vector_report import report
from d2lcompanion.experiments.word_windows import Corpus, prepare
from d2lcompanion.text.entropy import unigram_loss
from d2lcompanion.text.similarity import nearest
from d2lcompanion.text.word2vec import skip_gram_log_likelihood
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
        negatives: k, for each pair.
        rates: the first rates to choose among, the same for all objectives.
    Raises:
        ValueError: if a number is out of range.
    """

    vocabulary_size: int
    dim: int
    window: int
    epochs: int
    batch_size: int
    negatives: int
    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        require_numbers(
            self,
            vocabulary_size=2,
            dim=1,
            window=1,
            epochs=1,
            batch_size=1,
            negatives=1,
        )
        require_positive(self, "rates")


PRESETS = {
    "ci": Preset(1000, 32, 5, 2, 512, negatives=5, rates=(0.01, 0.03, 0.1)),
    "laptop": Preset(4000, 64, 5, 3, 512, negatives=5, rates=(0.01, 0.03)),
    "gpu": Preset(20_000, 300, 5, 10, 512, negatives=5, rates=(0.003, 0.01, 0.03)),
}

# ------------------------------------------------------------------------------------- the study


class Tuned(NamedTuple):
    """One objective: the rate that the held-out paragraphs chose, and its run."""

    rate: float
    trained: Trained
    held_out_by_rate: dict[float, float]


def study(
    corpus: Corpus,
    preset: Preset,
    *,
    seed: int,
    names: Sequence[str] = ("full", "hierarchical", "nce", "negative"),
    track: Track = silent,
) -> dict[str, Tuned]:
    """Objectives at every rate of the preset; the smaller rate wins a tie."""
    known = objectives(corpus, preset.negatives, seed=seed)
    runs: dict[str, dict[float, Trained]] = {name: {} for name in names}
    tasks = [(name, lr) for name in names for lr in sorted(preset.rates)]
    for index in track(range(len(tasks)), "training"):
        name, lr = tasks[index]
        runs[name][lr] = once(corpus, known[name], preset, lr=lr, seed=seed)
    chosen = {}
    for name, by_rate in runs.items():
        ends = {lr: run.held_out[-1] for lr, run in by_rate.items()}
        best = min(ends, key=lambda lr: ends[lr])
        chosen[name] = Tuned(best, by_rate[best], ends)
    return chosen


def once(
    corpus: Corpus, objective: Objective, preset: Preset, *, lr: float, seed: int
) -> Trained:
    """One training; the seed draws the first vectors and the order of the windows."""
    return train(
        objective.model,
        corpus,
        dim=preset.dim,
        lr=lr,
        epochs=preset.epochs,
        batch_size=preset.batch_size,
        generator=torch.Generator().manual_seed(seed),
    )


def shared_neighbors(a: Tensor, b: Tensor, k: int = 5) -> float:
    """How many of the k words nearest to a word two tables share, on average over words."""
    ids = torch.arange(len(a), device=a.device)
    lists = [
        nearest(rows, rows, k, exclude=ids[:, None]).ids[..., None] for rows in (a, b)
    ]
    same = lists[0] == lists[1].transpose(1, 2)  # [V, k, k]
    return float(same.sum((1, 2)).double().mean())


def frequency(trained: Trained, counts: Tensor) -> float:
    """The correlation of u_w·v̄ with log count(w): how much of the score is frequency."""
    scores = (trained.context_vectors @ trained.center_vectors.mean(0)).double()
    pair = torch.stack([scores, counts.to(scores).clamp(min=1).log()])
    return float(torch.corrcoef(pair)[0, 1])


def log_normalizer_spread(trained: Trained) -> float:
    """Standard deviation over the centers of log Σ_w exp(u_w·v_c): 0 if self-normalized."""
    scores = trained.center_vectors @ trained.context_vectors.T
    return float(scores.double().logsumexp(1).std())


def numbers(
    corpus: Corpus, objective: Objective, tuned: Tuned, baseline: Tensor
) -> dict[str, object]:
    """One objective as nested numbers: likelihoods on test text, neighbours, vectors' report.

    Args:
        corpus: whose test part judges.
        objective: with its readings of the scores.
        tuned: the training.
        baseline: vectors of the full softmax from another start, whose neighbours are
            compared with.
    """
    trained = tuned.trained
    tables = trained.center_vectors, trained.context_vectors
    raw = Model(objective.raw, objective.model.gradients)
    seen = predicted_counts("skip_gram", corpus.train, len(corpus.vocab))
    inside = {
        "frequency": frequency(trained, seen),
        "log_normalizer_sd": log_normalizer_spread(trained),
    }
    of_nodes = objective.raw is not skip_gram_log_likelihood  # u is not of words
    return {
        "rate": tuned.rate,
        "held_out_by_rate": {str(k): v for k, v in tuned.held_out_by_rate.items()},
        "held_out_by_epoch": trained.held_out,
        "test_loss": loss(objective.model, corpus.test, tables),
        "raw_test_loss": loss(raw, corpus.test, tables),
        **({} if of_nodes else inside),
        "shared": shared_neighbors(baseline, trained.center_vectors),
        **report(trained.center_vectors, corpus.vocab),
    }


# --------------------------------------------------------------------------------- the experiment


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """All four as numbers, with the unigram line, and the full softmax from another start."""
    seed = context.settings.seed
    corpus = prepare(preset.vocabulary_size, preset.window, seed=seed).to(
        context.device
    )
    known = objectives(corpus, preset.negatives, seed=seed)
    tuned = study(corpus, preset, seed=seed, track=context.track)
    again = once(corpus, known["full"], preset, lr=tuned["full"].rate, seed=seed + 1000)
    size = len(corpus.vocab)
    seen, asked = (
        predicted_counts("skip_gram", part, size)
        for part in (corpus.train, corpus.test)
    )
    return {
        "words": size,
        "windows": len(corpus.train.centers),
        "pairs": int(corpus.train.mask.sum()),
        "unigram_loss": float(unigram_loss(seen, asked)),
        **{
            name: numbers(corpus, known[name], found, again.center_vectors)
            for name, found in tuned.items()
        },
    }


EXPERIMENT = Experiment(
    name="approximate-training",
    title=Text(
        "Nats a predicted word on test paragraphs, normalized over the vocabulary, "
        "after equal steps of four objectives",
        "四个目标走同样的步数之后，测试段落上每个被预测词的损失（奈特，都在词表上归一化）",
    ),
    chapter="text/approximate-training",
    presets=PRESETS,
    notes={
        "ci": "1,000 words, 32 dimensions, 13 runs: half a minute on one CPU thread",
        "laptop": "4,000 words, 64 dimensions, 9 runs: minutes on a CPU",
        "gpu": "20,000 words, 300 dimensions, 13 runs",
    },
    run=run,
    columns=(
        Column("words", Text("words", "词数"), ".0f"),
        Column("unigram_loss", Text("unigram", "一元线"), ".3f"),
        Column("full.test_loss", Text("full", "完整"), ".3f"),
        Column("hierarchical.test_loss", Text("hierarchical", "层序"), ".3f"),
        Column("nce.test_loss", Text("NCE", "NCE"), ".3f"),
        Column("negative.test_loss", Text("negative", "负采样"), ".3f"),
    ),
)
