"""BPE against a loop that recounts, the Rust trainer of `tokenizers`, and published merges."""

import itertools
import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from d2lcompanion.text.bpe import BPE, merge_pair, train_bpe

TOY = {"fast_": 4, "faster_": 3, "tall_": 5, "taller_": 4}
PUBLISHED = "t a,ta l,tal l,f a,fa s,fas t,e r,er _,tall _,fast _"  # d2l, §15.6.2
WORDS = st.dictionaries(st.text("abc", min_size=1, max_size=9), st.integers(1, 5), min_size=1)


def recount(word_counts, merges, *, ties="id", min_count=1):
    """The algorithm as it is told: count all pairs of all words, merge the best, again."""
    words = {word: list(word) for word in word_counts}
    ids = {token: n for n, token in enumerate(sorted(set("".join(word_counts))))}
    learned = []
    for _ in range(merges):
        counts = Counter()
        for word, symbols in words.items():
            for pair in itertools.pairwise(symbols):
                counts[pair] += word_counts[word]
        if not counts or max(counts.values()) < min_count:
            break
        best = [pair for pair in counts if counts[pair] == max(counts.values())]
        pair = best[0] if ties == "first" else min(best, key=lambda p: (ids[p[0]], ids[p[1]]))
        ids.setdefault("".join(pair), len(ids))
        words = {word: merge_pair(symbols, pair) for word, symbols in words.items()}
        learned.append(pair)
    return learned, words


