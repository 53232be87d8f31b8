"""Four objectives for the pairs of skip-gram, in the form that its trainer takes.

Full softmax, hierarchical softmax, negative sampling and noise-contrastive estimation:
each with the gradient that trains it, and with normalized log-probabilities to judge it
by. Hierarchical softmax uses V − 1 rows of the second table for the nodes of its tree.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.experiments.full_softmax import Model
from d2lcompanion.experiments.word_windows import Corpus
from d2lcompanion.text.hierarchical_softmax import (
    hierarchical_softmax_rows,
    huffman_codes,
    log_probability,
)
from d2lcompanion.text.negative_sampling import negative_sampling_rows
from d2lcompanion.text.noise import AliasSampler, noise_distribution
from d2lcompanion.text.noise_contrastive import (
    corrected_log_probabilities,
    noise_contrastive_rows,
)
from d2lcompanion.text.row_gradients import RowGradients
from d2lcompanion.text.word2vec import (
    VectorGradients,
    skip_gram_gradients,
    skip_gram_log_likelihood,
)

Rows = Callable[[Tensor, Tensor, Tensor, Tensor], RowGradients]  # pairs, two tables


class Objective(NamedTuple):
    """How a model is trained, and the normalized log-probabilities that it is judged by.

    Attributes:
        model: its `log_likelihood` is normalized, its `gradients` are those of the
            objective, uphill.
        raw: the likelihood of the scores as they are; the same but for negative
            sampling.
    """

    model: Model
    raw: Callable[..., Tensor]


def objectives(corpus: Corpus, negatives: int, *, seed: int) -> dict[str, Objective]:
    """The four, on a corpus; negatives are drawn by generators of that seed."""
    device, counts = corpus.train.centers.device, corpus.vocab.counts.clamp(min=1)
    noise = noise_distribution(counts).to(device)
    sampler, tree = AliasSampler(noise), huffman_codes(counts.to(device))
    generator = torch.Generator().manual_seed(seed)

    def drawn(centers: Tensor) -> Tensor:
        return sampler.sample((len(centers), negatives), generator)

    def negative(c: Tensor, o: Tensor, v: Tensor, u: Tensor) -> RowGradients:
        return negative_sampling_rows(c, o, drawn(c), v, u)

    def contrastive(c: Tensor, o: Tensor, v: Tensor, u: Tensor) -> RowGradients:
        return noise_contrastive_rows(
            c, o, drawn(c), v, u, noise, log_normalizer=math.log(len(noise))
        )

    def hierarchical(c: Tensor, o: Tensor, v: Tensor, u: Tensor) -> RowGradients:
        return hierarchical_softmax_rows(c, o, v, u[:-1], tree)

    def by_paths(c: Tensor, o: Tensor, v: Tensor, u: Tensor) -> Tensor:
        return log_probability(v[c], o, u[:-1], tree)

    plain = skip_gram_log_likelihood
    return {
        "full": Objective(Model(plain, skip_gram_gradients), plain),
        "hierarchical": Objective(
            Model(_over_pairs(by_paths), _uphill(hierarchical)), _over_pairs(by_paths)
        ),
        "nce": Objective(Model(plain, _uphill(contrastive)), plain),
        "negative": Objective(Model(_corrected(noise), _uphill(negative)), plain),
    }


def as_pairs(centers: Tensor, contexts: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Each window as (center, context) pairs."""
    return centers[:, None].expand_as(contexts)[mask], contexts[mask]


def _over_pairs(log_probability: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The mean log-probability of the context words, from a function of pairs."""

    def mean(
        centers: Tensor, contexts: Tensor, v: Tensor, u: Tensor, *, mask: Tensor,
        reduction: str = "mean",
    ) -> Tensor:  # fmt: skip
        return log_probability(*as_pairs(centers, contexts, mask), v, u).mean()

    return mean


def _corrected(noise: Tensor) -> Callable[..., Tensor]:
    """The mean log-probability of the context words, the noise multiplied back."""

    def mean(
        centers: Tensor, contexts: Tensor, v: Tensor, u: Tensor, *, mask: Tensor,
        reduction: str = "mean",
    ) -> Tensor:  # fmt: skip
        every = corrected_log_probabilities(centers, v, u, noise)
        return every.gather(1, contexts)[mask].mean()

    return mean


def _uphill(rows: Rows) -> Callable[..., VectorGradients]:
    """Minus the gradient of a loss of pairs, in tables, as the trainer of word2vec wants it."""

    def gradients(
        centers: Tensor, contexts: Tensor, v: Tensor, u: Tensor, *, mask: Tensor,
        reduction: str = "mean",
    ) -> VectorGradients:  # fmt: skip
        found = rows(*as_pairs(centers, contexts, mask), v, u)
        dense = found.dense(v, u)
        return VectorGradients(-dense.center_vectors, -dense.context_vectors)

    return gradients
