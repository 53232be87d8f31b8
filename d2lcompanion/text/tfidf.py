"""TF-IDF: a term counts for more the fewer documents hold it.

There is no one formula. What is written here says which of the variants it is, with
scikit-learn's as the defaults.
"""

from typing import Literal, TypeAlias

import numpy as np
import scipy.sparse as sparse

from d2lcompanion.text.checks import require_choice

InverseFrequency: TypeAlias = Literal["smooth", "plain", "textbook"]
Norm: TypeAlias = Literal["l2", "l1", "none"]


def inverse_document_frequency(
    counts: sparse.csr_array, variant: InverseFrequency = "smooth"
) -> np.ndarray:
    """A weight of each term from the number df of documents that hold it, of n.

        smooth:    ln((1 + n)/(1 + df)) + 1     scikit-learn: as if one more document
                                                held every term
        plain:     ln(n/df) + 1                 scikit-learn, smooth_idf=False
        textbook:  ln(n/df)                     0 for a term in every document

    Args:
        counts: [n, v] of the training documents, n ≥ 1.
        variant: which formula; the last two need df ≥ 1.
    Returns:
        [v], float64.
    Raises:
        ValueError: if there is no document, or a term is in none where df ≥ 1 is
            needed.
    Source:
        Spärck Jones (1972); Salton & Buckley (1988); scikit-learn's TfidfTransformer.
    """
    require_choice("variant", variant, ("smooth", "plain", "textbook"))
    documents, size = counts.shape
    if documents < 1:
        raise ValueError(f"counts must have a document, got shape {list(counts.shape)}")
    holding = np.bincount(counts.indices[counts.data != 0], minlength=size)
    if variant == "smooth":
        smooth: np.ndarray = np.log((1 + documents) / (1 + holding)) + 1
        return smooth
    if not holding.all():
        raise ValueError(
            f"a term must be in a document for variant {variant!r}, got 0 for column "
            f"{int(np.argmin(holding))}"
        )
    plain: np.ndarray = np.log(documents / holding) + (variant == "plain")
    return plain


def tfidf(
    counts: sparse.csr_array,
    weights: np.ndarray,
    *,
    sublinear: bool = False,
    norm: Norm = "l2",
) -> sparse.csr_array:
    """tf · idf, each row divided by its length.

    Args:
        counts: [n, v], ≥ 0.
        weights: [v] from the training documents, as of `inverse_document_frequency`.
        sublinear: 1 + ln(count) in place of the count: the tenth occurrence says less
            than the first.
        norm: "l2", "l1" or "none"; a document without a known term stays 0.
    Returns:
        [n, v], float64.
    Raises:
        ValueError: if shapes differ or norm is none of these.
    Source:
        Salton & Buckley (1988); scikit-learn's TfidfTransformer.
    """
    require_choice("norm", norm, ("l2", "l1", "none"))
    if weights.shape != counts.shape[1:]:
        raise ValueError(
            f"weights must have shape {list(counts.shape[1:])}, got {list(weights.shape)}"
        )
    frequency = counts.astype(np.float64)
    frequency.eliminate_zeros()
    if sublinear:
        frequency.data = 1 + np.log(frequency.data)
    scores = sparse.csr_array(frequency.multiply(weights[None, :]))
    if norm == "none":
        return scores
    size = abs(scores) if norm == "l1" else scores.power(2)
    length = np.asarray(size.sum(axis=1)).ravel() ** (1 if norm == "l1" else 0.5)
    length[length == 0] = 1
    return sparse.csr_array(scores.multiply(1 / length[:, None]))
