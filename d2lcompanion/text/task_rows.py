"""Texts as rows for a task: one or two in a row, a tag at the first piece of a word."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.text.bert_documents import SpecialIds
from d2lcompanion.text.checks import require_at_least
from d2lcompanion.text.masking import IGNORE
from d2lcompanion.text.wordpiece import WordPiece

Ids = Sequence[int]


class Rows(NamedTuple):
    """A batch: [CLS] A [SEP], or [CLS] A [SEP] B [SEP], and padding.

    Attributes:
        ids: [N, T], int64.
        segments: [N, T], int64: 1 for B and its [SEP], else 0.
        valid: [N, T], bool: no padding.
        second: [N, T], bool: tokens of B, without [SEP]; the passage of a question.
    """

    ids: Tensor
    segments: Tensor
    valid: Tensor
    second: Tensor

    def rows(self, which: Tensor | slice) -> "Rows":
        """Some of them."""
        return Rows(*(part[which] for part in self))


def join_rows(
    first: Sequence[Ids],
    second: Sequence[Ids] | None = None,
    *,
    special: SpecialIds,
    longest: int,
) -> Rows:
    """Put texts into rows as long as the longest needs; nothing is cut.

    Args:
        first: ids of each A, without special ones.
        second: of each B, or None.
        special: ids.
        longest: tokens that a row may have, as many as the encoder has positions.
    Raises:
        ValueError: if there is no text, the numbers of A and B differ, a B is empty, or
            a row is too long; names the row.
    """
    if not first:
        raise ValueError("first must hold a text, got none")
    if second is not None and len(second) != len(first):
        raise ValueError(
            f"second must hold {len(first)} texts, as first does, got {len(second)}"
        )
    joined: list[list[int]] = []
    for row, a in enumerate(first):
        tail: list[int] = [] if second is None else [*second[row], special.sep]
        if second is not None and len(tail) == 1:
            raise ValueError(
                f"the second text must have a token, got none in row {row}"
            )
        joined.append([special.cls, *a, special.sep, *tail])
        if len(joined[row]) > longest:
            raise ValueError(
                f"a row must have at most {longest} tokens, got {len(joined[row])} in "
                f"row {row}"
            )
    sizes = torch.tensor([len(each) for each in joined])[:, None]
    begin = torch.tensor([len(a) + 2 for a in first])[:, None]
    t = torch.arange(int(sizes.max()))
    ids = torch.full((len(joined), len(t)), special.pad)
    for row, each in enumerate(joined):
        ids[row, : len(each)] = torch.tensor(each)
    valid = t < sizes
    after = (t >= begin) & valid
    return Rows(ids, after.long(), valid, after & (t < sizes - 1))


def encode_words(
    words: Sequence[str], tokenizer: WordPiece
) -> tuple[list[int], list[int]]:
    """The pieces of given words, and the place of the first piece of each word.

    Raises:
        ValueError: if a word has no piece, such as one of control characters.
    """
    ids: list[int] = []
    places = []
    for word in words:
        pieces = tokenizer.encode(word)
        if not pieces:
            raise ValueError(f"a word must have a piece, got none for {word!r}")
        places.append(len(ids))
        ids += pieces
    return ids, places


def tag_targets(
    places: Sequence[Ids], tags: Sequence[Ids], *, classes: int, length: int
) -> Tensor:
    """What `tag_loss` asks for: a word's tag at its first piece, −100 elsewhere, [N, T].

    Args:
        places: of each row, as of `encode_words`; [CLS] is added here.
        tags: of each row, one for each word.
        classes: C.
        length: T.
    Raises:
        ValueError: if the numbers of words and tags differ, a tag is not in [0, C), or a
            row is longer than T; names the row.
    """
    require_at_least("classes", classes, 2)
    if len(places) != len(tags):
        raise ValueError(f"tags must have {len(places)} rows, got {len(tags)}")
    targets = torch.full((len(tags), length), IGNORE)
    for row, (at, said) in enumerate(zip(places, tags, strict=True)):
        if len(at) != len(said):
            raise ValueError(
                f"row {row} must have a tag for each of its {len(at)} words, got "
                f"{len(said)}"
            )
        for tag in said:
            if not 0 <= tag < classes:
                raise ValueError(
                    f"tags must be in [0, {classes}), got {tag} in row {row}"
                )
        if at and max(at) + 1 >= length:
            raise ValueError(
                f"row {row} must have at most {length} tokens, got {max(at) + 2}"
            )
        targets[row, torch.tensor(at, dtype=torch.long) + 1] = torch.tensor(said)
    return targets
