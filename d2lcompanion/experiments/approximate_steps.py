"""One step with the full softmax and without, in place, and one call of each sampler.

All take the same task: a minibatch of real windows and its pairs at one size of the
vocabulary.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.experiments import softmax_cost
from d2lcompanion.text.hierarchical_softmax import (
    HuffmanTree,
    hierarchical_softmax_rows,
)
from d2lcompanion.text.negative_sampling import negative_sampling_rows
from d2lcompanion.text.noise import AliasSampler
from d2lcompanion.text.word2vec import skip_gram_gradients

LR = 1e-4  # small: the values do not matter
DRAWS = 20_000  # of a sampler, in one call


class Task(NamedTuple):
    """A minibatch of pairs at one size of the vocabulary, and all that a step needs."""

    windows: softmax_cost.Task
    centers: Tensor  # [n], of the pairs in those windows
    contexts: Tensor  # [n]
    noise: Tensor  # [V]
    sampler: AliasSampler
    tree: HuffmanTree
    negatives: int


def full(task: Task, generator: torch.Generator) -> None:
    """A step with the full softmax: every row of u moves."""
    _, v, u = task.windows
    centers, contexts, mask = task.windows.batch
    uphill = skip_gram_gradients(centers, contexts, v, u, mask=mask, reduction="mean")
    v.add_(uphill.center_vectors, alpha=LR)
    u.add_(uphill.context_vectors, alpha=LR)


def negative(task: Task, generator: torch.Generator) -> None:
    """A step with k fresh negatives for each pair: k + 1 rows of u a pair."""
    _, v, u = task.windows
    drawn = task.sampler.sample((len(task.centers), task.negatives), generator)
    rows = negative_sampling_rows(task.centers, task.contexts, drawn, v, u)
    rows.descend(v, u, lr=LR)


def hierarchical(task: Task, generator: torch.Generator) -> None:
    """A step along the paths: as many rows a pair as the longest path has nodes."""
    _, v, u = task.windows
    nodes = u[:-1]
    rows = hierarchical_softmax_rows(task.centers, task.contexts, v, nodes, task.tree)
    rows.descend(v, nodes, lr=LR)


STEPS: dict[str, Callable[[Task, torch.Generator], None]] = {
    "full": full,
    "negative": negative,
    "hierarchical": hierarchical,
}


def alias(task: Task, generator: torch.Generator) -> None:
    """Draws by tables, O(1) each."""
    task.sampler.sample((DRAWS,), generator)


def search(task: Task, generator: torch.Generator) -> None:
    """Draws by a binary search in cumulative sums, O(log V) each; sums made anew."""
    height = torch.rand(DRAWS, generator=generator)
    torch.searchsorted(task.noise.cumsum(0), height.to(task.noise.device))


def multinomial(task: Task, generator: torch.Generator) -> None:
    """torch's own draws."""
    torch.multinomial(task.noise.cpu(), DRAWS, replacement=True, generator=generator)


SAMPLERS: dict[str, Callable[[Task, torch.Generator], None]] = {
    "alias": alias,
    "search": search,
    "multinomial": multinomial,
}


def operations(task: Task) -> dict[str, int]:
    """Floating-point operations of the products of a step.

    Full: three products of 2BVd. The others: 2md for the scores of a pair, 2md for its
    center and 2md for its rows, with m = k + 1, or the steps on the path of its word.
    """
    dim = task.windows.center_vectors.shape[1]
    batch = len(task.windows.batch.centers)
    return {
        "full": softmax_cost.products(len(task.noise), dim, batch),
        "negative": 6 * len(task.centers) * (task.negatives + 1) * dim,
        "hierarchical": 6 * int(task.tree.lengths()[task.contexts].sum()) * dim,
    }
