"""Viterbi against all cuts and the Rust model of `tokenizers`; EM against its own likelihood."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.models import Unigram

from d2lcompanion.text.unigram import all_cuts, best_cut, estimate

TOKENS = ["a", "b", "c", "ab", "bc", "abc", "ca", "bab"]
SCORES = st.lists(st.floats(-12, -0.01), min_size=len(TOKENS), max_size=len(TOKENS))


@settings(max_examples=200, deadline=None)
@given(st.text("abc", min_size=1, max_size=9), SCORES)
def test_the_best_of_all_cuts(word, scores):
    log_p = dict(zip(TOKENS, scores, strict=True))
    found = best_cut(word, log_p)
    cuts = all_cuts(word, TOKENS)
    best = max(sum(log_p[token] for token in cut) for cut in cuts)
    assert found.log_probability == pytest.approx(best, abs=1e-9)
    assert found.log_probability == pytest.approx(sum(log_p[t] for t in found.tokens))
    assert found.tokens in cuts
    assert all("".join(cut) == word for cut in cuts)


@settings(max_examples=200, deadline=None)
@given(st.text("abc", min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_the_cut_is_the_rust_model_s(word, chance):
    log_p = {token: -chance.uniform(0.1, 9) for token in TOKENS}
    model = Unigram([("<unk>", -99.0), *log_p.items()], unk_id=0, byte_fallback=False)
    assert best_cut(word, log_p).tokens == [token.value for token in model.tokenize(word)]


def test_by_hand():
    """p(a) p(bc) = 1/8 · 1/4 beats p(ab) p(c) = 1/8 · 1/8, and abc as one is unknown."""
    p = {"a": 1 / 8, "b": 1 / 8, "c": 1 / 8, "ab": 1 / 8, "bc": 1 / 4}
    found = best_cut("abc", {token: math.log(value) for token, value in p.items()})
    assert found.tokens == ["a", "bc"]
    assert found.log_probability == pytest.approx(math.log(1 / 32))


def test_equally_probable_cuts_take_the_longest_last_token():
    even = dict.fromkeys(["a", "aa"], -1.0)
    assert best_cut("aaa", even).tokens == ["a", "aa"]


def test_em_does_not_lower_the_likelihood_of_the_best_cuts():
    words = {"abcab": 5, "bab": 9, "cab": 4, "abc": 7, "ca": 2}

    def score(log_p):
        return sum(n * best_cut(word, log_p).log_probability for word, n in words.items())

    scores = [score(estimate(words, TOKENS, steps)) for steps in (1, 2, 3, 6)]
    for earlier, later in itertools.pairwise(scores):
        assert later >= earlier - 3.0  # the added counts cost a little
    last = estimate(words, TOKENS, 6)
    assert sum(map(math.exp, last.values())) == pytest.approx(1)
    assert set(last) == set(TOKENS)


BAD = {
    "empty": (lambda: best_cut("", {"a": -1.0}), "word must have a character, got ''"),
    "stuck": (lambda: best_cut("abx", {"a": -1.0, "b": -1.0}), "no tokens make 'abx' beyond 'ab'"),
    "nothing": (lambda: best_cut("a", {}), "no tokens make 'a' beyond ''"),
    "steps": (lambda: estimate({"a": 1}, ["a"], 0), "steps must be .* ≥ 1, got 0"),
    "words": (lambda: estimate({}, ["a"], 1), "must not be empty, got 0, 1"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
