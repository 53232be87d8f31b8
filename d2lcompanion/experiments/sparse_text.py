"""Which package does a docstring belong to? SGD, AdaGrad and Adam on bags of words.

A linear classifier on real text: a few words are in every document, most in very few.
Every method gets the same rates to choose among and chooses by the accuracy on held-out
documents; what is reported is accuracy on test documents. The seed splits the documents
and orders the batches. What rare words contribute is measured by taking their weights
away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.docstrings import Documents, load_docstrings
from d2lcompanion.optimization.adaptive import adagrad, adam
from d2lcompanion.optimization.descent import gradient_descent
from d2lcompanion.optimization.rules import Rule, initial_state
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers, require_positive
from d2lcompanion.training.progress import Track, silent

METHODS: dict[str, Rule] = {"sgd": gradient_descent, "adagrad": adagrad, "adam": adam}
RARE = 5  # a word in at most so many training documents is called rare
EDGES = (1, 2, 4, 8, 16, 32, 64, 128)  # bins of words by their count; the last is open

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        each: at most so many documents of a package, ≥ 10.
        epochs: passes over the training documents, ≥ 1.
        batch_size: documents a step, ≥ 1.
        rates: the same for all methods.
    Raises:
        ValueError: if a number is out of range.
    """

    each: int
    epochs: int
    batch_size: int
    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        require_numbers(self, each=10, epochs=1, batch_size=1)
        require_positive(self, "rates")


RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
PRESETS = {
    "ci": Preset(each=600, epochs=2, batch_size=10, rates=RATES),
    "laptop": Preset(each=3000, epochs=5, batch_size=10, rates=RATES),
    "gpu": Preset(each=3000, epochs=20, batch_size=10, rates=(0.001, *RATES, 10.0)),
}

# -------------------------------------------------------------------------------------- the study


class Split(NamedTuple):
    """Documents in three parts: of five, three to train, one held out, one to test."""

    train: Tensor  # [n, v]
    train_labels: Tensor
    held_out: Tensor
    held_out_labels: Tensor
    test: Tensor
    test_labels: Tensor

    @property
    def counts(self) -> Tensor:
        """In how many training documents each word is, [v]."""
        return self.train.sum(0).long()


