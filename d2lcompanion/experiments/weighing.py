"""The three parts of sublinear TF-IDF, each switched on and off: idf, logarithm, norm."""

from functools import partial
from itertools import product

import numpy as np
import scipy.sparse as sparse

from d2lcompanion.experiments.text_features import Represent, by_counts
from d2lcompanion.text.tfidf import inverse_document_frequency, tfidf

PARTS = ("idf", "log", "norm")


def weigh(
    counts: sparse.csr_array,
    training: sparse.csr_array,
    *,
    idf: bool,
    log: bool,
    norm: bool,
) -> sparse.csr_array:
    """Counts with smooth idf or without, 1 + ln(count) or the count, rows of length 1 or not."""
    smooth = inverse_document_frequency(training)
    weights = smooth if idf else np.ones_like(smooth)
    return tfidf(counts, weights, sublinear=log, norm="l2" if norm else "none")


def weighings() -> dict[str, Represent]:
    """All eight, by the parts that are on: "none", "idf", …, "idf+log+norm"."""
    found: dict[str, Represent] = {}
    for on in product((False, True), repeat=len(PARTS)):
        switches = dict(zip(PARTS, on, strict=True))
        name = "+".join(part for part in PARTS if switches[part]) or "none"
        found[name] = partial(by_counts, weigh=partial(weigh, **switches))
    return found
