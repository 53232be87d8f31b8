"""One word in two senses: its vectors in context against the one vector that a table has."""

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.minilm import load_minilm
from d2lcompanion.text.bert import Bert
from d2lcompanion.text.bert_documents import SpecialIds
from d2lcompanion.text.bert_state import load_bert_state
from d2lcompanion.text.bert_tasks import masked_mean
from d2lcompanion.text.similarity import cosine, unit
from d2lcompanion.text.task_rows import join_rows
from d2lcompanion.text.wordpiece import WordPiece

# Sentences written for this course: the word, its senses, and four sentences of each.
SENSES: dict[str, dict[str, tuple[str, ...]]] = {
    "crane": {
        "bird": (
            "A crane stood on one leg in the shallow water.",
            "The crane spread its wings and flew over the marsh.",
            "We watched a crane feed its chicks among the reeds.",
            "The grey crane caught a small frog near the nest.",
        ),
        "machine": (
            "A crane lifted the steel beams to the tenth floor.",
            "The driver of the crane lowered the container onto the ship.",
            "They rented a crane to set the concrete wall in place.",
            "The tall crane at the building site swung its load to the left.",
        ),
    },
    "bank": {
        "river": (
            "We sat on the bank and watched the boats drift past.",
            "The river rose until it flooded the grassy bank.",
            "Willows grow along the bank of the stream.",
            "He pulled the canoe up onto the muddy bank.",
        ),
        "money": (
            "She opened an account at the bank to save her wages.",
            "The bank raised its interest rate on loans.",
            "He asked the bank for a mortgage to buy the house.",
            "The robbers took cash from the bank in broad daylight.",
        ),
    },
    "spring": {
        "season": (
            "The cherry trees bloom every spring.",
            "After a long winter the spring was warm and green.",
            "Farmers sow their wheat in early spring.",
            "Last spring it rained for most of April.",
        ),
        "coil": (
            "The spring in the mattress was bent and squeaked.",
            "A steel spring pushes the valve shut.",
            "He stretched the spring until it no longer snapped back.",
            "The clock stopped because its spring was broken.",
        ),
    },
}  # fmt: skip


class Pretrained(NamedTuple):
    """MiniLM in our own modules.

    Attributes:
        model: in evaluation mode.
        tokenizer: its vocabulary.
        special: ids.
        longest: tokens of a sentence.
    """

    model: Bert
    tokenizer: WordPiece
    special: SpecialIds
    longest: int


@functools.cache
def pretrained() -> Pretrained:
    """The encoder with the weights that the package carries."""
    found = load_minilm()
    model = load_bert_state(found.state, heads=found.heads)
    tokenizer = WordPiece(found.pieces)
    return Pretrained(model, tokenizer, SpecialIds.of(found.pieces), found.longest)


class Rows(NamedTuple):
    """Sentences as a batch.

    Attributes:
        ids: [B, T], int64.
        valid: [B, T], bool.
        pieces: of each row, without padding.
    """

    ids: Tensor
    valid: Tensor
    pieces: list[list[str]]


def rows_of(sentences: list[str], part: Pretrained) -> Rows:
    """[CLS] sentence [SEP], padded to the longest; cut after `longest` tokens.

    Raises:
        ValueError: if there is no sentence.
    """
    if not sentences:
        raise ValueError("sentences must hold one, got none")
    found = [part.tokenizer.encode(s)[: part.longest - 2] for s in sentences]
    rows = join_rows(found, special=part.special, longest=part.longest)
    names = part.tokenizer.pieces
    pieces = [
        [names[n] for n in ids[valid].tolist()]
        for ids, valid in zip(rows.ids, rows.valid, strict=True)
    ]
    return Rows(rows.ids, rows.valid, pieces)


@torch.no_grad()
def sentence_vectors(sentences: list[str], part: Pretrained | None = None) -> Tensor:
    """The mean of the vectors of all tokens that are no padding, to length 1: [B, 384]."""
    part = part or pretrained()
    rows = rows_of(sentences, part)
    hidden = part.model(rows.ids, valid=rows.valid).hidden
    return unit(masked_mean(hidden, rows.valid))


@torch.no_grad()
def vectors_in_context(
    word: str, sentences: list[str], part: Pretrained | None = None
) -> Tensor:
    """The vector of the word in each of the sentences: [B, 384], of its first occurrence.

    Raises:
        ValueError: if a sentence lacks the word, or the word is not one piece.
    """
    part = part or pretrained()
    if part.tokenizer.tokenize(word) != [word]:
        raise ValueError(f"the word must be one piece, got {word!r}")
    rows = rows_of(sentences, part)
    for sentence, pieces in zip(sentences, rows.pieces, strict=True):
        if word not in pieces:
            raise ValueError(f"{word!r} must occur in {sentence!r}")
    place = torch.tensor([pieces.index(word) for pieces in rows.pieces])
    hidden: Tensor = part.model(rows.ids, valid=rows.valid).hidden
    return hidden[torch.arange(len(place)), place]


class SenseReport(NamedTuple):
    """How far apart two senses are.

    Attributes:
        within: mean cosine of two sentences with one sense.
        between: with two senses.
        nearest: share of sentences whose nearest other one has the same sense.
    """

    within: float
    between: float
    nearest: float


def compare_senses(vectors: Tensor, sense: Tensor) -> SenseReport:
    """Cosines of vectors of one word, [B, d], by their senses, [B].

    For one vector that all sentences share, both means are 1, and the nearest is a
    guess: ties go to the first.
    """
    cosines = cosine(vectors, vectors)
    same = sense[:, None] == sense
    other = ~torch.eye(len(sense), dtype=torch.bool)
    nearest = cosines.masked_fill(~other, -2).argmax(1)
    return SenseReport(
        float(cosines[same & other].mean()),
        float(cosines[~same].mean()),
        float((sense[nearest] == sense).double().mean()),
    )


def senses_of(word: str) -> tuple[list[str], Tensor]:
    """The sentences of a word, and the number of the sense of each.

    Raises:
        ValueError: if the word has no sentences here.
    """
    if word not in SENSES:
        raise ValueError(f"word must be one of {list(SENSES)}, got {word!r}")
    senses = SENSES[word].values()
    sentences = [sentence for each in senses for sentence in each]
    numbers = [n for n, each in enumerate(senses) for _ in each]
    return sentences, torch.tensor(numbers)
