"""Byte-pair encoding: join the most frequent pair of neighbouring symbols, again and again.

Training keeps the count of every pair, and where it stands, up to date: a merge costs
what it changes, not a pass over the corpus. A word is segmented by the same merges in
the same order. Symbols are compared whole, never as parts of a joined string.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from d2lcompanion.text.checks import require_at_least, require_choice
from d2lcompanion.text.merge_queue import MergeQueue, Ties


class BPE:
    """An alphabet and the merges learned over it.

    Attributes:
        alphabet: single symbols, by code point.
        merges: pairs of tokens, in the order in which they were learned.
    """

    def __init__(
        self, alphabet: Iterable[str], merges: Iterable[tuple[str, str]]
    ) -> None:
        self.alphabet = tuple(sorted(set(alphabet)))
        self.merges = tuple(merges)
        self._ranks: dict[tuple[str, str], int] = {}
        for rank, pair in enumerate(self.merges):
            self._ranks.setdefault(pair, rank)

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """The vocabulary, each token once: the alphabet, then what the merges made."""
        return tuple(dict.fromkeys([*self.alphabet, *map("".join, self.merges)]))

    def first(self, merges: int) -> "BPE":
        """The same with the first so many merges: what a shorter training gives."""
        return BPE(self.alphabet, self.merges[:merges])

    def segment(self, word: Sequence[str]) -> list[str]:
        """Split a word as training split it: of all pairs in it, the earliest merge first.

        Characters outside the alphabet stay single. O(n²) in the length of the word.

        Args:
            word: a string, or a sequence of symbols.
        Returns:
            tokens that joined give the word back; none for an empty word.
        """
        symbols = list(word)
        never = len(self.merges)
        while len(symbols) > 1:
            pairs = itertools.pairwise(symbols)
            rank = min(self._ranks.get(pair, never) for pair in pairs)
            if rank == never:
                break
            symbols = merge_pair(symbols, self.merges[rank])
        return symbols


def merge_pair(symbols: Sequence[str], pair: tuple[str, str]) -> list[str]:
    """Join every occurrence of a pair of whole symbols, from the left: aaa → aa a."""
    merged: list[str] = []
    k = 0
    while k < len(symbols):
        found = tuple(symbols[k : k + 2]) == pair
        merged.append(symbols[k] + symbols[k + 1] if found else symbols[k])
        k += 2 if found else 1
    return merged


def train_bpe(
    word_counts: Mapping[str, int],
    merges: int,
    *,
    alphabet: Iterable[str] | None = None,
    min_count: int = 1,
    ties: Ties = "id",
) -> BPE:
    """Learn merges from words and their counts; pairs never cross from word to word.

    Each step joins the pair of neighbouring tokens with the largest count, which is
    summed over all places, overlapping ones included (a a a holds the pair twice). Of
    pairs with one count, "id" takes the one with the smaller left id, then the smaller
    right id, ids being given to the alphabet by code point and then to new tokens in
    order (as in the trainer of Hugging Face's `tokenizers`); "first" takes the one that
    occurs first in the words as given (as in d2l). A token that two pairs can make is
    one token.

    Args:
        word_counts: word → occurrences ≥ 1.
        merges: the most to learn, ≥ 0; fewer where no pair is frequent enough.
        alphabet: symbols that are in the vocabulary even if no word has them.
        min_count: the least count of a pair that is merged, ≥ 1.
        ties: "id" or "first".
    Raises:
        ValueError: if there is no word, one is empty, or a number is out of range.
    Source:
        Gage (1994); Sennrich, Haddow & Birch (2016), *Neural Machine Translation of
        Rare Words with Subword Units*, §3.2.
    """
    require_at_least("merges", merges, 0)
    require_at_least("min_count", min_count, 1)
    require_choice("ties", ties, ("id", "first"))
    _require_counts(word_counts)
    tokens = sorted(set(alphabet or ()).union(*word_counts))
    numbers = {token: number for number, token in enumerate(tokens)}
    state = MergeQueue(word_counts, numbers, ties)
    learned: list[tuple[str, str]] = []
    while len(learned) < merges and (pair := state.most_frequent(min_count)):
        left, right = tokens[pair[0]], tokens[pair[1]]
        number = numbers.setdefault(left + right, len(tokens))
        if number == len(tokens):
            tokens.append(left + right)
        state.merge(pair, number)
        learned.append((left, right))
    return BPE([token for token in tokens if len(token) == 1], learned)


def _require_counts(word_counts: Mapping[str, int]) -> None:
    """Words of one symbol or more, each with a count."""
    if not word_counts:
        raise ValueError("word_counts must hold a word, got none")
    for word, count in word_counts.items():
        if not word:
            raise ValueError("a word must have a symbol, got ''")
        require_at_least(f"the count of {word!r}", count, 1)
