"""fastText's classifier: the mean of the vectors of words and hashed n-grams, then a softmax.

A document is a bag of rows of one table: a row for each known word, and for each word
n-gram the row that a hash gives it. Table and classifier are learned together, from
labels alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, one_hot

from d2lcompanion.text.checks import (
    require_at_least,
    require_ids,
    require_matrix,
    require_shape,
)
from d2lcompanion.text.fasttext import Rows
from d2lcompanion.text.hierarchical_softmax import (
    HuffmanTree,
    all_probabilities,
    log_probability,
)


class Classifier(NamedTuple):
    """Both tables; training changes them in place.

    Attributes:
        table: A, [V + B, d], of words and buckets.
        output: U, [C, d], a row a class; with a tree [C − 1, d], a row an inner node.
        tree: of C classes for a hierarchical softmax, or None for the plain one.
    """

    table: Tensor
    output: Tensor
    tree: HuffmanTree | None = None


def initial_classifier(
    rows: int,
    dimension: int,
    classes: int,
    generator: torch.Generator,
    *,
    tree: HuffmanTree | None = None,
    device: torch.device | str = "cpu",
) -> Classifier:
    """A uniform in ±1/d, U = 0: every class begins as likely as any other.

    Raises:
        ValueError: if a number is too small, or the tree has another number of classes.
    """
    require_at_least("rows", rows, 1)
    require_at_least("dimension", dimension, 1)
    require_at_least("classes", classes, 2)
    if tree is not None and len(tree.nodes) != classes:
        raise ValueError(f"the tree must have {classes} words, got {len(tree.nodes)}")
    drawn = torch.rand(rows, dimension, generator=generator, device=generator.device)
    table = ((2 * drawn - 1) / dimension).to(device)
    output = table.new_zeros(classes if tree is None else classes - 1, dimension)
    return Classifier(table, output, tree)


def hidden(model: Classifier, documents: Rows) -> Tensor:
    """h, the mean of a document's rows of A: [n, d]; 0 where it has none.

    Raises:
        ValueError: if A is no matrix of floats, or a row is out of range.
    """
    require_matrix("table", model.table)
    require_ids("documents", documents.rows, len(model.table))
    return embedding_bag(documents.rows, model.table, documents.starts, mode="mean")


def log_probabilities(model: Classifier, documents: Rows) -> Tensor:
    """log P(class | document) = log softmax(U h), [n, C]; with a tree, along its paths."""
    h = hidden(model, documents)
    if model.tree is not None:
        return all_probabilities(h, model.output, model.tree).log()
    return torch.log_softmax(h @ model.output.T, 1)


def classifier_loss(model: Classifier, documents: Rows, labels: Tensor) -> Tensor:
    """−Σ log P(label | document), [].

    Args:
        labels: [n], ids of classes.
    Raises:
        ValueError: if shapes differ or an id is out of range.
    """
    require_shape("labels", labels, documents.starts.shape)
    h = hidden(model, documents)
    if model.tree is not None:
        return -log_probability(h, labels, model.output, model.tree).sum()
    require_ids("labels", labels, len(model.output))
    return torch.nn.functional.cross_entropy(
        h @ model.output.T, labels, reduction="sum"
    )


def classifier_gradients(
    model: Classifier, documents: Rows, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """What each entry of `documents.rows` adds to ∂/∂A, and ∂/∂U, of `classifier_loss`.

    With e = softmax(U h) − y,  ∂/∂U = Σ e hᵀ  and  ∂/∂h = Uᵀ e; every row of a document
    of m rows gets ∂/∂h divided by m. With a tree, e is σ(s) − y at the nodes of the
    path, y = 1 for a step to the left.

    Returns:
        [total, d] in the order of the rows, and the shape of U.
    Source:
        Joulin, Grave, Bojanowski & Mikolov (2017), equation (1).
    """
    require_shape("labels", labels, documents.starts.shape)
    h, output, tree = hidden(model, documents), model.output, model.tree
    if tree is None:
        require_ids("labels", labels, len(output))
        error = torch.softmax(h @ output.T, 1) - one_hot(labels, len(output))
        pull, change = error @ output, error.T @ h
    else:
        require_ids("labels", labels, len(tree.nodes))
        nodes, path = (
            tree.nodes[labels],
            output[tree.nodes[labels]],
        )  # [n, L], [n, L, d]
        score = torch.einsum("nd,nld->nl", h, path)
        error = (torch.sigmoid(score) - (~tree.codes[labels]).to(h)) * tree.mask[labels]
        pull = torch.einsum("nl,nld->nd", error, path)
        steps = torch.einsum("nl,nd->nld", error, h).flatten(0, 1)
        change = torch.zeros_like(output).index_add_(0, nodes.flatten(), steps)
    share = pull / documents.lengths.clamp(min=1)[:, None]
    return share.repeat_interleave(documents.lengths, 0), change


# ---------------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class Plan:
    """How to train: plain gradient descent, the rate falling on a line to 0.

    Attributes:
        dimension: d ≥ 1.
        epochs: passes over the documents, ≥ 1.
        rate: > 0, of the *sum* over a step: with one document a step, fastText's.
        batch_size: documents a step, ≥ 1.
    Raises:
        ValueError: if a number is out of range.
    """

    dimension: int = 100
    epochs: int = 5
    rate: float = 0.1
    batch_size: int = 8

    def __post_init__(self) -> None:
        for name in ("dimension", "epochs", "batch_size"):
            require_at_least(name, getattr(self, name), 1)
        if not 0 < self.rate < float("inf"):
            raise ValueError(f"rate must be > 0 and finite, got {self.rate}")


def train_classifier(
    model: Classifier,
    documents: Rows,
    labels: Tensor,
    plan: Plan,
    generator: torch.Generator,
) -> Iterator[float]:
    """Train in place; after each epoch, the mean loss of the documents as they came.

    Only rows that a step reads are written: an epoch costs O((rows + n C) d).

    Args:
        labels: [n].
        generator: for the order, on the CPU.
    Raises:
        ValueError: if there is no document, or shapes or ids do not fit.
        FloatingPointError: if the loss of an epoch is not finite.
    Source:
        Joulin, Grave, Bojanowski & Mikolov (2017), *Bag of Tricks for Efficient Text
        Classification*, §2.
    """
    n = len(labels)
    require_at_least("the number of documents", n, 1)
    require_shape("labels", labels, documents.starts.shape)
    for epoch in range(plan.epochs):
        order = torch.randperm(n, generator=generator)
        total = torch.zeros((), dtype=torch.float64, device=labels.device)
        for begin in range(0, n, plan.batch_size):
            rate = plan.rate * (1 - (epoch + begin / n) / plan.epochs)
            chosen = order[begin : begin + plan.batch_size].to(labels.device)
            batch, target = documents.of(chosen), labels[chosen]
            total += classifier_loss(model, batch, target)
            rows, change = classifier_gradients(model, batch, target)
            model.table.index_add_(0, batch.rows, rows, alpha=-rate)
            model.output.sub_(change, alpha=rate)
        mean = float(total) / n
        if not torch.isfinite(total):
            raise FloatingPointError(
                f"training diverged: the loss of epoch {epoch + 1} is {mean}, at the "
                f"first rate {plan.rate:.3g}; take a smaller one"
            )
        yield mean
