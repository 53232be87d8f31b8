"""The Wikipedia extract: prose only, the same bytes for everybody."""

import bz2
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter

import pytest
import torch

from d2lcompanion.data import gensim_files
from d2lcompanion.data.gensim_files import gensim_file
from d2lcompanion.data.wikipedia import DUMP, load_wikipedia, prose, words_of

PROSE = "Blue light is scattered more than red light by the small molecules of the air, and so is the sky blue."


def test_the_corpus_has_the_size_that_others_counted():
    # A count by another reader of the same file: 106 articles that are no redirect, 4,737 paragraphs, 397,000 words.
    wiki = load_wikipedia()
    assert len(wiki.titles) == pytest.approx(106, abs=7)
    assert len(wiki.paragraphs) == pytest.approx(4737, rel=0.01)
    assert sum(map(len, wiki.paragraphs)) == pytest.approx(397_000, rel=0.01)


def test_titles_are_those_of_the_dump_in_its_order():
    with bz2.open(gensim_file(DUMP)) as file:
        tree = ElementTree.parse(file)
    pages = [node for node in tree.iter() if node.tag.endswith("}page")]
    titles = ["".join(t.text for t in page.iter() if t.tag.endswith("}title")) for page in pages]
    found = load_wikipedia().titles
    places = [titles.index(title) for title in found]
    assert places == sorted(places)
    assert len(set(found)) == len(found)


def test_parts_belong_together():
    wiki = load_wikipedia()
    assert len(wiki.texts) == len(wiki.paragraphs) == len(wiki.article)
    assert wiki.article.dtype == torch.int64
    steps = wiki.article.diff()
    assert int(steps.min()) == 0
    assert int(steps.max()) == 1  # articles stand one after the other
    assert int(wiki.article[-1]) == len(wiki.titles) - 1
    assert all(len(words) >= 20 for words in wiki.paragraphs)
    assert all(
        word == word.lower() and word.isalpha() for words in wiki.paragraphs for word in words
    )


def test_no_markup_is_left_in_nearly_all_paragraphs():
    texts = load_wikipedia().texts
    marked = [text for text in texts if re.search(r"\[\[|\]\]|\{\{|\}\}|<ref|''", text)]
    assert len(marked) < len(texts) / 200


def test_it_is_english():
    counts = Counter(word for words in load_wikipedia().paragraphs for word in words)
    assert [word for word, _ in counts.most_common(4)] == ["the", "of", "and", "in"]


def test_what_is_no_prose_is_left_out():
    article = (
        f"== Head ==\n* {PROSE}\n\n{PROSE}\n: {PROSE}\n| {PROSE}\nA short line.\n'''Sky''' {PROSE}"
    )
    assert prose(article) == [PROSE, f"Sky {PROSE}"]


def test_words_are_runs_of_letters():
    assert words_of("E. coli, naïve 3D Čapek_2 don't 北京") == (
        "e", "coli", "naïve", "d", "čapek", "don", "t", "北京"
    )  # fmt: skip


def test_it_is_read_once_and_says_what_it_is():
    assert load_wikipedia() is load_wikipedia()
    assert f"{len(load_wikipedia().paragraphs):,} paragraphs" in load_wikipedia().source


def test_other_bytes_are_refused(monkeypatch):
    monkeypatch.setitem(gensim_files.FILES, "simlex999.txt", "0" * 64)
    with pytest.raises(ValueError, match=r"simlex999.txt must have the SHA-256 0{64}.*got d5e05"):
        gensim_file("simlex999.txt")


def test_unknown_and_missing_files(monkeypatch):
    with pytest.raises(ValueError, match=r"unknown file 'x.txt'; known: enwiki"):
        gensim_file("x.txt")
    monkeypatch.setitem(gensim_files.FILES, "none.txt", "0" * 64)
    with pytest.raises(FileNotFoundError, match=r"gensim 4\S+ does not carry .*none.txt"):
        gensim_file("none.txt")
