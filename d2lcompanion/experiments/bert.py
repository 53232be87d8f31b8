"""BERT, pretrained on a small text: how far below the line that knows no context?

Two lines tell what a number is worth. Whoever knows only how often each piece occurs
pays the unigram loss for a hidden one; whoever knows only how often B follows A pays the
entropy of the labels. A model has learned something of the context where it pays less.
"""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from d2lcompanion.experiments.bert_checkpoint import Evaluation, History
from d2lcompanion.experiments.bert_feed import Feed, probe_of
from d2lcompanion.experiments.bert_presets import PRESETS, Preset
from d2lcompanion.experiments.bert_pretraining import train
from d2lcompanion.experiments.bert_text import Task, prepare
from d2lcompanion.text.bert_heads import BertForPretraining
from d2lcompanion.text.bert_start import scale_to_width, start_with_sinusoids
from d2lcompanion.text.entropy import entropy, unigram_loss
from d2lcompanion.text.masking import IGNORE
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text

AVERAGED = 50  # steps of training that one point of the curve is the mean of


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
