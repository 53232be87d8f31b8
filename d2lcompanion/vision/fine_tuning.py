"""A network that was trained for one task, made ready for another.

Parts are named as in `named_modules`: "fc", "layer4.1.conv2". A name stands for the
module and for all within it. Nothing here trains; a loop of the reader's own does.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from d2lcompanion.vision.checks import require_at_least, require_positive


def replace_head(
    net: nn.Module,
    name: str,
    classes: int,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """A copy of the network whose last linear map is a new one, for other classes.

    Args:
        net: stays as it is, and shares no memory with the copy.
        name: of the linear map.
        classes: outputs of the new one.
        generator: on the CPU, draws weights uniformly in ±1/√inputs, as torch does;
            None makes them 0, so that all classes are equally likely at first and the
            first gradient of everything below is 0. Biases are 0.
    Raises:
        ValueError: if there is no such part, it is not linear, or classes < 1.
    """
    require_at_least("classes", classes, 1)
    old = find_part(net, name)
    if not isinstance(old, nn.Linear):
        raise ValueError(f"head {name!r} must be Linear, got {type(old).__name__}")
    head = nn.Linear(
        old.in_features,
        classes,
        bias=old.bias is not None,
        device=old.weight.device,
        dtype=old.weight.dtype,
    )
    bound = 0.0 if generator is None else old.in_features**-0.5
    drawn = torch.empty(classes, old.in_features).uniform_(
        -bound, bound, generator=generator
    )
    with torch.no_grad():
        head.weight.copy_(drawn)
        if head.bias is not None:
            head.bias.zero_()
    new = copy.deepcopy(net)
    set_part(new, name, head)
    return new


def freeze(net: nn.Module, names: Sequence[str]) -> None:
    """No gradient for these parts, and evaluation: batch norms keep their statistics.

    `net.train()` undoes the second half; call `train_except` in its place.

    Args:
        names: of parts; "" is the whole network.
    Raises:
        ValueError: if there is no such part; nothing is frozen then.
    """
    for part in [find_part(net, name) for name in names]:
        part.requires_grad_(requires_grad=False)
        part.eval()


def train_except(net: nn.Module, names: Sequence[str]) -> None:
    """Training mode, except in these parts: no dropout there, no statistics of batches.

    Without it a frozen batch norm keeps scale and shift, and yet normalizes by the
    batch and moves its running mean and variance towards the new images.

    Raises:
        ValueError: if there is no such part; no mode is changed then.
    """
    parts = [find_part(net, name) for name in names]
    net.train()
    for part in parts:
        part.eval()


def parameter_groups(
    net: nn.Module, rates: Mapping[str, float], rest: float | None = None
) -> list[dict[str, Any]]:
    """Groups for an optimizer: every parameter that is trained, exactly once.

    A parameter belongs to the longest name that contains it, so {"layer4": 1e-4,
    "layer4.1": 1e-3} means what it says.

    Args:
        rates: name of a part → learning rate.
        rest: rate of parameters under none of the names.
    Returns:
        Dictionaries with params, lr and name, as rates has them, then "rest".
    Raises:
        ValueError: if a name is unknown or has no parameter left to train, a rate is
            not positive, or parameters are left over and there is no rest.
    """
    for name, rate in [*rates.items(), *([("rest", rest)] if rest is not None else [])]:
        require_positive(f"rate of {name!r}", rate)
    for name in rates:
        find_part(net, name)
    groups: dict[str, list[nn.Parameter]] = {name: [] for name in rates}
    left: dict[str, nn.Parameter] = {}
    for full, parameter in net.named_parameters():
        if not parameter.requires_grad:
            continue
        owners = [name for name in rates if contains(name, full)]
        if owners:
            groups[max(owners, key=len)].append(parameter)
        else:
            left[full] = parameter
    for name, parameters in groups.items():
        if not parameters:
            raise ValueError(f"group {name!r} has no parameter that is trained")
    found: list[dict[str, Any]] = [
        {"params": groups[name], "lr": rate, "name": name}
        for name, rate in rates.items()
    ]
    if left:
        if rest is None:
            raise ValueError(f"rest must be given for {', '.join(left)}")
        found.append({"params": list(left.values()), "lr": rest, "name": "rest"})
    return found


def layer_rates(
    names: Sequence[str], head_rate: float, factor: float
) -> dict[str, float]:
    """Rates that fall from the head down: η_k = η · factor^(K − k), the last name at η.

    Args:
        names: of parts, from the image to the head.
        head_rate: η > 0.
        factor: in (0, 1]; 1 gives all the same rate.
    Raises:
        ValueError: if there is no name or one is twice there, or a number is out of
            range.
    Source:
        Howard & Ruder (2018), *Universal Language Model Fine-tuning*, §3.2, 1/2.6.
    """
    require_positive("head_rate", head_rate)
    if not 0 < factor <= 1:
        raise ValueError(f"factor must be in (0, 1], got {factor}")
    if not names or len(set(names)) != len(names):
        raise ValueError(f"names must be different, and one or more, got {list(names)}")
    last = len(names) - 1
    return {name: head_rate * factor ** (last - k) for k, name in enumerate(names)}


def feature_extractor(net: nn.Module, head: str) -> nn.Module:
    """A frozen copy that returns what the head would have been given.

    Args:
        net: stays as it is.
        head: the name of its last part, which is left out.
    Raises:
        ValueError: if there is no such part.
    """
    find_part(net, head)
    body = copy.deepcopy(net)
    set_part(body, head, nn.Identity())
    freeze(body, [""])
    return body


class Counts(NamedTuple):
    """How many numbers a network learns, of how many."""

    trained: int
    total: int


def count_parameters(net: nn.Module) -> Counts:
    """Parameters with gradients, and all; a shared one counts once."""
    sizes = [(p.numel(), p.requires_grad) for p in net.parameters()]
    return Counts(sum(n for n, grad in sizes if grad), sum(n for n, _ in sizes))


# --------------------------------------------------------------------------------- parts by name


def contains(name: str, full: str) -> bool:
    """Whether a parameter or part lies in the part of this name; "" contains all."""
    return name in ("", full) or full.startswith(f"{name}.")


def find_part(net: nn.Module, name: str) -> nn.Module:
    """The module of that name.

    Raises:
        ValueError: if there is none, naming what lies where the path breaks off.
    """
    part, path = net, ""
    for step in name.split(".") if name else []:
        known = dict(part.named_children())
        if step not in known:
            where = f"{path!r} has" if path else "the network has"
            raise ValueError(
                f"no part {name!r}: {where} {', '.join(known) or 'no parts'}"
            )
        part, path = known[step], f"{path}.{step}" if path else step
    return part


def set_part(net: nn.Module, name: str, part: nn.Module) -> None:
    """Put a module at that name, in place.

    Raises:
        ValueError: if nothing stands there now, or the name is "".
    """
    if not name:
        raise ValueError("name must be of a part, got '' for the whole network")
    find_part(net, name)
    parent, _, last = name.rpartition(".")
    setattr(find_part(net, parent), last, part)
