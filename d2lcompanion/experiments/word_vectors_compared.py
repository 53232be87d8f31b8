"""Counting against predicting: word vectors of one corpus, by five methods, judged alike.

Every method sees the same tokens, has the same dimension (except for the plain PPMI,
whose rows are as long as the vocabulary) and may choose among as many settings. SimLex-999
chooses, WordSim-353 judges. The seed leaves out a tenth of the paragraphs, draws the
first vectors and orders what is trained.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from d2lcompanion.data.word_similarity import (
    RatedPairs,
    load_simlex999,
    load_wordsim353,
)
from d2lcompanion.experiments.text_corpora import load_corpus
from d2lcompanion.experiments.word_vector_report import analogies
from d2lcompanion.text.cooccurrence import cooccurrence
from d2lcompanion.text.glove import Entries, GloveVectors, entries_of
from d2lcompanion.text.glove_training import (
    GloveRecipe,
    initial_glove_vectors,
    train_glove,
    with_unseen,
)
from d2lcompanion.text.ppmi_svd import ppmi, svd_vectors
from d2lcompanion.text.sgns import Recipe, WordVectors, initial_vectors
from d2lcompanion.text.sgns_blocks import train_in_blocks
from d2lcompanion.text.similarity import word_similarity
from d2lcompanion.text.token_stream import TokenStream, encode, token_counts
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.wall_time import Stopwatch

LEFT_OUT = 0.1  # of the paragraphs, by the seed

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        corpus: a name of `load_corpus`.
        min_count: rarer words are left out.
        dimension: d.
        window: c, words on either side, of every method.
        sgns_epochs, glove_epochs: passes over the tokens, and over the entries.
        batch_size: entries of a step of GloVe.
        smoothings: of PPMI, to choose among.
        rates: of skip-gram.
        x_maxes: of GloVe.
    Raises:
        ValueError: if a number is out of range.
    """

    corpus: Literal["wikipedia", "ptb", "text8", "wikitext-2", "wikitext-103"]
    min_count: int
    dimension: int
    window: int
    sgns_epochs: int
    glove_epochs: int
    batch_size: int
    smoothings: tuple[float, ...] = (0.75, 1.0)
    rates: tuple[float, ...] = (0.025, 0.05)
    x_maxes: tuple[float, ...] = (1.0, 10.0)

    def __post_init__(self) -> None:
        names = ("min_count", "dimension", "window", "sgns_epochs", "glove_epochs")
        for name in (*names, "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be ≥ 1, got {getattr(self, name)}")
        for name in ("smoothings", "rates", "x_maxes"):
            values = getattr(self, name)
            if not values or not all(0 < value < math.inf for value in values):
                raise ValueError(
                    f"{name} must be one or more positive numbers, got {values}"
                )


PRESETS = {
    "ci": Preset("wikipedia", 10, 32, 5, 15, 6, 4096),
    "laptop": Preset("wikipedia", 5, 100, 5, 25, 12, 4096),
    "gpu": Preset("text8", 5, 300, 10, 15, 25, 65_536, x_maxes=(10.0, 100.0)),
}

# -------------------------------------------------------------------------------------- the corpus


class Corpus(NamedTuple):
    """Tokens and their words."""

    vocab: Vocab
    stream: TokenStream


def prepare(sentences: Sequence[Sequence[str]], min_count: int, *, seed: int) -> Corpus:
    """Nine tenths of the sentences, chosen by the seed."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(len(sentences), generator=generator) >= LEFT_OUT
    kept = [
        words for words, keep in zip(sentences, drawn.tolist(), strict=True) if keep
    ]
    vocab = Vocab.from_sequences(kept, min_count=min_count)
    return Corpus(vocab, encode(kept, vocab))


# ------------------------------------------------------------------------------------ the measures


class Judges(NamedTuple):
    """Pairs that choose settings, and pairs that judge the chosen ones."""

    chooses: RatedPairs
    judges: RatedPairs


def judges() -> Judges:
    """SimLex-999 chooses, WordSim-353 judges."""
    return Judges(load_simlex999().lower(), load_wordsim353().lower())


def agreement(rated: RatedPairs, vocab: Vocab, vectors: Tensor) -> float:
    """Spearman's ρ with people."""
    return word_similarity(rated.pairs, rated.ratings, vocab, vectors).correlation


