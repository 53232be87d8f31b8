"""Sizes and recipes of BERT's pretraining at three scales."""

import math
from dataclasses import asdict, dataclass

from d2lcompanion.experiments.bert_feed import Recipe
from d2lcompanion.text.bert_config import BertConfig
from d2lcompanion.text.checks import require_choice
from d2lcompanion.training.preset_checks import require_numbers

WEIGHTS = ("published", "scaled")
POSITIONS = ("published", "sinusoidal")


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
        require_choice("weights", self.weights, WEIGHTS)
        require_choice("positions", self.positions, POSITIONS)

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
