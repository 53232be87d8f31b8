"""The numbers of the section *By hand* of the chapter on subword embedding."""

import math

import pytest

from d2lcompanion.text.bpe import merge_pair, train_bpe
from d2lcompanion.text.fasttext import character_ngrams
from d2lcompanion.text.unigram import best_cut
from d2lcompanion.text.wordpiece import pair_score

TOY = {"fast_": 4, "faster_": 3, "tall_": 5, "taller_": 4}


def test_three_merges_and_the_words_after_them():
    learned = train_bpe(TOY, 3, ties="first")
    assert learned.merges == (("t", "a"), ("ta", "l"), ("tal", "l"))
    split = {word: " ".join(learned.segment(word)) for word in TOY}
    assert list(split.values()) == ["f a s t _", "f a s t e r _", "tall _", "tall e r _"]
    assert sum(len(word) * count for word, count in TOY.items()) == 94
    assert sum(len(learned.segment(word)) * count for word, count in TOY.items()) == 67
    assert merge_pair(list("tall_"), ("t", "a")) == ["ta", "l", "l", "_"]


def test_ngrams_of_where():
    assert character_ngrams("where", 3, 3) == ["<wh", "whe", "her", "ere", "re>"]


def test_the_ratio_prefers_q_u():
    assert pair_score(5, 5, 5) == pytest.approx(0.2)
    assert pair_score(8, 20, 20) == pytest.approx(0.02)


def test_the_best_cut_of_abc():
    p = {"a": 1 / 8, "b": 1 / 8, "c": 1 / 8, "ab": 1 / 8, "bc": 1 / 4}
    found = best_cut("abc", {token: math.log(value) for token, value in p.items()})
    assert found.tokens == ["a", "bc"]
    assert found.log_probability == pytest.approx(math.log(1 / 32))
    assert best_cut("ab", {token: math.log(v) for token, v in p.items()}).tokens == ["ab"]
