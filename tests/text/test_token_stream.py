"""Sentences as arrays: against plain loops, d2l's dropping of unknown words, a round trip."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.text.token_stream import (
    TokenStream,
    decode,
    encode,
    encode_blocks,
    require_stream,
    token_counts,
)
from d2lcompanion.text.vocab import Vocab

CORPUS = st.lists(st.lists(st.sampled_from("abcdef"), max_size=6), min_size=1, max_size=9).filter(
    any
)
VOCAB = Vocab(["<unk>", "a", "b", "c", "d", "e", "f"], [0, 6, 5, 4, 3, 2, 1])


@settings(max_examples=100, deadline=None)
@given(CORPUS, st.integers(1, 8))
def test_blocks_hold_the_corpus_and_end_with_sentences(corpus, tokens):
    blocks = list(encode_blocks(corpus, VOCAB, tokens=tokens))
    words = [sentence for block in blocks for sentence in decode(block, VOCAB)]
    assert words == [sentence for sentence in corpus if sentence]
    assert all(len(block.ids) >= tokens for block in blocks[:-1])
    longest = max(map(len, corpus))
    assert all(len(block.ids) < tokens + longest for block in blocks)
    whole = encode(corpus, VOCAB)
    assert decode(whole, VOCAB) == words
    assert whole.sentence.tolist() == [i for i, s in enumerate(corpus) for _ in s]


def test_sentences_of_several_blocks_stay_apart(monkeypatch):
    from d2lcompanion.text import token_stream

    small = token_stream.encode_blocks
    monkeypatch.setattr(token_stream, "encode_blocks", lambda s, v: small(s, v, tokens=2))
    stream = encode([["a", "b"], ["x"], ["c"], ["d", "e"], ["f"]], VOCAB)
    assert decode(stream, VOCAB) == [["a", "b"], ["c"], ["d", "e"], ["f"]]


def test_unknown_words_leave_no_token():
    """As d2l's `subsample` and gensim drop them: the words beside them move together."""
    stream = encode([["a", "x", "<unk>", "b"], ["y"], ["c"]], VOCAB)
    assert decode(stream, VOCAB) == [["a", "b"], ["c"]]
    assert stream.sentence.tolist() == [0, 0, 2]


@given(CORPUS)
def test_counts_are_those_of_a_counter(corpus):
    found = token_counts(encode(corpus, VOCAB), len(VOCAB))
    expected = Counter(word for sentence in corpus for word in sentence)
    assert found.tolist() == [expected[token] for token in VOCAB.tokens]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="got 'a b'"):
        list(encode_blocks(["a b"], VOCAB))
    with pytest.raises(ValueError, match="tokens must be a whole number ≥ 1, got 0"):
        list(encode_blocks([["a"]], VOCAB, tokens=0))
    for corpus in ([], [[]], [["x", "<unk>"]]):
        with pytest.raises(ValueError, match="must have a word of the vocabulary"):
            encode(corpus, VOCAB)
    whole = torch.tensor([0, 1])
    with pytest.raises(ValueError, match=r"sentence must have shape \[2\], got \[1\]"):
        require_stream(TokenStream(whole, whole[:1]))
    with pytest.raises(ValueError, match=r"ids must be \[n\] of whole numbers"):
        require_stream(TokenStream(whole.float(), whole))
    with pytest.raises(ValueError, match=r"ids must be ids in \[0, 1\), got 1"):
        token_counts(TokenStream(whole, whole), 1)
