"""All representations on one task: which article of the extract is a paragraph from?

Counts of words and of characters, averages of word vectors, a squeezed TF-IDF: each goes
through the same linear classifier whose penalty validation chooses; fastText's
classifier, which learns its vectors itself, may choose among as many rates. What is
learned without labels reads the extract without the validation and test paragraphs.
The seed splits the paragraphs, draws first vectors and orders what is trained.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from d2lcompanion.experiments.linear_probe import PENALTIES, Chosen, choose
from d2lcompanion.experiments.paragraph_task import (
    Split,
    Task,
    guess_by_title,
    load_task,
    misspell,
    split,
    without_titles,
)
from d2lcompanion.experiments.text_features import (
    Represent,
    by_average,
    numbers_a_row,
    representations,
)
from d2lcompanion.experiments.unlabelled_vectors import (
    LEARNERS,
    Documents,
    Effort,
    WordTable,
    learn_sgns,
    published_table,
)
from d2lcompanion.text.bag_of_words import frequent_terms
from d2lcompanion.text.fasttext_classifier import (
    Plan,
    document_rows,
    initial_classifier,
    log_probabilities,
    train_classifier,
)
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text

MISSPELT = 0.3  # share of the longer words
BUCKETS = 20_000  # of pairs of words, in fastText's classifier

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        least: paragraphs that an article has, to be a class.
        sizes: paragraphs of each class to train, validate and test.
        labels: of each class, for the learning curve; the last is all.
        min_count: rarer words have no vector.
        dimension: of all vectors that are learned here.
        sgns_epochs, subword_epochs, glove_epochs: passes.
        steps_epochs: passes of fastText's classifier over all labels; with fewer labels
            more passes, and as many steps.
        rates: of that classifier, as many as there are penalties.
    Raises:
        ValueError: if a number is out of range.
    """

    least: int
    sizes: tuple[int, int, int]
    labels: tuple[int, ...]
    min_count: int
    dimension: int
    sgns_epochs: int
    subword_epochs: int
    glove_epochs: int
    steps_epochs: int
    rates: tuple[float, ...] = (0.5, 1.0, 2.0, 3.0, 4.0)

    def __post_init__(self) -> None:
        names = ("least", "min_count", "dimension", "sgns_epochs", "subword_epochs")
        for name in (*names, "glove_epochs", "steps_epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be ≥ 1, got {getattr(self, name)}")
        if len(self.rates) != len(PENALTIES) or not min(self.rates) > 0:
            raise ValueError(
                f"rates must be {len(PENALTIES)} positive numbers, got {self.rates}"
            )
        rising = sorted(set(self.labels)) == list(self.labels)
        if not rising or not 1 <= self.labels[0] <= self.labels[-1] == self.sizes[0]:
            raise ValueError(
                f"labels must rise from ≥ 1 to {self.sizes[0]}, got {self.labels}"
            )

    @property
    def effort(self) -> Effort:
        """How vectors are learned without labels."""
        return Effort(
            self.min_count,
            self.dimension,
            self.sgns_epochs,
            self.subword_epochs,
            self.glove_epochs,
        )


EACH = (1, 2, 4, 8, 16, 32)
PRESETS = {
    "ci": Preset(60, (32, 8, 20), EACH, 3, 50, 10, 5, 6, 20),
    "laptop": Preset(60, (32, 8, 20), EACH, 3, 100, 20, 8, 8, 20),
    "gpu": Preset(60, (32, 8, 20), EACH, 2, 300, 60, 30, 25, 60),
}


LABELS = {
    "onehot": "words, present or not",
    "counts": "words, counts",
    "tfidf": "words, TF-IDF",
    "sublinear": "words, sublinear TF-IDF",
    "bigrams": "words and pairs, TF-IDF",
    "characters": "character n-grams, TF-IDF",
    "text_tfidf": "words, idf of all text",
    "lsa": "TF-IDF squeezed (LSA)",
    "sgns": "mean of word2vec",
    "sgns_sif": "SIF mean of word2vec",
    "subword": "mean of fastText",
    "subword_sif": "SIF mean of fastText",
    "glove": "mean of GloVe, this text",
    "glove_sif": "SIF mean of GloVe, this text",
    "published": "mean of GloVe 6B",
    "published_sif": "SIF mean of GloVe 6B",
    "fasttext": "fastText classifier",
    "fasttext2": "fastText classifier, pairs",
}
CURVES = ("counts", "sublinear", "text_tfidf", "lsa", "sgns", "published", "fasttext")

