"""Skip-gram with negative sampling, trained one minibatch of pairs at a time.

This is the reference: every pair has negatives of its own, and autograd finds the
gradient. `sgns_blocks` does the same far faster.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.text.checks import (
    require_at_least,
    require_shape,
    require_unit_interval,
    require_vector_tables,
    require_weights,
)
from d2lcompanion.text.negative_sampling import negative_sampling_loss
from d2lcompanion.text.noise import AliasSampler, noise_distribution
from d2lcompanion.text.skip_gram_data import keep_probabilities, subsample
from d2lcompanion.text.skip_gram_pairs import center_context_pairs, reduced_windows
from d2lcompanion.text.token_stream import TokenStream, token_counts

LONGEST = 1000.0  # a vector that was trained; one that exploded is longer
LEAST_RATE = 1e-4  # of the first rate, as in word2vec's C program


class WordVectors(NamedTuple):
    """A vector of every word in each role: [V, d] both.

    The center vectors are what is used afterwards. Training changes them in place.
    """

    center: Tensor
    context: Tensor


@dataclass(frozen=True)
class Recipe:
    """What is trained, the same for every implementation; the defaults are gensim's.

    Attributes:
        dimension: d ≥ 1.
        window: c ≥ 1, the widest; each token draws its own from 1, …, c.
        negatives: k ≥ 1 for each pair.
        epochs: ≥ 1.
        rate: η > 0 at the beginning, of plain gradient descent on the sum over pairs; it
            falls linearly to 10⁻⁴ of that.
        power: of the noise distribution, in [0, 1].
        threshold: t of subsampling, in (0, 1]; word2vec's formula.
    """

    dimension: int = 100
    window: int = 5
    negatives: int = 5
    epochs: int = 5
    rate: float = 0.025
    power: float = 0.75
    threshold: float = 1e-3

    def __post_init__(self) -> None:
        """Numbers out of range are a ValueError that names them."""
        for name in ("dimension", "window", "negatives", "epochs"):
            require_at_least(name, getattr(self, name), 1)
        require_unit_interval("power", self.power)
        for name in ("rate", "threshold"):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {value}")


class EpochReport(NamedTuple):
    """Where training stands at the end of an epoch."""

    epoch: int  # 1, 2, …
    tokens: int  # center words of this epoch, after subsampling


def initial_vectors(
    size: int,
    dimension: int,
    generator: torch.Generator,
    *,
    device: torch.device | str = "cpu",
) -> WordVectors:
    """Center vectors uniform in ±1/d, context vectors 0: all scores begin at 0.

    That is gensim's start; word2vec's C program begins at half of it. Near 0 the
    gradients are as small as the vectors: the start is still felt after a few epochs.

    Args:
        size: V ≥ 2; the only word of a vocabulary has no negatives.
        dimension: d ≥ 1.
        generator: on any device; the numbers are drawn where it is.
        device: of the tables.
    Raises:
        ValueError: if a number is out of range.
    Source:
        gensim 4.4, `prep_vectors`; word2vec.c, `InitNet`.
    """
    require_at_least("size", size, 2)
    require_at_least("dimension", dimension, 1)
    drawn = torch.rand(size, dimension, generator=generator, device=generator.device)
    center = ((2 * drawn - 1) / dimension).to(device)
    return WordVectors(center, torch.zeros_like(center))


def rate_at(recipe: Recipe, done: float) -> float:
    """η falling linearly with the share of the work that is done, in [0, 1].

    Raises:
        ValueError: if done is out of [0, 1].
    """
    require_unit_interval("done", done)
    return recipe.rate * max(1 - done, LEAST_RATE)


def expected_tokens(counts: Tensor, recipe: Recipe) -> float:
    """How many tokens of an epoch subsampling leaves, on average: Σ count · keep.

    Args:
        counts: [V] of the corpus.
    """
    keep = keep_probabilities(counts, recipe.threshold, "word2vec")
    return float((counts * keep).sum())


def require_trainable(vectors: WordVectors, stream: TokenStream, size: int) -> Tensor:
    """Tables of V words, and a corpus in which each of them occurs; returns the counts.

    Raises:
        ValueError: otherwise.
    """
    require_vector_tables(*vectors)
    require_shape("vectors", vectors.center, (size, vectors.center.shape[1]))
    if len(stream.ids) == 0:
        raise ValueError("the corpus must have tokens, got none")
    counts = token_counts(stream, size)
    require_weights("counts", counts)
    return counts


def require_converging(vectors: WordVectors, epoch: int, rate: float) -> None:
    """Vectors no longer than `LONGEST`, and finite.

    The best scores are shifted PMI, so below the logarithm of the number of pairs, and
    vectors of length 10 can have them; steps that are too large double lengths.

    Raises:
        FloatingPointError: otherwise; names a word, the epoch and its last rate.
    """
    for name, table in zip(("center", "context"), vectors, strict=True):
        lengths = table.float().norm(dim=1)
        good = lengths <= LONGEST  # nan is not
        if not bool(good.all()):
            word = int((~good).nonzero()[0, 0])
            raise FloatingPointError(
                f"training diverged: the {name} vector of word {word} has the length "
                f"{float(lengths[word]):.3g} after epoch {epoch}, at the rate {rate:.3g}; "
                f"take a smaller rate or step"
            )


def train_on_pairs(
    vectors: WordVectors,
    stream: TokenStream,
    recipe: Recipe,
    generator: torch.Generator,
    *,
    batch_size: int = 256,
) -> Iterator[EpochReport]:
    """Minimize Σ over pairs −log σ(u_o·v_c) − Σ_j log σ(−u_{n_j}·v_c), epoch by epoch.

    Tokens are thinned out and windows drawn anew in each epoch; pairs come in random
    order. The vectors change while the reports are asked for.

    Args:
        vectors: [V, d] both, changed in place.
        stream: the corpus, every word of it at least once.
        recipe: what to do.
        generator: on any device.
        batch_size: pairs of one step ≥ 1, whose gradients are added at the same point.
    Raises:
        ValueError: if the tables do not fit, or the corpus lacks a word.
        FloatingPointError: if a vector has exploded at the end of an epoch.
    Source:
        Mikolov, Sutskever, Chen, Corrado & Dean (2013).
    """
    require_at_least("batch_size", batch_size, 1)
    counts = require_trainable(vectors, stream, len(vectors.center))
    keep = keep_probabilities(counts, recipe.threshold, "word2vec")
    noise = AliasSampler(noise_distribution(counts, recipe.power))
    device = stream.ids.device
    for epoch in range(recipe.epochs):
        kept = subsample(stream, keep, generator)
        widths = reduced_windows(len(kept.ids), recipe.window, generator).to(device)
        pairs = center_context_pairs(kept, widths)
        order = torch.randperm(
            len(pairs.centers), generator=generator, device=generator.device
        ).to(device)
        for begin in range(0, len(order), batch_size):
            batch = order[begin : begin + batch_size]
            drawn = noise.sample((len(batch), recipe.negatives), generator)
            rate = rate_at(recipe, (epoch + begin / len(order)) / recipe.epochs)
            step_on_pairs(
                vectors, pairs.centers[batch], pairs.contexts[batch], drawn, rate
            )
        require_converging(vectors, epoch + 1, rate)
        yield EpochReport(epoch + 1, len(kept.ids))


def step_on_pairs(
    vectors: WordVectors,
    centers: Tensor,
    contexts: Tensor,
    negatives: Tensor,
    rate: float,
) -> Tensor:
    """One step of gradient descent on the sum over pairs; returns the loss before it.

    Args:
        vectors: [V, d] both, changed in place.
        centers, contexts: [B], ids.
        negatives: [B, k], ids.
        rate: η ≥ 0.
    Returns:
        the mean over the pairs, [].
    """
    tables = [table.detach().requires_grad_() for table in vectors]
    loss = negative_sampling_loss(
        centers, contexts, negatives, tables[0], tables[1], reduction="sum"
    )
    gradients = torch.autograd.grad(loss, tables)
    for table, gradient in zip(vectors, gradients, strict=True):
        table.sub_(gradient, alpha=rate)
    return loss.detach() / len(centers)
