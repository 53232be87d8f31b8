"""BERT, pretrained on a small text: how far below the line that knows no context?

Two lines tell what a number is worth. Whoever knows only how often each piece occurs
pays the unigram loss for a hidden one; whoever knows only how often B follows A pays the
entropy of the labels. A model has learned something of the context where it pays less.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from d2lcompanion.experiments.bert_checkpoint import Evaluation, History
from d2lcompanion.experiments.bert_feed import Feed, Recipe, probe_of
from d2lcompanion.experiments.bert_pretraining import train
from d2lcompanion.experiments.bert_text import Task, prepare
from d2lcompanion.text.bert_config import BertConfig
from d2lcompanion.text.bert_heads import BertForPretraining
from d2lcompanion.text.bert_start import scale_to_width, start_with_sinusoids
from d2lcompanion.text.entropy import entropy, unigram_loss
from d2lcompanion.text.masking import IGNORE
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers

WEIGHTS = ("published", "scaled")
POSITIONS = ("published", "sinusoidal")
AVERAGED = 50  # steps of training that one point of the curve is the mean of


@dataclass(frozen=True)
class Preset:
    """Text, sizes and recipe.

    Attributes:
        corpus: as in `load_corpus`.
        vocabulary: pieces.
        min_sign: a sign that occurs less often is [UNK].
        held_out: share of documents.
        width, layers, heads, inner, dropout: of the model.
        length, batch, parts, steps, warmup, rate, decay, next_weight, whole_words: of the
            recipe.
        weights: how linear maps begin: "published", N(0, 0.02²), or "scaled", N(0, 1/d).
        positions: how they begin: "published", N(0, 0.02²), or "sinusoidal".
        evaluations: looks at the held-out documents.
        checkpoint: a file to continue from and to write; "" is none.
        save_every: steps between two checkpoints.
    """

    corpus: str = "wikipedia"
    vocabulary: int = 1024
    min_sign: int = 20
    held_out: float = 0.1
    width: int = 64
    layers: int = 2
    heads: int = 2
    inner: int = 256
    dropout: float = 0.0
    length: int = 64
    batch: int = 32
    parts: int = 1
    steps: int = 60
    warmup: int = 10
    rate: float = 3e-3
    decay: float = 0.01
    next_weight: float = 1.0
    whole_words: bool = False
    weights: str = "published"
    positions: str = "published"
    evaluations: int = 6
    checkpoint: str = ""
    save_every: int = 500

    def __post_init__(self) -> None:
        require_numbers(
            self, steps=1, warmup=1, evaluations=1, save_every=1, parts=1, batch=1
        )
        if not 0 < self.rate < math.inf:
            raise ValueError(f"rate must be > 0 and finite, got {self.rate}")
        for name, known in (("weights", WEIGHTS), ("positions", POSITIONS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be {' or '.join(known)}, got {getattr(self, name)!r}"
                )

    @property
    def recipe(self) -> Recipe:
        """How to train."""
        values = asdict(self)
        names = set(Recipe.__dataclass_fields__) & set(values)
        return Recipe(**{name: values[name] for name in names})

    def config(self, vocabulary: int) -> BertConfig:
        """Sizes of the model."""
        return BertConfig(
            vocabulary, self.width, self.layers, self.heads, self.inner, self.length,
            dropout=self.dropout,
        )  # fmt: skip


PRESETS = {
    "ci": Preset(),
    "laptop": Preset(
        vocabulary=4096,
        width=128,
        heads=4,
        inner=512,
        batch=64,
        steps=3_600,
        warmup=300,
        rate=2e-3,
        weights="scaled",
        positions="sinusoidal",
        evaluations=18,
    ),
    "gpu": Preset(
        corpus="wikitext-103",
        vocabulary=30_522,
        min_sign=100,
        held_out=0.01,
        width=768,
        layers=12,
        heads=12,
        inner=3072,
        dropout=0.1,
        length=128,
        batch=256,
        steps=100_000,
        warmup=10_000,
        rate=1e-4,
        evaluations=50,
        save_every=1000,
    ),
}


def lines(task: Task, probe: Feed) -> dict[str, float]:
    """What is paid without context, on the very rows and masks of the evaluation.

    Returns:
        unigram: the loss of who knows the counts of the training part, nats a piece.
        unigram_entropy: of the hidden pieces themselves: no fixed guess pays less.
        label_entropy: of the labels of the rows.
        label_share: of the pairs in which B does not follow.
        uniform: ln V.
    """
    hidden: list[Tensor] = []
    label: list[Tensor] = []
    for step in range(probe.per_epoch):
        batch, masked = probe(step)
        hidden.append(masked.targets[masked.targets != IGNORE])
        label.append(batch.label)
    size = len(task.counts)
    asked = torch.bincount(torch.cat(hidden), minlength=size).cpu()
    labels = torch.bincount(torch.cat(label), minlength=2).cpu()
    return {
        "unigram": float(unigram_loss(task.counts, asked)),
        "unigram_entropy": float(entropy(asked)),
        "label_entropy": float(entropy(labels)),
        "label_share": float(labels[1] / labels.sum()),
        "uniform": math.log(size),
    }


def build(
    preset: Preset, task: Task, generator: torch.Generator, *, causal: bool = False
) -> BertForPretraining:
    """The model of a preset, untrained."""
    config = preset.config(len(task.tokenizer))
    model = BertForPretraining(config, generator, causal=causal)
    if preset.weights == "scaled":
        scale_to_width(model, preset.width, generator)
    if preset.positions == "sinusoidal":
        start_with_sinusoids(model.bert)
    return model


def load_task(preset: Preset, seed: int) -> Task:
    """The text of a preset."""
    return prepare(
        preset.corpus,
        vocabulary=preset.vocabulary,
        min_sign=preset.min_sign,
        held_out=preset.held_out,
        seed=seed,
    )


def describe(history: History) -> dict[str, Any]:
    """Curves and last values as numbers."""
    last = history.held_out[-1]
    count = len(history.losses) // AVERAGED * AVERAGED
    blocks = torch.tensor(history.losses[:count]).view(-1, AVERAGED)
    curves = {
        f"{name}_curve": [getattr(each, name) for each in history.held_out]
        for name in Evaluation._fields
    }
    return {
        "steps_curve": history.steps,
        **curves,
        "train_curve": blocks.mean(1).tolist(),
        **last._asdict(),
        "perplexity": math.exp(last.words),
    }


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """Pretrain, and compare with both lines."""
    seed = context.settings.seed
    task = load_task(preset, seed)
    model = build(preset, task, context.generator)
    checkpoint = Path(preset.checkpoint) if preset.checkpoint else None
    probe = probe_of(task, preset.recipe, context)
    history = train(
        model,
        task,
        preset.recipe,
        context,
        probe=probe,
        evaluations=preset.evaluations,
        checkpoint=checkpoint,
        save_every=preset.save_every,
    )
    found = lines(task, probe)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "pieces": len(task.train.ids),
        "held_out_pieces": len(task.held_out.ids),
        "rows_seen": preset.steps * preset.batch,
        "lines": found,
        **describe(history),
        "gain": found["unigram"] - history.held_out[-1].words,
    }


EXPERIMENT = Experiment(
    name="bert",
    title=Text(
        "BERT pretrained from scratch, against the lines that know no context",
        "从零预训练 BERT，与不看上下文的基准线相比",
    ),
    chapter="text/bert",
    presets=PRESETS,
    notes={
        "ci": "2 layers × 64 for 60 steps: seconds, it only comes near the unigram line",
        "laptop": "2 layers × 128, 4,096 pieces, 3,600 steps: a quarter of an hour of one CPU core",
        "gpu": "BERT-base on WikiText-103, to be downloaded; --devices N and bf16",
    },
    run=run,
    columns=(
        Column("lines.unigram", Text("unigram line", "一元基准线"), ".3f"),
        Column("words", Text("loss of hidden pieces", "掩码损失"), ".3f"),
        Column("perplexity", Text("perplexity", "困惑度"), ".0f"),
        Column("words_right", Text("pieces right", "猜中率"), ".3f"),
        Column("lines.label_entropy", Text("label entropy", "标签熵"), ".4f"),
        Column("next", Text("loss of next sentence", "下一句损失"), ".3f"),
        Column("next_right", Text("labels right", "下一句正确率"), ".3f"),
        Column("rows_seen", Text("rows seen", "见过的行数"), ",d"),
    ),
)
