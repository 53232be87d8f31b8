"""Texts for pretraining BERT: articles as sentences, some held out, a vocabulary of the rest."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.experiments.text_corpora import load_corpus
from d2lcompanion.text.bert_documents import Documents, SpecialIds, encode_documents
from d2lcompanion.text.masking import ordinary_ids
from d2lcompanion.text.wordpiece import WordPiece
from d2lcompanion.text.wordpiece_training import count_words, train_wordpiece

# White space after . ! ? (and what closes a quotation), before what may begin a sentence.
SENTENCE_END = re.compile(
    r"""(?:(?<=[.!?])|(?<=[.!?]["')\]]))\s+(?=["'(\[]?[A-Z0-9])"""
)
ABBREVIATION = re.compile(r"(?:\b[A-Z]|\b(?:e\.g|i\.e|cf|ca|Dr|Mr|Mrs|St|vs|No))\.$")
SENTENCES_A_DOCUMENT = 64  # of a corpus without articles


class Task(NamedTuple):
    """A corpus in two parts.

    Attributes:
        tokenizer: trained on the training part.
        special: ids of its special pieces.
        random_ids: [W], what a random word may be: all others.
        train: documents.
        held_out: other documents.
        counts: [V], of the pieces of the training part.
        source: a sentence: what was read.
    """

    tokenizer: WordPiece
    special: SpecialIds
    random_ids: Tensor
    train: Documents
    held_out: Documents
    counts: Tensor
    source: str


def split_prose(text: str) -> list[str]:
    """The sentences of a paragraph, by a rule: some abbreviations are taken for an end.

    A cut after "e.g." or an initial is undone.
    """
    found: list[str] = []
    for part in SENTENCE_END.split(text):
        if found and ABBREVIATION.search(found[-1]):
            found[-1] = f"{found[-1]} {part}"
        else:
            found.append(part)
    return [part for part in found if part.strip()]


def articles() -> tuple[list[list[str]], str]:
    """The articles of the Wikipedia extract, each as its sentences, and their source."""
    data = load_wikipedia()
    found: list[list[str]] = [[] for _ in data.titles]
    for text, article in zip(data.texts, data.article.tolist(), strict=True):
        found[article] += split_prose(text)
    return found, data.source


def documents_of(corpus: str) -> tuple[list[list[str]], str]:
    """Documents as sentences: Wikipedia's articles, or runs of 64 lines of a published corpus."""
    if corpus == "wikipedia":
        return articles()
    text = load_corpus(corpus)
    lines = [" ".join(sentence) for sentence in text.sentences()]
    step = SENTENCES_A_DOCUMENT
    return [lines[n : n + step] for n in range(0, len(lines), step)], text.source


def split_documents(
    documents: Sequence[list[str]], held_out: float, seed: int
) -> tuple[list[list[str]], list[list[str]]]:
    """Training and held-out documents, whole ones, drawn at random.

    Raises:
        ValueError: if a part would have fewer than two documents, as negatives need.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(documents), generator=generator).tolist()
    cut = round(held_out * len(documents))
    if not 2 <= cut <= len(documents) - 2:
        raise ValueError(
            f"held_out must leave two documents in both parts of {len(documents)}, "
            f"got {held_out}"
        )
    return [documents[n] for n in order[cut:]], [documents[n] for n in order[:cut]]


def prepare(
    corpus: str, *, vocabulary: int, min_sign: int, held_out: float, seed: int
) -> Task:
    """Read, split, train the vocabulary, and cut into pieces.

    Raises:
        ValueError: as in `split_documents` and `train_wordpiece`.
    """
    documents, source = documents_of(corpus)
    train, rest = split_documents(documents, held_out, seed)
    words = count_words(sentence for document in train for sentence in document)
    pieces = train_wordpiece(words, vocabulary, min_sign=min_sign)
    tokenizer = WordPiece(pieces)
    special = SpecialIds.of(pieces)
    encoded = encode_documents(train, tokenizer)
    return Task(
        tokenizer,
        special,
        ordinary_ids(len(pieces), special),
        encoded,
        encode_documents(rest, tokenizer),
        torch.bincount(encoded.ids, minlength=len(pieces)),
        source,
    )
