"""How BERT's first weights decide how long pretraining lies flat: two changes, four ways."""

import itertools
from dataclasses import replace

import torch

from d2lcompanion.experiments.bert import build, describe, lines, load_task
from d2lcompanion.experiments.bert_feed import probe_of
from d2lcompanion.experiments.bert_presets import POSITIONS, WEIGHTS, Preset
from d2lcompanion.experiments.bert_presets import PRESETS as LONG
from d2lcompanion.experiments.bert_pretraining import train
from d2lcompanion.experiments.bert_text import Task
from d2lcompanion.text.neighbour_counts import neighbour_losses
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text

COUNTED = 8192  # pieces: for more, tables of all pairs would take gigabytes
WAYS = tuple(itertools.product(WEIGHTS, POSITIONS))
PRESETS = {
    "ci": Preset(steps=20, warmup=5, evaluations=2),
    "laptop": replace(LONG["laptop"], steps=1_600, evaluations=8),
    "gpu": replace(LONG["gpu"], steps=20_000, evaluations=20),
}


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """Train from four beginnings, on the same rows, masks and rates.

    Returns:
        lines: as in `bert.lines`.
        neighbours: as in `neighbour_losses`, of the held-out documents, none hidden; empty
            if the vocabulary has more than 8,192 pieces.
        published_published, …: weights, then positions; as in `bert.describe`.
    Raises:
        ValueError: if a checkpoint is asked for: it would be of one of four models.
    """
    if preset.checkpoint:
        raise ValueError(f"checkpoint must be empty here, got {preset.checkpoint!r}")
    seed = context.settings.seed
    task = load_task(preset, seed)
    probe = probe_of(task, preset.recipe, context)
    found: dict[str, object] = {
        "lines": lines(task, probe),
        "neighbours": count_neighbours(task),
    }
    for weights, positions in WAYS:
        way = replace(preset, weights=weights, positions=positions)
        model = build(way, task, torch.Generator().manual_seed(seed))
        history = train(
            model, task, way.recipe, context, probe=probe, evaluations=way.evaluations
        )
        found[f"{weights}_{positions}"] = describe(history)
    return found


def count_neighbours(task: Task) -> dict[str, float]:
    """What counting alone pays on the held-out documents."""
    size = len(task.tokenizer)
    if size > COUNTED:
        return {}
    seen, asked = ((d.ids, d.sentence()) for d in (task.train, task.held_out))
    return neighbour_losses(seen, asked, size)


EXPERIMENT = Experiment(
    name="bert-start",
    title=Text(
        "BERT from four beginnings: how long the loss lies flat",
        "四种起点的 BERT：损失平坦多久",
    ),
    chapter="text/bert",
    presets=PRESETS,
    notes={
        "ci": "four times 20 steps of a tiny model: seconds",
        "laptop": "four times 1,600 steps: about twenty minutes of one CPU core",
        "gpu": "BERT-base on WikiText-103, four times 20,000 steps",
    },
    run=run,
    columns=(
        Column("lines.unigram", Text("unigram line", "一元基准线"), ".3f"),
        Column("published_published.words", Text("as published", "原来的起点"), ".3f"),
        Column("scaled_published.words", Text("weights scaled", "缩放权重"), ".3f"),
        Column("published_sinusoidal.words", Text("sinusoids", "正弦位置"), ".3f"),
        Column("scaled_sinusoidal.words", Text("both", "两者都用"), ".3f"),
    ),
)
