"""Skip-gram with negative sampling on a whole corpus: our trainers and gensim, one recipe."""

from dataclasses import dataclass

import torch
from torch import Tensor

from d2lcompanion.data.word_similarity import RatedPairs
from d2lcompanion.experiments.skip_gram_training import (
    Trained,
    prepare,
    train,
    train_gensim,
)
from d2lcompanion.experiments.word_vector_report import report
from d2lcompanion.text.sgns import (
    Recipe,
    train_on_pairs,
)
from d2lcompanion.text.sgns_objective import frequency_loss
from d2lcompanion.text.similarity import unit
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text

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
