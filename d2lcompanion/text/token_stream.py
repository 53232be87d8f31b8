"""A corpus as two flat arrays: the id of every token, and the number of its sentence.

A list of lists costs one object a token and one a sentence; here a token costs 16 bytes,
and what is done to all tokens is done by a few calls.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from d2lcompanion.text.checks import require_at_least, require_ids, require_shape
from d2lcompanion.text.vocab import UNKNOWN, Vocab


class TokenStream(NamedTuple):
    """Tokens in the order of the corpus.

    Attributes:
        ids: [n], int64.
        sentence: [n], int64, never falling; numbers may be missing.
    """

    ids: Tensor
    sentence: Tensor


def require_stream(stream: TokenStream) -> None:
    """Whole numbers, as many ids as sentence numbers.

    Raises:
        ValueError: otherwise.
    """
    for name, part in (("ids", stream.ids), ("sentence", stream.sentence)):
        if part.ndim != 1 or part.is_floating_point() or part.dtype == torch.bool:
            raise ValueError(
                f"{name} must be [n] of whole numbers, got {list(part.shape)}, "
                f"{part.dtype}"
            )
    require_shape("sentence", stream.sentence, stream.ids.shape)


def encode_blocks(
    sentences: Iterable[Iterable[str]],
    vocab: Vocab,
    *,
    tokens: int = 1_000_000,
) -> Iterator[TokenStream]:
    """Sentences as streams of about so many tokens each: memory for one block is enough.

    Words out of the vocabulary leave no token, and neither does `<unk>`: both are no
    word to learn a vector for, and d2l, gensim and word2vec's C program drop them alike
    before windows are formed. A block ends with a sentence; sentences are numbered from
    0 in each.

    Args:
        sentences: read once, as it comes.
        vocab: what gets an id.
        tokens: of a block before words are dropped, ≥ 1; a longer sentence is whole.
    Raises:
        ValueError: if a sentence is a string, or tokens < 1.
    """
    require_at_least("tokens", tokens, 1)
    block: list[list[str]] = []
    size = 0
    for sentence in sentences:
        if isinstance(sentence, str):
            raise ValueError(
                f"a sentence must be a sequence of words, got {sentence[:40]!r}"
            )
        block.append(sentence if isinstance(sentence, list) else list(sentence))
        size += len(block[-1])
        if size >= tokens:
            yield _encode(block, size, vocab)
            block, size = [], 0
    if block:
        yield _encode(block, size, vocab)


def encode(sentences: Iterable[Iterable[str]], vocab: Vocab) -> TokenStream:
    """A corpus that fits into memory, as one stream; see `encode_blocks`.

    Raises:
        ValueError: if no token is left, or a sentence is a string.
    """
    blocks = list(encode_blocks(sentences, vocab))
    if not any(len(block.ids) for block in blocks):
        raise ValueError(f"the corpus must have a word of the vocabulary, got {blocks}")
    shifts = [0]
    for block in blocks:
        last = int(block.sentence[-1]) + 1 if len(block.sentence) else 0
        shifts.append(shifts[-1] + last)
    return TokenStream(
        torch.cat([block.ids for block in blocks]),
        torch.cat([b.sentence + s for b, s in zip(blocks, shifts, strict=False)]),
    )


def decode(stream: TokenStream, vocab: Vocab) -> list[list[str]]:
    """The words again, a list a sentence; a sentence without a token is missing.

    Raises:
        ValueError: if an id is out of range.
    """
    require_stream(stream)
    require_ids("ids", stream.ids, len(vocab))
    lengths = torch.unique_consecutive(stream.sentence, return_counts=True)[1].tolist()
    words = iter(vocab.decode(stream.ids))
    return [[next(words) for _ in range(length)] for length in lengths]


def token_counts(stream: TokenStream, size: int) -> Tensor:
    """How often each of the ids 0 … size − 1 occurs, [size], int64.

    Raises:
        ValueError: if an id is out of range.
    """
    require_stream(stream)
    require_ids("ids", stream.ids, size)
    found = stream.ids.new_zeros(size)
    return found.index_add(0, stream.ids, torch.ones_like(stream.ids))


def shuffle_sentences(stream: TokenStream, generator: torch.Generator) -> TokenStream:
    """The sentences in random order, each whole and numbered from 0 as it comes.

    Args:
        generator: on any device.
    """
    require_stream(stream)
    device = stream.ids.device
    _, lengths = torch.unique_consecutive(stream.sentence, return_counts=True)
    order = torch.randperm(
        lengths.shape[0], generator=generator, device=generator.device
    ).to(device)
    begins = (lengths.cumsum(0) - lengths)[order]
    lengths = lengths[order]
    sentence = torch.repeat_interleave(lengths)
    moved = begins - (lengths.cumsum(0) - lengths)
    place = torch.arange(sentence.shape[0], device=device) + moved[sentence]
    return TokenStream(stream.ids[place], sentence)


def _encode(block: list[list[str]], size: int, vocab: Vocab) -> TokenStream:
    """One dictionary look-up a token, driven from C."""
    known = enumerate(vocab.tokens)
    numbers = _Numbers((token, i) for i, token in known if token != UNKNOWN)
    found = map(numbers.__getitem__, chain.from_iterable(block))
    ids = torch.from_numpy(np.fromiter(found, np.int64, count=size))
    lengths = torch.tensor([len(sentence) for sentence in block])
    sentence = torch.repeat_interleave(torch.arange(len(block)), lengths)
    inside = ids >= 0
    return TokenStream(ids[inside], sentence[inside])


class _Numbers(dict[str, int]):
    """−1 for a word that is not there, without storing it."""

    def __missing__(self, word: str) -> int:
        return -1
