"""A hundred articles of the English Wikipedia, carried inside gensim: no network needed."""

import bz2
import functools
import re
from dataclasses import dataclass

import torch
from torch import Tensor

from d2lcompanion.data.gensim_files import gensim_file
from d2lcompanion.extras import require

DUMP = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
WORD = re.compile(r"[^\W\d_²³¹¼½¾]+")  # letters of any alphabet
NO_PROSE = tuple("=*#:;|{!")  # headings, lists, tables and what is left of templates
SHORTEST = 20  # words: shorter lines are captions and remains of markup


@dataclass(frozen=True, eq=False)
class Wikipedia:
    """Paragraphs of prose, in the order of the articles.

    Attributes:
        titles: of the articles that have a paragraph.
        texts: the n paragraphs as they are written, without markup.
        paragraphs: the same as words: runs of letters, in lower case.
        article: [n], int64, the article of each, an index into `titles`.
        source: a sentence: what was read.
    """

    titles: tuple[str, ...]
    texts: tuple[str, ...]
    paragraphs: tuple[tuple[str, ...], ...]
    article: Tensor
    source: str


@functools.cache
def load_wikipedia() -> Wikipedia:
    """The prose of the articles in gensim's piece of a Wikipedia dump, in about 2 s.

    A paragraph is a line of at least 20 words that begins no heading, list or table.
    gensim's `filter_wiki` removes links, templates, notes and HTML. Numbers are no
    words, and "don't" is two.

    Returns:
        The same object at every call: read it, do not change it.
    Raises:
        ImportError: if gensim is not installed.
        ValueError: if its file is another one than in gensim 4.4.0.
    Source:
        Wikipedia, CC-BY-SA; the authors are in the history of each article.
    """
    reader = require("gensim.corpora.wikicorpus", "text")
    titles: list[str] = []
    texts: list[str] = []
    article: list[int] = []
    with bz2.open(gensim_file(DUMP)) as dump:
        for title, marked_up, _ in reader.extract_pages(dump, ("0",)):
            found = prose(reader.filter_wiki(marked_up))
            if found:
                article += [len(titles)] * len(found)
                titles.append(title)
                texts += found
    paragraphs = tuple(words_of(text) for text in texts)
    return Wikipedia(
        titles=tuple(titles),
        texts=tuple(texts),
        paragraphs=paragraphs,
        article=torch.tensor(article),
        source=f"{len(titles)} articles of the English Wikipedia in gensim's test data: "
        f"{len(texts):,} paragraphs, {sum(map(len, paragraphs)):,} words.",
    )


def prose(article: str) -> list[str]:
    """The paragraphs of an article without markup: lines of 20 words and more."""
    lines = (re.sub("''+", "", line).strip() for line in article.splitlines())
    return [
        line
        for line in lines
        if not line.startswith(NO_PROSE) and len(WORD.findall(line)) >= SHORTEST
    ]


def words_of(text: str) -> tuple[str, ...]:
    """The runs of letters of a text, in lower case: 'E. coli' is ('e', 'coli')."""
    return tuple(WORD.findall(text.lower()))
