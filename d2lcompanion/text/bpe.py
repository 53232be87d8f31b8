"""Byte-pair encoding: join the most frequent pair of neighbouring symbols, again and again.

Training keeps the count of every pair, and where it stands, up to date: a merge costs
what it changes, not a pass over the corpus. A word is segmented by the same merges in
the same order. Symbols are compared whole, never as parts of a joined string.
"""

import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from d2lcompanion.text.checks import require_at_least, require_choice

Ties: TypeAlias = Literal["id", "first"]
Ids: TypeAlias = NDArray[np.int64]
Pair: TypeAlias = tuple[int, int]


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
    state = _Corpus(word_counts, numbers, ties)
    learned: list[tuple[str, str]] = []
    while len(learned) < merges and (pair := state.most_frequent(min_count)):
        left, right = tokens[pair[0]], tokens[pair[1]]
        number = numbers.setdefault(left + right, len(tokens))
        if number == len(tokens):
            tokens.append(left + right)
        state.merge(pair, number)
        learned.append((left, right))
    return BPE([token for token in tokens if len(token) == 1], learned)


# ---------------------------------------------------------------------------- pairs, kept counted

EDGE, GONE = -1, -2  # between words; the right half of a merged pair


class _Corpus:
    """All words in one row of ids with links to the neighbours, and all pairs in it.

    A pair is queued under its count when it appears. Counts of queued pairs only fall,
    unless a later merge makes a pair that exists: then it is queued again. So the
    queue's head is the most frequent pair if its count still holds, else it goes back
    under the count that does. Positions of a pair are those where it once stood.
    """

    def __init__(
        self, word_counts: Mapping[str, int], numbers: Mapping[str, int], ties: Ties
    ) -> None:
        row, weights = [EDGE], [0]
        for word, count in word_counts.items():
            row += [numbers[symbol] for symbol in word]
            row.append(EDGE)
            weights += [count] * len(word)
            weights.append(0)
        self.ids: Ids = np.array(row)
        self.weights: Ids = np.array(weights)
        self.next: Ids = np.arange(1, len(row) + 1)
        self.previous: Ids = np.arange(-1, len(row) - 1)
        self.ties = ties
        self.counts: dict[Pair, int] = {}
        self.places: dict[Pair, list[Ids]] = {}
        self.queue: list[Any] = []
        at = np.flatnonzero((self.ids[:-1] != EDGE) & (self.ids[1:] != EDGE))
        for left in np.unique(self.ids[at]).tolist():
            here = at[self.ids[at] == left]
            for right, count, places in self._groups(self.ids[here + 1], here):
                self._add((left, right), count, places)

    def most_frequent(self, min_count: int) -> Pair | None:
        """The next pair to merge; None if no pair occurs min_count times."""
        while self.queue:
            entry = heapq.heappop(self.queue)
            pair: Pair = entry[-1]
            if self.counts.get(pair, 0) < min_count:
                continue
            now = self._entry(pair)
            if now == entry:
                return pair
            heapq.heappush(self.queue, now)
        return None

    def merge(self, pair: Pair, number: int) -> None:
        """Put the token `number` wherever the pair stands, and recount its neighbours."""
        left, right = pair
        at = self._live(pair)
        del self.counts[pair], self.places[pair]
        if left == right:
            at = _without_overlaps(at, self.next)
        second = self.next[at]
        before, after = self.previous[at], self.next[second]
        x, y = self.ids[before], self.ids[after]
        self.ids[at], self.ids[second] = number, GONE
        self.next[at], self.previous[after] = after, at

        chained = self.ids[after] != y  # the neighbour is a merged pair itself
        alone = self.ids[before] != GONE
        if chained.any():
            count = int(self.weights[at[chained]].sum())
            self._remove((right, left), count)
            self._add((number, number), count, at[chained])
        keep = alone & (x != EDGE)
        for other, count, places in self._groups(x[keep], before[keep]):
            self._remove((other, left), count)
            self._add((other, number), count, places)
        keep = ~chained & (y != EDGE)
        for other, count, places in self._groups(y[keep], at[keep]):
            self._remove((right, other), count)
            self._add((number, other), count, places)

    def _groups(self, keys: Ids, at: Ids) -> Iterable[tuple[int, int, Ids]]:
        """Positions by key: (key, sum of their weights, positions)."""
        if len(keys) == 0:
            return
        order = keys.argsort(kind="stable")
        keys, at = keys[order], at[order]
        starts = np.flatnonzero(keys[1:] != keys[:-1]) + 1
        cuts = [0, *starts.tolist(), len(keys)]
        sums = np.add.reduceat(self.weights[at], cuts[:-1]).tolist()
        for k, key in enumerate(keys[cuts[:-1]].tolist()):
            yield key, sums[k], at[cuts[k] : cuts[k + 1]]

    def _add(self, pair: Pair, count: int, places: Ids) -> None:
        self.counts[pair] = self.counts.get(pair, 0) + count
        self.places.setdefault(pair, []).append(places)
        heapq.heappush(self.queue, self._entry(pair))

    def _remove(self, pair: Pair, count: int) -> None:
        if pair in self.counts:  # not the pair that is being merged
            self.counts[pair] -= count

    def _entry(self, pair: Pair) -> Any:
        """Sorted: the larger count first, then by the rule for ties."""
        if self.ties == "id":
            return -self.counts[pair], pair
        return (
            -self.counts[pair],
            int(self._live(pair).min(initial=len(self.ids))),
            pair,
        )

    def _live(self, pair: Pair) -> Ids:
        """Where the pair stands now."""
        stored = self.places[pair]
        at = stored[0] if len(stored) == 1 else np.concatenate(stored)
        stands = (self.ids[at] == pair[0]) & (self.ids[self.next[at]] == pair[1])
        live: Ids = at[stands]
        return live


def _without_overlaps(at: Ids, following: Ids) -> Ids:
    """Of a a a only the first two."""
    kept: list[int] = []
    taken = -1
    for place in np.sort(at).tolist():
        if place != taken:
            kept.append(place)
            taken = int(following[place])
    return np.array(kept, dtype=np.int64)


def _require_counts(word_counts: Mapping[str, int]) -> None:
    """Words of one symbol or more, each with a count."""
    if not word_counts:
        raise ValueError("word_counts must hold a word, got none")
    for word, count in word_counts.items():
        if not word:
            raise ValueError("a word must have a symbol, got ''")
        require_at_least(f"the count of {word!r}", count, 1)