def rust(texts, merges, alphabet):
    """What `tokenizers` learns from texts that it splits at white space."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(vocab_size=len(alphabet) + merges, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer, [tuple(p) for p in json.loads(tokenizer.to_str())["model"]["merges"]]


def test_the_published_merges():
    learned = train_bpe(TOY, 10, ties="first")
    assert ",".join(map(" ".join, learned.merges)) == PUBLISHED
    assert learned.segment("tallest_") == ["tall", "e", "s", "t", "_"]
    assert learned.segment("fatter_") == ["fa", "t", "t", "er_"]


def test_ties_by_id():
    """a l, l l and t a occur 9 times each: a comes before l and t."""
    assert train_bpe(TOY, 1).merges == (("a", "l"),)


@settings(max_examples=300, deadline=None)
@given(WORDS, st.integers(0, 25), st.sampled_from(["id", "first"]), st.integers(1, 4))
def test_against_recounting_everything(word_counts, merges, ties, min_count):
    found = train_bpe(word_counts, merges, ties=ties, min_count=min_count)
    learned, words = recount(word_counts, merges, ties=ties, min_count=min_count)
    assert list(found.merges) == learned
    assert found.alphabet == tuple(sorted(set("".join(word_counts))))
    assert len(found.tokens) == len(set(found.tokens)) <= len(found.alphabet) + len(learned)
    if len(set(map("".join, learned))) == len(learned):  # each token made in one way
        assert {word: found.segment(word) for word in word_counts} == words


@pytest.mark.parametrize("merges", [1, 100, 4000])
def test_merges_equal_the_rust_trainer_s_on_real_text(merges, wikipedia_lines):
    counts = Counter(word for line in wikipedia_lines for word in line.split())
    ours = train_bpe(counts, merges)
    tokenizer, theirs = rust(wikipedia_lines, merges, ours.alphabet)
    assert list(ours.merges) == theirs
    words = list(counts)[::7]
    for word in [*words, "tokenization", "xyzzy", "aaaaaaa"]:
        assert ours.segment(word) == tokenizer.encode(word).tokens
    vocabulary = tokenizer.get_vocab()
    assert sorted(vocabulary, key=vocabulary.get) == list(ours.tokens)


def test_merges_equal_the_rust_trainer_s_where_tokens_overlap():
    words = {"aaaa": 7, "aaaaaaa": 5, "abab": 5, "ababab": 4, "baab": 3, "bbbba": 2}
    texts = [" ".join([word] * count) for word, count in words.items()]
    ours = train_bpe(words, 12)
    assert list(ours.merges) == rust(texts, 12, ours.alphabet)[1]


def test_a_shorter_training_is_the_beginning_of_a_longer_one(wikipedia_lines):
    counts = Counter(word for line in wikipedia_lines[:200] for word in line.split())
    assert train_bpe(counts, 300).first(100).merges == train_bpe(counts, 100).merges


@given(st.text("abcd", max_size=12))
def test_segments_join_to_the_word(word):
    bpe = BPE("abcd", [("a", "b"), ("b", "c"), ("ab", "c"), ("c", "d"), ("ab", "ab")])
    assert "".join(bpe.segment(word)) == word
    assert set(bpe.segment(word)) <= set(bpe.tokens)


def test_characters_outside_the_alphabet_stay_single():
    assert BPE("ab", [("a", "b")]).segment("ab é ab") == ["ab", " ", "é", " ", "ab"]


def test_e15_string_replacement_merges_across_symbol_boundaries():
    """E15: d2l joins symbols to a string, and replaces "a b" by "ab" in it."""
    symbols, pair = ["ca", "b"], ("a", "b")
    theirs = " ".join(symbols).replace(" ".join(pair), "".join(pair)).split()
    assert theirs == ["cab"]  # ca and b were never asked to merge
    assert merge_pair(symbols, pair) == ["ca", "b"]


def test_e15_string_replacement_learns_other_merges():
    """E15: with the fault one merge of (a, b) also eats what (ca, b) should be counted for."""
    words = {"ca": 9, "cab": 2, "ab": 6, "dab": 1}
    learned, _ = recount(words, 3)

    corpus, faulty = {" ".join(w): n for w, n in words.items()}, []
    for _ in range(3):
        counts = Counter()
        for word, count in corpus.items():
            symbols = word.split()
            for pair in itertools.pairwise(symbols):
                counts[pair] += count
        best = max(counts, key=counts.get)
        corpus = {w.replace(" ".join(best), "".join(best)): n for w, n in corpus.items()}
        faulty.append(best)
    assert list(train_bpe(words, 3).merges) == learned == [("c", "a"), ("a", "b"), ("ca", "b")]
    assert faulty == [("c", "a"), ("a", "b"), ("d", "ab")]  # ca b is gone already


def test_e15_greedy_longest_match_is_not_merge_order():
    """E15: d2l segments by the longest token from the left; training never did so."""
    words = {"low": 5, "owe": 9, "lowe": 1}
    bpe = train_bpe(words, 3)
    assert bpe.merges == (("o", "w"), ("ow", "e"), ("l", "ow"))

    def longest(word, tokens):
        start, found = 0, []
        while start < len(word):
            end = max(e for e in range(start + 1, len(word) + 1) if word[start:e] in tokens)
            found.append(word[start:end])
            start = end
        return found

    assert bpe.segment("lowe") == ["l", "owe"] == recount(words, 3)[1]["lowe"]
    assert longest("lowe", bpe.tokens) == ["low", "e"]


BAD = {
    "none": (lambda: train_bpe({}, 3), "word_counts must hold a word, got none"),
    "empty": (lambda: train_bpe({"": 2}, 3), "a word must have a symbol, got ''"),
    "zero": (lambda: train_bpe({"ab": 0}, 3), "the count of 'ab' must be .* ≥ 1, got 0"),
    "merges": (lambda: train_bpe({"ab": 1}, -1), "merges must be a whole number ≥ 0, got -1"),
    "min_count": (lambda: train_bpe({"ab": 1}, 1, min_count=0), "min_count must be .* got 0"),
    "ties": (lambda: train_bpe({"ab": 1}, 1, ties="last"), r"of \['id', 'first'\], got 'last'"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_word_of_one_symbol_has_nothing_to_merge():
    assert train_bpe({"a": 5}, 3).merges == ()
    assert train_bpe({"a": 5}, 3).segment("") == []
