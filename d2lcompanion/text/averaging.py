"""A document's vector as the mean of its words' vectors, equally or by smooth inverse frequency.

A mean is a matrix product: with X the counts, N the lengths and E the vectors of the
words, the means are N⁻¹ X E. Whatever a linear classifier makes of them, a linear
classifier with the weights E W makes of N⁻¹ X.
"""

import numpy as np
import scipy.sparse as sparse

Matrix = np.ndarray


def average_vectors(
    counts: sparse.csr_array, vectors: Matrix, weights: Matrix | None = None
) -> Matrix:
    """(1/m) Σ_t count_t · weight_t · v_t, with m = Σ_t count_t the known words: [n, d].

    Args:
        counts: [n, v], ≥ 0.
        vectors: [v, d].
        weights: [v], or None for 1. The divisor is m, not the sum of weights (Arora et
            al.): a document of frequent words has a short vector.
    Returns:
        float64; 0 for a document without a known word.
    Raises:
        ValueError: if shapes differ.
    """
    size = counts.shape[1]
    if vectors.ndim != 2 or len(vectors) != size:
        raise ValueError(f"vectors must be [{size}, d], got {list(vectors.shape)}")
    if weights is not None and weights.shape != (size,):
        raise ValueError(f"weights must have shape [{size}], got {list(weights.shape)}")
    scaled = vectors if weights is None else weights[:, None] * vectors
    lengths = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    sums: Matrix = counts @ scaled.astype(np.float64)
    return sums / np.maximum(lengths, 1)[:, None]


def sif_weights(counts: Matrix, a: float = 1e-3) -> Matrix:
    """a/(a + p), p being a word's share of a text: smooth inverse frequency.

    Args:
        counts: [v], ≥ 0, of words in a text; 0 gives the weight 1.
        a: > 0; the paper finds 10⁻⁴ … 10⁻³ good.
    Returns:
        [v] in (0, 1].
    Raises:
        ValueError: if a is not positive, a count is negative, or all are 0.
    Source:
        Arora, Liang & Ma (2017), *A Simple but Tough-to-Beat Baseline for Sentence
        Embeddings*.
    """
    if not 0 < a < np.inf:
        raise ValueError(f"a must be > 0 and finite, got {a}")
    total = counts.sum()
    if not (counts >= 0).all() or not total > 0:
        raise ValueError(f"counts must be ≥ 0 and not all 0, got a sum of {total}")
    weights: Matrix = a / (a + counts / total)
    return weights


def common_direction(vectors: Matrix) -> Matrix:
    """The unit vector u with the largest Σ (uᵀx)² over the rows x, of either sign: [d].

    Not centered: mostly the direction of the mean.

    Raises:
        ValueError: if it is not a matrix with an entry other than 0.
    """
    if vectors.ndim != 2 or not vectors.any():
        raise ValueError(
            f"vectors must be [n, d] and not all 0, got shape {list(vectors.shape)}"
        )
    direction: Matrix = np.linalg.svd(vectors, full_matrices=False)[2][0]
    return direction


def without_direction(vectors: Matrix, direction: Matrix) -> Matrix:
    """x − u uᵀx for each row: what is left of it in all other directions.

    Args:
        vectors: [n, d].
        direction: u, [d], of length 1: from the training documents.
    Raises:
        ValueError: if shapes differ or u is not of length 1.
    """
    length = float(np.linalg.norm(direction))
    if direction.shape != vectors.shape[1:] or abs(length - 1) > 1e-6:
        raise ValueError(
            f"direction must be [{vectors.shape[1]}] of length 1, got "
            f"{list(direction.shape)} of length {length:.3g}"
        )
    rest: Matrix = vectors - np.outer(vectors @ direction, direction)
    return rest
