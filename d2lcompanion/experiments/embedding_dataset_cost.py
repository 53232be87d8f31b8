"""What the way from a corpus to minibatches costs: seconds by tokens, memory by file size.

Time is taken on growing parts of the corpus, memory on growing files, in processes of
their own.
"""

import statistics
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from d2lcompanion.experiments.streaming_memory import peak_memory
from d2lcompanion.experiments.text_corpora import (
    TextCorpus,
    write_corpus,
)
from d2lcompanion.text.noise import AliasSampler, noise_distribution
from d2lcompanion.text.skip_gram_data import (
    keep_probabilities,
    minibatches,
    subsample,
)
from d2lcompanion.text.token_stream import encode, token_counts
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.training.wall_time import Stopwatch


def seconds_by_size(
    sentences: list[list[str]],
    parts: Sequence[float],
    generator: torch.Generator,
    *,
    min_count: int,
    threshold: float,
    **layout: int,
) -> tuple[list[int], list[float]]:
    """Tokens and seconds from strings to the last batch, median of three, by part.

    Args:
        sentences: of words.
        parts: shares of them, in (0, 1].
        generator: draws what is kept, and the batches.
        min_count: rarer words are left out.
        threshold: t of subsampling.
        layout: max_window, negatives and batch_size of `minibatches`.
    """
    vocab = Vocab.from_sequences(sentences, min_count=min_count)
    tokens, seconds = [], []
    for part in parts:
        some = sentences[: max(1, round(part * len(sentences)))]
        runs = []
        for _ in range(3):
            with Stopwatch() as watch:
                stream = encode(some, vocab)
                counts = token_counts(stream, len(vocab)).clamp(min=1)
                keep = keep_probabilities(vocab.counts, threshold)
                kept = subsample(stream, keep, generator)
                noise = AliasSampler(noise_distribution(counts))
                for _ in minibatches(kept, noise, generator=generator, **layout):
                    pass
            runs.append(watch.seconds)
        tokens.append(sum(map(len, some)))
        seconds.append(statistics.median(runs))
    return tokens, seconds


def memory_by_size(corpus: TextCorpus, sizes: Iterable[float]) -> dict[str, object]:
    """Peak memory of the pipeline, and of reading the file at once, in MB, by file size."""
    found: dict[str, list[float]] = {"file": [], "stream": [], "whole": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corpus.txt"
        for size in sizes:
            found["file"].append(write_corpus(corpus, path, size) / 1e6)
            found["stream"].append(peak_memory(path).megabytes)
            found["whole"].append(peak_memory(path, whole=True).megabytes)
    return dict(found)
