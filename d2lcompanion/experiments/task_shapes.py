"""BERT's four task shapes, each run: a class, tags, a pair, an answer, on unseen articles.

The seed chooses the block of articles that is tested and the first weights of the head.
With the encoder frozen only a linear map is learned, on vectors that were made once. What
is to be beaten is a rule without an encoder; where frozen vectors do not beat it, the
numbers say so.
"""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from d2lcompanion.experiments.bert_feed import Recipe
from d2lcompanion.experiments.fine_tuning import (
    encode_rows,
    encoder,
    fine_tune,
    logits_of,
)
from d2lcompanion.experiments.task_examples import BLOCKS, Examples, Sizes
from d2lcompanion.experiments.task_heads import SHAPES
from d2lcompanion.experiments.task_judges import JUDGES, RULES, Scores
from d2lcompanion.experiments.word_senses import pretrained
from d2lcompanion.text.bert import Encoded
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers

Autocast = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        paragraphs: of each topic; windows: of text to tag; pairs: of paragraphs; cloze:
            questions with a gap, beside our own.
        words: of a paragraph, a window, and each text of a pair.
        head_steps, head_rate: of training a head on frozen vectors.
        steps, batch, rate: of training everything; 0 steps: not done.
    Raises:
        ValueError: if a number is out of range.
    """

    paragraphs: int
    windows: int
    pairs: int
    cloze: int
    words: int
    head_steps: int = 100
    head_rate: float = 1e-2
    steps: int = 0
    batch: int = 16
    rate: float = 3e-4

    def __post_init__(self) -> None:
        require_numbers(self, paragraphs=5, windows=10, pairs=10, cloze=0, words=5)
        require_numbers(self, head_steps=1, steps=0, batch=1)
        for name in ("head_rate", "rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")

    @property
    def sizes(self) -> Sizes:
        """Of the examples."""
        return Sizes(self.paragraphs, self.windows, self.pairs, self.cloze, self.words)


PRESETS = {
    "ci": Preset(40, 240, 100, 20, 20, head_steps=60),
    "laptop": Preset(100, 300, 300, 150, 32, head_steps=200, steps=60),
    "gpu": Preset(400, 3000, 4000, 250, 100, head_steps=500, steps=2000, rate=1e-4),
}

# --------------------------------------------------------------------------------------- examples


@functools.cache
def examples(name: str, sizes: Sizes) -> Examples:
    """The examples of a shape, made once.

    Raises:
        ValueError: if there is no such shape.
    """
    if name not in SHAPES:
        raise ValueError(f"name must be one of {list(SHAPES)}, got {name!r}")
    return SHAPES[name].examples(sizes)


@functools.cache
def frozen_vectors(name: str, sizes: Sizes) -> Encoded:
    """What MiniLM makes of them, for all seeds."""
    return encode_rows(pretrained().model, examples(name, sizes).rows)


def divide(data: Examples, seed: int) -> tuple[Tensor, Tensor]:
    """Numbers of the examples for training and for the test: block `seed` mod 5 is tested."""
    held_out = data.block == seed % BLOCKS
    return (~held_out).nonzero()[:, 0], (held_out & data.tested).nonzero()[:, 0]


# --------------------------------------------------------------------------------------- training


def learn_head(name: str, preset: Preset, seed: int) -> Scores:
    """The encoder frozen: a linear map of its vectors, by AdamW on all rows at once."""
    shape, data = SHAPES[name], examples(name, preset.sizes)
    vectors = frozen_vectors(name, preset.sizes)
    train, test = divide(data, seed)
    model = shape.head(pretrained().model, torch.Generator().manual_seed(seed)).eval()
    rows, targets = data.rows.rows(train), data.targets[train]
    seen = Encoded(*(part[train] for part in vectors))
    optimizer = torch.optim.AdamW(model.linear.parameters(), lr=preset.head_rate)
    for _ in range(preset.head_steps):
        optimizer.zero_grad()
        loss = shape.loss(model.score(seen, rows.valid), targets, rows)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    unseen = Encoded(*(part[test] for part in vectors))
    rows = data.rows.rows(test)
    with torch.no_grad():
        logits = model.score(unseen, rows.valid)
    return JUDGES[name](logits, data.targets[test], rows)


def learn_all(
    name: str,
    preset: Preset,
    seed: int,
    device: torch.device | None = None,
    autocast: Autocast = nullcontext,
) -> Scores:
    """Encoder and map trained together."""
    shape, data = SHAPES[name], examples(name, preset.sizes)
    device = device or torch.device("cpu")
    train, test = divide(data, seed)
    generator = torch.Generator().manual_seed(seed)
    model = shape.head(encoder("minilm", dropout=0.1), generator).to(device)
    rows, targets = data.rows.rows(train), data.targets[train].to(device)
    recipe = Recipe(
        batch=preset.batch,
        steps=preset.steps,
        warmup=max(1, preset.steps // 10),
        rate=preset.rate,
    )
    fine_tune(
        model,
        rows,
        lambda logits, which: shape.loss(
            logits, targets[which.to(device)], rows.rows(which)
        ),
        recipe,
        generator,
        autocast,
    )
    rows = data.rows.rows(test)
    return JUDGES[name](logits_of(model, rows), data.targets[test], rows)


def apply_rules(name: str, preset: Preset, seed: int) -> Scores:
    """The rule without an encoder, on the same articles."""
    data = examples(name, preset.sizes)
    return RULES[name](data, *divide(data, seed))


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """All four as numbers for `d2lc run`."""
    seed, names = context.settings.seed, list(SHAPES)
    results: dict[str, object] = {}
    for number in context.track(range(len(names)), "shapes"):
        name = names[number]
        train, test = divide(examples(name, preset.sizes), seed)
        found: dict[str, object] = {
            "train": len(train),
            "test": len(test),
            "rule": apply_rules(name, preset, seed),
            "frozen": learn_head(name, preset, seed),
            "tuned": {SHAPES[name].score: None},  # not measured
        }
        if preset.steps:
            args = (context.device, context.autocast)
            found["tuned"] = learn_all(name, preset, seed, *args)
        results[name] = found
    return results


EXPERIMENT = Experiment(
    name="task-shapes",
    title=Text(
        "Four task shapes on one encoder: a rule without it, a head on frozen vectors, all trained",
        "同一个编码器的四种任务形态：不用编码器的规则、冻结向量上的任务头、全部训练",
    ),
    chapter="text/self-supervised-learning",
    presets=PRESETS,
    notes={
        "ci": "hundreds of short examples, the encoder frozen: seconds on one CPU thread",
        "laptop": "more examples, the encoder frozen and trained: minutes on a CPU",
        "gpu": "thousands of longer examples on one accelerator",
    },
    run=run,
    columns=tuple(
        Column(
            f"{name}.{what}.{shape.score}",
            Text(*map(" ".join, zip(shape.title, header, strict=True))),
            ".3f",
        )
        for name, shape in SHAPES.items()
        for what, header in {
            "rule": ("(rule)", "（规则）"),
            "frozen": ("(frozen)", "（冻结）"),
            "tuned": ("(all trained)", "（全部训练）"),
        }.items()
    ),
)
