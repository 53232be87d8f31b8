"""Skip-gram and CBOW trained with the full softmax: Adam along analytic gradients.

A model is a log-likelihood with its gradients, both of windows and tables of vectors;
approximations of the softmax that come with both are trained in the same way.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.experiments.word_windows import Corpus
from d2lcompanion.optimization.adaptive import AdamState, adam
from d2lcompanion.optimization.schedules import polynomial
from d2lcompanion.text.cbow import cbow_gradients, cbow_log_likelihood
from d2lcompanion.text.windows import Windows
from d2lcompanion.text.word2vec import (
    VectorGradients,
    skip_gram_gradients,
    skip_gram_log_likelihood,
)

SPREAD = 0.1  # standard deviation of the first coordinates
SAMPLE = 10_000  # training windows that the training loss is measured on


class Model(NamedTuple):
    """What is maximized, and its gradient: both take windows and tables of vectors."""

    log_likelihood: Callable[..., Tensor]
    gradients: Callable[..., VectorGradients]


MODELS = {
    "skip_gram": Model(skip_gram_log_likelihood, skip_gram_gradients),
    "cbow": Model(cbow_log_likelihood, cbow_gradients),
}


class Trained(NamedTuple):
    """Vectors, and losses (minus log-likelihood a predicted word) after 0, 1, … epochs."""

    center_vectors: Tensor  # [V, d]
    context_vectors: Tensor  # [V, d]
    train: list[float]
    held_out: list[float]


def loss(model: Model, part: Windows, tables: Sequence[Tensor]) -> float:
    """Minus the mean log-likelihood, over windows that are taken a thousand at a time."""
    total, predicted = 0.0, 0
    for rows in torch.arange(len(part.centers)).split(1000):  # type: ignore[no-untyped-call]
        centers, contexts, mask = part.rows(rows.to(part.centers.device))
        once = model.log_likelihood is cbow_log_likelihood  # CBOW predicts the center
        number = len(centers) if once else int(mask.sum())
        total -= number * float(
            model.log_likelihood(
                centers, contexts, *tables, mask=mask, reduction="mean"
            )
        )
        predicted += number
    return total / predicted


def train(
    model: Model,
    corpus: Corpus,
    *,
    dim: int,
    lr: float,
    epochs: int,
    batch_size: int,
    generator: torch.Generator,
) -> Trained:
    """Adam along the analytic gradient of each minibatch of windows.

    The parts of the corpus lie on the device to train on; the generator, on the CPU,
    draws the first vectors and the order of the windows.
    """
    device, count = corpus.train.centers.device, len(corpus.train.centers)
    shape = len(corpus.vocab), dim
    tables = [
        (SPREAD * torch.randn(shape, generator=generator)).to(device) for _ in range(2)
    ]
    states = [AdamState.zeros(table) for table in tables]
    rate = polynomial(lr, epochs * math.ceil(count / batch_size))
    sample = corpus.train.rows(torch.arange(min(SAMPLE, count), device=device))
    losses = [(loss(model, sample, tables), loss(model, corpus.held_out, tables))]
    step = 0
    for _ in range(epochs):
        order = torch.randperm(count, generator=generator).to(device)
        for rows in order.split(batch_size):  # type: ignore[no-untyped-call]
            centers, contexts, mask = corpus.train.rows(rows)
            uphill = model.gradients(
                centers, contexts, *tables, mask=mask, reduction="mean"
            )
            for k in range(2):
                update, states[k] = adam(-uphill[k], states[k], lr=rate(step))
                tables[k] = tables[k] + update
            step += 1
        losses.append(
            (loss(model, sample, tables), loss(model, corpus.held_out, tables))
        )
    on_train, on_held_out = zip(*losses, strict=True)
    return Trained(tables[0], tables[1], list(on_train), list(on_held_out))


def predicted_counts(name: str, part: Windows, size: int) -> Tensor:
    """How often each word is predicted, [V]: in the contexts for skip-gram, else as center."""
    if name == "cbow":
        return torch.bincount(part.centers, minlength=size)
    return torch.bincount(part.contexts[part.mask], minlength=size)
