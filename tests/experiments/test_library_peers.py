"""Peers are PyTorch's own: closed forms of its optimizers, and the published trace of momentum."""

from functools import partial

import pytest
import torch

from d2lcompanion.experiments.library_peers import (
    rule_distance,
    scheduler_rates,
    train_linear,
    valley_momentum,
)
from d2lcompanion.optimization.descent import gradient_descent
from d2lcompanion.optimization.momentum import heavy_ball


def test_equal_rules_do_not_part_and_others_do():
    scales = torch.tensor([1.0, 3.0], dtype=torch.float64)
    start = torch.tensor([1.0, -2.0], dtype=torch.float64)
    sgd, compare = (
        torch.optim.SGD,
        partial(rule_distance, gradient=lambda x: scales * x, start=start),
    )
    worst, moved = compare(gradient_descent, {}, sgd, {}, lr=0.1, steps=5)
    assert worst < 1e-15
    left = (1 - 0.1 * scales) ** 5  # x ← (1 − ηλ) x
    assert moved == pytest.approx(float((start * (1 - left)).norm()))
    worst, _ = compare(heavy_ball, {"beta": 0.9}, sgd, {"momentum": 0.9})
    assert worst < 1e-13
    worst, _ = compare(heavy_ball, {"beta": 0.9}, sgd, {"momentum": 0.8})
    assert worst > 0.1


def test_rates_are_those_before_each_update():
    halve = partial(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.5)
    assert scheduler_rates(halve, 5, lr=0.8) == pytest.approx([0.8, 0.8, 0.4, 0.4, 0.2])
    assert len(scheduler_rates(halve)) == 60


def test_one_step_on_half_the_squares_is_the_gradient_of_least_squares():
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    y = X @ torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    rows = torch.tensor([0, 2, 5])
    once = train_linear(X, y, [rows], factor=0.5, lr=0.1)
    torch.testing.assert_close(once, 0.1 * X[rows].T @ y[rows] / 3)
    many = train_linear(X, y, [torch.arange(6)] * 3000, factor=1.0, lr=0.1)
    torch.testing.assert_close(many, torch.linalg.lstsq(X, y[:, None]).solution[:, 0])


def test_the_book_s_momentum_ends_where_it_is_published():
    step, state = valley_momentum(0.6, 0.5), (-5.0, -2.0, 0.0, 0.0)
    for _ in range(20):
        state = step(*state)
    assert state[:2] == pytest.approx((0.007188, 0.002553), abs=1e-6)
