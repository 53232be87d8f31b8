"""How many tokens share what in the banded trainer: what fits, and what it costs."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import Tensor

from d2lcompanion.text.checks import require_at_least
from d2lcompanion.text.sgns import Recipe
from d2lcompanion.text.skip_gram_data import keep_probabilities

CROWDING = 0.2  # the largest η · (tokens of one word in a step) seen to train well


@dataclass(frozen=True)
class Layout:
    """How many tokens share what; all ≥ 1. It changes speed and noise, not the objective.

    Attributes:
        tokens: b of a block, which shares its noise words.
        blocks: of a step, whose gradients are added at the same point.
        shared: K noise words of a block; each counts k/K times for every pair.
    """

    tokens: int = 32
    blocks: int = 8
    shared: int = 16

    def __post_init__(self) -> None:
        """Numbers out of range are a ValueError that names them."""
        for name in ("tokens", "blocks", "shared"):
            require_at_least(name, getattr(self, name), 1)

    @property
    def step(self) -> int:
        """Tokens of a step."""
        return self.tokens * self.blocks


def fitting_layout(
    counts: Tensor, recipe: Recipe, largest: Layout | None = None
) -> Layout:
    """The largest layout whose steps add up few enough gradients of the same word.

    All tokens of a step move their vectors from the same point. With n tokens of one
    word that is like a rate of n η for it, and it diverges where that is too large: the
    step is halved until n η ≤ 0.2 for the most frequent word, as subsampling leaves it.

    Args:
        counts: [V] of the corpus.
        recipe: its rate and threshold count.
        largest: where to begin; None is the default layout.
    """
    layout = largest or Layout()
    kept = counts * keep_probabilities(counts, recipe.threshold, "word2vec")
    share = float(kept.max() / kept.sum())
    while recipe.rate * share * layout.step > CROWDING and layout.step > 1:
        name = "blocks" if layout.blocks > 1 else "tokens"
        layout = replace(layout, **{name: getattr(layout, name) // 2})
    return layout


class Work(NamedTuple):
    """What a trainer does for one token, on average, away from the ends of sentences.

    Attributes:
        operations: floating-point, of the matrix products.
        numbers: of vectors read or written, if no cache kept any.
    """

    operations: float
    numbers: float

    @property
    def intensity(self) -> float:
        """Operations per number moved."""
        return self.operations / self.numbers


def pair_work(recipe: Recipe) -> Work:
    """A token has c + 1 pairs, and each pair 1 + k scores with vectors of its own.

    A score is used three times, forward and for two gradients, 2 d operations each. The
    center and 1 + k others are read, and read and written again when they are changed:

        6 d (c + 1)(1 + k) operations,   3 d (c + 1)(2 + k) numbers.
    """
    pairs, d = recipe.window + 1, recipe.dimension
    return Work(
        6 * d * pairs * (1 + recipe.negatives), 3 * d * pairs * (2 + recipe.negatives)
    )


def block_work(recipe: Recipe, layout: Layout) -> Work:
    """A token has b + 2c scores in the band, most of them for nothing, and K with noise.

    A block reads and changes the vectors of its b centers and of b + 2c + K words:

        6 d (b + 2c + K) operations,   3 d (2 + (2c + K)/b) numbers.
    """
    d, others = recipe.dimension, 2 * recipe.window + layout.shared
    return Work(6 * d * (layout.tokens + others), 3 * d * (2 + others / layout.tokens))
