"""Documents as counts of terms: what is in a text, and not in which order.

A term is a word, or n words in a row. A document is a row of a sparse matrix.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import scipy.sparse as sparse

from d2lcompanion.text.checks import require_at_least

Document = Sequence[str]


def terms_of(document: Document, shortest: int = 1, longest: int = 1) -> Iterator[str]:
    """The n-grams of a document for n from `shortest` to `longest`, n by n.

    The words of an n-gram are joined by a blank: "new york" is a term of two words.

    Raises:
        ValueError: if the document is a string, shortest < 1, or longest < shortest.
    """
    if isinstance(document, str):
        raise ValueError(
            f"a document must be a sequence of words, got the string {document[:40]!r}"
        )
    require_at_least("shortest", shortest, 1)
    require_at_least("longest", longest, shortest)
    for n in range(shortest, longest + 1):
        for begin in range(len(document) - n + 1):
            yield " ".join(document[begin : begin + n])


def frequent_terms(
    documents: Sequence[Document],
    *,
    shortest: int = 1,
    longest: int = 1,
    min_documents: int = 1,
    max_share: float = 1.0,
) -> tuple[str, ...]:
    """The terms that are in enough documents and not in too many, in the order of code points.

    Args:
        documents: n of them, read to the end: use the training part alone.
        shortest, longest: of the n-grams.
        min_documents: a term in fewer documents is left out, ≥ 1.
        max_share: a term in more than this share of the documents is left out, in
            (0, 1].
    Raises:
        ValueError: if a number is out of range, or no term is left.
    Source:
        scikit-learn's CountVectorizer: `ngram_range`, `min_df`, `max_df`.
    """
    require_at_least("min_documents", min_documents, 1)
    if not 0 < max_share <= 1:
        raise ValueError(f"max_share must be in (0, 1], got {max_share}")
    holding: Counter[str] = Counter()
    for document in documents:
        holding.update(set(terms_of(document, shortest, longest)))
    most = max_share * len(documents)
    kept = [term for term, count in holding.items() if min_documents <= count <= most]
    if not kept:
        raise ValueError(
            f"a term must be in {min_documents} to {most:g} of {len(documents)} documents; "
            f"none of {len(holding)} is"
        )
    return tuple(sorted(kept))


def count_matrix(
    documents: Sequence[Document],
    terms: Sequence[str],
    *,
    shortest: int = 1,
    longest: int = 1,
) -> sparse.csr_array:
    """How often each term is in each document; terms that are not listed are passed over.

    Args:
        documents: n of them.
        terms: v, all different: the columns.
        shortest, longest: of the n-grams.
    Returns:
        [n, v], int64, columns sorted.
    Raises:
        ValueError: if a term stands twice, or a document is a string.
    """
    column = {term: place for place, term in enumerate(terms)}
    if len(column) < len(terms):
        twice = next(term for term, count in Counter(terms).items() if count > 1)
        raise ValueError(f"terms must differ, got {twice!r} twice")
    columns: list[int] = []
    counts: list[int] = []
    ends = [0]
    for document in documents:
        found = Counter(
            column[term]
            for term in terms_of(document, shortest, longest)
            if term in column
        )
        for place in sorted(found):
            columns.append(place)
            counts.append(found[place])
        ends.append(len(columns))
    parts = (np.array(counts, np.int64), np.array(columns, np.int64), np.array(ends))
    return sparse.csr_array(parts, shape=(len(documents), len(terms)))


def one_hot(counts: sparse.csr_array) -> sparse.csr_array:
    """Which terms are in each document: 1 where the count is not 0."""
    present = counts.copy()
    present.data = (present.data != 0).astype(counts.dtype)
    return present


def character_terms(
    text: str, shortest: int = 1, longest: int = 1, *, in_words: bool = False
) -> tuple[str, ...]:
    """The runs of characters of a text: a document whose terms need no words.

    White space of two characters and more counts as one blank. Characters are code
    points.

    Args:
        text: as it is written; Chinese needs no segmenter.
        shortest, longest: of the n-grams, n by n.
        in_words: n-grams do not leave a word, which has a blank at either end; a word
            that is too short is one term itself. Word by word then.
    Raises:
        ValueError: if shortest < 1, or longest < shortest.
    Source:
        scikit-learn's CountVectorizer: analyzer "char", and "char_wb" if `in_words`.
    """
    require_at_least("shortest", shortest, 1)
    require_at_least("longest", longest, shortest)
    if not in_words:
        text = re.sub(r"\s\s+", " ", text)
        return tuple(_slices(text, shortest, longest))
    found: list[str] = []
    for word in text.split():
        marked = f" {word} "
        for n in range(shortest, longest + 1):
            if n >= len(marked):  # the whole word, once
                found.append(marked)
                break
            found += _slices(marked, n, n)
    return tuple(found)


def _slices(text: str, shortest: int, longest: int) -> Iterator[str]:
    for n in range(shortest, longest + 1):
        for begin in range(len(text) - n + 1):
            yield text[begin : begin + n]
