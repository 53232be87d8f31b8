"""Texts as one array of ids of pieces, with the places where words, sentences, documents begin."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.text.wordpiece import WordPiece, normalize, words


class SpecialIds(NamedTuple):
    """Ids of the pieces that no text has."""

    pad: int
    unknown: int
    cls: int
    sep: int
    mask: int

    @classmethod
    def of(cls, pieces: Sequence[str]) -> "SpecialIds":
        """Where [PAD], [UNK], [CLS], [SEP] and [MASK] stand in a vocabulary.

        Raises:
            ValueError: if one is missing; names it.
        """
        names = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
        for name in names:
            if name not in pieces:
                raise ValueError(f"pieces must hold {name}, got {len(pieces)} without")
        return cls(*(pieces.index(name) for name in names))

    @property
    def unmaskable(self) -> tuple[int, int, int, int]:
        """What is never hidden: [UNK] stands for a word and may be."""
        return self.pad, self.cls, self.sep, self.mask


class Documents(NamedTuple):
    """Texts as one flat array of ids, with the places where sentences begin.

    Attributes:
        ids: [n], int64, of pieces.
        word: [n], int64, number of the word of each piece, rising by 0 or 1.
        start: [S + 1], int64, where each sentence begins; the last entry is n.
        document: [S], int64, number of the document of each sentence, from 0, rising by
            0 or 1.
        content: [S], int64, equal for sentences with the same pieces.
    """

    ids: Tensor
    word: Tensor
    start: Tensor
    document: Tensor
    content: Tensor

    def sentence(self) -> Tensor:
        """[n], int64, the number of the sentence of each piece."""
        lengths = self.start.diff()
        numbers = torch.arange(lengths.shape[0], device=lengths.device)
        return torch.repeat_interleave(numbers, lengths)

    def to(self, device: torch.device | str) -> "Documents":
        """The same on a device."""
        return Documents(*(part.to(device) for part in self))


def encode_documents(
    documents: Iterable[Sequence[str]], tokenizer: WordPiece
) -> Documents:
    """Documents, each a sequence of sentences, as ids; every word is cut once.

    Sentences and documents without a piece are left out.

    Raises:
        ValueError: if nothing is left, or a document is a string.
    """
    cut: dict[str, list[int]] = {}
    known: dict[tuple[int, ...], int] = {}
    ids: list[int] = []
    word: list[int] = []
    start, document, content = [0], list[int](), list[int]()
    number = count = 0
    for sentences in documents:
        if isinstance(sentences, str):
            raise ValueError(
                f"a document must be a sequence of sentences, got {sentences[:40]!r}"
            )
        before = len(document)
        for sentence in sentences:
            for each in words(normalize(sentence)):
                if each not in cut:
                    cut[each] = tokenizer.encode(each)
                ids += cut[each]
                word += [count] * len(cut[each])
                count += 1
            if len(ids) > start[-1]:
                key = tuple(ids[start[-1] :])
                content.append(known.setdefault(key, len(known)))
                start.append(len(ids))
                document.append(number)
        number += len(document) > before
    if not ids:
        raise ValueError("documents must hold a sentence, got none")
    parts = (ids, word, start, document, content)
    return Documents(*(torch.tensor(part) for part in parts))
