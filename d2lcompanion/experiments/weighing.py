"""The three parts of sublinear TF-IDF, each switched on and off: idf, logarithm, norm."""

from collections.abc import Collection, Sequence
from functools import partial
from itertools import product

import numpy as np
import scipy.sparse as sparse

from d2lcompanion.experiments.text_features import Represent, by_counts
from d2lcompanion.experiments.word_vector_judges import lead
from d2lcompanion.text.tfidf import inverse_document_frequency, tfidf
from d2lcompanion.training.results import Result

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
        found[_name([part for part in PARTS if switches[part]])] = partial(
            by_counts, weigh=partial(weigh, **switches)
        )
    return found


def gains(runs: Sequence[Result], part: str) -> list[float]:
    """What one part adds to the test accuracy, over the states of the others: one a run.

    Raises:
        ValueError: if there is no such part.
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {PARTS}, got {part!r}")
    names = list(weighings())
    without = [name for name in names if part not in name]
    found = np.zeros(len(runs))
    for name in without:
        on = {*name.split("+"), part}
        found += lead(runs, f"weighing.{_name(on)}", f"weighing.{name}", "accuracy")
    return [float(gain) for gain in found / len(without)]


def _name(on: Collection[str]) -> str:
    return "+".join(part for part in PARTS if part in on) or "none"
