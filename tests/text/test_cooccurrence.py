"""Counting neighbors: a slow loop, identities of the counts, and numbers by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.text.cooccurrence import (
    cooccurrence,
    distance_weights,
    partial_cooccurrences,
    slow_cooccurrence,
)
from d2lcompanion.text.skip_gram_pairs import center_context_pairs
from d2lcompanion.text.token_stream import TokenStream

V = 6
SENTENCES = st.lists(
    st.lists(st.integers(0, V - 1), min_size=1, max_size=9), min_size=1, max_size=6
)
WEIGHTINGS = st.sampled_from(["inverse", "linear", "uniform"])


def stream(sentences: list[list[int]]) -> TokenStream:
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    ids = torch.tensor([word for sentence in sentences for word in sentence])
    return TokenStream(ids, torch.repeat_interleave(lengths))


def dense(counts: dict[tuple[int, int], float]) -> np.ndarray:
    table = np.zeros((V, V))
    for place, count in counts.items():
        table[place] = count
    return table


@settings(deadline=None)
@given(SENTENCES, st.integers(1, 12), WEIGHTINGS)
def test_it_is_the_slow_loop(sentences, window, weighting):
    expected = dense(slow_cooccurrence(sentences, distance_weights(window, weighting).tolist()))
    if not expected.any():
        return
    found = cooccurrence(stream(sentences), V, window, weighting=weighting)
    np.testing.assert_allclose(found.toarray(), expected)
    assert found.nnz == np.count_nonzero(expected)
    assert found.has_sorted_indices


@settings(deadline=None)
@given(SENTENCES, st.integers(1, 5), WEIGHTINGS)
def test_one_side_is_the_other_mirrored_and_both_is_their_sum(sentences, window, weighting):
    if max(map(len, sentences)) < 2:
        return
    both, left, right = (
        cooccurrence(stream(sentences), V, window, weighting=weighting, side=side).toarray()
        for side in ("both", "left", "right")
    )
    np.testing.assert_allclose(left, right.T)
    np.testing.assert_allclose(both, left + right)
    np.testing.assert_allclose(both, both.T)


def test_by_hand():
    # "a b a c", window 2: b stands left of a at 1, a at 2; …
    found = cooccurrence(stream([[0, 1, 0, 2]]), 3, 2).toarray()
    np.testing.assert_allclose(found, [[1, 2, 1], [2, 0, 0.5], [1, 0.5, 0]])
    left = cooccurrence(stream([[0, 1, 0, 2]]), 3, 2, side="left").toarray()
    np.testing.assert_allclose(left, [[0.5, 1, 0], [1, 0, 0], [1, 0.5, 0]])


def test_linear_weights_are_the_mean_over_random_windows():
    """E14: what a random window counts is symmetric on average only."""
    corpus = stream([[0, 1, 2, 3, 1, 0, 2], [4, 4, 5, 0]])
    mean = np.zeros((V, V))
    for width in range(1, 5):
        pairs = center_context_pairs(corpus, torch.full_like(corpus.ids, width))
        np.add.at(mean, (pairs.centers.numpy(), pairs.contexts.numpy()), 1 / 4)
    np.testing.assert_allclose(cooccurrence(corpus, V, 4, weighting="linear").toarray(), mean)
    # Three tokens, the middle one with a wider window than the others: not symmetric.
    single = center_context_pairs(stream([[0, 1, 2]]), torch.tensor([1, 1, 2]))
    seen = set(zip(single.centers.tolist(), single.contexts.tolist(), strict=True))
    assert (2, 0) in seen
    assert (0, 2) not in seen


@given(SENTENCES, st.integers(1, 30))
@settings(deadline=None)
def test_pieces_add_up_to_the_whole(sentences, entries):
    if max(map(len, sentences)) < 2:
        return
    whole = cooccurrence(stream(sentences), V, 3).toarray()
    pieces = [stream([sentence]) for sentence in sentences]
    np.testing.assert_allclose(cooccurrence(iter(pieces), V, 3).toarray(), whole)
    parts = list(partial_cooccurrences(iter(pieces), V, 3, entries=entries))
    assert all(part.nnz >= entries for part in parts[:-1])
    np.testing.assert_allclose(sum(part.toarray() for part in parts), whole)


def test_total_of_uniform_weights_is_the_number_of_pairs():
    corpus = stream([[0, 1, 2, 3, 4], [5, 5]])
    pairs = center_context_pairs(corpus, torch.full_like(corpus.ids, 3))
    assert cooccurrence(corpus, V, 3, weighting="uniform").sum() == len(pairs.centers)


def test_bad_input_is_refused():
    one = stream([[0, 1]])
    with pytest.raises(ValueError, match="window must be a whole number ≥ 1, got 0"):
        cooccurrence(one, V, 0)
    with pytest.raises(ValueError, match=r"weighting must be one of .*got 'cubic'"):
        cooccurrence(one, V, 2, weighting="cubic")
    with pytest.raises(ValueError, match=r"side must be one of .*got 'above'"):
        cooccurrence(one, V, 2, side="above")
    with pytest.raises(ValueError, match=r"ids in \[0, 1\), got 1"):
        cooccurrence(one, 1, 2)
    with pytest.raises(ValueError, match="two tokens in one sentence, got none"):
        cooccurrence(stream([[0], [1]]), V, 2)
    with pytest.raises(ValueError, match="entries must be a whole number ≥ 1, got 0"):
        next(partial_cooccurrences(one, V, 2, entries=0))
