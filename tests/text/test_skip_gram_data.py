"""Subsampling, windows, pairs, minibatches: slow loops, d2l, gensim, exact expectations."""

import itertools
import random

import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.text.noise import AliasSampler
from d2lcompanion.text.pair_counts import expected_pairs, kept_moments, pair_count_moments
from d2lcompanion.text.skip_gram_data import (
    batchify,
    keep_probabilities,
    minibatches,
    outside_window,
    subsample,
)
from d2lcompanion.text.skip_gram_pairs import (
    center_context_pairs,
    reduced_windows,
    slow_center_context_pairs,
    window_reach,
)
from d2lcompanion.text.token_stream import TokenStream


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stream_of(sentences: list[list[int]]) -> TokenStream:
    numbers = [i for i, sentence in enumerate(sentences) for _ in sentence]
    flat = [i for sentence in sentences for i in sentence]
    return TokenStream(
        torch.tensor(flat, dtype=torch.int64), torch.tensor(numbers, dtype=torch.int64)
    )


def lists_of(stream: TokenStream) -> list[list[int]]:
    both = zip(stream.sentence.tolist(), stream.ids.tolist(), strict=True)
    return [[i for _, i in group] for _, group in itertools.groupby(both, lambda pair: pair[0])]


SENTENCES = st.lists(st.lists(st.integers(0, 9), max_size=12), min_size=1, max_size=8)

# ------------------------------------------------------------------------------------- subsampling


def test_keep_probabilities_by_hand():
    """Shares .9, .09, .01 and t = .01: √(t/f) = 1/√90, 1/3, 1."""
    counts = torch.tensor([90, 9, 1, 0])
    found = keep_probabilities(counts, 0.01)
    assert found.tolist() == pytest.approx([90**-0.5, 1 / 3, 1, 1])
    found = keep_probabilities(counts, 0.01, "word2vec")
    assert found.tolist() == pytest.approx([90**-0.5 + 1 / 90, 1 / 3 + 1 / 9, 1, 1])


def test_the_second_formula_is_gensim_s():
    """Gensim stores each word's probability as a 32-bit threshold."""
    gensim = pytest.importorskip("gensim.models", reason="gensim is an oracle")
    sentences = [[f"w{i % (1 + j)}" for i in range(40)] for j in range(30)]
    model = gensim.Word2Vec(min_count=1, sample=1e-3)
    model.build_vocab(sentences)
    words = model.wv.index_to_key
    counts = torch.tensor([model.wv.get_vecattr(word, "count") for word in words])
    theirs = [model.wv.get_vecattr(word, "sample_int") / (2**32 - 1) for word in words]
    ours = keep_probabilities(counts, 1e-3, "word2vec")
    assert ours.tolist() == pytest.approx(theirs, abs=1e-6)
    assert ours.min() < 0.5


def test_the_first_formula_is_d2l_s(monkeypatch):
    d2l = pytest.importorskip("d2l.torch", reason="d2l is an oracle: requirements-d2l.lock")
    sentences = [["a"] * 900 + ["b"] * 90 + ["c"] * 10]
    vocab = d2l.Vocab(sentences)
    kept = keep_probabilities(torch.tensor([900, 90, 10]), 1e-4)
    for word, probability in zip("abc", kept.tolist(), strict=True):
        for drawn, stays in ((probability - 1e-9, True), (probability + 1e-9, False)):
            monkeypatch.setattr(d2l.random, "uniform", lambda low, high, value=drawn: value)
            result, _ = d2l.subsample(sentences, vocab)
            assert (word in result[0]) == stays


def test_words_up_to_the_stated_share_are_all_kept():
    """√x + x = 1 at x = ((√5 − 1)/2)², so f = 2.618 t; the other formula begins at t."""
    total = 10**9
    for formula, edge in (("square_root", 1.0), ("word2vec", 2.618034)):
        for factor, whole in ((0.9999, True), (1.0001, False)):
            count = round(1e-4 * edge * factor * total)
            counts = torch.tensor([count, total - count])
            assert (keep_probabilities(counts, 1e-4, formula)[0] == 1) == whole


