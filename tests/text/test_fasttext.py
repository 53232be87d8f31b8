"""N-grams, hashes and vectors against gensim and loops; the training step against autograd."""

import random

import numpy as np
import pytest
import torch
from gensim.models import FastText as GensimFastText
from gensim.models import fasttext as gensim_fasttext
from gensim.models.fasttext_inner import compute_ngrams_bytes, ft_hash_bytes
from hypothesis import example, given, settings
from hypothesis import strategies as st

from d2lcompanion.text.fasttext import (
    FastText,
    NGrams,
    character_ngrams,
    expected_shared,
    fnv1a,
    mean_vectors,
    ngram_buckets,
    word_rows,
)
from d2lcompanion.text.subword_skip_gram import Plan, cut, keep_probability, train, update
from d2lcompanion.text.vocab import Vocab

WORD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(WORD, st.integers(1, 4), st.integers(0, 4), st.integers(1, 10_000))
@example("where", 3, 3, 2_000_000)
@example("子词", 1, 5, 7)
def test_ngrams_and_buckets_are_gensim_s(word, shortest, more, buckets):
    longest = shortest + more
    theirs = [gram.decode("utf-8") for gram in compute_ngrams_bytes(word, shortest, longest)]
    assert character_ngrams(word, shortest, longest) == theirs
    hashes = gensim_fasttext.ft_ngram_hashes(word, shortest, longest, buckets)
    assert ngram_buckets(word, NGrams(shortest, longest, buckets)) == hashes


def test_by_hand_the_ngrams_of_where():
    """Bojanowski et al. (2017), §3.2."""
    assert character_ngrams("where", 3, 3) == ["<wh", "whe", "her", "ere", "re>"]
    assert "<her>" in character_ngrams("her")
    assert "<her>" not in character_ngrams("where")
    assert character_ngrams("a", 1, 3) == ["<a", "<a>", "a", "a>"]


def test_published_values_of_the_hash():
    """FNV-1a, 32 bits, of its authors' test vectors; from byte 128 on fastText differs."""
    assert fnv1a(b"") == 0x811C9DC5
    assert fnv1a(b"a") == 0xE40C292C
    assert fnv1a(b"foobar") == 0xBF9CF968
    assert fnv1a("中".encode()) == ft_hash_bytes("中".encode())
    standard = 0x811C9DC5
    for byte in "中".encode():
        standard = (standard ^ byte) * 16777619 % 2**32
    assert fnv1a("中".encode()) != standard


def test_the_chance_of_sharing_a_bucket_by_simulation():
    chance = random.Random(0)
    shares = []
    for _ in range(400):
        buckets = [chance.randrange(500) for _ in range(300)]
        shares.append(buckets.count(buckets[0]) > 1)
    sd = (0.25 / 400) ** 0.5
    assert abs(sum(shares) / 400 - expected_shared(300, 500)) < 4 * sd
    assert expected_shared(1, 7) == 0
    assert expected_shared(2, 1) == 1


def test_vectors_are_gensim_s_after_its_training():
    sentences = [["where", "is", "the", "hare"], ["there", "is", "no", "hair"]] * 5
    theirs = GensimFastText(sentences, vector_size=6, min_count=1, bucket=50, epochs=2, seed=1)
    words = theirs.wv.index_to_key
    table = torch.tensor(np.concatenate([theirs.wv.vectors_vocab, theirs.wv.vectors_ngrams]))
    ours = FastText(Vocab(words, [1] * len(words)), table, NGrams(3, 6, 50))
    torch.testing.assert_close(ours.vectors(), torch.tensor(theirs.wv.vectors))
    for unseen in ("whereas", "hares", "她"):
        torch.testing.assert_close(ours.vector(unseen), torch.tensor(theirs.wv[unseen]))
    torch.testing.assert_close(ours.vector("hare"), torch.tensor(theirs.wv["hare"]))


def test_mean_vectors_against_a_loop():
    words = ["a", "abc", "where"]
    ngrams = NGrams(3, 4, 11)
    rows = word_rows(words, ngrams)
    table = torch.randn(3 + 11, 5, generator=torch.Generator().manual_seed(0))
    for number, word in enumerate(words):
        own = [number, *(3 + bucket for bucket in ngram_buckets(word, ngrams))]
        torch.testing.assert_close(mean_vectors(table, rows)[number], table[own].mean(0))
    some = torch.tensor([2, 0, 2])
    torch.testing.assert_close(mean_vectors(table, rows.of(some)), mean_vectors(table, rows)[some])


# ----------------------------------------------------------------------------------------- training


def test_blocks_against_a_loop():
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(0, 9, (23,), generator=generator)
    sentence = torch.tensor([0] * 7 + [1] * 9 + [2] * 7)
    plan = Plan(window=3, block=5)
    blocks = cut(ids, sentence, plan, torch.Generator().manual_seed(4))
    reach = torch.randint(1, 4, (23,), generator=torch.Generator().manual_seed(4))
    found, expected = [], []
    for block in range(5):
        for i in range(5):
            for j in range(11):
                if blocks.in_window[block, i, j]:
                    found.append((int(blocks.centers[block, i]), int(blocks.around[block, j])))
    for i in range(23):
        for j in range(23):
            if 0 < abs(i - j) <= reach[i] and sentence[i] == sentence[j]:
                expected.append((int(ids[i]), int(ids[j])))
    assert found == expected


