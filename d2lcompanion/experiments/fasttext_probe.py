"""fastText's classifier on labelled documents, its rate chosen by validation.

Beside `linear_probe`: it learns its vectors from the labels, has no penalty, and stops
after a number of passes.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch

from d2lcompanion.experiments.linear_probe import Chosen
from d2lcompanion.experiments.representation_study import Preset, Study, labels_of
from d2lcompanion.experiments.unlabelled_vectors import Documents
from d2lcompanion.text.bag_of_words import frequent_terms
from d2lcompanion.text.document_rows import document_rows
from d2lcompanion.text.fasttext_classifier import (
    Plan,
    initial_classifier,
    log_probabilities,
    train_classifier,
)
from d2lcompanion.text.vocab import Vocab

BUCKETS = 20_000  # that pairs of words share
WIDE, LONG = 10, 3  # times as many buckets, times as many passes


def choose_fasttext(
    parts: Sequence[Documents],
    labels: Sequence[np.ndarray],
    classes: int,
    preset: Preset,
    seed: int,
    *,
    longest: int = 1,
    buckets: int = BUCKETS,
) -> Chosen:
    """Train with every rate; the best on validation, the smaller at a tie.

    A rate at which training diverges is lost. `Chosen.penalty` is the rate.

    Args:
        longest: of the n-grams of words; 1 for none.
        buckets: that these share.
    Raises:
        FloatingPointError: if it diverges at all rates.
    """
    terms = frequent_terms(parts[0])
    vocab = Vocab(terms, [1] * len(terms))
    buckets = 1 if longest == 1 else buckets
    rows = [
        document_rows(part, vocab, longest=longest, buckets=buckets) for part in parts
    ]
    target = torch.from_numpy(labels[0])
    epochs = max(1, preset.steps_epochs * preset.sizes[0] * classes // len(target))
    best: Chosen | None = None
    for rate in preset.rates:
        generator = torch.Generator().manual_seed(seed)
        size = len(terms) + buckets
        model = initial_classifier(size, preset.dimension, classes, generator)
        plan = Plan(preset.dimension, epochs, rate)
        try:
            for _ in train_classifier(model, rows[0], target, plan, generator):
                pass
        except FloatingPointError:
            continue
        said = tuple(
            log_probabilities(model, part).argmax(1).numpy() for part in rows[1:]
        )
        right = [float((a == b).mean()) for a, b in zip(said, labels[1:], strict=True)]
        if best is None or right[0] > best.validation:
            best = Chosen(rate, right[0], tuple(right[1:]), said[1:])
    if best is None:
        raise FloatingPointError(
            f"training diverged at each of the rates {preset.rates}"
        )
    return best


def measure_fasttext(
    study: Study, parts: list[Documents], preset: Preset, seed: int, longest: int
) -> dict[str, object]:
    """Its classifier with all labels, as numbers for JSON."""
    classes = len(study.task.titles)
    start = time.process_time()
    found = choose_fasttext(
        parts, labels_of(study), classes, preset, seed, longest=longest
    )
    rows = len(frequent_terms(parts[0])) + (0 if longest == 1 else BUCKETS)
    return {
        "accuracy": found.test[0],
        "misspelt": found.test[-1],
        "validation": found.validation,
        "setting": found.penalty,
        "columns": preset.dimension,
        "numbers": preset.dimension,
        "table": rows * preset.dimension,
        "classifier": preset.dimension * classes,
        "seconds": {"represent": 0.0, "classify": time.process_time() - start},
    }


def study_pairs(
    study: Study, parts: list[Documents], preset: Preset, seed: int, rate: float
) -> dict[str, object]:
    """What pairs of words meet: how rare they are, and what buckets or passes would change.

    Args:
        rate: that validation chose for pairs; here it or the next smaller one is taken.
    Returns:
        Distinct pairs in training; the share of them that stand in one paragraph only;
        the share of the test part's pairs that training does not have; test accuracy
        with more buckets, and with more passes.
    """
    train, _, test, _ = parts
    held = Counter(pair for words in train for pair in set(pairwise(words)))
    unseen = [pair not in held for words in test for pair in pairwise(words)]
    rates = tuple(r for r in preset.rates if r <= rate)[-2:]
    long = replace(preset, rates=rates, steps_epochs=LONG * preset.steps_epochs)
    more = {
        "wide": (replace(preset, rates=rates), WIDE * BUCKETS),
        "long": (long, BUCKETS),
    }
    labels, classes = labels_of(study), len(study.task.titles)
    return {
        "distinct": len(held),
        "in_one": sum(n == 1 for n in held.values()) / len(held),
        "unseen": sum(unseen) / len(unseen),
        **{
            name: choose_fasttext(
                parts, labels, classes, how, seed, longest=2, buckets=buckets
            ).test[0]
            for name, (how, buckets) in more.items()
        },
    }
