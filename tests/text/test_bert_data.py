"""Pairs and rows against a slow loop, closed forms and the book's own functions."""

import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.text.bert_data import Pairs, assemble, draw_pairs
from d2lcompanion.text.bert_documents import Documents, SpecialIds, encode_documents
from d2lcompanion.text.wordpiece import WordPiece

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b", "."]
TOKENIZER = WordPiece(PIECES)
SPECIAL = SpecialIds.of(PIECES)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def made_up(lengths):
    """Documents of sentences of these lengths; every token is different."""
    flat = [n for document in lengths for n in document]
    total = sum(flat)
    start = torch.tensor([0, *flat]).cumsum(0)
    document = torch.repeat_interleave(torch.tensor([len(d) for d in lengths]))
    return Documents(
        torch.arange(10, 10 + total), torch.arange(total) // 2, start, document,
        torch.arange(len(flat)),
    )  # fmt: skip


SHAPES = st.lists(
    st.lists(st.integers(1, 9), min_size=1, max_size=5), min_size=2, max_size=5
).filter(lambda documents: max(map(len, documents)) > 1)


def slow_row(documents, pairs, row, length):
    """As one writes it by hand: lists, joined."""
    (a0, a1), (b0, b1) = pairs.first[row].tolist(), pairs.second[row].tolist()
    a, b = documents.ids[a0:a1].tolist(), documents.ids[b0:b1].tolist()
    ids = [SPECIAL.cls, *a, SPECIAL.sep, *b, SPECIAL.sep]
    segments = [0] * (len(a) + 2) + [1] * (len(b) + 1)
    padding = length - len(ids)
    return (
        ids + [SPECIAL.pad] * padding,
        segments + [0] * padding,
        [True] * len(ids) + [False] * padding,
    )


@settings(max_examples=100, deadline=None)
@given(SHAPES, st.integers(5, 30), st.integers(0, 2**31))
def test_rows_are_those_of_the_slow_loop(shape, length, seed):
    documents = made_up(shape)
    pairs = draw_pairs(documents, length, seeded(seed))
    batch = assemble(documents, pairs, length, SPECIAL)
    for row in range(len(pairs.label)):
        ids, segments, valid = slow_row(documents, pairs, row, length)
        assert batch.ids[row].tolist() == ids
        assert batch.segments[row].tolist() == segments
        assert batch.valid[row].tolist() == valid


@settings(max_examples=100, deadline=None)
@given(SHAPES, st.integers(5, 30), st.integers(0, 2**31))
def test_every_pair_is_what_its_label_says(shape, length, seed):
    """B follows in the text, or comes from another document; no row could be longer."""
    documents = made_up(shape)
    pairs = draw_pairs(documents, length, seeded(seed))
    sentence = torch.repeat_interleave(documents.start.diff())
    owner = documents.document[sentence]
    for first, second, label in zip(*(part.tolist() for part in pairs), strict=True):
        (a0, a1), (b0, b1) = first, second
        assert a0 < a1
        assert b0 < b1
        assert (b0 == a1) == (label == 0)
        assert (owner[a0] == owner[b0]) == (label == 0)
        assert len(set(owner[a0:a1].tolist())) == len(set(owner[b0:b1].tolist())) == 1
        assert b0 in documents.start
        assert a1 in documents.start
        full = a1 - a0 + b1 - b0 == length - 3
        begins = a0 == 0 or owner[a0 - 1] != owner[a0]
        ends = b1 == len(owner) or owner[b1 - 1] != owner[b1]
        assert full or (begins and ends)
    assert len(pairs.label) == sum(len(d) - 1 for d in shape)
    ends_of_a = pairs.first[:, 1].tolist()
    assert len(set(ends_of_a)) == len(ends_of_a)  # each sentence once


def test_erratum_e18_a_negative_is_never_the_true_next_sentence():
    """Two documents of two sentences: d2l draws the true one with 1/4, we never."""
    documents = made_up([[3, 3], [3, 3]])
    seen = 0
    for seed in range(400):
        pairs = draw_pairs(documents, 12, seeded(seed), follows=0.0)
        assert bool((pairs.second[:, 0] != pairs.first[:, 1]).all())
        assert bool((pairs.label == 1).all())
        seen += len(pairs.label)
    assert seen == 800


def test_erratum_e18_in_d2l_a_negative_can_be_the_true_next_sentence():
    """Drawn from all paragraphs and all their sentences: ½ · ½ here, although labelled False."""
    from d2l import torch as d2l

    paragraphs = [["a1", "a2"], ["b1", "b2"]]
    random.seed(0)
    wrong = negatives = 0
    for _ in range(4000):
        _, sentence, is_next = d2l._get_next_sentence("a1", "a2", paragraphs)
        negatives += not is_next
        wrong += not is_next and sentence == "a2"
    share = wrong / negatives
    assert abs(share - 0.25) < 4 * math.sqrt(0.25 * 0.75 / negatives)


