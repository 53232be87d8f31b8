"""fastText: a word's vector is the mean over the word itself and its character n-grams.

N-grams are not listed: a hash sends each to one of B rows, and some share a row. A word
that was never seen has n-grams too, and so has a vector.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from d2lcompanion.text.checks import (
    require_at_least,
    require_ids,
    require_matrix,
    require_shape,
)
from d2lcompanion.text.vocab import Vocab

FNV_START, FNV_FACTOR = 2166136261, 16777619


class NGrams(NamedTuple):
    """Which n-grams count, and how many rows they share."""

    shortest: int = 3
    longest: int = 6
    buckets: int = 2_000_000

    def checked(self) -> "NGrams":
        """Itself.

        Raises:
            ValueError: if not 1 ≤ shortest ≤ longest, or buckets < 1.
        """
        require_at_least("shortest", self.shortest, 1)
        require_at_least("longest", self.longest, self.shortest)
        require_at_least("buckets", self.buckets, 1)
        return self


def character_ngrams(word: str, shortest: int = 3, longest: int = 6) -> list[str]:
    """All substrings of <word> of these lengths, by their start; < and > alone are none.

    The marks tell the n-gram her of where from <her> the word. <word> itself is among
    them if it is short enough. Characters are code points, not bytes.

    Raises:
        ValueError: if the word is empty, or not 1 ≤ shortest ≤ longest.
    Source:
        Bojanowski, Grave, Joulin & Mikolov (2017), §3.2.
    """
    NGrams(shortest, longest).checked()
    if not word:
        raise ValueError("word must have a character, got ''")
    marked = f"<{word}>"
    return [
        marked[start:end]
        for start in range(len(marked))
        for end in range(start + shortest, min(start + longest, len(marked)) + 1)
        if end - start > 1 or 0 < start < len(marked) - 1
    ]


def fnv1a(data: bytes) -> int:
    """FNV-1a with 32 bits as fastText computes it: h ← (h ⊕ byte)·16777619 mod 2³².

    fastText widens a byte as a *signed* number: from 128 on, as in every Chinese
    character, its upper 24 bits are ones, and the result is not the standard's.
    """
    h = FNV_START
    for byte in data:
        signed = byte if byte < 128 else byte | 0xFFFFFF00
        h = ((h ^ signed) * FNV_FACTOR) & 0xFFFFFFFF
    return h


def ngram_buckets(word: str, ngrams: NGrams) -> list[int]:
    """The bucket of each n-gram of a word, in [0, buckets).

    Raises:
        ValueError: as `character_ngrams`, or at a lone surrogate.
    """
    grams = character_ngrams(word, ngrams.shortest, ngrams.longest)
    return [fnv1a(gram.encode("utf-8")) % ngrams.buckets for gram in grams]


def expected_shared(distinct: int, buckets: int) -> float:
    """1 − (1 − 1/B)ⁿ⁻¹: the chance that an n-gram shares its bucket, among n of them.

    Raises:
        ValueError: if a number is below 1.
    """
    require_at_least("distinct", distinct, 1)
    require_at_least("buckets", buckets, 1)
    return 1 - (1 - 1 / buckets) ** (distinct - 1)


# --------------------------------------------------------------------------------- rows of a table


class Rows(NamedTuple):
    """The rows of several words, one after the other: word k has rows[starts[k]:…]."""

    rows: Tensor  # [total], int64
    starts: Tensor  # [n], int64
    lengths: Tensor  # [n], int64, ≥ 1

    def of(self, words: Tensor) -> "Rows":
        """Those of some of the words, [m] ids, in their order."""
        lengths = self.lengths[words]
        starts = lengths.cumsum(0) - lengths
        shift = (self.starts[words] - starts).repeat_interleave(lengths)
        here = torch.ones_like(shift).cumsum(0) - 1
        return Rows(self.rows[here + shift], starts, lengths)


def word_rows(words: Sequence[str], ngrams: NGrams) -> Rows:
    """Row k for word k itself, and rows V + bucket for its n-grams, V = len(words).

    Raises:
        ValueError: if there is no word or one is empty.
    """
    if isinstance(words, str) or not words:
        raise ValueError(f"words must be a list of words, got {words!r}")
    size = len(words)
    rows = [
        [number, *(size + bucket for bucket in ngram_buckets(word, ngrams))]
        for number, word in enumerate(words)
    ]
    lengths = torch.tensor([len(row) for row in rows])
    flat = torch.tensor([row for word in rows for row in word])
    return Rows(flat, lengths.cumsum(0) - lengths, lengths)


def mean_vectors(table: Tensor, rows: Rows) -> Tensor:
    """The mean of each word's rows: [V + B, d] → [n, d].

    Raises:
        ValueError: if the table is not a matrix of floats, or a row is out of range.
    """
    require_matrix("table", table)
    require_ids("rows", rows.rows, len(table))
    return embedding_bag(rows.rows, table, rows.starts, mode="mean")


class FastText:
    """Vectors of words and of buckets, and so a vector for every word.

    Attributes:
        vocab: the V words that training saw.
        table: [V + B, d], rows of words and then of buckets.
        ngrams: lengths and B.
        rows: of the words of the vocabulary.
    Source:
        Bojanowski, Grave, Joulin & Mikolov (2017), *Enriching Word Vectors with Subword
        Information*.
    """

    def __init__(self, vocab: Vocab, table: Tensor, ngrams: NGrams) -> None:
        """A given table.

        Raises:
            ValueError: if it does not have V + B rows.
        """
        require_matrix("table", table)
        ngrams.checked()
        require_shape("table", table, (len(vocab) + ngrams.buckets, table.shape[1]))
        self.vocab, self.table, self.ngrams = vocab, table, ngrams
        rows = word_rows(vocab.tokens, ngrams)
        self.rows = Rows(*(part.to(table.device) for part in rows))

    def vectors(self) -> Tensor:
        """Of all words of the vocabulary, [V, d]: the mean over word and n-grams."""
        return mean_vectors(self.table, self.rows)

    def vector(self, word: str) -> Tensor:
        """Of any word, [d]: one that is not in the vocabulary has its n-grams alone.

        Raises:
            ValueError: if the word is empty.
            KeyError: if it is unknown and shorter than the shortest n-gram.
        """
        found = [len(self.vocab) + b for b in ngram_buckets(word, self.ngrams)]
        if word in self.vocab:
            found.append(self.vocab.id_of(word))
        if not found:
            raise KeyError(
                f"{word!r} is not in the vocabulary, and <{word}> has no n-gram of "
                f"{self.ngrams.shortest} characters or more"
            )
        return self.table[found].mean(0)
