"""Byte-level BPE: round trips by Hypothesis, cuts and merges as `tokenizers` has them."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from d2lcompanion.data.everyday import load_everyday
from d2lcompanion.text.bpe import BPE
from d2lcompanion.text.byte_level import (
    BYTE_TO_CHARACTER,
    ByteBPE,
    byte_piece_counts,
    byte_symbols,
    pieces,
)

VALID = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.fixture(scope="module")
def byte_bpe(wikipedia_lines):
    texts = [*wikipedia_lines[:300], *(pair.zh for pair in load_everyday().sentences)]
    return ByteBPE.train(texts, 500)


def test_the_byte_symbols_are_gpt_2_s():
    assert sorted(BYTE_TO_CHARACTER.values()) == sorted(pre_tokenizers.ByteLevel.alphabet())
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    every = "".join(map(chr, range(0x20, 0x3000)))
    assert byte_symbols(every) == cut.pre_tokenize_str(every)[0][0]


@settings(max_examples=300, deadline=None)
@given(VALID)
@example("")
@example("\x00 \r\n\t  naïve 中文，𠮷 👩‍🔬\u0301\uffff ")
def test_any_valid_text_comes_back(byte_bpe, text):
    assert "".join(pieces(text)) == text
    ids = byte_bpe.encode(text)
    assert byte_bpe.decode(ids) == text
    assert len(ids) <= len(text.encode("utf-8"))
    assert byte_bpe.encode(text) == ids


@given(VALID, st.characters(categories=["Cs"]), VALID)
def test_a_lone_surrogate_raises(byte_bpe, before, surrogate, after):
    name = f"U\\+{ord(surrogate):04X} at {len(before)}$"
    with pytest.raises(ValueError, match=name):
        byte_bpe.encode(before + surrogate + after)


def test_pieces_are_gpt_2_s_but_for_contractions(wikipedia_lines):
    everyday = [text for pair in load_everyday().sentences for text in pair]
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False)
    for text in [*wikipedia_lines[:200], *everyday, "a  b\n\n c 12,5 _x_ ...!"]:
        if "'" not in text:
            theirs = [piece for piece, _ in cut.pre_tokenize_str(text)]
            assert [byte_symbols(piece) for piece in pieces(text)] == theirs


def test_merges_equal_the_rust_trainer_s_on_two_languages(wikipedia_lines, byte_bpe):
    texts = [*wikipedia_lines[:300], *(pair.zh for pair in load_everyday().sentences)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=256 + 500, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    learned = json.loads(tokenizer.to_str())["model"]["merges"]
    assert [tuple(pair) for pair in learned] == list(byte_bpe.bpe.merges)
    for text in [texts[-1], texts[0], "unseen words, 没见过的词语"]:
        assert tokenizer.encode(text).ids == byte_bpe.encode(text)


def test_half_a_character_decodes_to_the_replacement_character():
    bytes_only = ByteBPE(BPE(BYTE_TO_CHARACTER.values(), []))
    ids = bytes_only.encode("中a")
    assert len(ids) == 4
    assert bytes_only.decode(ids[:2]) == "\ufffd"
    assert bytes_only.decode(ids[2:]) == "\ufffda"


BAD = {
    "string": (lambda: byte_piece_counts("abc"), "texts must be several, got the string 'abc'"),
    "empty": (lambda: ByteBPE.train([], 3), "word_counts must hold a word, got none"),
    "alphabet": (lambda: ByteBPE(BPE("ab", [])), "must be the 256 byte symbols, got 2"),
    "id": (
        lambda: ByteBPE(BPE(BYTE_TO_CHARACTER.values(), [])).decode([256]),
        r"ids must be in \[0, 256\), got 256",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
