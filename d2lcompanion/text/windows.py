"""Windows of fixed size: each word of a corpus with the words around it.

This is the plain form that the objectives of word2vec are stated for. All windows are
made at once, by arithmetic on positions.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.text.checks import (
    require_at_least,
    require_ids,
    require_mask,
    require_shape,
)


class Windows(NamedTuple):
    """n centers with up to 2m words around each; `mask` is False where there is none."""

    centers: Tensor  # [n], ids
    contexts: Tensor  # [n, 2m], ids, from left to right; 0 where there is no word
    mask: Tensor  # [n, 2m]

    def rows(self, which: Tensor) -> "Windows":
        """The windows of some rows, [b], as a minibatch."""
        return Windows(*(part[which] for part in self))

    def to(self, device: torch.device) -> "Windows":
        """The same windows on a device."""
        return Windows(*(part.to(device) for part in self))


def windows(ids: Tensor, sentences: Tensor, size: int) -> Windows:
    """The up to `size` words before and after each word, within its sentence.

    A word that is alone in its sentence has no window and is left out.

    Args:
        ids: [n], the words of all sentences, one after the other.
        sentences: [n], whole numbers; neighbours with one number share a sentence.
        size: m ≥ 1, words on either side.
    Raises:
        ValueError: if shapes differ, a number is out of range, or no word has a
            neighbour.
    Source:
        Mikolov, Chen, Corrado & Dean (2013), §3; there the size is drawn anew for each
        word, between 1 and m.
    """
    require_at_least("size", size, 1)
    if ids.ndim != 1:
        raise ValueError(f"ids must be [n], got shape {list(ids.shape)}")
    require_shape("sentences", sentences, ids.shape)
    count = len(ids)
    steps = torch.arange(1, size + 1, device=ids.device)
    offsets = torch.cat([-steps.flip(0), steps])  # −m … −1, 1 … m
    places = torch.arange(count, device=ids.device)[:, None] + offsets
    inside = (places >= 0) & (places < count)
    places = places.clamp(0, max(count - 1, 0))
    present = inside & (sentences[places] == sentences[:, None])
    kept = present.any(1)
    if not bool(kept.any()):
        raise ValueError(
            f"a word must have a neighbour in its sentence; of {count} words none has"
        )
    contexts = ids[places].masked_fill(~present, 0)
    return Windows(ids[kept], contexts[kept], present[kept])


def pair_counts(
    centers: Tensor, contexts: Tensor, vocabulary_size: int, *, mask: Tensor
) -> Tensor:
    """How often each word stands in the window of each: #(c, o).

    Dense: for a vocabulary of some thousands.

    Args:
        centers: c, [n], ids.
        contexts: o, [n, m], ids.
        vocabulary_size: V ≥ 1.
        mask: [n, m], False where a window has no j-th word.
    Returns:
        [V, V] float64, a row per center; symmetric for windows of fixed size.
    Raises:
        ValueError: if shapes differ or an id is out of range.
    """
    require_at_least("vocabulary_size", vocabulary_size, 1)
    if contexts.ndim != 2:
        raise ValueError(f"contexts must be [n, m], got shape {list(contexts.shape)}")
    require_shape("centers", centers, contexts.shape[:1])
    require_mask("mask", mask, contexts.shape)
    require_ids("centers", centers, vocabulary_size)
    others = contexts.masked_fill(~mask, 0)
    require_ids("contexts", others, vocabulary_size)
    cells = (centers[:, None] * vocabulary_size + others).flatten()
    counts = torch.zeros(vocabulary_size**2, dtype=torch.float64, device=centers.device)
    counts = counts.scatter_add(0, cells, mask.flatten().to(torch.float64))
    return counts.view(vocabulary_size, vocabulary_size)
