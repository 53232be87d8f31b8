"""Documents as rows of numbers: counts of all kinds, and averages of vectors.

What is learned without labels comes from a text that is given; what is counted on the
labelled documents comes from the first of the lists, the training part.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import svds

from d2lcompanion.experiments.linear_probe import Features
from d2lcompanion.experiments.unlabelled_vectors import (
    Documents,
    Effort,
    WordTable,
    with_unseen_words,
)
from d2lcompanion.text.averaging import average_vectors, sif_weights
from d2lcompanion.text.bag_of_words import (
    character_terms,
    count_matrix,
    frequent_terms,
    one_hot,
)
from d2lcompanion.text.tfidf import inverse_document_frequency, tfidf

GRAMS = (3, 5)  # characters


class Represented(NamedTuple):
    """Documents as rows of numbers.

    Attributes:
        features: a matrix for each list of documents.
        table: numbers that are stored to make them, beside the words.
    """

    features: list[Features]
    table: int


Represent = Callable[[Sequence[Documents]], Represented]
Weigh = Callable[[sparse.csr_array, sparse.csr_array], sparse.csr_array]


def by_counts(
    parts: Sequence[Documents],
    weigh: Callable[[sparse.csr_array, sparse.csr_array], sparse.csr_array]
    | None = None,
    *,
    longest: int = 1,
) -> Represented:
    """Counts of the terms of the first part, or what is made of them."""
    terms = frequent_terms(parts[0], longest=longest)
    counts = [count_matrix(part, terms, longest=longest) for part in parts]
    if weigh is None:
        return Represented([part.astype(np.float64) for part in counts], 0)
    return Represented([weigh(part, counts[0]) for part in counts], len(terms))


def by_tfidf(
    counts: sparse.csr_array, training: sparse.csr_array, *, sublinear: bool = False
) -> sparse.csr_array:
    """Smooth idf of the training part, rows of length 1."""
    weights = inverse_document_frequency(training)
    return tfidf(counts, weights, sublinear=sublinear)


def sublinear_tfidf(
    counts: sparse.csr_array, training: sparse.csr_array
) -> sparse.csr_array:
    """The same with 1 + ln(count)."""
    return by_tfidf(counts, training, sublinear=True)


def presence(counts: sparse.csr_array, training: sparse.csr_array) -> sparse.csr_array:
    """1 for each word that is there."""
    return one_hot(counts).astype(np.float64)


def by_characters(parts: Sequence[Documents]) -> Represented:
    """TF-IDF of the n-grams inside words."""
    cut = [
        [character_terms(" ".join(words), *GRAMS, in_words=True) for words in part]
        for part in parts
    ]
    return by_counts(cut, sublinear_tfidf)


def by_text_tfidf(parts: Sequence[Documents], text: Documents) -> Represented:
    """Sublinear TF-IDF whose terms and weights come from the text without labels."""
    terms = frequent_terms(text)
    weights = inverse_document_frequency(count_matrix(text, terms))
    counts = (count_matrix(part, terms) for part in parts)
    made: list[Features] = [tfidf(part, weights, sublinear=True) for part in counts]
    return Represented(made, len(terms))


def by_lsa(
    parts: Sequence[Documents], text: Documents, dimension: int, least: int
) -> Represented:
    """TF-IDF of the text squeezed by the singular value decomposition; others projected."""
    terms = frequent_terms(text, min_documents=least)
    counts = count_matrix(text, terms)
    weights = inverse_document_frequency(counts)
    start = np.random.default_rng(0).standard_normal(min(counts.shape))
    _, _, right = svds(tfidf(counts, weights, sublinear=True), k=dimension, v0=start)
    made: list[Features] = [
        tfidf(count_matrix(part, terms), weights, sublinear=True) @ right.T
        for part in parts
    ]
    return Represented(made, right.size + len(terms))


def by_average(
    parts: Sequence[Documents], table: WordTable, *, sif: bool = False
) -> Represented:
    """The mean vector of the known words, or the weighted one."""
    stored = table.vectors.size if table.model is None else table.model.table.numel()
    table = with_unseen_words(table, [words for part in parts for words in part])
    weights = sif_weights(table.counts) if sif else None
    made: list[Features] = [
        average_vectors(count_matrix(part, table.words), table.vectors, weights)
        for part in parts
    ]
    return Represented(made, stored)


def representations(
    text: Documents, tables: Mapping[str, WordTable], effort: Effort
) -> dict[str, Represent]:
    """Name → function from documents to numbers; what needs the text has it."""
    found: dict[str, Represent] = {
        "onehot": partial(by_counts, weigh=presence),
        "counts": by_counts,
        "tfidf": partial(by_counts, weigh=by_tfidf),
        "sublinear": partial(by_counts, weigh=sublinear_tfidf),
        "bigrams": partial(by_counts, weigh=sublinear_tfidf, longest=2),
        "characters": by_characters,
        "text_tfidf": partial(by_text_tfidf, text=text),
        "lsa": partial(
            by_lsa, text=text, dimension=effort.dimension, least=effort.min_count
        ),
    }
    for name, table in tables.items():
        found[name] = partial(by_average, table=table)
        found[f"{name}_sif"] = partial(by_average, table=table, sif=True)
    return found


def numbers_a_row(features: Features) -> float:
    """How many numbers a document takes, on average: the entries that are not 0 if sparse."""
    if isinstance(features, sparse.csr_array):
        return float(features.count_nonzero() / features.shape[0])
    return float(features.shape[1])
