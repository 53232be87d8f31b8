"""Every schedule against torch's `lr_scheduler`, step for step, and d2l's classes."""

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.optimization.schedules import (
    as_lambda_lr,
    chain,
    constant,
    cosine,
    cosine_restarts,
    factor,
    inverse_power,
    multi_step,
    one_cycle,
    polynomial,
    range_test,
    warmup,
    warmup_stable_decay,
)

S = torch.optim.lr_scheduler
LR, STEPS = 0.3, 60


def optimizer(lr: float = LR) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def rates(make, steps: int = STEPS) -> list[float]:
    """What torch's scheduler sets before each update."""
    opt = optimizer()
    scheduler, found = make(opt), []
    for _ in range(steps):
        found.append(float(opt.param_groups[0]["lr"]))
        opt.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SequentialLR calls a deprecated form of its parts
            scheduler.step()
    return found


def sequential(opt):
    first = S.LinearLR(opt, start_factor=0.1, end_factor=1.0, total_iters=7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return S.SequentialLR(opt, [first, S.CosineAnnealingLR(opt, 53)], milestones=[7])


TORCH = {
    "constant": (constant(LR), lambda o: S.ConstantLR(o, factor=1.0)),
    "exponential": (factor(LR, 0.9), lambda o: S.ExponentialLR(o, 0.9)),
    "step": (factor(LR, 0.5, every=7), lambda o: S.StepLR(o, 7, 0.5)),
    "multi-step": (multi_step(LR, [15, 30], 0.5), lambda o: S.MultiStepLR(o, [15, 30], 0.5)),
    "polynomial": (polynomial(LR, 40, power=2), lambda o: S.PolynomialLR(o, 40, 2)),
    "linear": (polynomial(LR, 40, end=LR / 4), lambda o: S.LinearLR(o, 1, 0.25, 40)),
    "restarts": (
        cosine_restarts(LR, 8, multiplier=2, end=0.01),
        lambda o: S.CosineAnnealingWarmRestarts(o, 8, 2, 0.01),
    ),
    "one cycle": (one_cycle(LR, STEPS), lambda o: S.OneCycleLR(o, LR, STEPS)),
    "one cycle, other numbers": (
        one_cycle(LR, 64, rising=0.45, start_factor=10, end_factor=100),
        lambda o: S.OneCycleLR(
            o, LR, 64, pct_start=0.45, div_factor=10, final_div_factor=100
        ),
    ),
    "warm-up and cosine": (warmup(cosine(LR, 53), 7, start=LR / 10), sequential),
}  # fmt: skip


@pytest.mark.parametrize("name", TORCH)
def test_equals_torch_step_for_step(name):
    schedule, make = TORCH[name]
    steps = 64 if name == "one cycle, other numbers" else STEPS
    expected = rates(make, steps)
    assert [schedule(t) for t in range(steps)] == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_cosine_equals_torch_up_to_its_end_and_stays_there():
    expected = rates(lambda o: S.CosineAnnealingLR(o, 40, 0.01), 41)
    schedule = cosine(LR, 40, end=0.01)
    assert [schedule(t) for t in range(41)] == pytest.approx(expected, rel=1e-12)
    assert schedule(1000) == 0.01


def test_d2l_s_classes():
    """SquareRoot-, Factor- and CosineScheduler of §12.11, whose first call is for epoch 0."""
    for t in range(30):
        assert inverse_power(0.1)(t) == pytest.approx(0.1 * (t + 1) ** -0.5)
        slow = max(1e-2, 2.0 * 0.9 ** (t + 1))  # FactorScheduler multiplies before it returns
        assert factor(1.8, 0.9, floor=1e-2)(t) == pytest.approx(slow)
        full, warm, base, final = 20, 5, 0.3, 0.01
        if t < warm:
            expected = base * t / warm
        elif t <= full:
            share = (t - warm) / (full - warm)
            expected = final + (base - final) * (1 + math.cos(math.pi * share)) / 2
        else:
            expected = final
        assert warmup(cosine(base, full - warm, end=final), warm)(t) == pytest.approx(expected)


def test_the_sums_of_robbins_and_monro():
    """1/(t+1): Σ η grows like ln T, Σ η² tends to π²/6; the exponential's Σ η is bounded."""
    inverse = list(map(inverse_power(1.0, power=1.0), range(100_000)))
    assert sum(inverse) == pytest.approx(math.log(100_000) + 0.577216, abs=1e-4)
    assert sum(eta**2 for eta in inverse) == pytest.approx(math.pi**2 / 6, abs=1e-4)
    exponential = map(factor(1.0, math.exp(-0.01)), range(100_000))
    assert sum(exponential) == pytest.approx(1 / (1 - math.exp(-0.01)))


def test_warmup_stable_decay_by_hand():
    schedule = warmup_stable_decay(1.0, 10, warmup_steps=2, decay_steps=4)
    found = [schedule(t) for t in range(12)]
    assert found == pytest.approx([0, 0.5, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0])
    no_plateau = warmup_stable_decay(1.0, 4, warmup_steps=2, decay_steps=2)
    assert [no_plateau(t) for t in range(5)] == pytest.approx([0, 0.5, 1, 0.5, 0])


def test_the_range_test_is_geometric():
    schedule = range_test(1e-4, 1.0, 5)
    assert [schedule(t) for t in range(7)] == pytest.approx([1e-4, 1e-3, 1e-2, 0.1, 1, 1, 1])


def test_chain_starts_each_part_at_its_zero():
    schedule = chain([constant(1.0), polynomial(0.5, 2), constant(0.1)], [3, 5])
    assert [schedule(t) for t in range(7)] == pytest.approx([1, 1, 1, 0.5, 0.25, 0.1, 0.1])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 20), st.integers(1, 200))
