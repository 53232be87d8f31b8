"""The numbers that the chapter on text representations computes by hand."""

import math

import numpy as np
import pytest
import torch

from d2lcompanion.text.bag_of_words import count_matrix, frequent_terms
from d2lcompanion.text.entropy import conditional_entropy, entropy
from d2lcompanion.text.tfidf import inverse_document_frequency, tfidf

FOUR = [line.split() for line in ("the moon rose", "the moon set", "the sea rose", "the sea slept")]
TERMS = frequent_terms(FOUR)
COUNTS = count_matrix(FOUR, TERMS)
BITS = inverse_document_frequency(COUNTS, "textbook") / math.log(2)


def test_bits_of_words():
    assert TERMS == ("moon", "rose", "sea", "set", "slept", "the")
    np.testing.assert_allclose(BITS, [1, 1, 1, 2, 2, 0], atol=1e-15)
    told = COUNTS @ BITS
    np.testing.assert_allclose(told[:2], [math.log2(4), 3])


def test_cosines():
    rows = tfidf(COUNTS, BITS)
    raw = tfidf(COUNTS, np.ones(6))
    assert (rows @ rows.T)[0, 1] == pytest.approx(1 / math.sqrt(10))
    assert (raw @ raw.T)[0, 1] == pytest.approx(2 / 3)
    assert (raw @ raw.T)[0, 3] == pytest.approx(1 / 3)
    assert (rows @ rows.T)[0, 3] == 0


def test_the_information_is_the_mean_idf():
    joint = torch.from_numpy(COUNTS.toarray() / 12.0)
    found = (entropy(joint.sum(1)) - conditional_entropy(joint.T)) / math.log(2)
    assert float(found) == pytest.approx(5 / 6)
    assert float(joint.sum(0) @ torch.from_numpy(BITS)) == pytest.approx(5 / 6)


def test_a_burst_makes_the_information_larger_than_the_mean_idf():
    """moon twice in one document: then its document is the likelier one."""
    counts = count_matrix([["moon", "moon", "a", "a"], ["moon", "b", "b", "b"]], ["a", "b", "moon"])
    joint = torch.from_numpy(counts.toarray() / 8.0)
    exact = float(entropy(joint.sum(1)) - conditional_entropy(joint.T))
    bound = float(joint.sum(0) @ torch.from_numpy(inverse_document_frequency(counts, "textbook")))
    assert bound == pytest.approx(5 / 8 * math.log(2))
    assert exact > bound + 0.01
