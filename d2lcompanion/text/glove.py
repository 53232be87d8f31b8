"""GloVe: vectors whose inner products, with a bias for each word, are logarithms of counts.

The loss and its gradient; `glove_training` minimizes it.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from d2lcompanion.text.checks import (
    require_ids,
    require_matrix,
    require_shape,
    require_unit_interval,
)


class Entries(NamedTuple):
    """The entries of a co-occurrence matrix that are not 0.

    Attributes:
        words, contexts: [N], ids i and j.
        counts: [N], x_ij > 0, in the type to train in.
    """

    words: Tensor
    contexts: Tensor
    counts: Tensor


class GloveVectors(NamedTuple):
    """A vector and a bias of every word in each role; training changes them in place.

    Attributes:
        word, context: [V, d], w and w̃.
        word_bias, context_bias: [V], b and b̃.
    """

    word: Tensor
    context: Tensor
    word_bias: Tensor
    context_bias: Tensor

    @property
    def total(self) -> Tensor:
        """w + w̃, [V, d]: what the authors publish, as x is symmetric."""
        return self.word + self.context


def entries_of(
    counts: sparse.csr_array,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Entries:
    """The entries of a matrix [V, V] as three tensors, 20 bytes an entry in float32.

    Raises:
        ValueError: if the matrix is not square, has no entry, or one that is not > 0
            and finite: its logarithm would not be finite.
    """
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"counts must be [V, V], got shape {list(counts.shape)}")
    table = counts.tocoo()
    if table.nnz == 0:
        raise ValueError("counts must have an entry, got none")
    bad = ~((table.data > 0) & (table.data < np.inf))
    if bad.any():
        raise ValueError(f"entries must be > 0 and finite, got {table.data[bad][0]}")
    words, contexts = (
        torch.from_numpy(ids.astype(np.int64)).to(device) for ids in table.coords
    )
    return Entries(words, contexts, torch.from_numpy(table.data).to(device, dtype))


def weighting(counts: Tensor, x_max: float = 100.0, power: float = 0.75) -> Tensor:
    """f(x) = min(1, (x/x_max)^α).

    Rare pairs are mostly noise and count little; beyond x_max no pair counts for more.
    f(0) = 0: pairs that never meet are left out.

    Args:
        counts: x ≥ 0, of any shape.
        x_max: > 0.
        power: α in [0, 1].
    Raises:
        ValueError: if a setting is out of range.
    Source:
        Pennington, Socher & Manning (2014), equation (9).
    """
    require_positive("x_max", x_max)
    require_unit_interval("power", power)
    return (counts / x_max).clamp(max=1) ** power


def residuals(vectors: GloveVectors, entries: Entries) -> Tensor:
    """r_ij = w_i·w̃_j + b_i + b̃_j − log x_ij, [N]."""
    words, contexts, counts = entries
    scores = (vectors.word[words] * vectors.context[contexts]).sum(1)
    biases = vectors.word_bias[words] + vectors.context_bias[contexts]
    return scores + biases - counts.log()


def glove_loss(
    vectors: GloveVectors,
    entries: Entries,
    *,
    x_max: float = 100.0,
    power: float = 0.75,
) -> Tensor:
    """J = ½ Σ f(x_ij) r_ij² over the entries, [].

    The authors' program has the factor ½, their paper has not.

    Raises:
        ValueError: if shapes differ, or an id or a setting is out of range.
    Source:
        Pennington, Socher & Manning (2014), equation (8).
    """
    require_entries(vectors, entries)
    weights = weighting(entries.counts, x_max, power)
    return 0.5 * (weights * residuals(vectors, entries).square()).sum()


def glove_gradients(
    vectors: GloveVectors,
    entries: Entries,
    *,
    x_max: float = 100.0,
    power: float = 0.75,
) -> GloveVectors:
    """The derivatives of `glove_loss`, with h_ij = f(x_ij) r_ij:

        ∂J/∂w_i = Σ_j h_ij w̃_j      ∂J/∂b_i = Σ_j h_ij
        ∂J/∂w̃_j = Σ_i h_ij w_i      ∂J/∂b̃_j = Σ_i h_ij

    Raises:
        as there.
    """  # fmt: skip
    require_entries(vectors, entries)
    words, contexts, counts = entries
    pull = weighting(counts, x_max, power) * residuals(vectors, entries)  # h
    gradient = GloveVectors(*(torch.zeros_like(table) for table in vectors))
    gradient.word.index_add_(0, words, pull[:, None] * vectors.context[contexts])
    gradient.context.index_add_(0, contexts, pull[:, None] * vectors.word[words])
    gradient.word_bias.index_add_(0, words, pull)
    gradient.context_bias.index_add_(0, contexts, pull)
    return gradient


# ------------------------------------------------------------------------------------- small parts


def require_entries(vectors: GloveVectors, entries: Entries) -> None:
    """Tables of one V and d, and N ≥ 1 entries of their words.

    Raises:
        ValueError: otherwise.
    """
    require_matrix("word", vectors.word)
    require_shape("context", vectors.context, vectors.word.shape)
    for name in ("word_bias", "context_bias"):
        require_shape(name, getattr(vectors, name), (len(vectors.word),))
    if entries.counts.ndim != 1 or len(entries.counts) == 0:
        raise ValueError(
            f"counts must be [N] with N ≥ 1, got shape {list(entries.counts.shape)}"
        )
    for name in ("words", "contexts"):
        ids = getattr(entries, name)
        require_shape(name, ids, entries.counts.shape)
        require_ids(name, ids, len(vectors.word))


def require_positive(name: str, value: float) -> None:
    """A finite number > 0.

    Raises:
        ValueError: otherwise, also for nan.
    """
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be > 0 and finite, got {value}")
