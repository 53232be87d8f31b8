"""A corpus in two parts, and skip-gram vectors trained on it: by our trainers and by gensim.

Every trainer reads the same training paragraphs. The expected loss a pair is taken on
paragraphs that none of them has seen, after each epoch of ours and at the end of
gensim's. Seconds are those of training alone, without the curves.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from d2lcompanion.experiments.skip_gram_peers import (
    Sentences,
    gensim_vectors,
    in_order_of,
)
from d2lcompanion.experiments.text_corpora import load_corpus
from d2lcompanion.text.sgns import (
    EpochReport,
    Recipe,
    WordVectors,
    initial_vectors,
)
from d2lcompanion.text.sgns_blocks import train_in_blocks
from d2lcompanion.text.sgns_objective import expected_loss
from d2lcompanion.text.skip_gram_data import keep_probabilities, subsample
from d2lcompanion.text.token_stream import TokenStream, encode, token_counts
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.training.wall_time import Stopwatch


class Task(NamedTuple):
    """A corpus in two parts.

    Attributes:
        sentences: of training, as words.
        vocab: of the training part.
        stream: the same as ids.
        counts: [V].
        probe: the held-out part, subsampled once as training would.
    """

    sentences: Sentences
    vocab: Vocab
    stream: TokenStream
    counts: Tensor
    probe: TokenStream

    def to(self, device: torch.device) -> "Task":
        """The same with its numbers on a device."""
        move = [
            TokenStream(*(x.to(device) for x in s)) for s in (self.stream, self.probe)
        ]
        return self._replace(
            stream=move[0], probe=move[1], counts=self.counts.to(device)
        )


def prepare(
    corpus: str, *, min_count: int, held_out: float, threshold: float, seed: int
) -> Task:
    """Sentences in random order, the first of them held out; the vocabulary of the rest.

    Raises:
        ValueError: if a part has no sentence.
    """
    every = list(load_corpus(corpus).sentences())
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(every), generator=generator).tolist()
    cut = round(held_out * len(every))
    if not 0 < cut < len(every):
        raise ValueError(
            f"held_out leaves a part of {len(every)} empty, got {held_out}"
        )
    sentences = [every[n] for n in order[cut:]]
    vocab = Vocab.from_sequences(sentences, min_count=min_count)
    stream = encode(sentences, vocab)
    counts = token_counts(stream, len(vocab))
    keep = keep_probabilities(counts, threshold, "word2vec")
    probe = subsample(encode((every[n] for n in order[:cut]), vocab), keep, generator)
    return Task(sentences, vocab, stream, counts, probe)


class Trained(NamedTuple):
    """What training gives.

    Attributes:
        vectors: at the end.
        losses: expected, on the probe: before, and after each epoch.
        seconds: wall time of each epoch.
        cpu: seconds of all processors, together.
        tokens: center words of each epoch.
    """

    vectors: WordVectors
    losses: list[float]
    seconds: list[float]
    cpu: float
    tokens: list[int]


Trainer = Callable[..., Iterator[EpochReport]]


def train(
    task: Task,
    recipe: Recipe,
    generator: torch.Generator,
    trainer: Trainer = train_in_blocks,
    *,
    probe: bool = True,
    **options: Any,
) -> Trained:
    """One of our trainers, epoch by epoch.

    Args:
        task: where its stream is, training is.
        recipe: what to do.
        generator: of first vectors and of training.
        trainer: `train_in_blocks` or `train_on_pairs`.
        probe: whether losses are taken.
        options: of the trainer.
    Raises:
        FloatingPointError: if it diverges.
    """
    device = task.stream.ids.device
    vectors = initial_vectors(
        len(task.vocab), recipe.dimension, generator, device=device
    )
    result = Trained(vectors, [], [], 0.0, [])
    passing = trainer(vectors, task.stream, recipe, generator, **options)
    for epoch in range(recipe.epochs + 1):
        if epoch:
            before = time.process_time()
            with Stopwatch(device) as watch:
                tokens = next(passing).tokens
            result.seconds.append(watch.seconds)
            result.tokens.append(tokens)
            result = result._replace(cpu=result.cpu + time.process_time() - before)
        if probe:
            result.losses.append(
                expected_loss(vectors, task.probe, task.counts, recipe)
            )
    return result


def train_gensim(
    task: Task, recipe: Recipe, *, min_count: int, seed: int, threads: int
) -> Trained:
    """gensim on the same sentences, its vectors in our order of words."""
    before = time.process_time()
    with Stopwatch() as watch:
        found = gensim_vectors(
            task.sentences, recipe, min_count=min_count, seed=seed, threads=threads
        )
    cpu = time.process_time() - before
    vectors = in_order_of(task.vocab, found)
    loss = expected_loss(vectors, task.probe, task.counts, recipe)
    return Trained(vectors, [loss], [watch.seconds], cpu, [found.tokens])
