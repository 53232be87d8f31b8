"""WordPiece and BERT's normalization against `tokenizers`; the score against closed forms."""

import math
import unicodedata
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import BertWordPieceTokenizer
from tokenizers.models import WordPiece as RustWordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from d2lcompanion.text.bpe import merge_pair
from d2lcompanion.text.wordpiece import (
    WordPiece,
    join_pieces,
    likelihood_gain,
    log_likelihood,
    normalize,
    pair_score,
    words,
)

PIECES = [
    "[UNK]",
    "a",
    "b",
    "c",
    "un",
    "##a",
    "##b",
    "##c",
    "##ab",
    "##bc",
    "##aff",
    "##able",
    "##affable",
    "una",
    "unaff",
    "ab",
    "abc",
    "中",
    "文",
    ",",
    ".",
    "$",
    "##s",
    "token",
    "##ization",
    "##ize",
    "##r",
]
OURS = WordPiece(PIECES)
IDS = {piece: number for number, piece in enumerate(PIECES)}
RUST = RustWordPiece(IDS, unk_token="[UNK]", max_input_chars_per_word=100)
# Categories of these changed after Unicode 3.2, and the tables of `tokenizers` differ.
MOVED = {0x166D, 0x1734, 0x1885, 0x1886}
OLD = [
    char
    for char in map(chr, range(0x110000))
    if unicodedata.ucd_3_2_0.category(char) not in ("Cn", "Cs") and ord(char) not in MOVED
]


def rust_words(text):
    normalizer = BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=True, lowercase=True
    )
    cut = BertPreTokenizer().pre_tokenize_str(normalizer.normalize_str(text))
    return [word for word, _ in cut]


def test_words_of_every_character_are_bert_s():
    different = [
        f"U+{ord(c):04X}" for c in OLD if words(normalize(f"A{c}b")) != rust_words(f"A{c}b")
    ]
    assert different == []


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from(OLD), max_size=30))
@example("  Café  ΣΑΣ\tdon't\x00stop\u200b 12$ 中文，ﬁn İstanbul \u00a0\u3000x")
def test_words_are_bert_s(text):
    assert words(normalize(text)) == rust_words(text)


@settings(max_examples=300, deadline=None)
@given(st.text("abcunfle中", min_size=1, max_size=14))
def test_pieces_are_the_rust_model_s(word):
    assert OURS.segment(word) == [token.value for token in RUST.tokenize(word)]


def test_texts_as_bert_s_tokenizer_cuts_them(tmp_path):
    special = ["[PAD]", "[CLS]", "[SEP]", "[MASK]"]
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*PIECES, *special]), encoding="utf-8")
    theirs = BertWordPieceTokenizer(str(path), lowercase=True)
    for text in ("Unaffable ABC, tokenization!", "中文 abc.", "Tokenizers$ una", "x", "", "  "):
        ids = theirs.encode(text, add_special_tokens=False).ids
        assert OURS.encode(text) == ids


def test_by_hand_greed_can_fail_where_a_cut_exists():
    """unaff is the longest beginning of unaffable; able inside a word then fits."""
    assert OURS.segment("unaffable") == ["unaff", "##able"]
    assert OURS.segment("abcs") == ["abc", "##s"]
    stuck = WordPiece(["[UNK]", "ab", "abc", "##cd"])
    assert stuck.segment("abcd") == ["[UNK]"]  # ab ##cd is there, abc was longer


def test_the_longest_word():
    assert WordPiece(PIECES, longest_word=3).segment("abcc") == ["[UNK]"]
    assert WordPiece(PIECES, longest_word=4).segment("abcc") == ["abc", "##c"]
    assert OURS.segment("a" * 101) == ["[UNK]"] != OURS.segment("a" * 100)
    assert OURS.segment("") == []


@given(st.text("abcABÁ ,中\t", max_size=20))
def test_decoding_gives_the_words_of_the_normalized_text(text):
    ids = OURS.encode(text)
    if IDS["[UNK]"] not in ids:
        assert OURS.decode(ids) == " ".join(words(normalize(text)))


def test_unknown_words_do_not_come_back():
    assert OURS.decode(OURS.encode("abc xyz")) == "abc [UNK]"


def test_pieces_are_joined_where_one_continues_another():
    pieces = ["he", "died", "in", "lo", "##nd", "##on", ".", "#", "##"]
    assert join_pieces(iter(pieces)) == "he died in london . #"
    assert join_pieces([]) == ""


# ------------------------------------------------------------------------------------------- scores


@given(st.lists(st.text("ab", min_size=2, max_size=6), min_size=1, max_size=5))
def test_the_gain_is_the_difference_of_two_likelihoods(texts):
    """Against counting tokens before and after the merge of c and d, which never overlap."""
    before = [list(text.replace("ab", "cd")) for text in texts]
    after = [merge_pair(symbols, ("c", "d")) for symbols in before]
    counts = [Counter(t for symbols in corpus for t in symbols) for corpus in (before, after)]
    pair = counts[1]["cd"]
    if pair:
        expected = log_likelihood(counts[1]) - log_likelihood(counts[0])
        gain = likelihood_gain(pair, counts[0]["c"], counts[0]["d"], counts[0].total())
        assert gain == pytest.approx(expected, abs=1e-9)


def test_the_score_is_the_gain_per_occurrence_to_first_order():
    pair, left, right, total = 3, 4_000, 7_000, 1_000_000
    first_order = math.log(pair_score(pair, left, right) * total) - 1
    exact = likelihood_gain(pair, left, right, total) / pair
    assert exact == pytest.approx(first_order, abs=0.01)


def test_by_hand_the_score_prefers_rare_letters():
    assert pair_score(5, 5, 5) == 0.2  # q u: always together
    assert pair_score(50, 100, 100) == 0.005  # e r: ten times as often


BAD = {
    "unk": (lambda: WordPiece(["a"]), r"pieces must hold \[UNK\], got 1 without"),
    "twice": (lambda: WordPiece(["[UNK]", "a", "a"]), "pieces must differ, got 'a' twice"),
    "longest": (lambda: WordPiece(PIECES, longest_word=0), "longest_word must be .* got 0"),
    "id": (lambda: OURS.decode([99]), r"ids must be in \[0, 27\), got 99"),
    "pair": (lambda: pair_score(0, 1, 1), "pair must be a whole number ≥ 1, got 0"),
    "left": (lambda: pair_score(3, 2, 5), "left must be a whole number ≥ 3, got 2"),
    "total": (lambda: likelihood_gain(1, 2, 2, 3), "total must be a whole number ≥ 4, got 3"),
    "counts": (lambda: log_likelihood({"a": 0}), "the count of 'a' must be .* got 0"),
    "none": (lambda: log_likelihood({}), "counts must hold a token, got none"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
