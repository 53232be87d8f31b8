"""Cosines, nearest words, analogies and Spearman's ρ against scikit-learn, scipy and loops."""

import math

import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from d2lcompanion.text.similarity import (
    analogy,
    average_ranks,
    cosine,
    nearest,
    spearman,
    unit,
    word_similarity,
)
from d2lcompanion.text.vocab import UNKNOWN, Vocab


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def slow_cosine(a, b) -> float:
    product = sum(float(x) * float(y) for x, y in zip(a, b, strict=True))
    return product / math.hypot(*a.tolist()) / math.hypot(*b.tolist())


# ------------------------------------------------------------------------------- cosine and nearest


def test_cosines_against_scikit_learn_and_a_loop():
    a, b = normal(5, 3), normal(4, 3, seed=1)
    a[2] = 0
    found = cosine(a, b)
    torch.testing.assert_close(found, torch.from_numpy(cosine_similarity(a, b)))
    assert found[2].tolist() == [0, 0, 0, 0]
    assert float(found[0, 1]) == pytest.approx(slow_cosine(a[0], b[1]))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-6, 1e6))
def test_cosines_do_not_depend_on_length(seed, scale):
    a, b = normal(3, 4, seed=seed), normal(2, 4, seed=seed + 1)
    torch.testing.assert_close(cosine(scale * a, b), cosine(a, b))
    torch.testing.assert_close(cosine(a, b).T, cosine(b, a))
    torch.testing.assert_close(unit(scale * a).norm(dim=1), torch.ones(3, dtype=torch.float64))


def test_nearest_against_a_slow_loop():
    vectors, queries = normal(12, 3), normal(4, 3, seed=1)
    exclude = torch.tensor([[0, 5], [1, 1], [11, 2], [3, 4]])
    found = nearest(queries, vectors, 3, exclude=exclude)
    for q in range(4):
        allowed = [w for w in range(12) if w not in exclude[q].tolist()]
        best = sorted(allowed, key=lambda w, q=q: -slow_cosine(queries[q], vectors[w]))[:3]
        assert found.ids[q].tolist() == best
        cosines = [slow_cosine(queries[q], vectors[w]) for w in best]
        assert found.cosines[q].tolist() == pytest.approx(cosines)


def test_a_word_is_nearest_to_itself_unless_it_is_excluded():
    vectors = normal(6, 4)
    own = torch.arange(6)[:, None]
    assert torch.equal(nearest(vectors, vectors, 1).ids, own)
    assert not bool((nearest(vectors, vectors, 5, exclude=own).ids == own).any())


def test_words_of_one_cosine_come_by_id():
    vectors = torch.tensor([[0.0, 1], [2, 0], [1, 0], [0, 3], [4, 0]])
    found = nearest(torch.tensor([[1.0, 0]]), vectors, 5)
    assert found.ids.tolist() == [[1, 2, 4, 0, 3]]
    assert found.cosines.tolist() == [[1, 1, 1, 0, 0]]


# ----------------------------------------------------------------------------------------- analogies


def test_king_by_hand():
    """Royalty along one axis, gender along another: man is to king as woman is to queen."""
    words = ["man", "woman", "king", "queen", "apple"]
    vectors = torch.tensor([[0, 1, 0], [0, -1, 0], [1, 1, 0], [1, -1, 0], [0, 0, 1.0]])
    man, woman, king = (torch.tensor([words.index(w)]) for w in ("man", "woman", "king"))
    assert words[int(analogy(man, king, woman, vectors).ids)] == "queen"
    # Without the exclusion a question about close words is answered by one of them.
    near = torch.tensor([[1, 0.1, 0], [1, 0, 0.1], [1, 0.2, 0], [0, 1, 1]])
    zero, one, two = (torch.tensor([i]) for i in range(3))
    target = unit(near[one]) - unit(near[zero]) + unit(near[two])
    assert int(nearest(target, near, 1).ids) in (0, 1, 2)
    assert int(analogy(zero, one, two, near).ids) == 3


def test_analogies_against_the_sum_of_three_cosines():
    vectors = normal(15, 4) * torch.arange(1, 16)[:, None]  # lengths must not matter
    a, b, c = torch.tensor([0, 4, 7]), torch.tensor([1, 5, 7]), torch.tensor([2, 6, 9])
    found = analogy(a, b, c, vectors, k=4)
    for q in range(3):
        i, j, k = int(a[q]), int(b[q]), int(c[q])
        score = {
            w: slow_cosine(vectors[w], vectors[j])
            - slow_cosine(vectors[w], vectors[i])
            + slow_cosine(vectors[w], vectors[k])
            for w in range(15)
            if w not in (i, j, k)
        }
        assert found.ids[q].tolist() == sorted(score, key=lambda w, s=score: -s[w])[:4]


# --------------------------------------------------------------------------------- Spearman's ρ

NUMBERS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=20)


