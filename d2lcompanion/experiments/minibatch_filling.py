"""What a pass in minibatches holds: contexts, negatives that count, hits, and filling."""

from collections.abc import Iterable
from typing import NamedTuple

from d2lcompanion.text.skip_gram_data import Batch


class Filling(NamedTuple):
    """What the entries of minibatches in d2l's layout are.

    Attributes:
        rows: centers.
        entries: of all batches, filling included.
        contexts: context words.
        negatives: noise words that count.
        hits: noise words that were in the window, and are masked.
    """

    rows: int
    entries: int
    contexts: int
    negatives: int
    hits: int


def count_filling(batches: Iterable[Batch], negatives: int) -> Filling:
    """Add up the masks of a pass."""
    totals = [0, 0, 0, 0]
    for batch in batches:
        contexts, kept = int(batch.labels.sum()), int(batch.mask.sum())
        for k, value in enumerate(
            (len(batch.centers), batch.mask.numel(), contexts, kept - contexts)
        ):
            totals[k] += value
    hits = totals[2] * negatives - totals[3]
    return Filling(totals[0], totals[1], totals[2], totals[3], hits)
