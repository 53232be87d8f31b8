"""What people say, against the cosines of word vectors.

SimLex-999 chooses among settings, WordSim-353 judges what was chosen.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from d2lcompanion.data.word_similarity import (
    RatedPairs,
    load_simlex999,
    load_wordsim353,
)
from d2lcompanion.text.similarity import word_similarity
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.training.results import Result


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


def lead(
    runs: Sequence[Result], better: str, worse: str, key: str = "wordsim"
) -> list[float]:
    """By how much one method is ahead of another, for each run.

    Args:
        key: of the metric; by default ρ on the pairs that judge.
    """
    return [
        run.metric(f"{better}.{key}") - run.metric(f"{worse}.{key}") for run in runs
    ]