@settings(max_examples=200, deadline=None)
@given(NUMBERS)
def test_against_scipy_with_many_ties(pairs):
    x, y = torch.tensor(pairs, dtype=torch.float64).T.contiguous()
    ranks = torch.from_numpy(scipy.stats.rankdata(x.numpy()))
    torch.testing.assert_close(average_ranks(x), ranks)
    if len(set(x.tolist())) == 1 or len(set(y.tolist())) == 1:
        with pytest.raises(ValueError, match="must not be constant"):
            spearman(x, y)
        return
    expected = scipy.stats.spearmanr(x.numpy(), y.numpy()).statistic
    assert float(spearman(x, y)) == pytest.approx(expected, abs=1e-12)


def test_without_ties_by_the_formula_of_differences():
    """ρ = 1 − 6 Σ d²/(n(n² − 1)), and nothing but order counts."""
    x, y = normal(30), normal(30, seed=1)
    d = x.argsort().argsort() - y.argsort().argsort()
    expected = 1 - 6 * int(d.square().sum()) / (30 * (30**2 - 1))
    assert float(spearman(x, y)) == pytest.approx(expected)
    assert float(spearman(x.exp(), y**3)) == pytest.approx(expected)
    assert float(spearman(x, x.exp())) == pytest.approx(1)
    assert float(spearman(x, -x)) == pytest.approx(-1)


PAIRS = [("cat", "dog"), ("cat", "car"), ("car", "bus"), ("dog", "mouse"), ("bus", "dog")]
RATINGS = [7.0, 1.0, 8.5, 6.0, 2.0]


def test_agreement_counts_the_pairs_it_knows():
    vocab = Vocab([UNKNOWN, "cat", "dog", "car", "bus"], [9, 4, 3, 2, 1])
    vectors = normal(5, 3)
    found = word_similarity(PAIRS, RATINGS, vocab, vectors)
    kept = [0, 1, 2, 4]  # nobody knows a mouse, and <unk> does not stand in for it
    cosines = [
        slow_cosine(*(vectors[vocab.id_of(word)] for word in PAIRS[n])) for n in kept
    ]  # fmt: skip
    expected = scipy.stats.spearmanr(cosines, [RATINGS[n] for n in kept]).statistic
    assert found.correlation == pytest.approx(expected)
    assert (found.known, found.total) == (4, 5)


# ------------------------------------------------------------------------------------------- errors

X = normal(6, 3)
ONE = torch.tensor([1])
BAD = {
    "dim": (lambda: cosine(X, X[:, :2]), r"b must have shape \[6, 3\], got \[6, 2\]"),
    "vector": (lambda: cosine(X[0], X), r"a must be \[N, d\] of floats, got shape \[3\]"),
    "whole": (lambda: cosine(X, X.long()), r"b must be .* floats, got shape .* torch.int64"),
    "k": (lambda: nearest(X, X, 0), "k must be a whole number ≥ 1, got 0"),
    "large k": (lambda: nearest(X, X, 7), "k must be ≤ 6 words − 0 excluded, got 7"),
    "k left": (
        lambda: nearest(X[:1], X, 6, exclude=ONE[None]),
        "k must be ≤ 6 words − 1 excluded, got 6",
    ),
    "excluded": (
        lambda: nearest(X[:1], X, 1, exclude=torch.tensor([[6]])),
        r"exclude must be ids in \[0, 6\), got 6",
    ),
    "excluded rows": (lambda: nearest(X, X, 1, exclude=ONE[None]), r"shape \[6, 1\], got \[1, 1\]"),
    "analogy": (lambda: analogy(ONE, ONE, ONE - 2, X), r"c must be ids in \[0, 6\), got -1"),
    "questions": (
        lambda: analogy(ONE, torch.tensor([1, 2]), ONE, X),
        r"b must have shape \[1\], got \[2\]",
    ),
    "analogy k": (lambda: analogy(ONE, ONE, ONE, X, 4), "k must be ≤ 6 words − 3 excluded, got 4"),
    "short": (lambda: spearman(X[0, :1], X[0, :1]), r"with n ≥ 2, got \[1\]"),
    "shapes": (lambda: spearman(X[0], X[0, :2]), r"y must have shape \[3\], got \[2\]"),
    "matrix": (lambda: spearman(X, X), r"x must be \[n\] of floats, got \[6, 3\]"),
    "nan": (lambda: spearman(X[0] * math.nan, X[0]), "x must be finite, got nan at 0"),
    "ratings": (
        lambda: word_similarity(PAIRS, [1.0], Vocab(["cat"], [1]), X[:1]),
        "5 pairs need as many ratings, got 1",
    ),
    "vectors": (
        lambda: word_similarity(PAIRS, RATINGS, Vocab(["cat"], [1]), X),
        r"vectors must have shape \[1, 3\], got \[6, 3\]",
    ),
    "known": (
        lambda: word_similarity(PAIRS, RATINGS, Vocab(["cat", "dog"], [1, 1]), X[:2]),
        "2 pairs must be known, got 1 of 5",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