def test_kept_tokens_lie_within_binomial_bands():
    counts = torch.tensor([50_000, 8_000, 900, 90, 3])
    stream = TokenStream(torch.repeat_interleave(counts), torch.zeros(58_993, dtype=torch.int64))
    keep = keep_probabilities(counts, 1e-3)
    kept = torch.stack(
        [torch.bincount(subsample(stream, keep, seeded(s)).ids, minlength=5) for s in range(40)]
    )
    for word, (count, p) in enumerate(zip(counts.tolist(), keep.tolist(), strict=True)):
        low, high = (
            scipy.stats.binom(40 * count, p).interval(1 - 1e-6) if p < 1 else (40 * count,) * 2
        )
        assert low <= int(kept[:, word].sum()) <= high
    mean, sd = kept_moments(counts, keep)
    dist = [scipy.stats.binom(c, p) for c, p in zip(counts.tolist(), keep.tolist(), strict=True)]
    assert mean == pytest.approx(sum(d.mean() for d in dist))
    assert sd == pytest.approx(sum(d.var() for d in dist) ** 0.5)
    totals = kept.sum(1).double()
    assert abs(totals.mean() - mean) < 4 * sd / 40**0.5
    assert 0.6 < totals.std() / sd < 1.5


def test_what_stays_keeps_order_and_sentence():
    stream = stream_of([[0, 1, 0, 2], [1, 1], [0, 0], [2, 0]])
    kept = subsample(stream, torch.tensor([0.0, 1.0, 1.0]), seeded())
    assert lists_of(kept) == [[1, 2], [1, 1], [2]]
    assert kept.sentence.tolist() == [0, 0, 1, 1, 3]


# ------------------------------------------------------------------------------------ windows, pairs


@settings(max_examples=300, deadline=None)
@given(SENTENCES, st.integers(1, 6), st.integers(0, 10**6))
def test_pairs_are_those_of_the_slow_loop(sentences, window, seed):
    stream = stream_of(sentences)
    widths = reduced_windows(len(stream.ids), window, seeded(seed))
    pairs = center_context_pairs(stream, widths)
    expected = slow_center_context_pairs(sentences, widths.tolist())
    assert list(zip(pairs.centers.tolist(), pairs.contexts.tolist(), strict=True)) == expected
    assert pairs.counts.tolist() == [int((pairs.rows == i).sum()) for i in range(len(stream.ids))]


@settings(max_examples=100, deadline=None)
@given(SENTENCES, st.integers(1, 6), st.integers(0, 10**6))
def test_pairs_of_some_positions_are_a_part_of_all(sentences, window, seed):
    stream = stream_of(sentences)
    widths = reduced_windows(len(stream.ids), window, seeded(seed))
    every = center_context_pairs(stream, widths)
    positions = torch.randperm(len(stream.ids), generator=seeded(seed))[: len(stream.ids) // 2]
    some = center_context_pairs(stream, widths, positions)
    for row, position in enumerate(positions.tolist()):
        expected = every.contexts[every.rows == position].tolist()
        assert some.contexts[some.rows == row].tolist() == expected
    assert some.counts.tolist() == every.counts[positions].tolist()


@pytest.mark.parametrize("seed", range(5))
def test_pairs_are_d2l_s_for_the_same_widths(monkeypatch, seed):
    d2l = pytest.importorskip("d2l.torch", reason="d2l is an oracle: requirements-d2l.lock")
    rng = random.Random(seed)
    sentences = [[rng.randrange(20) for _ in range(rng.randrange(12))] for _ in range(40)]
    stream = stream_of(sentences)
    widths = reduced_windows(len(stream.ids), 5, seeded(seed))
    flat = iter(widths.tolist())
    drawn = [[next(flat) for _ in sentence] for sentence in sentences]
    for_d2l = iter([w for row in drawn if len(row) > 1 for w in row])
    monkeypatch.setattr(d2l.random, "randint", lambda low, high: next(for_d2l))
    centers, contexts = d2l.get_centers_and_contexts(sentences, 5)
    pairs = center_context_pairs(stream, widths)
    theirs = [(c, o) for c, row in zip(centers, contexts, strict=True) for o in row]
    assert list(zip(pairs.centers.tolist(), pairs.contexts.tolist(), strict=True)) == theirs


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(1, 4))
def test_the_number_of_pairs_over_all_draws(lengths, window):
    """Formula from lengths, moments from reach, and each token's mean over all widths."""
    stream = stream_of([[0] * length for length in lengths])
    each = []  # (mean, variance) of each token
    for length in lengths:
        for i in range(length):
            sizes = [min(w, i) + min(w, length - 1 - i) for w in range(1, window + 1)]
            mean = sum(sizes) / window
            each.append((mean, sum((s - mean) ** 2 for s in sizes) / window))
    moments = pair_count_moments(stream, window)
    assert moments.mean == pytest.approx(sum(m for m, _ in each))
    assert moments.sd == pytest.approx(sum(v for _, v in each) ** 0.5)
    assert expected_pairs(torch.tensor(lengths), window) == pytest.approx(moments.mean)


