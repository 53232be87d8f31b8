"""Pairs of words and analogies: the published numbers of questions, and what a broken file gives."""

import pytest
from gensim.models import KeyedVectors
from scipy.stats import spearmanr

from d2lcompanion.data.gensim_files import gensim_file
from d2lcompanion.data.word_similarity import (
    load_analogies,
    load_simlex999,
    load_wordsim353,
    read_rated_pairs,
)


def test_the_published_numbers_of_pairs():
    assert len(load_wordsim353().pairs) == 353
    assert len(load_simlex999().pairs) == 999


def test_analogies_as_published():
    asked = load_analogies()
    grammar = sum(name.startswith("gram") for name in asked.category)
    assert (len(asked.questions) - grammar, grammar) == (
        8869,
        10675,
    )  # Mikolov et al. (2013), Table 1
    assert len(set(asked.category)) == 14
    assert asked.questions[0] == ("Athens", "Greece", "Baghdad", "Iraq")


@pytest.mark.parametrize(
    ("load", "name"), [(load_wordsim353, "wordsim353.tsv"), (load_simlex999, "simlex999.txt")]
)
def test_gensim_reads_the_same_pairs(load, name):
    """ρ of any vectors is what gensim's own evaluation of its file gives."""
    rated = load()
    words = sorted({word for pair in rated.pairs for word in pair})
    vectors = KeyedVectors(2)
    vectors.add_vectors(words, [[1.0, float(i)] for i in range(len(words))])
    _, spearman, unknown = vectors.evaluate_word_pairs(
        str(gensim_file(name)), case_insensitive=False
    )
    assert unknown == 0
    ours = [vectors.similarity(a, b) for a, b in rated.pairs]
    assert spearmanr(ours, rated.ratings).statistic == pytest.approx(spearman.statistic, abs=1e-12)


def test_lower_case():
    assert ("Jerusalem", "Israel") in load_wordsim353().pairs
    assert ("jerusalem", "israel") in load_wordsim353().lower().pairs
    assert load_analogies().lower().questions[0] == ("athens", "greece", "baghdad", "iraq")
    assert load_wordsim353().lower().ratings == load_wordsim353().ratings


def test_two_pairs_stand_twice():
    pairs = [tuple(sorted(pair)) for pair in load_wordsim353().pairs]
    assert {pair for pair in pairs if pairs.count(pair) > 1} == {
        ("bank", "money"),
        ("cash", "money"),
    }
    rating = dict(zip(load_wordsim353().pairs, load_wordsim353().ratings, strict=True))
    assert rating["tiger", "tiger"] == 10


def test_broken_lines_are_named(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("# a comment\n\ncup\tcoffee\t6.58\n", encoding="utf-8")
    assert read_rated_pairs(path, "").pairs == (("cup", "coffee"),)
    path.write_text("cup\tcoffee\n", encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"pairs.tsv, line 1: must have 3 fields, got 'cup\\tcoffee'"
    ):
        read_rated_pairs(path, "")
    path.write_text("a\tb\t1\ncup\tcoffee\tmuch\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 2: a rating must be a number, got 'much'"):
        read_rated_pairs(path, "")
