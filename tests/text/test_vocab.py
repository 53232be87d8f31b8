"""The vocabulary against counts by hand, a slow loop, d2l's rule, and round trips."""

import codecs
import json
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.text.vocab import UNKNOWN, Vocab

CORPUS = [["the", "cat", "saw", "the", "dog"], ["the", "dog", "ran"], ["一", "只", "猫", "一"]]
SENTENCES = st.lists(st.lists(st.text(max_size=3), max_size=8), max_size=8).filter(any)


def test_words_by_frequency_and_ties_by_code_point():
    vocab = Vocab.from_sequences(CORPUS)
    assert vocab.tokens == ("the", "dog", "一", "cat", "ran", "saw", "只", "猫")
    assert vocab.counts.tolist() == [3, 2, 2, 1, 1, 1, 1, 1]
    assert vocab.counts.dtype == torch.int64
    assert len(vocab) == 8
    assert "cat" in vocab
    assert "mouse" not in vocab
    assert repr(vocab) == "Vocab(8 tokens, 12 occurrences)"


def test_reserved_tokens_come_first_and_unk_counts_what_it_stands_for():
    vocab = Vocab.from_sequences(CORPUS, min_count=2, reserved=["<pad>", UNKNOWN])
    assert vocab.tokens == ("<pad>", UNKNOWN, "the", "dog", "一")
    assert vocab.counts.tolist() == [0, 5, 3, 2, 2]  # cat, ran, saw, 只, 猫
    assert int(vocab.counts.sum()) == sum(map(len, CORPUS))
    assert vocab.encode(["the", "mouse", "dog"]).tolist() == [2, 1, 3]
    assert vocab.decode(torch.tensor([2, 1, 3])) == ["the", UNKNOWN, "dog"]


def test_a_largest_size_counts_reserved_tokens():
    vocab = Vocab.from_sequences(CORPUS, max_size=3, reserved=[UNKNOWN])
    assert vocab.tokens == (UNKNOWN, "the", "dog")
    assert vocab.counts.tolist() == [7, 3, 2]
    assert Vocab.from_sequences(CORPUS, max_size=100).tokens == Vocab.from_sequences(CORPUS).tokens


def test_a_reserved_token_of_the_corpus_keeps_its_count():
    """Corpora such as WikiText hold <unk> already."""
    corpus = [["a", UNKNOWN, "a", "b", "</s>"]]
    with_reserved = Vocab.from_sequences(corpus, min_count=2, reserved=[UNKNOWN, "</s>"])
    assert with_reserved.tokens == (UNKNOWN, "</s>", "a")
    assert with_reserved.counts.tolist() == [2, 1, 2]  # <unk> itself and b
    plain = Vocab.from_sequences(corpus)
    assert plain.id_of("mouse") == plain.id_of(UNKNOWN)


@settings(max_examples=100, deadline=None)
@given(SENTENCES, st.integers(1, 3))
def test_against_a_slow_loop(sentences, min_count):
    words = [word for sentence in sentences for word in sentence]
    expected = []
    for word in sorted(set(words)):  # code points, so that a stable sort keeps them
        if words.count(word) >= min_count:
            expected.append((word, words.count(word)))
    expected.sort(key=lambda pair: -pair[1])
    if not expected:
        with pytest.raises(ValueError, match=f"must occur min_count = {min_count} times"):
            Vocab.from_sequences(sentences, min_count=min_count)
        return
    vocab = Vocab.from_sequences(sentences, min_count=min_count)
    assert list(zip(vocab.tokens, vocab.counts.tolist(), strict=True)) == expected


@settings(max_examples=100, deadline=None)
@given(SENTENCES, st.randoms())
def test_round_trips_whatever_the_order_of_the_corpus(sentences, chance):
    vocab = Vocab.from_sequences(sentences)
    shuffled = [random.Random(chance.random()).sample(s, len(s)) for s in sentences][::-1]
    assert Vocab.from_sequences(shuffled).tokens == vocab.tokens
    for sentence in sentences:
        assert vocab.decode(vocab.encode(sentence)) == sentence
    ids = list(range(len(vocab)))
    assert vocab.encode(vocab.decode(ids)).tolist() == ids
    assert [vocab.id_of(vocab.token_of(number)) for number in ids] == ids
    again = Vocab(vocab.tokens, vocab.counts)
    assert again.encode(vocab.tokens).tolist() == ids


def test_a_stream_is_read_once():
    words = (word for word in ["b", "a", "b"])
    assert Vocab.from_sequences(iter([words])).tokens == ("b", "a")


def test_nothing_in_nothing_out():
    vocab = Vocab(["a"], [1])
    assert vocab.encode([]).tolist() == []
    assert vocab.encode([]).dtype == torch.int64
    assert vocab.decode(vocab.encode([])) == vocab.decode([]) == []