def rated_rows(matrix: sparse.csr_array, vocab: Vocab) -> tuple[Vocab, Tensor]:
    """The rows of rated words as vectors: a row of a large vocabulary is long."""
    rated = {word for data in judges() for pair in data.pairs for word in pair}
    words = [word for word in vocab.tokens if word in rated]
    rows = matrix[vocab.encode(words).numpy()].toarray().astype(np.float32)
    return Vocab(words, [1] * len(words)), torch.from_numpy(rows)


# ------------------------------------------------------------------------------------- the methods


class GloveRun(NamedTuple):
    """All that GloVe learned, and what from."""

    vectors: GloveVectors
    entries: Entries


class Outcome(NamedTuple):
    """Vectors of some words, and what was learned on the way.

    Attributes:
        vocab, vectors: V words, [V, ·].
        by_epoch: ρ on the pairs that judge, after each epoch; empty where none are.
        details: both tables where a model was trained.
    """

    vocab: Vocab
    vectors: Tensor
    by_epoch: list[float]
    details: WordVectors | GloveRun | None = None


def count_ppmi(corpus: Corpus, preset: Preset, smoothing: float) -> sparse.csr_array:
    """PPMI of word2vec's mean window."""
    counts = cooccurrence(
        corpus.stream, len(corpus.vocab), preset.window, weighting="linear"
    )
    return ppmi(counts, smoothing=smoothing)


def run_ppmi(corpus: Corpus, preset: Preset, setting: float, seed: int) -> Outcome:
    """Rows of the PPMI matrix."""
    found = rated_rows(count_ppmi(corpus, preset, setting), corpus.vocab)
    return Outcome(*found, [])


def run_svd(corpus: Corpus, preset: Preset, setting: float, seed: int) -> Outcome:
    """The same matrix in d dimensions."""
    matrix = count_ppmi(corpus, preset, setting)
    return Outcome(corpus.vocab, svd_vectors(matrix, preset.dimension), [])


def run_sgns(corpus: Corpus, preset: Preset, setting: float, seed: int) -> Outcome:
    """Skip-gram with negative sampling, in blocks."""
    generator = torch.Generator().manual_seed(seed)
    recipe = Recipe(
        dimension=preset.dimension,
        window=preset.window,
        epochs=preset.sgns_epochs,
        rate=setting,
    )
    stream = corpus.stream
    vectors = initial_vectors(
        len(corpus.vocab), preset.dimension, generator, device=stream.ids.device
    )
    by_epoch, rated = [], judges().judges
    for _ in train_in_blocks(vectors, stream, recipe, generator):
        by_epoch.append(agreement(rated, corpus.vocab, vectors.center))
    return Outcome(corpus.vocab, vectors.center, by_epoch, vectors)


def glove(
    corpus: Corpus,
    preset: Preset,
    x_max: float,
    seed: int,
    add: Callable[[Entries, torch.Generator], Entries] | None = None,
) -> Outcome:
    """GloVe on the entries of the co-occurrence matrix, weighted by 1/distance."""
    generator = torch.Generator().manual_seed(seed)
    size, device = len(corpus.vocab), corpus.stream.ids.device
    entries = entries_of(
        cooccurrence(corpus.stream, size, preset.window), device=device
    )
    if add is not None:
        entries = add(entries, generator)
    vectors = initial_glove_vectors(size, preset.dimension, generator, device=device)
    recipe = GloveRecipe(
        preset.dimension,
        x_max=x_max,
        epochs=preset.glove_epochs,
        rate=0.1,
        batch_size=preset.batch_size,
    )
    by_epoch, rated = [], judges().judges
    for _ in train_glove(vectors, entries, recipe, generator):
        by_epoch.append(agreement(rated, corpus.vocab, vectors.total))
    return Outcome(corpus.vocab, vectors.total, by_epoch, GloveRun(vectors, entries))


def run_glove(corpus: Corpus, preset: Preset, setting: float, seed: int) -> Outcome:
    """As published: pairs that never meet are left out."""
    return glove(corpus, preset, setting, seed)


def run_unseen(corpus: Corpus, preset: Preset, setting: float, seed: int) -> Outcome:
    """With as many pairs that never meet as there are entries."""
    frequencies = token_counts(corpus.stream, len(corpus.vocab))
    return glove(
        corpus,
        preset,
        setting,
        seed,
        lambda entries, generator: with_unseen(
            entries, len(entries.counts), frequencies, generator
        ),
    )


