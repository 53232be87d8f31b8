"""WordPiece with the published vocabulary of BERT, and with one of our own, against the published tokenizer."""

import unicodedata
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import BertTokenizer

from d2lcompanion.data.docstrings import docstrings
from d2lcompanion.data.everyday import load_everyday
from d2lcompanion.data.minilm import FOLDER, load_minilm, minilm_file
from d2lcompanion.experiments.bert_text import articles
from d2lcompanion.text.wordpiece import WordPiece
from d2lcompanion.text.wordpiece_training import SPECIAL, count_words, train_wordpiece

# Assigned and unchanged since Unicode 3.2: the tables of `tokenizers` are older than Python's.
MOVED = {0x166D, 0x1734, 0x1885, 0x1886}
OLD = [
    char
    for char in map(chr, range(0x110000))
    if unicodedata.ucd_3_2_0.category(char) not in ("Cn", "Cs") and ord(char) not in MOVED
]


@pytest.fixture(scope="module")
def ours():
    return WordPiece(load_minilm().pieces)


@pytest.fixture(scope="module")
def published():
    """The file that MiniLM's authors published beside the weights; no [CLS] and [SEP]."""
    path = minilm_file("vocab.txt").with_name("tokenizer.json")
    assert FOLDER in path.as_posix()
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def same(ours, published, texts):
    """The texts on which the two differ."""
    theirs = published.encode_batch(texts, add_special_tokens=False)
    return [t for t, their in zip(texts, theirs, strict=True) if ours.encode(t) != their.ids]


def test_more_than_ten_thousand_sentences_of_wikipedia(ours, published):
    sentences = [sentence for article in articles()[0] for sentence in article]
    assert len(sentences) > 10_000
    assert same(ours, published, sentences) == []


def test_docstrings_with_code_and_signs(ours, published):
    texts = []
    for module in (
        "torch.nn.functional",
        "torch.nn.modules.activation",
        "scipy.signal._filter_design",
    ):
        source = Path(find_spec(module).origin)
        texts += docstrings(source.read_text(encoding="utf-8"))
    assert len(texts) > 100
    assert same(ours, published, texts) == []


def test_chinese_sentences_and_their_share_of_unknown(ours, published):
    """The vocabulary is English: of the signs that Chinese needs only a part is in it."""
    pairs = load_everyday().sentences
    assert same(ours, published, [pair.zh for pair in pairs]) == []
    share = {}
    for language in ("zh", "en"):
        pieces = Counter(p for pair in pairs for p in ours.tokenize(getattr(pair, language)))
        share[language] = pieces["[UNK]"] / pieces.total()
    assert share["en"] == 0
    assert 0.55 < share["zh"] < 0.7  # 0.62: more than half of all pieces


@settings(max_examples=400, deadline=None)
@given(st.text(st.sampled_from(OLD), max_size=40))
@example("ＡＢＣ１２３　ｱｲｳ")
@example("e\u0301 \u1e9b\u0323 ﬁ Ǆ ß İ ŉ ΑΣ")
@example("\ufeff\u200b\u200d\u00ad\u2028\u2029\u0085\x1c\x7f")
@example("中文english混排，한국어 と かな")
@example("don't—stop…“quoted” ‘it’ £5 50% a_b C++ #tag @x http://a.b/c?d=e&f")
@example("\U0001f600\U0001f468\u200d\U0001f469 x\u20dd")
@example("a" * 100 + " " + "a" * 101)
def test_adversarial_unicode(ours, published, text):
    assume(not any(piece in text for piece in SPECIAL))  # see the next test
    assert same(ours, published, [text]) == []


def test_special_pieces_in_a_text_are_plain_text_here(ours, published):
    """A text cannot smuggle a [MASK] in: the published tokenizer takes it for the token."""
    assert 103 in published.encode("a [MASK] b", add_special_tokens=False).ids
    assert ours.tokenize("a [MASK] b") == ["a", "[", "mask", "]", "b"]


# ------------------------------------------------------------------------- a vocabulary of our own


@pytest.mark.parametrize(("language", "size"), [("zh", 1500), ("en", 800)])
def test_our_vocabulary_in_the_published_tokenizer(tmp_path, language, size):
    """Half of the sentences make the vocabulary, all are cut by it."""
    texts = [getattr(pair, language) for pair in load_everyday().sentences]
    pieces = train_wordpiece(count_words(texts[::2]), size)
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(pieces), encoding="utf-8")
    theirs = BertTokenizer(str(path), do_lower_case=True)
    mine = WordPiece(pieces)
    for text in texts:
        assert mine.encode(text) == theirs(text, add_special_tokens=False)["input_ids"]
    if language == "zh":
        unknown = [mine.tokenize(text).count("[UNK]") for text in texts]
        assert sum(unknown[::2]) == 0 < sum(unknown[1::2])  # signs that only the other half has


def test_training_is_bpe_with_marks():
    """By hand: ab occurs 5 times, then ##cd 4 times (c inside a word is not c at its start)."""
    pieces = train_wordpiece({"ab": 5, "xcd": 4, "cd": 1}, len(SPECIAL) + 8)
    assert pieces[: len(SPECIAL)] == SPECIAL
    assert pieces[len(SPECIAL) :] == ("##b", "##c", "##d", "a", "c", "x", "ab", "##cd")


def test_the_library_s_trainer_cuts_real_text_about_as_short():
    """The same rule; ties are broken otherwise, so the vocabularies differ in a few pieces."""
    from tokenizers import BertWordPieceTokenizer

    sentences = [sentence for article in articles()[0][:20] for sentence in article]
    pieces = train_wordpiece(count_words(sentences), 2000)
    theirs = BertWordPieceTokenizer(lowercase=True)
    theirs.train_from_iterator(sentences, 2000, show_progress=False, wordpieces_prefix="##")
    assert len(set(pieces) & set(theirs.get_vocab())) > 0.97 * 2000
    mine = WordPiece(pieces)
    length = sum(len(mine.tokenize(s)) for s in sentences)
    other = sum(len(theirs.encode(s, add_special_tokens=False).ids) for s in sentences)
    assert length == pytest.approx(other, rel=0.005)


BAD = {
    "none": (lambda: train_wordpiece({}, 10), "word_counts must hold a word, got none"),
    "size": (lambda: train_wordpiece({"ab": 1}, 6), "size must hold 5 special pieces and 2 ≥ 1 symbols .* got 6"),
    "signs": (lambda: train_wordpiece({"ab": 1}, 10, min_sign=2), "size must hold 5 special pieces and 0 ≥ 1"),
    "word": (lambda: train_wordpiece({"ab": 1, "a": 1, "b": 1}, 10, min_sign=0), "min_sign must be a whole number ≥ 1, got 0"),
    "count": (lambda: train_wordpiece({"ab": 0}, 10), "the count of 'ab' must be .* got 0"),
    "left": (lambda: train_wordpiece({"abc": 1, "ade": 1}, 10, min_sign=2), "min_sign must leave a word, got 2"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
