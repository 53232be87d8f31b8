"""Paragraphs of articles for a comparison with few labels: cut, and without the titles' words."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from d2lcompanion.data.wikipedia import load_wikipedia, words_of
from d2lcompanion.experiments.fine_tuning import encode_rows, encoder
from d2lcompanion.experiments.paragraph_task import Task, load_task
from d2lcompanion.experiments.word_senses import pretrained
from d2lcompanion.text.bert import Bert
from d2lcompanion.text.bert_tasks import masked_mean
from d2lcompanion.text.task_rows import Rows, join_rows

LEAST = 60  # paragraphs that an article has, to be a class
SHORTEST = 3  # letters of a title's word that is taken out: "of" is left in


class Few(NamedTuple):
    """The task of a preset.

    Attributes:
        task: all paragraphs as words; the label is −1 outside the pool.
        texts: the same as they are written.
    """

    task: Task
    texts: tuple[str, ...]


@functools.cache
def few_task(classes: int, pool: int, words: int) -> Few:
    """Paragraphs without the words of the titles, cut; the pool is the same for all seeds.

    Raises:
        ValueError: if so many classes have no pool of that size.
    """
    data, whole = load_wikipedia(), load_task(LEAST)
    sizes = whole.labels[whole.labels >= 0].bincount()
    if classes > len(sizes) or pool > int(
        sizes.sort(descending=True).values[classes - 1]
    ):
        raise ValueError(
            f"{classes} articles must have {pool} paragraphs each; sizes are "
            f"{sizes.sort(descending=True).values.tolist()}"
        )
    chosen = (
        sizes.argsort(descending=True, stable=True)[:classes].sort().values.tolist()
    )
    titles = tuple(whole.titles[n] for n in chosen)
    written = dict(zip(data.paragraphs, data.texts, strict=True))
    names = {w for title in titles for w in words_of(title) if len(w) >= SHORTEST}
    texts = tuple(cut(written[p], names, words) for p in whole.paragraphs)
    labels = torch.full_like(whole.labels, -1)
    generator = torch.Generator().manual_seed(0)
    for label, n in enumerate(chosen):
        places = (whole.labels == n).nonzero()[:, 0]
        labels[places[torch.randperm(len(places), generator=generator)[:pool]]] = label
    return Few(Task(titles, tuple(map(words_of, texts)), labels, whole.copies), texts)


def cut(text: str, names: set[str], words: int) -> str:
    """The first words, those of a title left out: "Lincoln's" is, with "lincoln" in names."""
    kept = (token for token in text.split() if not names & set(words_of(token)))
    return " ".join([token for token, _ in zip(kept, range(words))])  # noqa: B905


def rows_of(few: Few, places: Sequence[int]) -> Rows:
    """Some of the paragraphs as rows of pieces."""
    part = pretrained()
    ids = [part.tokenizer.encode(few.texts[n])[: part.longest - 2] for n in places]
    return join_rows(ids, special=part.special, longest=part.longest)


def mean_vectors(few: Few, places: Sequence[int], bert: Bert) -> np.ndarray:
    """The mean of the tokens of each paragraph, [n, d]."""
    rows = rows_of(few, places)
    found: np.ndarray = masked_mean(encode_rows(bert, rows).hidden, rows.valid).numpy()
    return found


@functools.cache
def pool_vectors(classes: int, pool: int, words: int) -> np.ndarray:
    """Of MiniLM for all paragraphs, made once for all seeds: [n, d], 0 outside the pool."""
    few = few_task(classes, pool, words)
    places = (few.task.labels >= 0).nonzero()[:, 0].tolist()
    vectors = np.zeros((len(few.texts), pretrained().model.config.width), np.float32)
    vectors[places] = mean_vectors(few, places, encoder("minilm"))
    return vectors