def test_a_warm_up_never_jumps_by_more_than_one_of_its_steps(steps, length):
    schedule = warmup(cosine(1.0, length), steps)
    rise = [schedule(t + 1) - schedule(t) for t in range(steps)]
    assert rise == pytest.approx([1 / steps] * steps) if steps else schedule(0) == 1.0


# ----------------------------------------------------------------------------- stateless and stateful


def test_plotting_a_schedule_uses_up_nothing():
    """Errata E9: torch's object, once walked through for a plot, trains at its last rate."""
    schedule, opt = multi_step(0.5, [15, 30], 0.5), optimizer(0.5)
    curve = [schedule(t) for t in range(40)]
    assert [schedule(t) for t in range(40)] == curve
    assert curve[:15] == [0.5] * 15
    theirs = S.MultiStepLR(opt, [15, 30], 0.5)
    for _ in range(30):  # the book plots like this …
        opt.step()
        theirs.step()
    after = []
    for _ in range(30):  # … and then trains
        after.append(opt.param_groups[0]["lr"])
        theirs.step()
    assert set(after) == {0.125}


def test_a_schedule_applied_after_the_epoch_is_shifted():
    """Errata E8: the book trains epoch 0 at the optimizer's own rate, then sets rate(0) = 0."""
    schedule, opt, used = warmup(cosine(0.3, 15, end=0.01), 5), optimizer(0.3), []
    for epoch in range(4):
        used.append(opt.param_groups[0]["lr"])
        for group in opt.param_groups:
            group["lr"] = schedule(epoch)
    assert used == pytest.approx([0.3, 0.0, 0.06, 0.12])
    opt, right = optimizer(0.3), []
    scheduler = as_lambda_lr(opt, schedule)
    for _ in range(4):
        right.append(opt.param_groups[0]["lr"])
        opt.step()
        scheduler.step()
    assert right == pytest.approx([0.0, 0.06, 0.12, 0.18])


def test_as_lambda_lr_sets_the_schedule_s_rate_in_every_group():
    a, b = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    opt = torch.optim.SGD([{"params": [a], "lr": 0.7}, {"params": [b]}], lr=0.01)
    schedule = warmup(cosine(LR, 20), 5, start=0.01)
    scheduler = as_lambda_lr(opt, schedule)
    for t in range(30):
        assert [group["lr"] for group in opt.param_groups] == pytest.approx([schedule(t)] * 2)
        opt.step()
        scheduler.step()
    fresh = as_lambda_lr(optimizer(0.01), schedule)
    state = scheduler.state_dict()
    state["lr_lambdas"] = state["lr_lambdas"][:1]
    state["base_lrs"] = [0.01]
    fresh.load_state_dict(state)
    assert fresh.last_epoch == 30
    with pytest.raises(ValueError, match="lr must be > 0 and finite, got 0"):
        as_lambda_lr(optimizer(0.0), schedule)


# ------------------------------------------------------------------------------------------- errors


BAD = {
    "lr": (lambda: constant(0.0), r"lr must be > 0 and finite, got 0\.0"),
    "gamma": (lambda: factor(1.0, 1.5), r"gamma must be in \(0, 1\], got 1\.5"),
    "every": (lambda: factor(1.0, 0.5, every=0), "every must be a whole number ≥ 1, got 0"),
    "floor": (lambda: factor(1.0, 0.5, floor=2.0), r"floor must be in \[0, lr = 1.0\], got 2.0"),
    "milestones": (lambda: multi_step(1.0, [3, 3]), r"milestones must rise, got \[3, 3\]"),
    "milestone": (lambda: multi_step(1.0, [0]), "milestones must be a whole number ≥ 1, got 0"),
    "power": (lambda: polynomial(1.0, 5, power=-1), "power must be > 0 and finite, got -1"),
    "end": (lambda: cosine(1.0, 5, end=-0.1), r"end must be in \[0, lr = 1.0\], got -0.1"),
    "steps": (lambda: cosine(1.0, 0), "steps must be a whole number ≥ 1, got 0"),
    "scale": (lambda: inverse_power(1.0, scale=0), r"scale must be > 0 and finite, got 0"),
    "multiplier": (lambda: cosine_restarts(1.0, 5, multiplier=0), "multiplier must be a whole"),
    "warm-up": (lambda: warmup(constant(1.0), -1), "steps must be a whole number ≥ 0, got -1"),
    "start": (lambda: warmup(constant(1.0), 1, start=-1.0), r"start must be ≥ 0 .* got -1\.0"),
    "parts": (
        lambda: warmup_stable_decay(1.0, 5, warmup_steps=3, decay_steps=3),
        r"must be ≤ steps = 5, got 3 \+ 3",
    ),
    "rising": (lambda: one_cycle(1.0, 10, rising=1.0), r"rising must be in \(0, 1\), got 1"),
    "short": (lambda: one_cycle(1.0, 3), r"rising · steps must be > 1, got 0\.3 · 3"),
    "factors": (lambda: one_cycle(1.0, 30, start_factor=0.5), "start_factor must be ≥ 1"),
    "order": (lambda: range_test(1.0, 0.1, 5), r"high must be > low = 1\.0 and finite, got 0\.1"),
    "number": (lambda: chain([constant(1.0)], [3]), "1 schedules need 0 milestones, got 1"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_raise_when_the_schedule_is_made(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("step", [-1, 1.5, True])
def test_a_step_that_is_none_is_named(step):
    for schedule in (constant(1.0), cosine(1.0, 5), chain([constant(1.0)], [])):
        with pytest.raises(ValueError, match=f"step must be a whole number ≥ 0, got {step}"):
            schedule(step)
