"""Vectors of words that are learned from a text without labels, by one function each."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from d2lcompanion.data.glove_vectors import load_glove_6b_50d
from d2lcompanion.text import subword_skip_gram
from d2lcompanion.text.cooccurrence import cooccurrence
from d2lcompanion.text.fasttext import FastText, NGrams
from d2lcompanion.text.glove import entries_of
from d2lcompanion.text.glove_training import (
    GloveRecipe,
    initial_glove_vectors,
    train_glove,
)
from d2lcompanion.text.sgns import Recipe, initial_vectors
from d2lcompanion.text.sgns_blocks import train_in_blocks
from d2lcompanion.text.token_stream import encode
from d2lcompanion.text.vocab import Vocab

Documents = Sequence[tuple[str, ...]]
PUBLISHED = 40_000  # words, the most frequent


class Effort(NamedTuple):
    """How vectors are learned.

    Attributes:
        min_count: rarer words have no vector.
        dimension: d.
        sgns_epochs, subword_epochs, glove_epochs: passes.
    """

    min_count: int
    dimension: int
    sgns_epochs: int
    subword_epochs: int
    glove_epochs: int


class WordTable(NamedTuple):
    """Vectors of words.

    Attributes:
        words: V of them, all different.
        counts: [V], in the text that may be read; 0 for a word that is not in it.
        vectors: [V, d].
        seconds: of a processor, to learn them.
        model: fastText's, which has vectors for other words too.
    """

    words: tuple[str, ...]
    counts: np.ndarray
    vectors: np.ndarray
    seconds: float = 0.0
    model: FastText | None = None


def learn_sgns(text: Documents, effort: Effort, seed: int) -> WordTable:
    """Skip-gram with negative sampling."""
    vocab = Vocab.from_sequences(text, min_count=effort.min_count)
    generator = torch.Generator().manual_seed(seed)
    recipe = Recipe(effort.dimension, epochs=effort.sgns_epochs, rate=0.05)
    start = time.process_time()
    found = initial_vectors(len(vocab), effort.dimension, generator)
    for _ in train_in_blocks(found, encode(text, vocab), recipe, generator):
        pass
    return _table(vocab, found.center, start)


def learn_glove(text: Documents, effort: Effort, seed: int) -> WordTable:
    """GloVe, with the x_max that fits a small text."""
    vocab = Vocab.from_sequences(text, min_count=effort.min_count)
    generator = torch.Generator().manual_seed(seed)
    recipe = GloveRecipe(
        effort.dimension, 10.0, epochs=effort.glove_epochs, rate=0.1, batch_size=4096
    )
    start = time.process_time()
    entries = entries_of(cooccurrence(encode(text, vocab), len(vocab), 5))
    found = initial_glove_vectors(len(vocab), effort.dimension, generator)
    for _ in train_glove(found, entries, recipe, generator):
        pass
    return _table(vocab, found.total, start)


def learn_subwords(text: Documents, effort: Effort, seed: int) -> WordTable:
    """Skip-gram over words and their character n-grams."""
    vocab = Vocab.from_sequences(text, min_count=effort.min_count)
    plan = subword_skip_gram.Plan(effort.dimension, epochs=effort.subword_epochs)
    generator = torch.Generator().manual_seed(seed)
    start = time.process_time()
    ngrams = NGrams(3, 6, 30_000)
    model = subword_skip_gram.train(text, vocab, ngrams, plan, generator)
    return _table(vocab, model.vectors(), start)._replace(model=model)


def published_table(text: Documents) -> WordTable:
    """GloVe's published vectors; how often the words are in the text."""
    published = load_glove_6b_50d()
    vocab = Vocab.from_sequences(text, min_count=1)
    known = [n for n, word in enumerate(published.words) if word in vocab]
    words = published.words[:40_000]
    counts = np.zeros(len(words))
    for place in known:
        if place < len(words):
            word = published.words[place]
            counts[place] = int(vocab.counts[vocab.id_of(word)])
    return WordTable(words, counts, published.vectors[: len(words)].numpy())


def _table(vocab: Vocab, vectors: Tensor, start: float) -> WordTable:
    seconds = time.process_time() - start
    return WordTable(vocab.tokens, vocab.counts.numpy(), vectors.numpy(), seconds)


LEARNERS = {"sgns": learn_sgns, "subword": learn_subwords, "glove": learn_glove}


def with_unseen_words(table: WordTable, documents: Documents) -> WordTable:
    """The table with the words of the documents that it lacks, where n-grams have vectors."""
    if table.model is None:
        return table
    known = set(table.words)
    unseen = sorted({word for words in documents for word in words} - known)
    found = [(w, v) for w in unseen if (v := _vector(table.model, w)) is not None]
    return table._replace(
        words=(*table.words, *(word for word, _ in found)),
        counts=np.concatenate([table.counts, np.zeros(len(found))]),
        vectors=np.concatenate([table.vectors, *(v[None] for _, v in found)]),
    )


def _vector(model: FastText, word: str) -> np.ndarray | None:
    try:
        vector: np.ndarray = model.vector(word).numpy()
    except KeyError:  # shorter than its n-grams
        return None
    return vector
