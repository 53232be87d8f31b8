"""Which article is a paragraph from? The extract of the Wikipedia as a classification task.

Paragraphs that repeat one another are left out first: a copy in the test set measures
memory. The same number of paragraphs is taken from each article, so that guessing has
the accuracy 1/classes.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.text.bag_of_words import count_matrix, frequent_terms, one_hot

Words = tuple[str, ...]
SHINGLE = 3  # words in a row
ALIKE = 0.3  # two paragraphs that share so much are copies of each other


def near_duplicates(
    documents: Sequence[Words], shingle: int = SHINGLE, threshold: float = ALIKE
) -> list[int]:
    """Places of the documents that repeat an earlier one, in order.

    Two are alike if |A ∩ B|/|A ∪ B| > threshold, A and B being their sets of word
    n-grams.

    Args:
        documents: n of them.
        shingle: words of an n-gram, ≥ 1.
        threshold: in (0, 1).
    Source:
        Broder (1997), *On the Resemblance and Containment of Documents*.
    """
    size = {"shortest": shingle, "longest": shingle}
    terms = frequent_terms(documents, **size, min_documents=1)
    sets = one_hot(count_matrix(documents, terms, **size)).astype(np.float32)
    both = (sets @ sets.T).tocoo()
    sizes = np.asarray(sets.sum(axis=1)).ravel()
    first, second = both.coords
    alike = both.data > threshold * (sizes[first] + sizes[second] - both.data)
    return sorted({int(n) for n in second[alike & (first < second)]})


class Task(NamedTuple):
    """Paragraphs, and which articles are classes.

    Attributes:
        titles: of the C classes.
        paragraphs: all n of the extract that are no copies, as words.
        labels: [n], the class of each, −1 where the article is none.
        copies: how many paragraphs were left out.
    """

    titles: tuple[str, ...]
    paragraphs: tuple[Words, ...]
    labels: Tensor
    copies: int


@functools.cache
def load_task(least: int) -> Task:
    """The articles with at least so many paragraphs that are no copies.

    Raises:
        ValueError: if there are fewer than two.
    """
    data = load_wikipedia()
    copies = near_duplicates(data.paragraphs)
    kept = sorted(set(range(len(data.paragraphs))) - set(copies))
    article = data.article[kept]
    classes = (article.bincount() >= least).nonzero()[:, 0]
    if len(classes) < 2:
        raise ValueError(
            f"two articles must have {least} paragraphs, got {len(classes)}"
        )
    number = torch.full((len(data.titles),), -1)
    number[classes] = torch.arange(len(classes))
    return Task(
        tuple(data.titles[n] for n in classes.tolist()),
        tuple(data.paragraphs[n] for n in kept),
        number[article],
        len(copies),
    )


class Part(NamedTuple):
    """Some paragraphs and their classes.

    Attributes:
        places: [m], in `Task.paragraphs`.
        documents: m of them.
        labels: [m].
    """

    places: Tensor
    documents: tuple[Words, ...]
    labels: Tensor

    def first(self, each: int) -> Tensor:
        """Rows of the first paragraphs of every class."""
        seen = torch.nn.functional.one_hot(self.labels).cumsum(0)
        rank = seen.gather(1, self.labels[:, None])[:, 0]
        return (rank <= each).nonzero()[:, 0]

    def rows(self, rows: Tensor) -> "Part":
        """Some of them."""
        return Part(
            self.places[rows],
            tuple(self.documents[n] for n in rows.tolist()),
            self.labels[rows],
        )


class Split(NamedTuple):
    """Three parts, and the text that may be read without labels.

    Attributes:
        train, validation, test: as many of each class.
        text: every paragraph of the extract that is in neither validation nor test.
    """

    train: Part
    validation: Part
    test: Part
    text: tuple[Words, ...]


def split(task: Task, sizes: tuple[int, int, int], seed: int) -> Split:
    """Draw so many paragraphs of each class to train, validate and test.

    Raises:
        ValueError: if a size is below 1, or a class has too few paragraphs.
    """
    smallest = int(task.labels[task.labels >= 0].bincount().min())
    if min(sizes) < 1 or sum(sizes) > smallest:
        raise ValueError(
            f"sizes must be ≥ 1 and sum to at most {smallest}, got {list(sizes)}"
        )
    generator = torch.Generator().manual_seed(seed)
    chosen: list[list[Tensor]] = [[], [], []]
    for label in range(len(task.titles)):
        places = (task.labels == label).nonzero()[:, 0]
        order = places[torch.randperm(len(places), generator=generator)]
        pieces = order[: sum(sizes)].split(list(sizes))  # type: ignore[no-untyped-call]
        for part, piece in zip(chosen, pieces, strict=True):
            part.append(piece)
    parts = [_part(task, torch.cat(part)) for part in chosen]
    held_out = set(torch.cat([parts[1].places, parts[2].places]).tolist())
    text = tuple(p for n, p in enumerate(task.paragraphs) if n not in held_out)
    return Split(parts[0], parts[1], parts[2], text)


def _part(task: Task, places: Tensor) -> Part:
    documents = tuple(task.paragraphs[n] for n in places.tolist())
    return Part(places, documents, task.labels[places])


def guess_by_title(task: Task, documents: Sequence[Words]) -> Tensor:
    """The class whose title's words are most often in the paragraph; −1 where none is, [n].

    No learning: the rule that a representation has to beat.
    """
    titles = [title.lower().split() for title in task.titles]
    words = sorted({word for title in titles for word in title})
    column = {word: n for n, word in enumerate(words)}
    table = np.zeros((len(words), len(titles)))
    for number, title in enumerate(titles):
        for word in title:
            table[column[word], number] = 1 / len(title)
    scores = torch.from_numpy(count_matrix(documents, words) @ table)
    return torch.where(scores.amax(1) > 0, scores.argmax(1), -1)


def without_titles(task: Task, documents: Sequence[Words]) -> tuple[Words, ...]:
    """The documents without any word of any class's title."""
    words = {word for title in task.titles for word in title.lower().split()}
    return tuple(tuple(w for w in words_ if w not in words) for words_ in documents)


def misspell(
    documents: Sequence[Words], share: float, generator: torch.Generator
) -> tuple[Words, ...]:
    """Two neighboring letters exchanged in so many of the words of four letters and more."""

    def exchanged(word: str) -> str:
        if len(word) < 4 or float(torch.rand((), generator=generator)) >= share:
            return word
        n = int(torch.randint(1, len(word) - 2, (), generator=generator))
        return word[:n] + word[n + 1] + word[n] + word[n + 2 :]

    return tuple(tuple(exchanged(word) for word in words) for words in documents)
