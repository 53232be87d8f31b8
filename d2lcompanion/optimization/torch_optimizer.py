"""Any pure rule of this package as a `torch.optim.Optimizer`, for training networks."""

import inspect
import math
from collections.abc import Callable
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
        groups = []
        for group in self.param_groups:
            require_nonnegative("lr", group["lr"])
            params = [param for param in group["params"] if param.grad is not None]
            grads = [param.grad for param in params]
            chosen = {k: v for k, v in group.items() if k not in NOT_OF_THE_RULE}
            groups.append((params, grads, chosen))
        if self._check_finite:
            _require_finite([grad for _, grads, _ in groups for grad in grads])
        in_place = IN_PLACE.get(self._core)
        for params, grads, chosen in groups:
            if in_place is not None:
                in_place(params, grads, self._states(params), **chosen)
            else:
                for param in params:
                    self._move(param, chosen)
        return loss

    def _states(self, params: list[Tensor]) -> list[State]:
        """What the rule remembers of each; nothing is looked up where it remembers nothing."""
        if self._state_class is tuple:
            return []
        return [self._remembered(param) for param in params]

    def _remembered(self, param: Tensor) -> State:
        """The state of a parameter; made, and kept, when it is first asked for."""
        kept = self.state.get(param)
        if kept:
            return self._state_class(**kept)  # type: ignore[no-any-return]
        state = self._zeros(param)
        self._keep(param, state)
        return state

    def _keep(self, param: Tensor, state: State) -> None:
        if state:
            self.state[param] = _as_dict(state)

    def _move(self, param: Tensor, hyperparameters: dict[str, Any]) -> None:
        """One step of one parameter."""
        more = {"param": param} if self._takes_param else {}
        idle = hyperparameters["lr"] == 0  # as schedules begin or end: only remember
        lr = {"lr": 1.0} if idle else {}
        update, state = self._core(
            param.grad, self._remembered(param), **{**hyperparameters, **lr, **more}
        )
        if not idle:
            param.add_(update)
        self._keep(param, state)


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


def _require_finite(grads: list[Tensor]) -> None:
    """All gradients in one look: their sums are not finite if an entry is not.

    Raises:
        ValueError: if an entry is not finite; names it.
    """
    on_cpu: list[Tensor] = []
    alike: dict[torch.device, list[Tensor]] = {}
    for total in [grad.sum() for grad in grads]:
        if total.is_cpu:
            on_cpu.append(total)
        else:  # to read each number would mean to wait for the device each time
            alike.setdefault(total.device, []).append(total.float())
    on_devices = [torch.stack(totals).sum() for totals in alike.values()]
    if not math.isfinite(sum(map(float, on_cpu + on_devices))):
        for grad in grads:
            require_gradient(grad)  # names the entry, if it was no overflow


# Rules whose update is −η times a tensor that exists anyway: the product is not formed. They
# take lists, one entry a parameter; βv + g is one pass over memory when written as g + βv.


def _gradient_descent_(
    params: list[Tensor], grads: list[Tensor], states: list[State], *, lr: float
) -> None:
    if params:
        torch._foreach_add_(params, grads, alpha=-lr)


def _heavy_ball_(
    params: list[Tensor],
    grads: list[Tensor],
    states: list[HeavyBallState],
    *,
    lr: float,
    beta: float,
    dampening: float,
) -> None:
    for x, grad, (velocity,) in zip(params, grads, states, strict=True):
        if dampening:
            velocity.mul_(beta).add_(grad, alpha=1 - dampening)
        else:
            torch.add(grad, velocity, alpha=beta, out=velocity)
        x.add_(velocity, alpha=-lr)


def _nesterov_(
    params: list[Tensor],
    grads: list[Tensor],
    states: list[HeavyBallState],
    *,
    lr: float,
    beta: float,
) -> None:
    for x, grad, (velocity,) in zip(params, grads, states, strict=True):
        torch.add(grad, velocity, alpha=beta, out=velocity)
        x.add_(grad, alpha=-lr).add_(velocity, alpha=-lr * beta)


IN_PLACE: dict[Any, Callable[..., None]] = {
    gradient_descent: _gradient_descent_,
    inspect.unwrap(heavy_ball): _heavy_ball_,
    inspect.unwrap(nesterov): _nesterov_,
}


def _as_dict(state: State) -> dict[str, Any]:
    """A state as torch keeps it: a dictionary, since it takes tuples apart when loading."""
    return dict(zip(getattr(state, "_fields", ()), state, strict=True))
