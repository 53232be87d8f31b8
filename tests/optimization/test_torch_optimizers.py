"""Every rule against torch's optimizer of the same name, by itself and behind the wrapper."""

import copy
import math
import warnings

import pytest
import torch

from d2lcompanion.optimization import adaptive, descent, momentum, muon
from d2lcompanion.optimization.rules import initial_state, takes_param
from d2lcompanion.optimization.torch_optimizer import as_torch_optimizer

T = torch.optim
EQUAL = {
    "SGD": (descent.gradient_descent, {}, T.SGD, {}),
    "momentum": (momentum.heavy_ball, {"beta": 0.8}, T.SGD, {"momentum": 0.8}),
    "Nesterov": (momentum.nesterov, {"beta": 0.8}, T.SGD, {"momentum": 0.8, "nesterov": True}),
    "Adagrad": (adaptive.adagrad, {}, T.Adagrad, {}),
    "RMSprop": (adaptive.rmsprop, {"gamma": 0.95}, T.RMSprop, {"alpha": 0.95}),
    "Adadelta": (
        adaptive.adadelta,
        {"rho": 0.8, "eps": 1e-3},
        T.Adadelta,
        {"rho": 0.8, "eps": 1e-3},
    ),
    "Adam": (adaptive.adam, {"beta1": 0.8, "beta2": 0.95}, T.Adam, {"betas": (0.8, 0.95)}),
    "Adam, large ε": (adaptive.adam, {"eps": 0.1}, T.Adam, {"eps": 0.1}),
    "AdamW": (adaptive.adamw, {"weight_decay": 0.3}, T.AdamW, {"weight_decay": 0.3}),
    "AMSGrad": (adaptive.amsgrad, {"beta2": 0.6}, T.Adam, {"amsgrad": True, "betas": (0.9, 0.6)}),
    "NAdam": (adaptive.nadam, {}, T.NAdam, {}),
    "Muon": (
        muon.muon,
        {"beta": 0.9, "iterate_in": torch.bfloat16},
        T.Muon,
        {"momentum": 0.9},
    ),
}
LR, STEPS = 0.03, 100


def start(seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(6, 4), (3, 5)]
    return [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]


def loss(params: list[torch.Tensor]) -> torch.Tensor:
    """Neither convex nor separable, with gradients of many sizes."""
    a, b = params
    return (a @ a.T).cos().sum() + (b**4).sum() / 4 + (a[:3] @ b[:, :4].T).tanh().square().sum()


def trajectory(optimizer: torch.optim.Optimizer, params: list[torch.Tensor]) -> torch.Tensor:
    points = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(params).backward()
        optimizer.step()
        points.append(torch.cat([p.detach().flatten() for p in params]))
    return torch.stack(points)


def leaves(seed: int = 0) -> list[torch.Tensor]:
    return [p.requires_grad_() for p in start(seed)]


@pytest.mark.parametrize("name", EQUAL)
def test_the_pure_rule_is_torch_s_optimizer(name):
    rule, ours, peer, theirs = EQUAL[name]
    params = leaves()
    expected = trajectory(peer(params, lr=LR, **theirs), params)
    x = start()
    states = [initial_state(rule, p) for p in x]
    points = []
    for _ in range(STEPS):
        leaf = [p.clone().requires_grad_() for p in x]
        grads = torch.autograd.grad(loss(leaf), leaf)
        for k, grad in enumerate(grads):
            more = {"param": x[k]} if takes_param(rule) else {}
            update, states[k] = rule(grad, states[k], lr=LR, **ours, **more)
            x[k] = x[k] + update
        points.append(torch.cat([p.flatten() for p in x]))
    assert (torch.stack(points) - expected).abs().max() < 1e-6
    assert (expected[-1] - expected[0]).abs().max() > 0.03, "something moved"


@pytest.mark.parametrize("name", EQUAL)
def test_the_wrapped_rule_is_torch_s_optimizer(name):
    rule, ours, peer, theirs = EQUAL[name]
    params, same = leaves(), leaves()
    expected = trajectory(peer(params, lr=LR, **theirs), params)
    found = trajectory(as_torch_optimizer(same, rule, lr=LR, **ours), same)
    assert (found - expected).abs().max() < 1e-6


def test_dampening_is_torch_s_after_the_first_step():
    """Torch does not dampen its first step: begin with the velocity that makes ours equal."""
    grad, lr, beta = torch.tensor([2.0], dtype=torch.float64), 0.1, 0.5
    x = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    peer = torch.optim.SGD([x], lr=lr, momentum=beta, dampening=0.5)
    y, state = x.detach().clone(), momentum.HeavyBallState(grad * 0.5 / beta)
    for _ in range(10):
        x.grad = grad
        peer.step()
        update, state = momentum.heavy_ball(grad, state, lr=lr, beta=beta, dampening=0.5)
        y = y + update
        torch.testing.assert_close(x.detach(), y)


