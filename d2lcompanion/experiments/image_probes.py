"""What a few labels are worth: a linear probe on fixed features, or training all weights."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from d2lcompanion.experiments.linear_probe import Probe, fit, in_few_columns, spread

PENALTIES = (1e-1, 1e-2, 1e-3)
HELD_BACK = 5  # one in five labelled images of each class chooses the penalty
ROWS = 1000  # images at a time
HEAD_RATE = 1e-2  # of a new linear map, which starts at 0 and has far to go


class Labelled(NamedTuple):
    """Images and labels on one device."""

    images: Tensor
    labels: Tensor


def few_labels(labels: Tensor, each: int, generator: torch.Generator) -> Tensor:
    """So many random rows of every class, classes in turn: [each · C], int64.

    Row k · C + c is the k-th of class c, so that the first rows are a balanced part.

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
    features: np.ndarray, labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray
) -> float:
    """Test accuracy of softmax regression, its penalty chosen on a fifth of the labels.

    Features are centred by the labelled images and divided by one number first. After the
    choice all labels are used. At a tie the larger penalty wins.

    Args:
        features, labels: [n, d] and [n], classes in turn as `few_labels` gives them, five
            or more of each.
    """
    classes = int(labels.max()) + 1
    each = len(labels) // classes
    if each < HELD_BACK:
        raise ValueError(f"a probe needs {HELD_BACK} labels a class, got {each}")
    mean, unit = features.mean(0), spread(features)
    train, judged = in_few_columns([(features - mean) / unit, (test - mean) / unit])
    cut = classes * (each - each // HELD_BACK)

    def right(penalty: float) -> float:
        found = fit(train[:cut], labels[:cut], classes, penalty)
        return found.accuracy(train[cut:], labels[cut:])

    best = max(PENALTIES, key=right)  # the first of equals
    chosen: Probe = fit(train, labels, classes, best)
    return chosen.accuracy(judged, test_labels)


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
    groups = [
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
