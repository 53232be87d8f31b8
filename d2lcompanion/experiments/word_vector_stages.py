"""The stages on the way to word vectors, one by one, on a text of a given size.

Counting, PPMI, the singular value decomposition, and an epoch of either training. A text
has a given number of tokens and, independently of it, a given number of words.
"""

import bisect
from collections.abc import Callable
from typing import NamedTuple

import scipy.sparse as sparse
import torch
from torch import Tensor

from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.text.cooccurrence import cooccurrence
from d2lcompanion.text.glove import Entries, entries_of
from d2lcompanion.text.glove_training import (
    GloveRecipe,
    initial_glove_vectors,
    train_glove,
)
from d2lcompanion.text.ppmi_svd import ppmi, svd_vectors
from d2lcompanion.text.sgns import Recipe, initial_vectors
from d2lcompanion.text.sgns_blocks import train_in_blocks
from d2lcompanion.text.token_stream import TokenStream, encode
from d2lcompanion.text.vocab import Vocab

WINDOW = 5  # words on either side
BATCH = 4096  # entries of a step of GloVe

# -------------------------------------------------------------------------------------- the text


class Size(NamedTuple):
    """How large a task is: tokens of text, words of the vocabulary, numbers a vector."""

    tokens: int
    words: int
    dimension: int


class Task(NamedTuple):
    """What the stages work on; each takes what the one before has made."""

    size: Size
    stream: TokenStream
    counts: sparse.csr_array
    matrix: sparse.csr_array
    entries: Entries


def beginning(stream: TokenStream, tokens: int, words: int) -> TokenStream:
    """A beginning of a text, cut to its most frequent words, of which it has so many tokens.

    Each token more puts at most one more among the most frequent, so a length that gives
    the number exactly exists, and halving finds it. Ids are renamed by frequency.

    Args:
        stream: the whole text, with every word of it.
        tokens: how many are to be left.
        words: V, how many words.
    Raises:
        ValueError: if the text has fewer words, or fewer tokens of the frequent ones.
    """

    def frequent(length: int) -> Tensor:
        return (
            torch.bincount(stream.ids[:length])
            .sort(descending=True, stable=True)
            .values[:words]
        )

    whole = frequent(len(stream.ids))
    if len(whole) < words or int(whole.sum()) < tokens:
        raise ValueError(
            f"the text must have {tokens} tokens of {words} words, "
            f"got {int(whole.sum())} of {len(whole)}"
        )
    length = bisect.bisect_left(
        range(len(stream.ids) + 1), tokens, key=lambda n: int(frequent(n).sum())
    )
    ids, sentence = stream.ids[:length], stream.sentence[:length]
    counts, order = torch.bincount(ids).sort(descending=True, stable=True)
    if int((counts > 0).sum()) < words:
        raise ValueError(
            f"words must be ≤ {int((counts > 0).sum())} where {tokens} tokens are asked for, "
            f"got {words}"
        )
    order = order[:words]
    names = torch.full((int(stream.ids.max()) + 1,), -1)
    names[order] = torch.arange(words)
    kept = names[ids] >= 0
    return TokenStream(names[ids][kept], sentence[kept])


def prepare(size: Size, device: torch.device) -> Task:
    """A beginning of the extract, counted.

    Raises:
        ValueError: if the extract is too short.
    """
    paragraphs = load_wikipedia().paragraphs
    whole = encode(paragraphs, Vocab.from_sequences(paragraphs))
    text = beginning(whole, size.tokens, size.words)
    stream = TokenStream(*(part.to(device) for part in text))
    counts = cooccurrence(stream, size.words, WINDOW)
    return Task(size, stream, counts, ppmi(counts), entries_of(counts, device=device))


# ------------------------------------------------------------------------------------ the stages


def count(task: Task, generator: torch.Generator) -> None:
    """The table of co-occurrences."""
    cooccurrence(task.stream, task.size.words, WINDOW)


def compare(task: Task, generator: torch.Generator) -> None:
    """PPMI of the table."""
    ppmi(task.counts)


def squeeze(task: Task, generator: torch.Generator) -> None:
    """The singular value decomposition, cut off."""
    svd_vectors(task.matrix, task.size.dimension)


def glove(task: Task, generator: torch.Generator) -> None:
    """An epoch of GloVe over the entries."""
    _, words, dim = task.size
    device = task.stream.ids.device
    vectors = initial_glove_vectors(words, dim, generator, device=device)
    recipe = GloveRecipe(dim, epochs=1, rate=0.1, batch_size=BATCH)
    for _ in train_glove(vectors, task.entries, recipe, generator):
        pass


def sgns(task: Task, generator: torch.Generator) -> None:
    """An epoch of skip-gram with negative sampling over the tokens."""
    _, words, dim = task.size
    vectors = initial_vectors(words, dim, generator, device=task.stream.ids.device)
    recipe = Recipe(dimension=dim, window=WINDOW, epochs=1)
    for _ in train_in_blocks(vectors, task.stream, recipe, generator):
        pass


STAGES: dict[str, Callable[[Task, torch.Generator], None]] = {
    "count": count,
    "ppmi": compare,
    "svd": squeeze,
    "glove": glove,
    "sgns": sgns,
}