# ------------------------------------------------------------------------------------- the wrapper


STATEFUL = [name for name in EQUAL if name != "SGD"]


@pytest.mark.parametrize("name", STATEFUL)
def test_a_run_goes_on_after_saving_and_loading(name, tmp_path):
    rule, ours, _, _ = EQUAL[name]
    params = leaves()
    optimizer = as_torch_optimizer(params, rule, lr=LR, **ours)
    trajectory(optimizer, params)
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    copies = [p.detach().clone().requires_grad_() for p in params]
    fresh = as_torch_optimizer(copies, rule, lr=1.0, **ours)
    fresh.load_state_dict(torch.load(tmp_path / "optimizer.pt", weights_only=True))
    assert torch.equal(trajectory(optimizer, params), trajectory(fresh, copies))


def test_groups_have_their_own_numbers_and_schedulers_set_the_rate():
    a, b = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    optimizer = as_torch_optimizer(
        [{"params": [a]}, {"params": [b], "lr": 0.5}], descent.gradient_descent, lr=0.1
    )
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.1)
    for _ in range(2):
        a.grad, b.grad = torch.ones(2), torch.ones(2)
        optimizer.step()
        schedule.step()
    torch.testing.assert_close(a.detach(), torch.full((2,), 1 - 0.1 - 0.01))
    torch.testing.assert_close(b.detach(), torch.full((2,), 1 - 0.5 - 0.05))


def test_parameters_without_a_gradient_stay_and_closures_are_called():
    a, b = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    optimizer = as_torch_optimizer([a, b], adaptive.adam, lr=0.1)

    def closure() -> float:
        optimizer.zero_grad()
        value = (a**2).sum()
        value.backward()
        return float(value.detach())

    assert optimizer.step(closure) == 2.0
    assert torch.equal(b, torch.ones(2))
    assert not torch.equal(a, torch.ones(2))


def test_a_gradient_that_is_not_finite_moves_nothing():
    a, b = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    for rule in (descent.gradient_descent, momentum.heavy_ball, adaptive.adam):
        optimizer = as_torch_optimizer([a, b], rule, lr=0.1)
        a.grad, b.grad = torch.ones(2), torch.tensor([1.0, math.nan])
        with pytest.raises(ValueError, match=r"finite, got nan at \[1\]"):
            optimizer.step()
        assert torch.equal(a, torch.ones(2))
        assert not optimizer.state
    a.grad = b.grad = torch.full((2,), 3e38)  # the norm overflows, no entry does
    optimizer.step()


def test_unknown_and_missing_hyperparameters_are_named():
    x = [torch.nn.Parameter(torch.ones(2))]
    with pytest.raises(TypeError, match="adam has no momentum; it has lr, beta1, beta2, eps"):
        as_torch_optimizer(x, adaptive.adam, lr=0.1, momentum=0.9)
    with pytest.raises(TypeError, match="adam needs lr"):
        as_torch_optimizer(x, adaptive.adam)


def test_a_deep_copy_is_independent():
    params = leaves()
    optimizer = as_torch_optimizer(params, adaptive.adam, lr=LR)
    trajectory(optimizer, params)
    before = copy.deepcopy(optimizer.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trajectory(optimizer, params)
    assert before["state"][0]["steps"] == STEPS


@pytest.mark.parametrize("name", ["SGD", "momentum", "Adam", "AdamW"])
def test_a_rate_of_zero_moves_nothing_and_remembers(name):
    """As torch does, where a warm-up begins or a cosine ends at 0."""
    rule, ours, peer, theirs = EQUAL[name]
    params, same = leaves(), leaves()
    for optimizer, x in (
        (peer(params, lr=LR, **theirs), params),
        (as_torch_optimizer(same, rule, lr=LR, **ours), same),
    ):
        for lr in (0.0, LR, 0.0):
            optimizer.param_groups[0]["lr"] = lr
            optimizer.zero_grad()
            loss(x).backward()
            optimizer.step()
    for a, b in zip(params, same, strict=True):
        torch.testing.assert_close(a, b)


def test_a_negative_rate_is_named():
    x = torch.nn.Parameter(torch.ones(2))
    optimizer = as_torch_optimizer([x], momentum.heavy_ball, lr=0.1)
    x.grad = torch.ones(2)
    optimizer.param_groups[0]["lr"] = -0.1
    with pytest.raises(ValueError, match=r"lr must be ≥ 0 and finite, got -0\.1"):
        optimizer.step()
    assert torch.equal(x, torch.ones(2))
