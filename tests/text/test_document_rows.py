"""Hashed word n-grams against NumPy's overflow, and collisions against their expectation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.text.document_rows import document_rows, hashed_ngrams
from d2lcompanion.text.fasttext import expected_shared, fnv1a
from d2lcompanion.text.vocab import Vocab

WORDS = st.lists(st.sampled_from(["moon", "landed", "é", "月亮", "on"]), max_size=7)


@settings(deadline=None)
@given(WORDS, st.integers(1, 4), st.integers(1, 10**9))
def test_buckets_are_fasttext_s_by_numpy_s_overflow(words, longest, buckets):
    """The C++ loop: int32 hashes, widened with their sign to uint64, which overflows."""
    hashes = np.array([fnv1a(w.encode()) for w in words], dtype=np.uint32).astype(np.int32)
    expected = []
    with np.errstate(over="ignore"):
        for i in range(len(words)):
            h = hashes[i].astype(np.int64).astype(np.uint64)
            for j in range(i + 1, min(i + longest, len(words))):
                h = h * np.uint64(116049371) + hashes[j].astype(np.int64).astype(np.uint64)
                expected.append(int(h % np.uint64(buckets)))
    assert hashed_ngrams(words, longest, buckets) == expected


def test_collisions_are_as_frequent_as_expected():
    paragraphs = load_wikipedia().paragraphs[:400]
    pairs = sorted({pair for p in paragraphs for pair in itertools.pairwise(p)})
    buckets = 20_000
    found = np.array([hashed_ngrams(pair, 2, buckets)[0] for pair in pairs])
    counts = np.bincount(found, minlength=buckets)
    shared = float((counts[found] > 1).mean())
    expected = expected_shared(len(pairs), buckets)
    assert shared == pytest.approx(expected, abs=4 * math.sqrt(expected / len(pairs)))
    assert 0.3 < expected < 0.95


def test_bad_input_is_refused():
    vocab = Vocab(["a"], [1])
    with pytest.raises(ValueError, match="must be a sequence of words, got 'a text'"):
        document_rows(["a text"], vocab)
    with pytest.raises(ValueError, match="longest must be a whole number ≥ 1, got 0"):
        hashed_ngrams(["a"], 0, 5)
    with pytest.raises(ValueError, match="buckets must be a whole number ≥ 1, got 0"):
        hashed_ngrams(["a"], 2, 0)
