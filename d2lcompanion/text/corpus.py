"""The published corpora as streams of sentences: nothing is held but a piece of the file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from d2lcompanion.text.checks import require_at_least
from d2lcompanion.text.text_files import read_lines, read_pieces


def read_ptb(path: Path | str, **options: Any) -> Iterator[list[str]]:
    """Penn Treebank as Mikolov prepared it: a sentence a line, words between blanks.

    Its training part has 42,068 sentences. Splitting the text at line ends and keeping
    what follows the last one, as d2l does, counts one more, which is empty.

    Args:
        path: `ptb.train.txt`, or `ptb.zip` with member="ptb/ptb.train.txt".
        options: as in `read_lines`.
    """
    for line in read_lines(path, **options):
        if words := line.split():
            yield words


def read_text8(
    path: Path | str, *, words: int = 1000, **options: Any
) -> Iterator[list[str]]:
    """A text without lines, such as text8 with its 100 MB, in runs of so many words.

    A word is never cut, wherever pieces of the file end; a run is not a sentence, and a
    window that ends with it loses a few pairs. word2vec's C program cuts runs of 1,000
    words, gensim of 10,000.

    Args:
        path: `text8`, or `text8.zip`; any text whose words stand between blanks.
        words: in a run, ≥ 1; the last one may be shorter.
        options: as in `read_pieces`.
    Raises:
        as there.
    """
    require_at_least("words", words, 1)
    rest, run = "", []
    for piece in read_pieces(path, **options):
        text = rest + piece
        found = text.split()
        # the last word may go on in the next piece, unless a blank ends it
        rest = found.pop() if found and not text[-1].isspace() else ""
        run += found
        while len(run) >= words:
            yield run[:words]
            run = run[words:]
    if rest:
        run.append(rest)
    while run:
        yield run[:words]
        run = run[words:]


def read_wikitext(
    path: Path | str, *, headings: bool = False, **options: Any
) -> Iterator[list[str]]:
    """WikiText-2 or -103: a paragraph a line, words between blanks, case as it is.

    Empty lines are left out. So is a first line of one word, such as `text`: the name
    of a column, in copies that were tables once.

    Args:
        path: `wiki.train.tokens`, or an archive with its member.
        headings: keep lines such as `= = Early life = =`.
        options: as in `read_lines`.
    """
    for number, line in enumerate(read_lines(path, **options)):
        words = line.split()
        if not words or (number == 0 and len(words) == 1):
            continue
        if headings or not _is_heading(words):
            yield words


def split_sentences(paragraphs: Iterable[list[str]]) -> Iterator[list[str]]:
    """d2l's sentences of WikiText: lower case, cut after each full stop but the last.

    A paragraph without a full stop is left out. The full stop itself belongs to no
    sentence, except the last of a paragraph. This is how the vocabulary of WikiText-2
    has 20,256 words (5 occurrences or more, 5 reserved tokens included).

    Args:
        paragraphs: as from `read_wikitext`; d2l takes headings, too, and the few that
            have a full stop count.
    Source:
        Zhang et al., *Dive into Deep Learning* (d2l), §15.9, `_read_wiki`.
    """
    for words in paragraphs:
        if "." not in words:
            continue
        sentence: list[str] = []
        for position, word in enumerate(words):
            if word == "." and sentence and position < len(words) - 1:
                yield sentence
                sentence = []
            else:
                sentence.append(word.lower())
        yield sentence


def _is_heading(words: list[str]) -> bool:
    """`= Title =`, `= = Section = =` …"""
    return len(words) > 2 and words[0] == words[-1] == "="
