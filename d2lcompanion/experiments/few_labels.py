"""Few labels: does a pretrained encoder need fewer of them than one that starts at random?

Which article is a paragraph from? Paragraphs are cut to their first words and have lost
the words of the titles; copies of one another were left out. Every representation gets
the same paragraphs and the same labels, and there is no validation set: with a label a
class there would be more labels in it than in training. The penalty of the linear
classifier and the recipe of fine-tuning are the preset's.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from d2lcompanion.experiments.bert_feed import Recipe
from d2lcompanion.experiments.few_label_task import (
    Few,
    few_task,
    mean_vectors,
    pool_vectors,
    rows_of,
)
from d2lcompanion.experiments.fine_tuning import Start, encoder, fine_tune, logits_of
from d2lcompanion.experiments.linear_probe import (
    Features,
    fit,
    in_few_columns,
    spread,
)
from d2lcompanion.experiments.paragraph_task import Split, split
from d2lcompanion.experiments.text_features import by_text_tfidf
from d2lcompanion.text.bert_tasks import SequenceClassifier, class_loss
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers, require_positive

NAMES = {
    "tfidf": Text("TF-IDF, linear", "TF-IDF + 线性分类器"),
    "random": Text("random weights, frozen", "随机权重，冻结"),
    "minilm": Text("MiniLM, frozen", "MiniLM，冻结"),
    "random_tuned": Text("random weights, all trained", "随机权重，全部训练"),
    "minilm_tuned": Text("MiniLM, all trained", "MiniLM，全部训练"),
}


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        classes: articles, those with the most paragraphs.
        pool: paragraphs of each class from which the seed draws.
        words: of a paragraph that are kept.
        labels: of each class.
        test: paragraphs of each class.
        penalty: λ of the linear classifier, for all.
        tuned: numbers of labels at which the encoders are trained too.
        steps, batch: of that training, the same for both first weights.
        rate, random_rate: its highest rate, from MiniLM and from random weights.
    Raises:
        ValueError: if a number is out of range.
    """

    classes: int
    pool: int
    words: int
    labels: tuple[int, ...]
    test: int
    penalty: float = 1e-3
    tuned: tuple[int, ...] = ()
    steps: int = 40
    batch: int = 16
    rate: float = 3e-4
    random_rate: float = 3e-4

    def __post_init__(self) -> None:
        require_numbers(self, classes=2, words=5, test=1, steps=1, batch=1)
        require_positive(self, "labels")
        for name in ("penalty", "rate", "random_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        if not set(self.tuned) <= set(self.labels):
            raise ValueError(f"tuned must be of labels {self.labels}, got {self.tuned}")
        if self.pool < max(self.labels) + 1 + self.test:
            raise ValueError(
                f"pool must be ≥ {max(self.labels) + 1 + self.test} = labels + 1 + test, "
                f"got {self.pool}"
            )


PRESETS = {
    "ci": Preset(8, 26, 24, (1, 2, 5, 10), 15),
    "laptop": Preset(8, 61, 40, (1, 2, 5, 10, 20), 30, tuned=(2, 10)),
    "gpu": Preset(
        32, 59, 150, (1, 2, 5, 10, 20, 32), 26, tuned=(1, 2, 5, 10, 20, 32), steps=400
    ),
}

# --------------------------------------------------------------------------------- what is compared


class Study(NamedTuple):
    """A preset and how the seed draws from its pool."""

    preset: Preset
    few: Few
    parts: Split
    seed: int


def prepare(preset: Preset, seed: int) -> Study:
    """Draw training and test paragraphs; no validation paragraph is looked at."""
    few = few_task(preset.classes, preset.pool, preset.words)
    sizes = (max(preset.labels), 1, preset.test)
    return Study(preset, few, split(few.task, sizes, seed), seed)


def represent(study: Study, name: str) -> list[Features]:
    """Training and test paragraphs as rows of numbers; nothing here sees a label.

    Args:
        name: "tfidf", whose idf comes from all paragraphs that are no test; "minilm" or
            "random", the mean of the vectors of an encoder that is not trained.
    Raises:
        ValueError: if it is another name.
    """
    train, _, test, text = study.parts
    if name == "tfidf":
        return by_text_tfidf([train.documents, test.documents], text).features
    preset, places = study.preset, [train.places.tolist(), test.places.tolist()]
    if name == "minilm":
        vectors = pool_vectors(preset.classes, preset.pool, preset.words)
        return [vectors[part] for part in places]
    if name != "random":
        raise ValueError(f"name must be tfidf, minilm or random, got {name!r}")
    both = mean_vectors(
        study.few, [*places[0], *places[1]], encoder("random", study.seed)
    )
    return list(np.split(both, [len(places[0])]))


def probe(
    study: Study, features: list[Features], each: int, penalty: float | None = None
) -> float:
    """Test accuracy of a linear classifier with so many labels of each class."""
    rows = study.parts.train.first(each).numpy()
    train, test = in_few_columns([features[0][rows], features[1]])
    scale = spread(train)
    labels = study.parts.train.labels.numpy()[rows]
    found = fit(
        train / scale, labels, study.preset.classes, penalty or study.preset.penalty
    )
    return found.accuracy(test / scale, study.parts.test.labels.numpy())


def curve(study: Study, name: str) -> list[float]:
    """The same for every number of labels of the preset."""
    features = represent(study, name)
    return [probe(study, features, each) for each in study.preset.labels]


def tune(
    study: Study,
    start: Start,
    each: int,
    device: torch.device | None = None,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> tuple[float, list[float]]:
    """Train the encoder and a map of its mean vector: test accuracy, and the loss of each step."""
    preset, train = study.preset, study.parts.train
    part = train.rows(train.first(each))
    generator = torch.Generator().manual_seed(study.seed)
    model = SequenceClassifier(
        encoder(start, study.seed, dropout=0.1),
        preset.classes,
        generator,
        pooling="mean",
    ).to(device or torch.device("cpu"))
    rate = preset.rate if start == "minilm" else preset.random_rate
    recipe = Recipe(
        batch=preset.batch,
        steps=preset.steps,
        warmup=max(1, preset.steps // 10),
        rate=rate,
    )
    labels = part.labels.to(device or torch.device("cpu"))
    losses = fine_tune(
        model,
        rows_of(study.few, part.places.tolist()),
        lambda logits, which: class_loss(logits, labels[which.to(labels.device)]),
        recipe,
        generator,
        autocast,
    )
    test = study.parts.test
    said = logits_of(model, rows_of(study.few, test.places.tolist())).argmax(1)
    return float((said == test.labels).double().mean()), losses


# --------------------------------------------------------------------------------- the experiment


def _numbers(
    accuracy: list[float], labels: tuple[int, ...], every: tuple[int, ...]
) -> dict[str, object]:
    """In the order of the labels, for curves; by number, for tables, None if not measured."""
    measured = dict(zip(labels, accuracy, strict=True))
    return {"accuracy": accuracy, "at": {str(n): measured.get(n) for n in every}}


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """The comparison as numbers for `d2lc run`."""
    study = prepare(preset, context.settings.seed)
    found: dict[str, object] = {
        name: _numbers(curve(study, name), preset.labels, preset.labels)
        for name in ("tfidf", "random", "minilm")
    }
    starts: tuple[Start, ...] = ("random", "minilm")
    todo = [(start, each) for start in starts for each in preset.tuned]
    accuracy: dict[str, list[float]] = {f"{start}_tuned": [] for start in starts}
    for number in context.track(range(len(todo)), "trainings"):
        start, each = todo[number]
        right, _ = tune(study, start, each, context.device, context.autocast)
        accuracy[f"{start}_tuned"].append(right)
    for name, got in accuracy.items():
        found[name] = _numbers(got, preset.tuned, preset.labels)
    return {
        "classes": preset.classes,
        "chance": 1 / preset.classes,
        "labels": list(preset.labels),
        "tuned": list(preset.tuned),
        **found,
    }


EXPERIMENT = Experiment(
    name="few-labels",
    title=Text(
        "Which article is the paragraph from, with few labels? A pretrained encoder against "
        "random weights and TF-IDF",
        "标注很少时，这一段出自哪个条目？预训练编码器对随机权重与 TF-IDF",
    ),
    chapter="text/self-supervised-learning",
    presets=PRESETS,
    notes={
        "ci": "8 articles, paragraphs of 24 words, encoders frozen: seconds on one CPU thread",
        "laptop": "8 articles, 40 words, encoders frozen and trained: minutes on a CPU",
        "gpu": "32 articles, longer paragraphs and trainings on one accelerator",
    },
    run=run,
    columns=tuple(
        Column(f"{name}.at.10", Text(f"{en}, 10 labels", f"{zh}，10 个标注"), ".3f")
        for name, (en, zh) in NAMES.items()
    ),
)
