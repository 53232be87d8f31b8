"""Sentence pairs for BERT: ids, which sentence follows, segments, padding, for many rows at once.

A row is [CLS] A [SEP] B [SEP] and padding. A is the text up to the end of a sentence; B
begins with the next sentence, or with one of another document. Both are as long as the
row allows, so that hardly any of it is padding.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.text.bert_documents import Documents, SpecialIds
from d2lcompanion.text.checks import (
    require_at_least,
    require_ids,
    require_shape,
    require_unit_interval,
)


class Pairs(NamedTuple):
    """Which tokens stand in N rows: places in `Documents.ids`.

    Attributes:
        first: [N, 2], begin and end of A.
        second: [N, 2], begin and end of B.
        label: [N], int64; 0: B follows A, 1: it does not, as published.
    """

    first: Tensor
    second: Tensor
    label: Tensor

    def rows(self, index: Tensor | slice) -> "Pairs":
        """Some of the rows."""
        return Pairs(*(part[index] for part in self))


class Batch(NamedTuple):
    """N rows of T tokens.

    Attributes:
        ids: [N, T], int64.
        segments: [N, T], int64; 0 for [CLS] A [SEP] and padding, 1 for B [SEP].
        valid: [N, T], bool; false for padding.
        word: [N, T], int64, number of the word of each token, never falling in a row;
            special tokens are words of their own.
        label: [N], int64.
    """

    ids: Tensor
    segments: Tensor
    valid: Tensor
    word: Tensor
    label: Tensor

    def to(self, device: torch.device | str) -> "Batch":
        """The same on a device."""
        return Batch(*(part.to(device) for part in self))


def draw_pairs(
    documents: Documents,
    length: int,
    generator: torch.Generator,
    *,
    follows: float = 0.5,
) -> Pairs:
    """One epoch: each sentence that another follows is the end of A once, in random order.

    With probability `follows`, B begins with the next sentence; else with one drawn
    uniformly from all sentences of *other* documents. Should that sentence have the
    same words as the next one, B is not called a stranger: the label tells what is
    true. Of the T − 3 places A asks for a part between a quarter and three quarters,
    drawn uniformly; what one side leaves free the other takes.

    Args:
        documents: two at least.
        length: T ≥ 5, tokens of a row.
        generator: draws where it lies; the rest happens on the device of `documents`.
        follows: in [0, 1].
    Raises:
        ValueError: if an argument is out of range, there is one document, or none has
            two sentences.
    """
    require_at_least("length", length, 5)
    require_unit_interval("follows", follows)
    document, device = documents.document, documents.ids.device
    sentences = document.shape[0]
    bounds = _bounds(documents)
    has_next = torch.nn.functional.pad(document.diff() == 0, (0, 1))
    if not bool(has_next.any()):
        raise ValueError(f"a document must have two sentences, got {sentences} alone")
    end = has_next.nonzero()[:, 0]

    def uniform() -> Tensor:
        drawn = torch.rand(end.shape[0], generator=generator, device=generator.device)
        return drawn.to(device)

    end = end[uniform().argsort()]
    low, high = (
        bounds[side][document[end]] for side in ("sentence_begin", "sentence_end")
    )
    others = sentences - (high - low)
    if not bool((others > 0).all()):
        raise ValueError(
            "negatives come from other documents: there must be two, got 1"
        )
    drawn = (uniform() * others).long().minimum(others - 1)
    stranger = drawn + (drawn >= low) * (high - low)  # skip A's own document
    begin = (end + 1).where(uniform() < follows, stranger)
    label = (documents.content[begin] != documents.content[end + 1]).long()

    total = length - 3
    wanted = (total / 4 + uniform() * total / 2).long().clamp(min=1)
    cut, rest = documents.start[end + 1], documents.start[begin]
    before = cut - bounds["token_begin"][document[end]]
    after = bounds["token_end"][document[begin]] - rest
    a = before.minimum(wanted.maximum(total - after))
    b = after.minimum(total - a)
    return Pairs(
        torch.stack((cut - a, cut), 1), torch.stack((rest, rest + b), 1), label
    )


def assemble(
    documents: Documents, pairs: Pairs, length: int, special: SpecialIds
) -> Batch:
    """The rows themselves: [CLS] A [SEP] B [SEP] [PAD] …

    Token t is A's if 1 ≤ t ≤ a, B's if a + 2 ≤ t ≤ a + b + 1; nothing is looped over.

    Args:
        documents: where the pairs come from.
        pairs: N of them, with a + b ≤ length − 3.
        length: T.
        special: ids.
    Raises:
        ValueError: if shapes do not fit, a place is out of range, or a pair is too long.
    """
    require_at_least("length", length, 5)
    rows = pairs.label.shape[0]
    for name, part in (("first", pairs.first), ("second", pairs.second)):
        require_shape(name, part, (rows, 2))
        require_ids(name, part, documents.ids.shape[0] + 1)
    a, b = (side[:, 1:] - side[:, :1] for side in (pairs.first, pairs.second))
    if not bool((a + b <= length - 3).all()):
        raise ValueError(
            f"a pair must have at most {length - 3} tokens, got {int((a + b).max())}"
        )
    t = torch.arange(length, device=documents.ids.device)
    behind_a, valid = t >= a + 2, t <= a + b + 2
    in_text = ((t <= a) | (behind_a & (t <= a + b + 1))) & (t > 0)
    begin = (pairs.second[:, :1] - a - 2).where(behind_a, pairs.first[:, :1] - 1)
    place = (begin + t).mul_(in_text)
    ids = _at(documents.ids, place).masked_fill_(~in_text, special.pad)
    ids[:, 0] = special.cls
    ids.scatter_(1, torch.cat((a + 1, a + b + 2), 1), special.sep)
    return Batch(
        ids,
        (behind_a & valid).long(),
        valid,
        _word_numbers(_at(documents.word, place), in_text),
        pairs.label,
    )


def _at(x: Tensor, place: Tensor) -> Tensor:
    """x[place] of a vector, in less time on a CPU."""
    return x.index_select(0, place.flatten()).view_as(place)


def _word_numbers(word: Tensor, in_text: Tensor) -> Tensor:
    """Numbers from 0 that rise where a word begins; a special token is one."""
    same = in_text[:, 1:] & in_text[:, :-1] & (word[:, 1:] == word[:, :-1])
    return torch.nn.functional.pad((~same).long().cumsum(1), (1, 0))


def _bounds(documents: Documents) -> dict[str, Tensor]:
    """Of each document: first sentence and the one after its last, and the same in tokens."""
    counts = torch.bincount(documents.document)
    end = counts.cumsum(0)
    begin = end - counts
    return {
        "sentence_begin": begin,
        "sentence_end": end,
        "token_begin": documents.start[begin],
        "token_end": documents.start[end],
    }
