"""What all update rules have in common: rule(grad, state, *, lr, …) → (update, new state)."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor

from d2lcompanion.optimization.checks import require_gradient

State: TypeAlias = tuple[Any, ...]  # () or a NamedTuple
Rule: TypeAlias = Callable[..., tuple[Tensor, State]]
AnyRule = TypeVar("AnyRule", bound=Callable[..., tuple[Tensor, Any]])


def checks_gradient(rule: AnyRule) -> AnyRule:
    """Decorate a rule: the gradient must be finite, and state and param of its shape.

    What stands behind, without these checks, is `inspect.unwrap(rule)`.

    Raises:
        TypeError: when called with a state of another kind; says how to make one.
        ValueError: when called with a gradient that is not finite or does not fit; names
            the entry or the shapes.
    """

    @functools.wraps(rule)
    def checked(grad: Tensor, state: Any, **others: Any) -> tuple[Tensor, Any]:
        kind = state_class(rule)
        if not isinstance(state, kind):
            raise TypeError(
                f"the state of {rule.__name__} must be {kind.__name__}, got {state!r}: "
                f"begin with {kind.__name__}.zeros(x)"
            )
        tensors = {**state._asdict(), "param": others.get("param")}
        shaped = {k: v for k, v in tensors.items() if isinstance(v, torch.Tensor)}
        require_gradient(grad, **shaped)
        return rule(grad, state, **others)

    return checked  # type: ignore[return-value]


@functools.cache
def state_class(rule: Rule) -> Any:
    """The class of a rule's state, from the annotation: a NamedTuple, or `tuple` for none."""
    annotation = inspect.signature(rule).parameters["state"].annotation
    return annotation if hasattr(annotation, "zeros") else tuple


def initial_state(rule: Rule, param: Tensor) -> State:
    """The state before the first step: () for a rule that remembers nothing.

    Args:
        rule: its `state` is annotated with a NamedTuple that has a constructor `zeros`.
        param: x, any shape; the state has its shapes, dtype and device.
    """
    kind = state_class(rule)
    state: State = kind.zeros(param) if hasattr(kind, "zeros") else ()
    return state


@functools.cache
def takes_param(rule: Rule) -> bool:
    """Whether a rule wants to see the parameter x beside its gradient, as weight decay does."""
    return "param" in inspect.signature(rule).parameters


def numbers_per_parameter(rule: Rule) -> float:
    """How many numbers a rule keeps for every number of x: 0 for SGD, 2 for Adam.

    Counted in its first state, for a matrix; counters such as t are no tensors and not
    counted. In 32-bit numbers this is 4 bytes each.

    Args:
        rule: as for `initial_state`.
    """
    x = torch.zeros(2, 3)
    kept = [field for field in initial_state(rule, x) if isinstance(field, Tensor)]
    return sum(field.numel() for field in kept) / x.numel()
