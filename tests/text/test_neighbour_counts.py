"""Guesses by neighbours against counting by hand and closed forms."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from d2lcompanion.text.neighbour_counts import adjacent_counts, conditional, neighbour_losses


def stream(sentences):
    ids = torch.tensor([n for s in sentences for n in s])
    return ids, torch.repeat_interleave(torch.tensor([len(s) for s in sentences]))


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=5))
def test_pairs_are_those_of_a_slow_loop(sentences):
    counts = torch.zeros(4, 4, dtype=torch.float64)
    for sentence in sentences:
        for a, b in itertools.pairwise(sentence):
            counts[a, b] += 1
    assert torch.equal(adjacent_counts(*stream(sentences), 4), counts)


def test_rows_are_distributions_between_count_and_prior():
    prior = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    counts = torch.tensor([[0, 0, 0], [30, 10, 0], [0, 0, 1]], dtype=torch.float64)
    p = conditional(counts, prior, strength=40.0)
    assert p[0].tolist() == prior.tolist()  # never seen: what is known without it
    assert p[1].tolist() == pytest.approx([0.625, 0.25, 0.125])  # half counts, half prior
    assert p.sum(1).tolist() == pytest.approx([1, 1, 1])


def test_where_the_neighbours_are_independent_given_the_word_both_is_bayes_s_rule():
    """Sentences l w r with p(w) = ½, l and r each equal to w's own sign with 3/4."""
    sentences = []
    for w in (0, 1):
        for left, a in ((w, 3), (1 - w, 1)):
            for right, b in ((w, 3), (1 - w, 1)):
                sentences += [[2 + left, w, 4 + right]] * (100 * a * b)
    found = neighbour_losses(stream(sentences), stream(sentences), 6, strength=1e-9)
    h = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    agree = 10 / 16  # both neighbours the same sign: then w is it with 9/10
    both = agree * -(0.9 * math.log(0.9) + 0.1 * math.log(0.1)) + (1 - agree) * math.log(2)
    assert found["left"] == pytest.approx(h, abs=1e-6)
    assert found["right"] == pytest.approx(h, abs=1e-6)
    # outside the words 0 and 1, p(w | l) is 0 but p(w) is not: nothing to normalize away
    assert found["both"] == pytest.approx(both, abs=1e-6)


BAD = {
    "strength": (lambda: conditional(torch.ones(2, 2), torch.ones(2) / 2, strength=0.0), "strength must be > 0 and finite, got 0.0"),
    "short": (lambda: neighbour_losses(stream([[0, 1]]), stream([[0, 1]]), 2), "a sentence must have three words, got 2 words"),
    "id": (lambda: adjacent_counts(*stream([[0, 2]]), 2), r"ids must be ids in \[0, 2\), got 2"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
