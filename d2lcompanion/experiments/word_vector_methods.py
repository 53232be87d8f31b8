"""Five ways from one corpus to word vectors, with the settings each may choose among.

Rows of PPMI, PPMI + SVD, skip-gram with negative sampling, GloVe as published, and GloVe
with pairs that never meet. Every method sees the same tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import scipy.sparse as sparse
import torch
from torch import Tensor

from d2lcompanion.experiments.word_vector_judges import agreement, judges, rated_rows
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
from d2lcompanion.text.token_stream import TokenStream, token_counts
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.training.preset_checks import require_numbers, require_positive

# ------------------------------------------------------------------------------ what they are given


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
        sizes = ("min_count", "dimension", "window", "sgns_epochs", "glove_epochs")
        require_numbers(self, **dict.fromkeys((*sizes, "batch_size"), 1))
        require_positive(self, "smoothings", "rates", "x_maxes")


class Corpus(NamedTuple):
    """Tokens and their words."""

    vocab: Vocab
    stream: TokenStream


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