def test_counts_are_the_vocabulary_s_own():
    counts = torch.tensor([2, 1])
    vocab = Vocab(["a", "b"], counts)
    counts[0] = 99
    assert vocab.counts.tolist() == [2, 1]


@settings(max_examples=100, deadline=None)
@given(SENTENCES)
def test_bytes_and_back(sentences):
    vocab = Vocab.from_sequences(sentences)
    again = Vocab.from_bytes(vocab.to_bytes())
    assert again.tokens == vocab.tokens
    assert torch.equal(again.counts, vocab.counts)


def test_bytes_are_utf_8_and_readable():
    """As anybody reads them with the standard library, a token a line."""
    data = Vocab.from_sequences(CORPUS, min_count=2).to_bytes()
    assert data == '[\n["the", 3],\n["dog", 2],\n["一", 2]\n]\n'.encode()
    assert json.loads(data.decode("utf-8")) == [["the", 3], ["dog", 2], ["一", 2]]
    assert Vocab.from_bytes(codecs.BOM_UTF8 + data).tokens == ("the", "dog", "一")


def test_other_encodings_are_refused_with_the_byte():
    text = '[["狗", 2]]'
    with pytest.raises(ValueError, match=r"^words\.json must be UTF-8, got the byte 0xb9 at 3: "):
        Vocab.from_bytes(text.encode("gbk"), source="words.json")
    # Not every mistake shows: the two bytes of 猫 in GBK are è in UTF-8.
    assert Vocab.from_bytes('[["猫", 2]]'.encode("gbk")).tokens == ("è",)
    with pytest.raises(ValueError, match="must be UTF-8, got the byte 0xff at 0"):
        Vocab.from_bytes(text.encode("utf-16"))
    with pytest.raises(ValueError, match=r"token '\\ud83d' is not valid Unicode"):
        Vocab(["a", "\ud83d"], [1, 1]).to_bytes()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "the 3", "[1]", '[["a"]]', '[["a", 1, 2]]', '{"ab": 1}', '[["a", 1.5]]', "[[3, 1]]"],
)
def test_bytes_of_something_else_are_named(text):
    with pytest.raises(ValueError, match=r"words must hold \[\[token, count\], …\] as JSON, got b"):
        Vocab.from_bytes(text.encode(), source="words")


def test_an_unknown_word_is_named():
    vocab = Vocab.from_sequences(CORPUS)
    with pytest.raises(KeyError, match=r"'mouse' is not in the vocabulary, which has no <unk>"):
        vocab.encode(["the", "mouse"])


AB = Vocab(["a", "b"], [2, 1])
BAD = {
    "empty": (lambda: Vocab.from_sequences([[], []]), "corpus must have a token, got none"),
    "min_count": (lambda: Vocab.from_sequences(CORPUS, min_count=0), r"min_count .* ≥ 1, got 0"),
    "max_size": (
        lambda: Vocab.from_sequences(CORPUS, max_size=1, reserved=[UNKNOWN]),
        "max_size must be a whole number ≥ 2, got 1",
    ),
    "rare": (
        lambda: Vocab.from_sequences(CORPUS, min_count=9),
        r"min_count = 9 times .* the most frequent, 'the', occurs 3 times",
    ),
    "only reserved": (
        lambda: Vocab.from_sequences([["a", "a"]], reserved=["a"]),
        "none does: the most frequent, 'a', occurs 2 times",
    ),
    "reserved": (
        lambda: Vocab.from_sequences(CORPUS, reserved=["<s>", "<s>"]),
        "reserved must differ, got '<s>' twice",
    ),
    "string": (lambda: Vocab.from_sequences(["the cat"]), "got the string 'the cat': split it"),
    "one string": (lambda: Vocab.from_sequences("the cat"), "got the string 'the cat'"),
    "encode": (lambda: AB.encode("ab"), "got the string 'ab'"),
    "none": (lambda: Vocab([], []), "must have a token, got none"),
    "twice": (lambda: Vocab(["a", "b", "a"], [1, 1, 1]), "tokens must differ, got 'a' twice"),
    "counts": (lambda: Vocab(["a", "b"], [1]), r"counts must have shape \[2\], got \[1\]"),
    "negative": (lambda: Vocab(["a", "b"], [1, -2]), "counts must be whole numbers ≥ 0, got -2 for 'b'"),
    "fraction": (lambda: Vocab(["a"], torch.tensor([1.5])), "whole numbers ≥ 0, got 1.5 for 'a'"),
    "tokens": (lambda: Vocab("ab", [1, 1]), "got the string 'ab'"),
    "id": (lambda: AB.token_of(2), r"id must be in \[0, 2\), got 2"),
    "ids": (lambda: AB.decode([0, -1]), r"ids must be ids in \[0, 2\), got -1"),
    "nested": (lambda: AB.decode(torch.zeros(1, 2).long()), r"ids must be \[n\], got shape \[1, 2"),
    "floats": (lambda: AB.decode(torch.zeros(2)), "ids must be whole numbers, got torch.float32"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
