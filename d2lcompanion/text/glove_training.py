"""GloVe's training: AdaGrad on minibatches of the entries that are not 0.

Entries come in random order; the corpus itself is not needed any more.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.text.checks import (
    require_at_least,
    require_ids,
    require_shape,
    require_unit_interval,
    require_weights,
)
from d2lcompanion.text.glove import (
    Entries,
    GloveVectors,
    require_entries,
    require_positive,
    weighting,
)


@dataclass(frozen=True)
class GloveRecipe:
    """What is trained; the defaults are those of the paper for d < 300.

    Attributes:
        dimension: d ≥ 1.
        x_max: counts from here on have the weight 1; > 0.
        power: α of the weighting, in [0, 1].
        epochs: passes over the entries, ≥ 1.
        rate: η > 0 of AdaGrad.
        batch_size: entries of a step, ≥ 1.
    """

    dimension: int = 100
    x_max: float = 100.0
    power: float = 0.75
    epochs: int = 50
    rate: float = 0.05
    batch_size: int = 8192

    def __post_init__(self) -> None:
        """Numbers out of range are a ValueError that names them."""
        for name in ("dimension", "epochs", "batch_size"):
            require_at_least(name, getattr(self, name), 1)
        for name in ("x_max", "rate"):
            require_positive(name, getattr(self, name))
        require_unit_interval("power", self.power)


class EpochReport(NamedTuple):
    """Where training stands at the end of an epoch."""

    epoch: int  # 1, 2, …
    loss: float  # mean over the entries, each before the step that it was in


def initial_glove_vectors(
    size: int,
    dimension: int,
    generator: torch.Generator,
    *,
    device: torch.device | str = "cpu",
) -> GloveVectors:
    """All numbers uniform in ±1/(2d), biases too, as in the authors' program.

    Args:
        size: V ≥ 2.
        dimension: d ≥ 1.
        generator: on any device; the numbers are drawn where it is.
        device: of the tables.
    Raises:
        ValueError: if a number is out of range.
    """
    require_at_least("size", size, 2)
    require_at_least("dimension", dimension, 1)
    shapes = [(size, dimension)] * 2 + [(size,)] * 2
    drawn = (
        torch.rand(shape, generator=generator, device=generator.device)
        for shape in shapes
    )
    return GloveVectors(*(((x - 0.5) / dimension).to(device) for x in drawn))


def train_glove(
    vectors: GloveVectors,
    entries: Entries,
    recipe: GloveRecipe,
    generator: torch.Generator,
) -> Iterator[EpochReport]:
    """AdaGrad on minibatches of entries: A ← A + g², θ ← θ − η g/√A, from A = 1.

    g is the sum over a minibatch. The authors' program takes one entry a step and
    divides by the root of A before g² is added. Only rows that a minibatch touches are
    read and written: an epoch costs O(N d), whatever V is.

    Args:
        vectors: changed in place while the reports are asked for.
        entries: N of them.
        recipe: what to do; its dimension is that of the vectors.
        generator: on any device, for the order.
    Raises:
        ValueError: if shapes or the dimension differ, or an id is out of range.
        FloatingPointError: if the loss of an epoch is not finite.
    Source:
        Pennington, Socher & Manning (2014), §4.2; Duchi, Hazan & Singer (2011).
    """
    require_entries(vectors, entries)
    require_shape("word", vectors.word, (len(vectors.word), recipe.dimension))
    sums = GloveVectors(*(torch.ones_like(table) for table in vectors))
    size, device = len(entries.counts), entries.counts.device
    weights = weighting(entries.counts, recipe.x_max, recipe.power)
    logs = entries.counts.log()
    for epoch in range(1, recipe.epochs + 1):
        order = torch.randperm(size, generator=generator, device=generator.device)
        total = torch.zeros((), dtype=torch.float64, device=device)
        for begin in range(0, size, recipe.batch_size):
            rows = order[begin : begin + recipe.batch_size].to(device)
            batch = (
                entries.words[rows],
                entries.contexts[rows],
                logs[rows],
                weights[rows],
            )
            total += step_on_entries(vectors, sums, *batch, recipe.rate)
        loss = float(total) / size
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"training diverged: the loss of epoch {epoch} is {loss}, at the rate "
                f"{recipe.rate:.3g}; take a smaller one"
            )
        yield EpochReport(epoch, loss)


def step_on_entries(
    vectors: GloveVectors,
    sums: GloveVectors,
    words: Tensor,
    contexts: Tensor,
    logs: Tensor,
    weights: Tensor,
    rate: float,
) -> Tensor:
    """One step of AdaGrad on some entries; returns the loss before it, [].

    Args:
        vectors, sums: changed in place; sums holds A of every number, > 0.
        words, contexts: [B], ids.
        logs, weights: [B], log x and f(x).
        rate: η > 0.
    """
    i, to_i = torch.unique(words, return_inverse=True)
    j, to_j = torch.unique(contexts, return_inverse=True)
    left, right = vectors.word[words], vectors.context[contexts]
    apart = torch.linalg.vecdot(left, right) + vectors.word_bias[words]
    apart = apart + vectors.context_bias[contexts] - logs
    pull = weights * apart
    loss: Tensor = 0.5 * (pull * apart).sum()
    right.mul_(pull[:, None])
    left.mul_(pull[:, None])
    for number, (ids, places, rows) in enumerate(
        ((i, to_i, right), (j, to_j, left), (i, to_i, pull), (j, to_j, pull))
    ):
        gradient = rows.new_zeros(ids.shape[0], *rows.shape[1:]).index_add_(
            0, places, rows
        )
        seen = sums[number][ids].addcmul_(gradient, gradient)
        sums[number][ids] = seen
        vectors[number].index_add_(0, ids, gradient.mul_(seen.rsqrt_()), alpha=-rate)
    return loss


def with_unseen(
    entries: Entries,
    number: int,
    frequencies: Tensor,
    generator: torch.Generator,
    *,
    count: float = 0.1,
) -> Entries:
    """The entries, and about so many pairs that never meet, as if they had met a little.

    Not a part of GloVe, whose f(0) = 0 leaves them out: it shows what that costs. Both
    words are drawn ∝ √frequency; pairs that meet, or were drawn twice, are dropped, so
    that fewer may be added in a small vocabulary.

    Args:
        entries: of a matrix [V, V].
        number: of pairs to draw, ≥ 1.
        frequencies: [V], > 0.
        generator: on any device.
        count: x of these pairs, > 0: below the smallest that was counted.
    Returns:
        at most N + number entries, the given ones first.
    Raises:
        ValueError: if a number or an id is out of range.
    """
    require_at_least("number", number, 1)
    require_weights("frequencies", frequencies)
    require_positive("count", count)
    size, device = len(frequencies), entries.counts.device
    require_ids("words", entries.words, size)
    require_ids("contexts", entries.contexts, size)
    upper = frequencies.to(generator.device, torch.float64).sqrt().cumsum(0)
    drawn = torch.rand(
        2, number, generator=generator, device=generator.device, dtype=torch.float64
    )
    pairs = torch.searchsorted(upper, drawn * upper[-1]).clamp(max=size - 1).to(device)
    keys = torch.unique(pairs[0] * size + pairs[1])
    keys = keys[~torch.isin(keys, entries.words * size + entries.contexts)]
    return Entries(
        torch.cat([entries.words, keys // size]),
        torch.cat([entries.contexts, keys % size]),
        torch.cat([entries.counts, entries.counts.new_full(keys.shape, count)]),
    )
