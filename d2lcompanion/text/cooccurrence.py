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
    total = sparse.csr_array((size, size))
    for part in parts:
        total = total + part
    if total.nnz == 0:
        raise ValueError("the corpus must have two tokens in one sentence, got none")
    total.sort_indices()
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
    pending = sparse.csr_array((size, size))
    for block in [blocks] if isinstance(blocks, TokenStream) else blocks:
        pending = pending + _of_block(block, size, weights, side)
        if entries is None or pending.nnz >= entries:
            yield pending
            pending = sparse.csr_array((size, size))
    if pending.nnz:
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
    """Pairs of all distances at once; scipy adds up equal ones while it sorts rows."""
    require_stream(block)
    require_ids("ids", block.ids, size)
    ids = block.ids.numpy(force=True).astype(np.int32)
    sentence = block.sentence.numpy(force=True)
    first, second, weight = [], [], []
    for distance in range(1, min(len(weights), len(ids) - 1) + 1):
        together = sentence[distance:] == sentence[:-distance]
        first.append(ids[:-distance][together])
        second.append(ids[distance:][together])
        weight.append(np.full(len(first[-1]), weights[distance - 1]))
    if not first:
        return sparse.csr_array((size, size))
    left, right = np.concatenate(first), np.concatenate(second)
    values = np.concatenate(weight)
    if side == "both":  # half of the matrix is enough: fewer entries to add up
        half = _summed(values, np.maximum(left, right), np.minimum(left, right), size)
        return half + half.T.tocsr()
    rows, columns = (right, left) if side == "left" else (left, right)
    return _summed(values, rows, columns, size)


def _summed(
    values: np.ndarray, rows: np.ndarray, columns: np.ndarray, size: int
) -> sparse.csr_array:
    return sparse.coo_array((values, (rows, columns)), (size, size)).tocsr()
