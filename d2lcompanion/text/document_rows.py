"""Documents as rows of a table: a row for each known word, and hashed rows for word n-grams."""

from collections.abc import Sequence

import torch

from d2lcompanion.text.checks import (
    require_at_least,
)
from d2lcompanion.text.fasttext import Rows, fnv1a
from d2lcompanion.text.vocab import Vocab

NGRAM_FACTOR = 116049371


def hashed_ngrams(words: Sequence[str], longest: int, buckets: int) -> list[int]:
    """The bucket of each run of 2, …, `longest` words, in [0, buckets), by first word.

    h ← h · 116049371 + hash(next word) mod 2⁶⁴, beginning with the hash of the first; a
    word's hash is FNV-1a of its bytes, read as a signed number of 32 bits: fastText's.

    Raises:
        ValueError: if longest or buckets is below 1, or at a lone surrogate.
    Source:
        fastText, `Dictionary::addWordNgrams`.
    """
    require_at_least("longest", longest, 1)
    require_at_least("buckets", buckets, 1)
    unsigned = [fnv1a(word.encode("utf-8")) for word in words]
    hashes = [h - 2**32 if h >= 2**31 else h for h in unsigned]
    found = []
    for start, h in enumerate(hashes):
        for following in hashes[start + 1 : start + longest]:
            h = (h * NGRAM_FACTOR + following) % 2**64
            found.append(h % buckets)
    return found


def document_rows(
    documents: Sequence[Sequence[str]],
    vocab: Vocab,
    *,
    longest: int = 1,
    buckets: int = 1,
) -> Rows:
    """Rows 0, …, V − 1 for the known words, and V + bucket for n-grams of 2 words and more.

    Unknown words have no row, but are a part of n-grams. A document without any row is
    empty, and its mean is 0.

    Args:
        documents: n of them, each a sequence of words.
        longest: of the n-grams; 1 for none.
        buckets: B.
    Raises:
        ValueError: if a document is a string, or a number is below 1.
    """
    known = {word: place for place, word in enumerate(vocab.tokens)}
    size = len(known)
    flat: list[int] = []
    lengths: list[int] = []
    for document in documents:
        if isinstance(document, str):
            raise ValueError(
                f"a document must be a sequence of words, got {document[:40]!r}"
            )
        rows = [known[word] for word in document if word in known]
        if longest > 1:
            rows += [size + b for b in hashed_ngrams(document, longest, buckets)]
        flat += rows
        lengths.append(len(rows))
    ends = torch.tensor(lengths, dtype=torch.int64)
    return Rows(torch.tensor(flat, dtype=torch.int64), ends.cumsum(0) - ends, ends)
