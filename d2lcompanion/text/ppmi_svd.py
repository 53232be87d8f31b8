"""Word vectors by counting: how much more often than by chance two words meet, then SVD."""

import math

import numpy as np
import scipy.sparse as sparse
import torch
from scipy.sparse.linalg import svds
from torch import Tensor

from d2lcompanion.text.checks import require_at_least, require_unit_interval


def require_counts(counts: sparse.csr_array) -> None:
    """A square matrix of finite numbers ≥ 0, not all 0.

    Raises:
        ValueError: otherwise.
    """
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"counts must be [V, V], got shape {list(counts.shape)}")
    bad = ~((counts.data >= 0) & (counts.data < np.inf))
    if bad.any():
        raise ValueError(f"counts must be ≥ 0 and finite, got {counts.data[bad][0]}")
    if not counts.data.any():
        raise ValueError("counts must not all be 0")


def ppmi(
    counts: sparse.csr_array, *, shift: float = 0.0, smoothing: float = 1.0
) -> sparse.csr_array:
    """max(0, log(P(w, c)/(P(w) P_α(c))) − shift), kept where it is positive.

    P(w, c) = x_wc/Σx, P(w) its sum over c, and P_α(c) ∝ (Σ_w x_wc)^α. Pairs that never
    meet would have −∞: cutting off at 0 says nothing about them, and keeps the matrix
    sparse.

    Args:
        counts: x, [V, V], ≥ 0: rows are words, columns contexts.
        shift: log k makes it what negative sampling with k negatives aims at; ≥ 0.
        smoothing: α in [0, 1]; ¾ is word2vec's noise, and lowers the scores of rare
            contexts.
    Returns:
        [V, V], entries > 0.
    Raises:
        ValueError: if a number is out of range.
    Source:
        Church & Hanks (1990); Levy, Goldberg & Dagan (2015), *Improving Distributional
        Similarity with Lessons Learned from Word Embeddings*.
    """
    require_counts(counts)
    require_unit_interval("smoothing", smoothing)
    if not 0 <= shift < math.inf:
        raise ValueError(f"shift must be ≥ 0 and finite, got {shift}")
    entries = counts.tocoo()
    words = np.asarray(counts.sum(axis=1)).ravel()
    contexts = np.asarray(counts.sum(axis=0)).ravel() ** smoothing
    rows, columns = entries.coords
    with np.errstate(divide="ignore"):  # a stored 0 is −∞, and left out below
        scores = np.log(entries.data) - np.log(words[rows])
    scores = scores - np.log(contexts[columns] / contexts.sum()) - shift
    kept = scores > 0
    positive = (scores[kept], (rows[kept], columns[kept]))
    return sparse.coo_array(positive, counts.shape).tocsr()


def svd_vectors(
    matrix: sparse.csr_array, dimension: int, *, power: float = 0.5, seed: int = 0
) -> Tensor:
    """U Σᵖ of the best approximation of rank d: the rows of U, weighted.

    With p = 1 inner products of rows are those of the matrix, as well as d dimensions
    can; p = ½ shares Σ between words and contexts, and p = 0 forgets it. Smaller p is
    mostly better at similarity.

    Args:
        matrix: [V, V].
        dimension: d in [1, V).
        power: p in [0, 1].
        seed: of the vector where the iteration begins; the result depends on it by
            rounding only.
    Returns:
        [V, d], float32, columns by falling singular value; each column's largest entry
        is positive.
    Raises:
        ValueError: if a number is out of range.
    Source:
        Deerwester et al. (1990); Levy, Goldberg & Dagan (2015), §3.2.
    """
    require_at_least("dimension", dimension, 1)
    if dimension >= matrix.shape[0]:
        raise ValueError(f"dimension must be < V = {matrix.shape[0]}, got {dimension}")
    require_unit_interval("power", power)
    start = np.random.default_rng(seed).standard_normal(matrix.shape[0])
    left, values, _ = svds(matrix.astype(np.float64), k=dimension, v0=start)
    order = np.argsort(-values)
    left, values = left[:, order], np.maximum(values[order], 0)
    largest = left[np.abs(left).argmax(axis=0), np.arange(dimension)]
    vectors = left * np.sign(largest) * values**power
    return torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32))
