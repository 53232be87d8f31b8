"""Skip-gram with negative sampling on a whole corpus: our trainers and gensim, one recipe.

Every trainer reads the same training paragraphs. The expected loss a pair is taken on
paragraphs that none of them has seen, after each epoch of ours and at the end of
gensim's. Seconds are those of training alone, without the curves.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.word_similarity import RatedPairs
from d2lcompanion.experiments.skip_gram_peers import (
    Sentences,
    gensim_vectors,
    in_order_of,
)
from d2lcompanion.experiments.text_corpora import load_corpus
from d2lcompanion.experiments.word_vector_report import report
from d2lcompanion.text.sgns import (
    EpochReport,
    Recipe,
    WordVectors,
    initial_vectors,
    train_on_pairs,
)
from d2lcompanion.text.sgns_blocks import train_in_blocks
from d2lcompanion.text.sgns_objective import expected_loss, frequency_loss
from d2lcompanion.text.similarity import unit
from d2lcompanion.text.skip_gram_data import keep_probabilities, subsample
from d2lcompanion.text.token_stream import TokenStream, encode, token_counts
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.wall_time import Stopwatch

PAIRS_A_STEP = 1024  # of the trainer on pairs: about 170 tokens

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does; the numbers of training are `Recipe`'s.

    Attributes:
        corpus: a name of `load_corpus`.
        min_count: rarer words are left out, ≥ 1.
        held_out: share of the paragraphs for the loss, in (0, 1).
        on_pairs: whether the slow trainer runs, too.
        threads: of gensim, ≥ 1; ours takes those that torch is given.
    Raises:
        ValueError: if a number is out of range.
    """

    corpus: str = "wikipedia"
    min_count: int = 5
    held_out: float = 0.05
    on_pairs: bool = False
    threads: int = 1
    dimension: int = 100
    window: int = 5
    negatives: int = 5
    epochs: int = 5
    rate: float = 0.025
    threshold: float = 1e-3

    def __post_init__(self) -> None:
        if min(self.min_count, self.threads) < 1 or not 0 < self.held_out < 1:
            raise ValueError(
                "min_count and threads must be ≥ 1 and held_out in (0, 1), got "
                f"{self.min_count}, {self.threads}, {self.held_out}"
            )
        _ = self.recipe

    @property
    def recipe(self) -> Recipe:
        """What all trainers do."""
        return Recipe(
            self.dimension,
            self.window,
            self.negatives,
            self.epochs,
            self.rate,
            threshold=self.threshold,
        )


PRESETS = {
    "ci": Preset(),
    "laptop": Preset(on_pairs=True),
    "gpu": Preset("text8", dimension=300),
}

# -------------------------------------------------------------------------------------- the study


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


def rated_cosines(
    rated: RatedPairs, vectors: Tensor, vocab: Vocab
) -> tuple[Tensor, Tensor]:
    """Cosines of the pairs of which both words are known, and people's ratings: [n] both."""
    lower = rated.lower()
    known = [n for n, pair in enumerate(lower.pairs) if all(w in vocab for w in pair)]
    first, second = (
        unit(vectors[vocab.encode(lower.pairs[n][side] for n in known)])
        for side in (0, 1)
    )
    ratings = torch.tensor([lower.ratings[n] for n in known], dtype=torch.float64)
    return (first * second).sum(1).double(), ratings


# --------------------------------------------------------------------------------- the experiment


def describe(trained: Trained, vocab: Vocab) -> dict[str, object]:
    """Curve, quality, length of the vectors and time as numbers."""
    center = trained.vectors.center.cpu()
    return {
        "losses": trained.losses,
        "loss": trained.losses[-1],
        "epoch_seconds": trained.seconds,
        "seconds": sum(trained.seconds),
        "cpu_seconds": trained.cpu,
        "tokens": sum(trained.tokens),
        "norm": float(center.norm(dim=1).median()),
        **report(center, vocab),
    }


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """Every trainer once, with the seed of the run."""
    seed, recipe = context.settings.seed, preset.recipe
    task = prepare(
        preset.corpus,
        min_count=preset.min_count,
        held_out=preset.held_out,
        threshold=preset.threshold,
        seed=seed,
    )
    there = task.to(context.device)
    low = context.settings.precision == "bf16"
    products = torch.bfloat16 if low else None
    found = {"blocks": train(there, recipe, context.generator, products=products)}
    if preset.on_pairs:
        found["pairs"] = train(
            there, recipe, context.generator, train_on_pairs, batch_size=PAIRS_A_STEP
        )
    found["gensim"] = train_gensim(
        task, recipe, min_count=preset.min_count, seed=seed, threads=preset.threads
    )
    return {
        "words": len(task.vocab),
        "tokens": len(task.stream.ids),
        "probe_tokens": len(task.probe.ids),
        "frequency_loss": frequency_loss(task.probe, task.counts, recipe),
        **{name: describe(trained, task.vocab) for name, trained in found.items()},
    }


EXPERIMENT = Experiment(
    name="skip-gram",
    title=Text(
        "Skip-gram with negative sampling: blocks, pairs and gensim by one recipe",
        "负采样跳元模型：分块、逐对与 gensim，同一套超参数",
    ),
    chapter="text/training-word2vec",
    presets=PRESETS,
    notes={
        "ci": "the Wikipedia extract, 100 dimensions, 5 epochs: twenty seconds",
        "laptop": "the same, and our trainer on pairs, too: minutes on a CPU",
        "gpu": "text8, 17 million tokens, to be downloaded; 300 dimensions",
    },
    run=run,
    columns=(
        Column("blocks.loss", Text("loss, blocks", "损失（分块）"), ".3f"),
        Column("gensim.loss", Text("loss, gensim", "损失（gensim）"), ".3f"),
        Column("blocks.wordsim.correlation", Text("WordSim, blocks", "WordSim（分块）"), ".3f"),
        Column("gensim.wordsim.correlation", Text("WordSim, gensim", "WordSim（gensim）"), ".3f"),
        Column("blocks.simlex.correlation", Text("SimLex, blocks", "SimLex（分块）"), ".3f"),
        Column("gensim.simlex.correlation", Text("SimLex, gensim", "SimLex（gensim）"), ".3f"),
    ),
)  # fmt: skip