def test_widths_are_uniform_and_weight_by_distance():
    widths = reduced_windows(60_000, 5, seeded())
    observed = torch.bincount(widths, minlength=6)[1:]
    assert scipy.stats.chisquare(observed.tolist()).pvalue > 1e-3
    for d in range(1, 6):
        assert float((widths >= d).double().mean()) == pytest.approx((5 - d + 1) / 5, abs=0.01)


# -------------------------------------------------------------------------------------- minibatches


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=5), min_size=1, max_size=6),
    st.integers(1, 3),
    st.integers(0, 10**6),
)
def test_batches_are_d2l_s(rows, noise, seed):
    d2l = pytest.importorskip("d2l.torch", reason="d2l is an oracle: requirements-d2l.lock")
    rng = random.Random(seed)
    centers = [rng.randrange(1, 10) for _ in rows]
    negatives = [[rng.randrange(1, 10) for _ in range(noise * len(row))] for row in rows]
    theirs = d2l.batchify(list(zip(centers, rows, negatives, strict=True)))
    flat = torch.tensor([word for row in negatives for word in row]).view(-1, noise)
    ours = batchify(
        torch.tensor(centers),
        torch.tensor([word for row in rows for word in row]),
        flat,
        torch.tensor([len(row) for row in rows]),
    )
    for mine, other in zip((ours.centers[:, None], *ours[1:]), theirs, strict=True):
        assert mine.to(torch.int64).tolist() == other.tolist()


@settings(max_examples=100, deadline=None)
@given(SENTENCES.filter(lambda s: any(len(x) > 1 for x in s)), st.integers(0, 10**6))
def test_noise_in_the_window_is_found(sentences, seed):
    stream = stream_of(sentences)
    pairs = center_context_pairs(stream, reduced_windows(len(stream.ids), 3, seeded(seed)))
    negatives = torch.randint(0, 10, (len(pairs.rows), 4), generator=seeded(seed))
    found = outside_window(pairs, negatives).tolist()
    for p, row in enumerate(pairs.rows.tolist()):
        window = set(pairs.contexts[pairs.rows == row].tolist())
        assert found[p] == [word not in window for word in negatives[p].tolist()]


def corpus(seed: int = 0, sentences: int = 60) -> list[list[int]]:
    rng = random.Random(seed)
    return [[rng.randrange(1, 30) for _ in range(rng.randrange(12))] for _ in range(sentences)]


def batches(stream: TokenStream, **changes):
    options = {"max_window": 3, "negatives": 2, "batch_size": 16, "generator": seeded(1)} | changes
    return list(minibatches(stream, AliasSampler(torch.arange(30.0)), **options))


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_a_pass_visits_every_token_once_with_words_of_its_window(at_once):
    sentences = corpus()
    stream = stream_of(sentences)
    found = batches(stream, at_once=at_once)
    centers = sorted(c for batch in found for c in batch.centers.tolist())
    assert centers == sorted(i for s in sentences if len(s) > 1 for i in s)
    assert [len(b.centers) for b in found[:-1]] == [16] * (len(found) - 1)
    wide = slow_center_context_pairs(sentences, [3] * len(stream.ids))
    possible = set(wide)
    for batch in found:
        assert not bool((batch.labels & ~batch.mask).any())
        assert not bool(batch.words[~batch.mask].any())
        for center, words, mask, labels in zip(*(part.tolist() for part in batch), strict=True):
            context = [w for w, label in zip(words, labels, strict=True) if label]
            noise = [w for w, m, label in zip(words, mask, labels, strict=True) if m and not label]
            assert 1 <= len(context) <= 6
            assert len(noise) <= 2 * len(context)
            assert all((center, word) in possible for word in context)
            assert not set(noise) & set(context)
            assert 0 not in noise  # its weight is 0


