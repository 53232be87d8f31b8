"""How often, and how near, two words stand together: the matrix that counting begins with.

A pair of tokens at the distance d ≤ c in one sentence adds weight(d) to the entries of
its words. The matrix is sparse: most pairs of words never meet.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

import numpy as np
import scipy.sparse as sparse

from d2lcompanion.text.checks import require_at_least, require_choice, require_ids
from d2lcompanion.text.token_stream import TokenStream, require_stream

Weighting: TypeAlias = Literal["inverse", "linear", "uniform"]
Side: TypeAlias = Literal["both", "left", "right"]


def distance_weights(window: int, weighting: Weighting) -> np.ndarray:
    """The weight of a neighbor at d = 1, …, c.

        inverse:  1/d               GloVe
        linear:   (c − d + 1)/c     the mean over word2vec's random windows
        uniform:  1

    Returns:
        [c], float64.
    Raises:
        ValueError: if c < 1, or weighting is none of these.
    """
    require_at_least("window", window, 1)
    require_choice("weighting", weighting, ("inverse", "linear", "uniform"))
    distance = np.arange(1, window + 1)
    if weighting == "inverse":
        return 1 / distance
    if weighting == "linear":
        return (window - distance + 1) / window
    return np.ones(window)


def cooccurrence(
    blocks: TokenStream | Iterable[TokenStream],
    size: int,
    window: int,
    *,
    weighting: Weighting = "inverse",
    side: Side = "both",
) -> sparse.csr_array:
    """x_ij = Σ weight(d) over tokens of word i that have one of word j at distance d.

    With neighbors of both sides x_ij = x_ji, for every fixed window and weight; with one
    side it is not. A word beside itself counts for both tokens.

    Args:
        blocks: a corpus, or pieces of it, each of whole sentences; read once.
        size: V.
        window: c ≥ 1, fixed.
        weighting: see `distance_weights`.
        side: where the neighbor j stands.
    Returns:
        [V, V], float64; columns are sorted and no zero is stored.
    Raises:
        ValueError: if a number is out of range, or no two tokens stand together.
    Source:
        Pennington, Socher & Manning (2014), §3; Lund & Burgess (1996).
    """
    parts = partial_cooccurrences(blocks, size, window, weighting=weighting, side=side)
    total = next(parts, None)
    if total is None:
        raise ValueError("the corpus must have two tokens in one sentence, got none")
    for part in parts:
        total = total + part
    return total


def partial_cooccurrences(
    blocks: TokenStream | Iterable[TokenStream],
    size: int,
    window: int,
    *,
    weighting: Weighting = "inverse",
    side: Side = "both",
    entries: int | None = None,
) -> Iterator[sparse.csr_array]:
    """The same as summands of at least so many entries each, to write them as they come.

    What is held is one summand and what one block adds to it.

    Args:
        entries: a summand is finished when it has as many, ≥ 1; None is one summand a
            block.
        others: as of `cooccurrence`.
    """
    weights = distance_weights(window, weighting)
    require_choice("side", side, ("both", "left", "right"))
    if entries is not None:
        require_at_least("entries", entries, 1)
    pending: sparse.csr_array | None = None
    for block in [blocks] if isinstance(blocks, TokenStream) else blocks:
        found = _of_block(block, size, weights, side)
        if found.nnz:
            pending = found if pending is None else pending + found
        if pending is not None and pending.nnz >= (entries or 1):
            yield pending
            pending = None
    if pending is not None:
        yield pending


def slow_cooccurrence(
    sentences: list[list[int]], weights: list[float]
) -> dict[tuple[int, int], float]:
    """The same for both sides in plain Python: a reference, many times slower.

    Args:
        sentences: ids.
        weights: of the distances 1, 2, …
    """
    counts: dict[tuple[int, int], float] = {}
    for sentence in sentences:
        for i, word in enumerate(sentence):
            for distance, weight in enumerate(weights, start=1):
                if distance > i:
                    break
                other = sentence[i - distance]
                counts[word, other] = counts.get((word, other), 0) + weight
                counts[other, word] = counts.get((other, word), 0) + weight
    return counts


def _of_block(
    block: TokenStream, size: int, weights: np.ndarray, side: Side
) -> sparse.csr_array:
    """Pairs by their first word, turned over: a sort by the second, in linear time.

    After that equal pairs stand side by side and are added up.
    """
    require_stream(block)
    require_ids("ids", block.ids, size)
    if len(block.ids) == 0:
        return sparse.csr_array((size, size))
    left = _neighbors_after(block, size, weights).T.tocsr()
    left.sum_duplicates()
    if side == "left":
        return left
    right = left.T.tocsr()
    return right if side == "right" else left + right


def _neighbors_after(
    block: TokenStream, size: int, weights: np.ndarray
) -> sparse.csr_array:
    """For each word all that follow it within c, [V, V]; equal pairs stand apart."""
    count, window = len(block.ids), len(weights)
    ids = block.ids.numpy(force=True).astype(np.int32)
    sentence = block.sentence.numpy(force=True)
    starts = np.flatnonzero(np.diff(sentence, prepend=sentence[0] - 1))
    lengths = np.diff(starts, append=count)
    reach = np.repeat(starts + lengths, lengths) - np.arange(1, count + 1)
    # The tokens of each word: a one-hot matrix [n, V], turned over.
    places = np.arange(count + 1, dtype=np.int32)
    one_hot = sparse.csr_array((np.ones(count, bool), ids, places), (count, size))
    tokens = one_hot.T.tocsr()
    reach = np.minimum(reach[tokens.indices], window)
    inside = np.arange(window) < reach[:, None]
    padded = np.pad(ids[1:], (0, window))
    after = np.lib.stride_tricks.sliding_window_view(padded, window)[tokens.indices]
    bounds = np.concatenate([[0], reach.cumsum()])[tokens.indptr]
    values = np.broadcast_to(weights, inside.shape)[inside]
    return sparse.csr_array((values, after[inside], bounds), (size, size))