def test_negatives_are_uniform_over_the_sentences_of_other_documents():
    documents = made_up([[2, 2], [2, 2, 2], [2]])
    counts = torch.zeros(6)
    rounds = 6000
    for seed in range(rounds):
        pairs = draw_pairs(documents, 9, seeded(seed), follows=0.0)
        row = int((pairs.first[:, 1] == 2).nonzero()[0, 0])  # the first sentence of the first
        counts[int(pairs.second[row, 0]) // 2] += 1
    expected = torch.tensor([0, 0, 1, 1, 1, 1]) * rounds / 4
    assert float((counts - expected).abs().max()) < 4 * math.sqrt(rounds * 3 / 16)


def test_the_share_that_follows():
    documents = made_up([[4] * 2000, [4] * 2000])
    pairs = draw_pairs(documents, 20, seeded(), follows=0.5)
    share = float((pairs.label == 0).double().mean())
    assert abs(share - 0.5) < 4 * math.sqrt(0.25 / 3998)
    assert bool((draw_pairs(documents, 20, seeded(), follows=1.0).label == 0).all())


def test_a_stranger_with_the_words_of_the_next_sentence_is_no_stranger():
    documents = encode_documents([["a.", "b."], ["b.", "b."]], TOKENIZER)
    pairs = draw_pairs(documents, 9, seeded(), follows=0.0)
    texts = [documents.ids[slice(*span)].tolist() for span in pairs.second.tolist()]
    after = documents.ids[2:4].tolist()
    assert [int(x) for x in pairs.label] == [int(text[:2] != after) for text in texts]


def test_documents_of_real_words():
    found = encode_documents([["aab b.", "", "ba"], ["  "], ["zz"]], TOKENIZER)
    pieces = [PIECES[n] for n in found.ids.tolist()]
    assert pieces == ["a", "##a", "##b", "b", ".", "b", "##a", "[UNK]"]
    assert found.word.tolist() == [0, 0, 0, 1, 2, 3, 3, 4]
    assert found.start.tolist() == [0, 5, 7, 8]
    assert found.document.tolist() == [0, 0, 1]
    assert found.sentence().tolist() == [0, 0, 0, 0, 0, 1, 1, 2]


def test_word_numbers_of_a_row():
    documents = encode_documents([["aab b.", "ba"], ["a"]], TOKENIZER)
    pairs = Pairs(torch.tensor([[1, 5]]), torch.tensor([[5, 7]]), torch.tensor([0]))
    batch = assemble(documents, pairs, 11, SPECIAL)
    read = [PIECES[n] for n in batch.ids[0].tolist()]
    assert read == ["[CLS]", "##a", "##b", "b", ".", "[SEP]", "b", "##a", "[SEP]", "[PAD]", "[PAD]"]
    assert batch.word.tolist() == [[0, 1, 1, 2, 3, 4, 5, 5, 6, 7, 8]]


def test_rows_are_hardly_ever_padded_in_long_documents():
    documents = made_up([[20] * 50, [20] * 50])
    batch = assemble(documents, draw_pairs(documents, 64, seeded()), 64, SPECIAL)
    assert float(batch.valid.double().mean()) > 0.97


ONE = made_up([[2, 2]])
TWO = made_up([[2, 2], [2, 2]])
BAD = {
    "special": (lambda: SpecialIds.of(PIECES[:4]), r"pieces must hold \[MASK\], got 4 without"),
    "empty": (lambda: encode_documents([[" "]], TOKENIZER), "documents must hold a sentence, got none"),
    "string": (lambda: encode_documents(["ab"], TOKENIZER), "a document must be a sequence of sentences, got 'ab'"),
    "one": (lambda: draw_pairs(ONE, 9, seeded()), "there must be two, got 1"),
    "alone": (lambda: draw_pairs(made_up([[2], [2]]), 9, seeded()), "a document must have two sentences, got 2 alone"),
    "short": (lambda: draw_pairs(TWO, 4, seeded()), "length must be a whole number ≥ 5, got 4"),
    "share": (lambda: draw_pairs(TWO, 9, seeded(), follows=2.0), r"follows must be in \[0, 1\], got 2.0"),
    "long": (lambda: assemble(TWO, draw_pairs(TWO, 9, seeded()), 6, SPECIAL), "a pair must have at most 3 tokens, got 6"),
    "place": (lambda: assemble(TWO, Pairs(torch.tensor([[0, 9]]), torch.tensor([[0, 1]]), torch.tensor([0])), 20, SPECIAL), r"first must be ids in \[0, 9\), got 9"),
    "rows": (lambda: assemble(TWO, Pairs(torch.tensor([[0, 1]]), torch.tensor([[0, 1]]), torch.tensor([0, 1])), 20, SPECIAL), r"first must have shape \[2, 2\], got \[1, 2\]"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