def test_a_pass_repeats_by_its_generator_and_differs_by_it():
    stream = stream_of(corpus())
    first, again, other = batches(stream), batches(stream), batches(stream, generator=seeded(2))
    assert all(torch.equal(a.words, b.words) for a, b in zip(first, again, strict=True))
    assert [b.centers.tolist() for b in first] != [b.centers.tolist() for b in other]


def test_pairs_of_a_pass_are_as_many_as_expected():
    stream = stream_of(corpus(sentences=400))
    mean, sd = pair_count_moments(stream, 3)
    found = sum(int(batch.labels.sum()) for batch in batches(stream))
    assert abs(found - mean) < 4 * sd
    assert sd > 0


def test_a_window_with_the_whole_vocabulary_leaves_no_negative(monkeypatch):
    """d2l draws for ever here: no noise word is outside the window."""
    found = list(
        minibatches(
            stream_of([[0, 1, 0, 1]]), AliasSampler(torch.ones(2)), max_window=3, negatives=2,
            batch_size=4, generator=seeded(),
        )
    )  # fmt: skip
    full = found[0].labels.sum(1) == 3
    assert bool((found[0].mask == found[0].labels)[full].all())

    d2l = pytest.importorskip("d2l.torch", reason="d2l is an oracle: requirements-d2l.lock")
    calls = []

    def draw(self):
        calls.append(1)
        if len(calls) > 1000:
            raise TimeoutError("for ever")
        return 1 + len(calls) % 2

    monkeypatch.setattr(d2l.RandomGenerator, "draw", draw)
    vocab = d2l.Vocab([["a", "b"]])
    with pytest.raises(TimeoutError):
        d2l.get_negatives([[1, 2]], vocab, {"a": 1, "b": 1}, 1)


# ---------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: keep_probabilities(torch.ones(3), 0.0), r"threshold must be in \(0, 1\], got 0.0"),
        (lambda: keep_probabilities(torch.ones(3), float("nan")), "got nan"),
        (lambda: keep_probabilities(torch.ones(1), 0.1), "V ≥ 2 words"),
        (lambda: keep_probabilities(torch.zeros(3), 0.1), "not all be 0"),
        (lambda: keep_probabilities(torch.ones(3), 0.1, "paper"), "formula must be one of .*'paper'"),
        (lambda: subsample(stream_of([[5]]), torch.ones(3), seeded()), r"in \[0, 3\), got 5"),
        (lambda: reduced_windows(3, 0, seeded()), "max_window must be a whole number ≥ 1, got 0"),
        (lambda: reduced_windows(-1, 1, seeded()), "tokens must be a whole number ≥ 0, got -1"),
        (lambda: window_reach(stream_of([[1, 2]]), torch.tensor([1, 0])), "whole numbers ≥ 1, got 0"),
        (lambda: window_reach(stream_of([[1, 2]]), torch.ones(1).long()), r"shape \[2\], got \[1\]"),
        (lambda: batches(stream_of([[1], [2], [3]])), "3 tokens, each alone"),
        (lambda: batches(stream_of([[1, 2]]), negatives=0), "negatives .* got 0"),
        (lambda: batches(stream_of([[1, 2]]), batch_size=0), "batch_size .* got 0"),
        (lambda: batches(stream_of([[1, 2]]), at_once=0), "at_once .* got 0"),
        (lambda: batches(stream_of([[1, 2]]), max_window=0), "max_window .* got 0"),
        (lambda: pair_count_moments(stream_of([[1, 2]]), 0), "max_window .* got 0"),
        (lambda: expected_pairs(torch.tensor([3]), 0), "max_window .* got 0"),
        (lambda: kept_moments(torch.ones(3), torch.ones(2)), r"keep must have shape \[3\], got \[2\]"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
