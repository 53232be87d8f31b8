"""Any pure rule of this package as a `torch.optim.Optimizer`, for training networks."""

import inspect
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from d2lcompanion.optimization.checks import require_gradient, require_nonnegative
from d2lcompanion.optimization.descent import gradient_descent
from d2lcompanion.optimization.momentum import HeavyBallState, heavy_ball, nesterov
from d2lcompanion.optimization.rules import (
    Rule,
    State,
    initial_state,
    state_class,
    takes_param,
)

NOT_OF_THE_RULE = ("params", "param_names", "initial_lr")  # other entries of a group


class RuleOptimizer(torch.optim.Optimizer):
    """A rule in the clothes of `torch.optim`; made by `as_torch_optimizer`.

    Groups of parameters may have hyperparameters of their own, `lr_scheduler`s see and
    set `lr`, `state_dict` and `load_state_dict` keep the states.
    """

    def __init__(
        self,
        params: ParamsT,
        rule: Rule,
        hyperparameters: dict[str, Any],
        *,
        check_finite: bool,
    ) -> None:
        self._rule = rule
        self._core = inspect.unwrap(
            rule
        )  # without the checks: `step` makes them at once
        self._state_class = state_class(rule)
        self._zeros = partial(initial_state, rule)
        self._takes_param = takes_param(rule)
        self._check_finite = check_finite
        super().__init__(params, hyperparameters)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """x ← x + update, for every parameter that has a gradient.

        A rate of 0, where a schedule may begin or end, moves nothing; what the rule
        remembers goes on.

        Raises:
            ValueError: if a gradient is not finite or a rate negative; then no parameter
                has moved.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            require_nonnegative("lr", group["lr"])
        if self._check_finite:
            self._require_finite_gradients()
        for group in self.param_groups:
            chosen = {k: v for k, v in group.items() if k not in NOT_OF_THE_RULE}
            for param in group["params"]:
                if param.grad is not None:
                    self._move(param, chosen)
        return loss

    def _move(self, param: Tensor, hyperparameters: dict[str, Any]) -> None:
        """One step of one parameter."""
        kept = self.state.get(param)
        state = self._state_class(**kept) if kept else self._zeros(param)
        if self._core in IN_PLACE:
            IN_PLACE[self._core](param, param.grad, state, **hyperparameters)
        else:
            more = {"param": param} if self._takes_param else {}
            idle = (
                hyperparameters["lr"] == 0
            )  # as schedules begin or end: only remember
            lr = {"lr": 1.0} if idle else {}
            update, state = self._core(
                param.grad, state, **{**hyperparameters, **lr, **more}
            )
            if not idle:
                param.add_(update)
        if state:
            self.state[param] = _as_dict(state)

    def _require_finite_gradients(self) -> None:
        """All gradients in one look: their norms are not finite if an entry is not."""
        alike: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
        for gradient in self._gradients():
            alike.setdefault((gradient.device, gradient.dtype), []).append(gradient)
        for gradients in alike.values():
            norms = torch.stack(torch._foreach_norm(gradients))
            if not math.isfinite(float(norms.sum())):
                for gradient in gradients:
                    require_gradient(gradient)  # names the entry, if it was no overflow

    def _gradients(self) -> Iterator[Tensor]:
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    yield param.grad


def as_torch_optimizer(
    params: ParamsT, rule: Rule, *, check_finite: bool = True, **hyperparameters: Any
) -> RuleOptimizer:
    """A `torch.optim.Optimizer` that follows a rule of this package, or one of your own.

    `as_torch_optimizer(model.parameters(), adam, lr=1e-3)`. The state begins at
    `initial_state`; a rule with an argument `param` is given the parameter.

    Args:
        params: parameters, or groups of them as dictionaries, as torch takes them.
        rule: (gradient, state, **hyperparameters) → (update, state).
        check_finite: look at all gradients before each step. It costs about one more
            pass over them, and on an accelerator a wait.
        hyperparameters: of the rule. Those left out have the rule's own defaults, and
            stand in the groups too.
    Raises:
        TypeError: if the rule has no such hyperparameter, or one without a default is
            missing; names those that there are.
    """
    known = {
        name: parameter.default
        for name, parameter in inspect.signature(rule).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name != "param"
    }
    name_of_rule = getattr(rule, "__name__", repr(rule))
    if unknown := hyperparameters.keys() - known.keys():
        raise TypeError(
            f"{name_of_rule} has no {', '.join(sorted(unknown))}; it has {', '.join(known)}"
        )
    chosen = {**known, **hyperparameters}
    missing = [
        name for name, value in chosen.items() if value is inspect.Parameter.empty
    ]
    if missing:
        raise TypeError(f"{name_of_rule} needs {', '.join(missing)}")
    return RuleOptimizer(params, rule, chosen, check_finite=check_finite)


# Rules whose update is −η times a tensor that exists anyway: the product is not formed.


def _gradient_descent_(x: Tensor, grad: Tensor, state: State, *, lr: float) -> None:
    x.add_(grad, alpha=-lr)


def _heavy_ball_(
    x: Tensor,
    grad: Tensor,
    state: HeavyBallState,
    *,
    lr: float,
    beta: float,
    dampening: float,
) -> None:
    state.velocity.mul_(beta).add_(grad, alpha=1 - dampening)
    x.add_(state.velocity, alpha=-lr)


def _nesterov_(
    x: Tensor, grad: Tensor, state: HeavyBallState, *, lr: float, beta: float
) -> None:
    state.velocity.mul_(beta).add_(grad)
    x.add_(torch.add(grad, state.velocity, alpha=beta), alpha=-lr)


IN_PLACE: dict[Any, Callable[..., None]] = {
    gradient_descent: _gradient_descent_,
    inspect.unwrap(heavy_ball): _heavy_ball_,
    inspect.unwrap(nesterov): _nesterov_,
}


def _as_dict(state: State) -> dict[str, Any]:
    """A state as torch keeps it: a dictionary, since it takes tuples apart when loading."""
    return dict(zip(getattr(state, "_fields", ()), state, strict=True))
