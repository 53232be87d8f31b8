"""All neighbouring pairs of a corpus, kept counted and queued while tokens are merged.

A merge costs what it changes, not a pass over the corpus.
"""

import heapq
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ties: TypeAlias = Literal["id", "first"]
Ids: TypeAlias = NDArray[np.int64]
Pair: TypeAlias = tuple[int, int]
EDGE, GONE = -1, -2  # between words; the right half of a merged pair


class MergeQueue:
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