# --------------------------------------------------------------------------- fastText's classifier


def choose_fasttext(
    parts: Sequence[Documents],
    labels: Sequence[np.ndarray],
    classes: int,
    preset: Preset,
    seed: int,
    *,
    longest: int = 1,
) -> Chosen:
    """Train with every rate; the best on validation, the smaller at a tie.

    A rate at which training diverges is lost. `Chosen.penalty` is the rate.

    Raises:
        FloatingPointError: if it diverges at all rates.
    """
    terms = frequent_terms(parts[0])
    vocab = Vocab(terms, [1] * len(terms))
    buckets = 1 if longest == 1 else BUCKETS
    rows = [
        document_rows(part, vocab, longest=longest, buckets=buckets) for part in parts
    ]
    target = torch.from_numpy(labels[0])
    epochs = max(1, preset.steps_epochs * preset.sizes[0] * classes // len(target))
    best: Chosen | None = None
    for rate in preset.rates:
        generator = torch.Generator().manual_seed(seed)
        size = len(terms) + buckets
        model = initial_classifier(size, preset.dimension, classes, generator)
        plan = Plan(preset.dimension, epochs, rate)
        try:
            for _ in train_classifier(model, rows[0], target, plan, generator):
                pass
        except FloatingPointError:
            continue
        said = tuple(
            log_probabilities(model, part).argmax(1).numpy() for part in rows[1:]
        )
        right = [float((a == b).mean()) for a, b in zip(said, labels[1:], strict=True)]
        if best is None or right[0] > best.validation:
            best = Chosen(rate, right[0], tuple(right[1:]), said[1:])
    if best is None:
        raise FloatingPointError(
            f"training diverged at each of the rates {preset.rates}"
        )
    return best


# --------------------------------------------------------------------------------- the experiment


class Study(NamedTuple):
    """The task, how the seed splits it, and vectors that were learned without labels."""

    task: Task
    parts: Split
    tables: dict[str, WordTable]


def prepare(
    preset: Preset, seed: int, learners: Sequence[str] = tuple(LEARNERS)
) -> Study:
    """Split, and learn vectors on the text that may be read."""
    task = load_task(preset.least)
    parts = split(task, preset.sizes, seed)
    tables = {
        name: LEARNERS[name](parts.text, preset.effort, seed) for name in learners
    }
    tables["published"] = published_table(parts.text)
    return Study(task, parts, tables)


def documents_of(study: Study, seed: int) -> list[Documents]:
    """Training, validation and test paragraphs, and the last misspelt."""
    train, validation, test, _ = study.parts
    generator = torch.Generator().manual_seed(seed)
    worse = misspell(test.documents, MISSPELT, generator)
    return [train.documents, validation.documents, test.documents, worse]


def labels_of(study: Study) -> list[np.ndarray]:
    """Theirs."""
    train, validation, test = (part.labels.numpy() for part in study.parts[:3])
    return [train, validation, test, test]


def measure(
    represent: Represent,
    parts: Sequence[Documents],
    labels: Sequence[np.ndarray],
    classes: int,
) -> dict[str, object]:
    """One representation with all labels, as numbers for JSON."""
    start = time.process_time()
    made = represent(parts)
    middle = time.process_time()
    found = choose(made.features, labels, classes)
    seconds = time.process_time() - middle
    columns = made.features[0].shape[1]
    return {
        "accuracy": found.test[0],
        "misspelt": found.test[-1],
        "validation": found.validation,
        "setting": found.penalty,
        "columns": columns,
        "numbers": numbers_a_row(made.features[2]),
        "table": made.table,
        "classifier": (columns + 1) * classes,
        "seconds": {"represent": middle - start, "classify": seconds},
    }


def learning_curve(
    study: Study, name: str, parts: list[Documents], preset: Preset, seed: int
) -> list[float]:
    """Test accuracy with few labels of each class, then more; the same validation for all."""
    labels, classes = labels_of(study), len(study.task.titles)
    represent = representations(study.parts.text, study.tables, preset.effort).get(name)
    found = []
    fixed = name not in (
        "counts",
        "sublinear",
        "fasttext",
    )  # whole: made without labels
    whole = represent(parts[:3]).features if represent and fixed else None
    for each in preset.labels:
        rows = study.parts.train.first(each).numpy()
        few = [labels[0][rows], *labels[1:3]]
        if whole is not None:
            chosen = choose([whole[0][rows], *whole[1:]], few, classes)
        else:
            documents = [[parts[0][n] for n in rows.tolist()], *parts[1:3]]
            chosen = (
                choose_fasttext(documents, few, classes, preset, seed)
                if represent is None
                else choose(represent(documents).features, few, classes)
            )
        found.append(chosen.test[0])
    return found


def measure_fasttext(
    study: Study, parts: list[Documents], preset: Preset, seed: int, longest: int
) -> dict[str, object]:
    """Its classifier with all labels, as numbers for JSON."""
    classes = len(study.task.titles)
    start = time.process_time()
    found = choose_fasttext(
        parts, labels_of(study), classes, preset, seed, longest=longest
    )
    rows = len(frequent_terms(parts[0])) + (0 if longest == 1 else BUCKETS)
    return {
        "accuracy": found.test[0],
        "misspelt": found.test[-1],
        "validation": found.validation,
        "setting": found.penalty,
        "columns": preset.dimension,
        "numbers": preset.dimension,
        "table": rows * preset.dimension,
        "classifier": preset.dimension * classes,
        "seconds": {"represent": 0.0, "classify": time.process_time() - start},
    }


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """The study as numbers for `d2lc run`."""
    seed = context.settings.seed
    study = prepare(preset, seed)
    task, text = study.task, study.parts.text
    parts, labels = documents_of(study, seed), labels_of(study)
    every = representations(text, study.tables, preset.effort)
    results: dict[str, dict[str, object]] = {}
    names = list(every)
    for index in context.track(range(len(names)), "representations"):
        name = names[index]
        results[name] = measure(every[name], parts, labels, len(task.titles))
    for name, longest in (("fasttext", 1), ("fasttext2", 2)):
        results[name] = measure_fasttext(study, parts, preset, seed, longest)
    masked: list[Documents] = [without_titles(task, part) for part in parts]
    for index in context.track(range(len(CURVES)), "learning curves"):
        name = CURVES[index]
        results[name]["curve"] = learning_curve(study, name, parts, preset, seed)
        results[name]["masked"] = learning_curve(study, name, masked, preset, seed)
    leaky = (*text, *study.parts.validation.documents, *study.parts.test.documents)
    seen = by_average(parts, learn_sgns(leaky, preset.effort, seed)).features
    said = guess_by_title(task, parts[2]).numpy()
    train_words = {word for words in parts[0] for word in words}
    tokens = [word in train_words for words in parts[2] for word in words]
    return {
        "classes": len(task.titles),
        "copies": task.copies,
        "title": float((said == labels[2]).mean()),
        "unknown": 1 - sum(tokens) / len(tokens),
        "sgns_that_read_the_test": choose(seen, labels, len(task.titles)).test[0],
        "seconds": {name: table.seconds for name, table in study.tables.items()},
        **results,
    }


EXPERIMENT = Experiment(
    name="text-representations",
    title=Text(
        "Which article is the paragraph from? Test accuracy of one linear classifier on many "
        "representations",
        "这一段出自哪个条目？同一个线性分类器在各种表示上的测试精度",
    ),
    chapter="text/text-representations",
    presets=PRESETS,
    notes={
        "ci": "vectors of 50 dimensions, few epochs: two minutes on one CPU thread",
        "laptop": "vectors of 100 dimensions, more epochs: minutes on a CPU",
        "gpu": "the same task, vectors of 300 dimensions; it runs on the CPU in any case",
    },
    run=run,
    columns=tuple(
        Column(f"{name}.accuracy", Text(*header), ".3f")
        for name, header in {
            "counts": ("counts", "计数"),
            "sublinear": ("TF-IDF", "TF-IDF"),
            "characters": ("characters", "字符 n 元"),
            "lsa": ("LSA", "LSA"),
            "sgns": ("word2vec", "word2vec"),
            "subword": ("fastText vectors", "fastText 向量"),
            "published": ("GloVe 6B", "GloVe 6B"),
            "fasttext": ("fastText classifier", "fastText 分类器"),
        }.items()
    ),
)