def split(data: Documents, *, generator: torch.Generator) -> Split:
    """Cut the documents, in random order, after three fifths and after four fifths."""
    n = len(data.labels)
    order = torch.randperm(n, generator=generator)
    parts = order.tensor_split([3 * n // 5, 4 * n // 5])
    tensors = [t for rows in parts for t in (data.features[rows], data.labels[rows])]
    return Split(*tensors)


def train(
    rule: Rule,
    parts: Split,
    *,
    lr: float,
    classes: int,
    epochs: int,
    batch_size: int,
    generator: torch.Generator,
    **hyperparameters: Any,
) -> Tensor:
    """Softmax regression without intercept from zero weights: [v, classes].

    The gradient of the mean cross-entropy of a batch is Xᵀ(softmax(XW) − Y)/b.
    """
    x, y = parts.train, torch.nn.functional.one_hot(parts.train_labels, classes)
    weights = x.new_zeros(x.shape[1], classes)
    state = initial_state(rule, weights)
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=generator)
        for batch in order.to(x.device).split(batch_size):  # type: ignore[no-untyped-call]
            rows = x[batch]
            error = torch.softmax(rows @ weights, 1) - y[batch]
            update, state = rule(
                rows.T @ error / len(batch), state, lr=lr, **hyperparameters
            )
            weights = weights + update
    return weights


def accuracy(weights: Tensor, features: Tensor, labels: Tensor) -> float:
    """The share of documents whose largest score is the label's."""
    return float(((features @ weights).argmax(1) == labels).double().mean())


class Tuned(NamedTuple):
    """One method: the rate that the held-out documents chose, and what it learned."""

    rate: float
    weights: Tensor  # [v, classes]
    held_out: list[float]  # accuracy at every rate
    test: list[float]


def study(
    parts: Split,
    *,
    classes: int,
    rates: Sequence[float],
    epochs: int,
    batch_size: int,
    seed: int,
    methods: Sequence[str] = tuple(METHODS),
    track: Track = silent,
) -> dict[str, Tuned]:
    """Train every method at every rate on the same batches; the smaller rate wins a tie."""
    found = {}
    for index in track(range(len(methods)), "methods"):
        name = methods[index]
        learned = [
            train(
                METHODS[name],
                parts,
                lr=rate,
                classes=classes,
                epochs=epochs,
                batch_size=batch_size,
                generator=torch.Generator().manual_seed(seed),
            )
            for rate in rates
        ]
        held_out = [accuracy(w, parts.held_out, parts.held_out_labels) for w in learned]
        best = max(range(len(rates)), key=lambda i: (held_out[i], -rates[i]))
        test = [accuracy(w, parts.test, parts.test_labels) for w in learned]
        found[name] = Tuned(rates[best], learned[best], held_out, test)
    return found


def without(weights: Tensor, words: Tensor) -> Tensor:
    """The weights with those of some words set to zero; `words` is a mask [v]."""
    return weights.masked_fill(words[:, None], 0.0)


def size_by_count(weights: Tensor, counts: Tensor) -> list[float]:
    """Root mean square of the weights of words that are in 1, 2–3, 4–7, … training documents."""
    edges = torch.tensor(EDGES, device=counts.device)
    bins = torch.bucketize(counts, edges, right=True)
    rows = (weights[bins == k] for k in range(1, len(EDGES) + 1))
    return [float(part.square().mean().sqrt()) for part in rows]


# --------------------------------------------------------------------------------- the experiment


def prepare(preset: Preset, seed: int) -> tuple[Documents, Split]:
    """The documents, and how the seed splits them."""
    data = load_docstrings(each=preset.each)
    return data, split(data, generator=torch.Generator().manual_seed(seed))


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """The study as numbers for `d2lc run`."""
    data, parts = prepare(preset, context.settings.seed)
    moved = Split(*(t.to(context.device) for t in parts))
    results = study(
        moved,
        classes=len(data.packages),
        rates=preset.rates,
        epochs=preset.epochs,
        batch_size=preset.batch_size,
        seed=context.settings.seed,
        track=context.track,
    )
    return {"documents": len(data.labels), "words": len(data.vocabulary)} | {
        name: numbers(tuned, moved) for name, tuned in results.items()
    }


def numbers(tuned: Tuned, parts: Split) -> dict[str, object]:
    """One method as numbers and lists, ready for JSON."""
    w, counts = tuned.weights, parts.counts
    test = parts.test, parts.test_labels
    return {
        "rate": tuned.rate,
        "test_accuracy": accuracy(w, *test),
        "test_accuracy_without_rare": accuracy(without(w, counts <= RARE), *test),
        "size_by_count": size_by_count(w, counts),
        "held_out_by_rate": tuned.held_out,
        "test_by_rate": tuned.test,
    }


def _column(key: str, en: str, zh: str) -> Column:
    return Column(key, Text(en, zh), ".3f")


EXPERIMENT = Experiment(
    name="sparse-text",
    title=Text(
        "Whose docstring? Test accuracy on bags of words, each method tuned alike",
        "这段文档字符串是谁的？词袋上的测试精度（同等调参预算）",
    ),
    chapter="optimization/adaptive-methods",
    presets=PRESETS,
    notes={
        "ci": "600 documents a package, 2 epochs, 21 runs: ten seconds on one CPU thread",
        "laptop": "all documents up to 3,000 a package, 5 epochs, 21 runs: minutes on a CPU",
        "gpu": "the same documents, 20 epochs, 27 runs",
    },
    run=run,
    columns=(
        Column("words", Text("words", "词数"), ".0f"),
        _column("sgd.test_accuracy", "SGD", "SGD"),
        _column("adagrad.test_accuracy", "AdaGrad", "AdaGrad"),
        _column("adam.test_accuracy", "Adam", "Adam"),
        _column("sgd.test_accuracy_without_rare", "SGD, no rare words", "SGD，去掉罕见词"),
        _column(
            "adagrad.test_accuracy_without_rare", "AdaGrad, no rare words", "AdaGrad，去掉罕见词"
        ),
    ),
)  # fmt: skip
