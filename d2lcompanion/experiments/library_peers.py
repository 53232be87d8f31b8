"""Rules and schedules of a library, run as ours are: the same gradients, the same steps."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from d2lcompanion.optimization.rules import Rule, initial_state


def rule_distance(
    rule: Rule,
    ours: Mapping[str, Any],
    peer: Callable[..., Any],
    theirs: Mapping[str, Any],
    gradient: Callable[[Tensor], Tensor],
    start: Tensor,
    *,
    lr: float = 0.02,
    steps: int = 100,
) -> tuple[float, float]:
    """Largest difference between a rule and its peer, and how far the peer went.

    Args:
        rule: with its hyperparameters `ours`.
        peer: an optimizer of PyTorch, with `theirs`.
        gradient: of the loss.
        start: of both.
    """
    x, w = start, start.clone().requires_grad_()
    state, optimizer = initial_state(rule, x), peer([w], lr=lr, **theirs)
    needs_param = "param" in inspect.signature(rule).parameters
    worst = 0.0
    for _ in range(steps):
        more = {"param": x} if needs_param else {}
        update, state = rule(gradient(x), state, lr=lr, **ours, **more)
        x, w.grad = x + update, gradient(w.detach())
        optimizer.step()
        worst = max(worst, float((x - w.detach()).abs().max()))
    return worst, float((w.detach() - start).norm())


def scheduler_rates(
    make: Callable[[torch.optim.Optimizer], Any], steps: int = 60, lr: float = 0.3
) -> list[float]:
    """The rates that a scheduler object of PyTorch sets, one before each update."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler, found = make(optimizer), []
    for _ in range(steps):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return found


def train_linear(
    features: Tensor,
    target: Tensor,
    batches: Iterable[Tensor],
    *,
    factor: float,
    lr: float,
) -> Tensor:
    """Weights of torch.optim.SGD on factor · MSELoss from zero, over given batches: [d]."""
    model = torch.nn.Linear(features.shape[1], 1, bias=False, dtype=features.dtype)
    torch.nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for rows in batches:
        optimizer.zero_grad()
        predicted = model(features[rows])[:, 0]
        (factor * torch.nn.MSELoss()(predicted, target[rows])).backward()
        optimizer.step()
    return model.weight[0].detach()


def valley_momentum(
    lr: float, beta: float
) -> Callable[[float, float, float, float], tuple[float, float, float, float]]:
    """The book's step of momentum on 0.1x₁² + 2x₂², as `d2l.train_2d` takes it."""

    def step(
        x1: float, x2: float, v1: float, v2: float
    ) -> tuple[float, float, float, float]:
        v1, v2 = beta * v1 + 0.2 * x1, beta * v2 + 4 * x2
        return x1 - lr * v1, x2 - lr * v2, v1, v2

    return step
