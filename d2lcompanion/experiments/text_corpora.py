"""Corpora under one name each: where the file is, and how it is read; sentences as a stream."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from d2lcompanion.data.published_file import published_file
from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.text.corpus import read_ptb, read_text8, read_wikitext

Reader = Callable[..., Iterator[list[str]]]
READERS: dict[str, tuple[Reader, str]] = {  # name → how to read which member
    "ptb": (read_ptb, "ptb/ptb.train.txt"),
    "text8": (read_text8, "text8"),
    "wikitext-2": (read_wikitext, "wikitext-2/wiki.train.tokens"),
    "wikitext-103": (read_wikitext, "wikitext-103/wiki.train.tokens"),
}


class TextCorpus(NamedTuple):
    """A corpus that may be read more than once.

    Attributes:
        sentences: each call reads it from the start.
        source: a sentence: what was read.
    """

    sentences: Callable[[], Iterator[list[str]]]
    source: str


def load_corpus(
    name: str, *, download: bool = False, allow_unverified: bool = False
) -> TextCorpus:
    """ "wikipedia" (carried by gensim), or a published set: ptb, text8, wikitext-2, -103.

    Args:
        name: of the corpus.
        download: fetch a published set that is not in the data directory.
        allow_unverified: as in `fetch`.
    Raises:
        ValueError: if the name is unknown.
        FileNotFoundError: if a published set is not there, and was not to be fetched.
    """
    if name == "wikipedia":
        data = load_wikipedia()
        return TextCorpus(lambda: map(list, data.paragraphs), data.source)
    if name not in READERS:
        known = ", ".join(["wikipedia", *READERS])
        raise ValueError(f"corpus must be one of {known}, got {name!r}")
    path = published_file(name, download=download, allow_unverified=allow_unverified)
    reader, member = READERS[name]
    return TextCorpus(
        lambda: reader(path, member=member), f"{member} out of {path.name}."
    )


def zipf_corpus(
    sentences: int, *, words: int = 10_000, length: float = 21.0, seed: int = 0
) -> TextCorpus:
    """Made-up sentences: words of rank r drawn with p ∝ 1/r, lengths Poisson, ≥ 1.

    With 42,068 sentences it has the size of the Penn Treebank. It has no meaning, and
    serves to measure cost only.

    Args:
        sentences: how many.
        words: V, named w0, w1, …
        length: mean number of words in a sentence.
        seed: of the draws.
    Raises:
        ValueError: if a number is not positive.
    """
    if min(sentences, words, length) <= 0:
        raise ValueError(
            f"sentences, words and length must be > 0, got {sentences}, {words}, {length}"
        )

    def draw() -> Iterator[list[str]]:
        generator = torch.Generator().manual_seed(seed)
        names = [f"w{i}" for i in range(words)]
        shares = 1 / torch.arange(1, words + 1, dtype=torch.float64)
        edges = (shares.cumsum(0) / shares.sum()).clamp(max=1)
        for start in range(0, sentences, 10_000):
            block = min(10_000, sentences - start)
            mean = torch.full((block,), length)
            sizes = torch.poisson(mean, generator=generator).long().clamp(min=1)
            drawn = torch.rand(
                int(sizes.sum()), generator=generator, dtype=torch.float64
            )
            ids = torch.searchsorted(edges, drawn).clamp(max=words - 1)
            for part in torch.split(ids, sizes.tolist()):
                yield [names[i] for i in part.tolist()]

    return TextCorpus(
        draw, f"{sentences:,} made-up sentences of {words:,} words by Zipf's law."
    )


def write_corpus(corpus: TextCorpus, path: Path, megabytes: float) -> int:
    """Write a corpus to a file, again and again, until the file is so large; bytes written.

    Raises:
        ValueError: if the size is not positive.
    """
    if megabytes <= 0:
        raise ValueError(f"megabytes must be > 0, got {megabytes}")
    limit, written = int(megabytes * 1e6), 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        while written < limit:
            for sentence in corpus.sentences():
                line = " ".join(sentence) + "\n"
                file.write(line)
                written += len(line.encode("utf-8"))
                if written >= limit:
                    break
    return written


def describe(corpus: TextCorpus) -> dict[str, Any]:
    """Sentences and tokens of one pass."""
    sizes = [len(sentence) for sentence in corpus.sentences()]
    return {"sentences": len(sizes), "tokens": sum(sizes)}
