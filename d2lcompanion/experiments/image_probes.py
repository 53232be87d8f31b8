"""What a few labels are worth: a linear probe on fixed features, or training all weights."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from d2lcompanion.experiments.linear_probe import fit, in_few_columns, spread

PENALTY = 1e-4  # of the weights of a probe, for all features
ROWS = 1000  # images at a time
HEAD_RATE = 1e-2  # of a new linear map, which starts at 0 and has far to go


class Labelled(NamedTuple):
    """Images and labels on one device."""

    images: Tensor
    labels: Tensor


def few_labels(labels: Tensor, each: int, generator: torch.Generator) -> Tensor:
    """So many random rows of every class, classes in turn: [each · C], int64.

    Row k · C + c is the k-th of class c.

    Raises:
        ValueError: if a class has fewer rows.
    """
    classes = int(labels.max()) + 1
    counts = labels.bincount(minlength=classes).tolist()
    if not 1 <= each <= min(counts):
        raise ValueError(f"each must be in 1 … {min(counts)}, got {each}")
    rows = []
    for c in range(classes):
        own = (labels == c).nonzero()[:, 0].cpu()
        rows.append(own[torch.randperm(len(own), generator=generator)[:each]])
    return torch.stack(rows, 1).flatten()


@torch.no_grad()
def features_of(encode: Callable[[Tensor], Tensor], x: Tensor) -> np.ndarray:
    """[N, d], float64, some rows at a time."""
    parts = [encode(part).flatten(1) for part in x.split(ROWS)]  # type: ignore[no-untyped-call]
    features: np.ndarray = torch.cat(parts).double().cpu().numpy()
    return features


def probe(
    features: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    penalty: float = PENALTY,
) -> float:
    """Test accuracy of softmax regression.

    Features are centred by the labelled images and divided by one number first. There is
    one penalty for all: with five labels a class none can be spared to choose it.

    Args:
        features, labels: [n, d] and [n], in 0, …, C − 1.
        penalty: λ.
    """
    mean, unit = features.mean(0), spread(features)
    train, judged = in_few_columns([(features - mean) / unit, (test - mean) / unit])
    found = fit(train, labels, int(labels.max()) + 1, penalty)
    return found.accuracy(judged, test_labels)


def train_on_labels(
    encoder: nn.Module,
    width: int,
    train: Labelled,
    test: Labelled,
    generator: torch.Generator,
    *,
    steps: int,
    rate: float,
    encode: Callable[[Tensor], Tensor] | None = None,
    batch: int = 32,
) -> float:
    """Test accuracy after training all weights and a new linear map, in place.

    AdamW with warm-up and cosine, every method for as many steps; batches are drawn with
    replacement.

    Args:
        encoder: whose parameters are trained.
        width: of its features.
        encode: images to features [n, width]; the encoder itself if None.
    """
    device = train.images.device
    features = encode if encode is not None else encoder
    linear = nn.Linear(width, int(train.labels.max()) + 1)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    linear.to(device)
    groups: list[dict[str, Any]] = [
        {"params": encoder.parameters()},
        {"params": linear.parameters(), "lr": HEAD_RATE},
    ]
    optimizer = torch.optim.AdamW(groups, rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        [rate, HEAD_RATE],
        total_steps=steps + 1,
        pct_start=0.1,
        cycle_momentum=False,
    )
    encoder.train()
    for _ in range(steps):
        rows = torch.randint(len(train.labels), (batch,), generator=generator)
        x, y = (part[rows.to(device)] for part in train)
        scores = linear(features(x).flatten(1)).float()
        loss = nn.functional.cross_entropy(scores, y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    encoder.eval()
    return accuracy(lambda x: linear(features(x).flatten(1)), test)


@torch.no_grad()
def accuracy(scores: Callable[[Tensor], Tensor], test: Labelled) -> float:
    """The share of images whose largest score is the label's."""
    parts: Sequence[Tensor] = test.images.split(ROWS)  # type: ignore[no-untyped-call]
    guesses = torch.cat([scores(part).argmax(1) for part in parts])
    return float((guesses == test.labels).float().mean())
