"""Accuracies read from runs, the exact risk against sampled runs, and lengths that share a start."""

from types import SimpleNamespace

import pytest
import torch

from d2lcompanion.experiments.image_classification import Images
from d2lcompanion.experiments.schedule_comparisons import (
    accuracies,
    quadratic_risk,
    train_lengths,
)
from d2lcompanion.optimization import schedules


def test_a_run_that_diverged_ends_by_chance():
    values = {"constant.rates": [0.1, 0.3], "cosine.test_accuracy_by_epoch": [[0.5] * 5, [0.4]]}
    run = SimpleNamespace(metric=values.__getitem__)
    assert accuracies(run, "cosine", 0.1) == [0.5] * 5
    assert accuracies(run, "cosine", 0.3) == [0.4, 0.1, 0.1, 0.1, 0.1]


def test_the_risk_is_the_mean_of_sampled_runs():
    modes, steps = [(1.0, 0.5, 4.0), (0.1, 1.0, 9.0)], 12
    rate = schedules.cosine(0.5, steps)
    found = quadratic_risk(rate, modes, steps)
    assert len(found) == steps + 1
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(steps + 1, dtype=torch.float64)
    for curvature, noise, start in modes:
        x = torch.full((200_000,), start**0.5, dtype=torch.float64)
        total[0] += 0.5 * curvature * x.square().mean()
        for t in range(steps):
            xi = torch.randn(len(x), generator=generator, dtype=torch.float64)
            x = x - rate(t) * (curvature * x + noise * xi)
            total[t + 1] += 0.5 * curvature * x.square().mean()
    torch.testing.assert_close(found, total, rtol=0.02, atol=0)


def test_runs_of_several_lengths_share_what_their_schedules_share():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(20, 1, 28, 28, generator=generator), torch.arange(20) % 10
    images = Images(x, y, x[:10], y[:10], x[10:], y[10:])
    same = train_lengths(
        lambda n: schedules.constant(0.05), images, 0, lengths=(1, 2), batch_size=8
    )
    assert same[1].train_loss == same[2].train_loss[:1]
    assert len(same[2].train_loss) == 2
    asked = []

    def falling(steps):
        asked.append(steps)
        return schedules.polynomial(0.05, steps)

    other = train_lengths(falling, images, 0, lengths=(1, 2), batch_size=8)
    assert asked == [3, 6]  # batches of 8, 8 and 4
    assert other[1].train_loss[0] != pytest.approx(other[2].train_loss[0], abs=1e-9)
