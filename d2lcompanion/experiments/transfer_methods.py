"""Ways to give a network new classes: from scratch, head only, half of it, all of it, adapters.

All take as many steps with batches of one size; the rates that are tried are the same.
"""

import copy
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from d2lcompanion.experiments.image_classification import accuracy
from d2lcompanion.vision.fine_tuning import (
    count_parameters,
    find_part,
    freeze,
    parameter_groups,
    replace_head,
    set_part,
    train_except,
)
from d2lcompanion.vision.lora import add_adapters, merge_adapters

HEAD = "head"
BODY = ("conv1", "norm1", "conv2", "norm2", "hidden")
METHODS = ("scratch", "probe", "partial", "full", "groups", "lp_ft", "lora")
RANK = 4  # of an adapter
LOW = 0.1  # rate of the body ÷ rate of the head, for "groups"


class Labelled(NamedTuple):
    """Images [n, …] and labels [n] on one device."""

    images: Tensor
    labels: Tensor


def small_network(
    channels: int, classes: int, generator: torch.Generator
) -> nn.Sequential:
    """Two convolutions with batch norm and two linear maps: [n, 1, 28, 28] → [n, classes].

    Parts have names. Weights are drawn by He's rule on the CPU; biases are 0.
    """
    c = channels
    net = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, c, 5, stride=2, padding=2),
            norm1=nn.BatchNorm2d(c),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(c, 2 * c, 3, stride=2, padding=1),
            norm2=nn.BatchNorm2d(2 * c),
            relu2=nn.ReLU(),
            flat=nn.Flatten(),
            hidden=nn.Linear(2 * c * 49, 64),
            relu3=nn.ReLU(),
            head=nn.Linear(64, classes),
        )
    )
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, generator=generator)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    return net


def learn(
    net: nn.Module,
    data: Labelled,
    groups: Sequence[Mapping[str, Any]],
    frozen: Sequence[str],
    *,
    steps: int,
    batch_size: int,
    generator: torch.Generator,
) -> None:
    """AdamW on the mean cross-entropy; all rates fall to 0 by a half cosine. In place.

    Args:
        groups: of parameters, each with its rate.
        frozen: parts that stay in evaluation.
        steps: of `batch_size` examples, drawn with replacement.
        generator: on the CPU.
    """
    optimizer = torch.optim.AdamW([dict(group) for group in groups], weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    train_except(net, frozen)
    for _ in range(steps):
        rows = torch.randint(len(data.labels), (batch_size,), generator=generator)
        x, y = (part[rows.to(part.device)] for part in data)
        loss = nn.functional.cross_entropy(net(x).float(), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    net.eval()


def pretrain(
    data: Labelled,
    classes: int,
    *,
    channels: int,
    steps: int,
    seed: int,
    rate: float = 3e-3,
) -> nn.Module:
    """The source network, trained on the old classes."""
    generator = torch.Generator().manual_seed(seed)
    net = small_network(channels, classes, generator).to(data.images)
    groups = parameter_groups(net, {}, rate)
    learn(net, data, groups, (), steps=steps, batch_size=64, generator=generator)
    return net


def adapt(
    source: nn.Module,
    method: str,
    data: Labelled,
    classes: int,
    *,
    rate: float,
    steps: int,
    batch_size: int,
    seed: int,
) -> nn.Module:
    """A network for the new classes; the source stays as it is.

    Args:
        method: one of METHODS.
        rate: of the head, and of all else unless the method is "groups".
        seed: draws the head, then all weights or adapters where a method has such, then
            batches.
    Raises:
        ValueError: if the method is unknown.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    generator = torch.Generator().manual_seed(seed)
    net = replace_head(source, HEAD, classes, generator)
    options: dict[str, Any] = {"batch_size": batch_size, "generator": generator}
    if method == "scratch":
        channels = find_part(net, "conv1").out_channels
        assert isinstance(channels, int)
        net = small_network(channels, classes, generator).to(data.images)
    frozen: tuple[str, ...] = {"probe": BODY, "lora": BODY, "partial": BODY[:4]}.get(
        method, ()
    )
    freeze(net, frozen)
    if method == "lora":
        add_adapters(net, ("conv2", "hidden"), RANK, generator=generator)
    if method == "lp_ft":
        head = parameter_groups(net, {HEAD: rate}, rate)[:1]
        learn(net, data, head, BODY, steps=steps // 2, **options)
        steps -= steps // 2
    low = LOW if method == "groups" else 1
    groups = parameter_groups(net, {HEAD: rate}, low * rate)
    learn(net, data, groups, frozen, steps=steps, **options)
    return net


def with_old_head(net: nn.Module, source: nn.Module) -> nn.Module:
    """A copy with adapters merged and the head of the source: the old classes once more."""
    old = copy.deepcopy(net)
    merge_adapters(old)
    set_part(old, HEAD, copy.deepcopy(find_part(source, HEAD)))
    return old


class Tried(NamedTuple):
    """One method with the rate that validation chose."""

    accuracy: float  # on test images of the new classes
    old_accuracy: float  # on test images of the old ones, with the old head
    rate: float
    trained: int  # parameters
    by_rate: list[float]  # test accuracy at every rate, rising; nothing is chosen by it


def choose_rate(
    source: nn.Module,
    method: str,
    parts: Mapping[str, Labelled],
    classes: int,
    rates: Sequence[float],
    **options: int,
) -> Tried:
    """Train at every rate; the best on validation images counts, the smaller on a tie.

    Args:
        parts: train, validation and test of the new classes, and old, to be remembered.
        options: steps, batch_size and seed, as of `adapt`.
    """
    best: tuple[float, float, nn.Module] | None = None
    by_rate = []
    for rate in sorted(rates):
        net = adapt(source, method, parts["train"], classes, rate=rate, **options)
        score = accuracy(net, *parts["validation"])
        by_rate.append(accuracy(net, *parts["test"]))
        if best is None or score > best[0]:
            best = (score, rate, net)
    assert best is not None
    _, rate, net = best
    kept = accuracy(with_old_head(net, source), *parts["old"])
    trained = count_parameters(net).trained
    return Tried(accuracy(net, *parts["test"]), kept, rate, trained, by_rate)