def bias_correlation(vectors: GloveVectors, counts: Tensor) -> float:
    """The correlation of b_i + b̃_i with log x_i."""
    bias = (vectors.word_bias + vectors.context_bias).cpu().double()
    pair = torch.stack([bias, counts.cpu().double().log()])
    return float(torch.corrcoef(pair)[0, 1])


class Method(NamedTuple):
    """How vectors are made, and which field of the preset holds its settings."""

    run: Callable[[Corpus, Preset, float, int], Outcome]
    settings: str


METHODS = {
    "ppmi": Method(run_ppmi, "smoothings"),
    "svd": Method(run_svd, "smoothings"),
    "sgns": Method(run_sgns, "rates"),
    "glove": Method(run_glove, "x_maxes"),
    "unseen": Method(run_unseen, "x_maxes"),
}
LABELS = {
    "ppmi": "PPMI",
    "svd": "PPMI + SVD",
    "sgns": "SGNS",
    "glove": "GloVe",
    "unseen": "GloVe + unseen",
}

# --------------------------------------------------------------------------------- the experiment


def measure(
    method: Method, corpus: Corpus, preset: Preset, seed: int
) -> dict[str, object]:
    """One method at its best setting, as numbers for JSON."""
    chooses, decides = judges()
    tried: list[tuple[float, float, float, Outcome]] = []
    for setting in getattr(preset, method.settings):
        with Stopwatch(corpus.stream.ids.device) as watch:
            found = method.run(corpus, preset, setting, seed)
        score = agreement(chooses, found.vocab, found.vectors)
        tried.append((score, setting, watch.seconds, found))
    score, setting, seconds, found = max(tried, key=lambda item: item[:2])
    whole = len(found.vocab) == len(corpus.vocab)
    answered = analogies(found.vectors, found.vocab) if whole else {"right": None}
    result: dict[str, object] = {
        "setting": setting,
        "seconds": seconds,
        "simlex": score,
        "wordsim": agreement(decides, found.vocab, found.vectors),
        "analogies": answered["right"],
        "by_epoch": found.by_epoch,
    }
    if isinstance(found.details, GloveRun):
        vectors, entries = found.details
        sums = entries.counts.new_zeros(len(corpus.vocab))
        sums.index_add_(0, entries.words, entries.counts)
        result["bias_correlation"] = bias_correlation(vectors, sums)
    return result


def with_shares(results: Mapping[str, dict[str, object]]) -> dict[str, object]:
    """The seconds of each method as shares of all, which do not depend on the machine much."""
    total = sum(float(str(result["seconds"])) for result in results.values())
    for result in results.values():
        result["share"] = float(str(result.pop("seconds"))) / total
    return dict(results)


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """The study as numbers for `d2lc run`."""
    seed = context.settings.seed
    sentences = list(load_corpus(preset.corpus).sentences())
    vocab, stream = prepare(sentences, preset.min_count, seed=seed)
    moved = TokenStream(*(part.to(context.device) for part in stream))
    corpus = Corpus(vocab, moved)
    known = [
        sum(all(word in vocab for word in pair) for pair in rated.pairs)
        for rated in judges()
    ]
    results = {}
    names = list(METHODS)
    for index in context.track(range(len(names)), "methods"):
        name = names[index]
        results[name] = measure(METHODS[name], corpus, preset, seed)
    return {
        "words": len(vocab),
        "tokens": len(stream.ids),
        "pairs": {"simlex": known[0], "wordsim": known[1]},
        **with_shares(results),
    }


EXPERIMENT = Experiment(
    name="word-vectors-compared",
    title=Text(
        "Five ways to word vectors from one corpus: Spearman's ρ on WordSim-353, settings chosen "
        "on SimLex-999",
        "同一份语料、五种办法的词向量：在 WordSim-353 上的斯皮尔曼 ρ，设置由 SimLex-999 选定",
    ),
    chapter="text/glove",
    presets=PRESETS,
    notes={
        "ci": "Wikipedia extract, words of 10 and more, 32 dimensions: a minute on one CPU thread",
        "laptop": "Wikipedia extract, words of 5 and more, 100 dimensions: minutes on a CPU",
        "gpu": "text8, 300 dimensions, windows of 10",
    },
    run=run,
    columns=(
        Column("words", Text("words", "词数"), ".0f"),
        *(
            Column(f"{name}.wordsim", Text(label, label), ".3f")
            for name, label in LABELS.items()
        ),
    ),
)