def test_the_step_is_autograd_s_with_every_row_at_the_full_gradient():
    generator = torch.Generator().manual_seed(0)
    words, ngrams = ["where", "here", "hare", "a"], NGrams(3, 4, 20)
    rows = word_rows(words, ngrams)
    table = torch.randn(24, 5, generator=generator, dtype=torch.float64)
    context = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    ids = torch.randint(0, 4, (10,), generator=generator)
    blocks = cut(ids, torch.zeros(10).long(), Plan(window=2, block=4), generator)
    drawn = torch.randint(0, 4, (3, 6), generator=generator)

    h = mean_vectors(table, rows).requires_grad_()
    u = context.clone().requires_grad_()
    loss = torch.zeros((), dtype=torch.float64)
    for n in range(3):
        for i in range(4):
            for j in range(8):
                if blocks.in_window[n, i, j]:
                    center = h[blocks.centers[n, i]]
                    loss = loss - torch.log(torch.sigmoid(center @ u[blocks.around[n, j]]))
                    for noise in drawn[n]:
                        loss = loss - 5 / 6 * torch.log(torch.sigmoid(-(center @ u[noise])))
    loss.backward()
    expected = table.clone()
    for number in range(4):
        for row in rows.of(torch.tensor([number])).rows.tolist():
            expected[row] -= 0.1 * h.grad[number]
    update(table, context, rows, blocks, drawn, negatives=5, lr=0.1)
    torch.testing.assert_close(table, expected)
    torch.testing.assert_close(context, u.detach() - 0.1 * u.grad)


def test_words_of_one_theme_come_together():
    """Two sets of words that never share a sentence: cosines inside beat those across."""
    chance = random.Random(0)
    themes = [["salt", "sugar", "flour", "yeast"], ["engine", "wheel", "brake", "clutch"]]
    sentences = [chance.choices(theme, k=8) for _ in range(300) for theme in themes]
    vocab = Vocab.from_sequences(sentences)
    plan = Plan(dimension=16, window=3, epochs=5, sample=0, block=8, blocks=1)
    model = train(sentences, vocab, NGrams(3, 5, 500), plan, torch.Generator().manual_seed(0))
    unit = torch.nn.functional.normalize(model.vectors())
    cosines = unit @ unit.T
    theme = torch.tensor([word in themes[0] for word in vocab.tokens])
    same = theme[:, None] == theme
    apart = ~torch.eye(len(vocab)).bool()
    assert cosines[same & apart].min() > cosines[~same].max()
    near = torch.nn.functional.normalize(model.vector("wheels"), dim=0) @ unit.T
    assert vocab.tokens[int(near.argmax())] == "wheel"


def test_a_step_that_is_too_large_is_not_silent():
    """Of two words each occurs 256 times a step, and the gradients add up."""
    sentences = [["a", "b"] * 20] * 100
    vocab = Vocab.from_sequences(sentences)
    plan = Plan(dimension=4, sample=0, lr=1.0)
    with pytest.raises(FloatingPointError, match=r"16 blocks of 32 a step and lr 1\.0"):
        train(sentences, vocab, NGrams(buckets=9), plan, torch.Generator().manual_seed(0))


def test_one_seed_one_table(wikipedia_lines):
    sentences = [line.split() for line in wikipedia_lines[:30]]
    vocab = Vocab.from_sequences(sentences, min_count=2)
    plan = Plan(dimension=8, epochs=1)
    tables = [
        train(sentences, vocab, NGrams(buckets=99), plan, torch.Generator().manual_seed(seed)).table
        for seed in (0, 0, 1)
    ]
    assert torch.equal(tables[0], tables[1])
    assert not torch.equal(tables[0], tables[2])


def test_frequent_words_are_thinned_out():
    counts = torch.tensor([900, 99, 1])
    keep = keep_probability(counts, 0.01)
    share = counts / 1000
    expected = (0.01 / share).sqrt() + 0.01 / share
    torch.testing.assert_close(keep, expected.clamp(max=1).double(), rtol=1e-6, atol=0)
    assert keep_probability(counts, 0.0).tolist() == [1, 1, 1]


VOCAB = Vocab(["her", "a"], [2, 1])
MODEL = FastText(VOCAB, torch.zeros(7, 2), NGrams(5, 6, 5))
BAD = {
    "empty": (lambda: character_ngrams(""), "word must have a character, got ''"),
    "shortest": (lambda: character_ngrams("a", 0), "shortest must be .* ≥ 1, got 0"),
    "longest": (lambda: character_ngrams("a", 4, 3), "longest must be .* ≥ 4, got 3"),
    "buckets": (lambda: NGrams(buckets=0).checked(), "buckets must be .* ≥ 1, got 0"),
    "distinct": (lambda: expected_shared(0, 5), "distinct must be .* ≥ 1, got 0"),
    "words": (lambda: word_rows("her", NGrams()), "words must be a list of words, got 'her'"),
    "table": (lambda: FastText(VOCAB, torch.zeros(3, 2), NGrams(buckets=5)), r"shape \[7, 2\]"),
    "surrogate": (lambda: ngram_buckets("a\ud800", NGrams()), "surrogates not allowed"),
    "window": (lambda: Plan(window=0), "window must be a whole number ≥ 1, got 0"),
    "lr": (lambda: Plan(lr=0.0), "lr must be > 0 and sample ≥ 0, got 0.0"),
    "text": (
        lambda: train([["x"], ["a"]], VOCAB, NGrams(buckets=5), Plan(), torch.Generator()),
        "two words of the text must be known, got 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_short_unknown_word_has_no_ngram():
    with pytest.raises(
        KeyError, match="'of' is not in the vocabulary, and <of> has no n-gram of 5"
    ):
        MODEL.vector("of")
    assert MODEL.vector("a").tolist() == [0, 0]  # known: its own row is enough
