"""Passes: every row once an epoch, ends of a slow loop, and axes that are steps or epochs."""

from types import SimpleNamespace

import pytest
import torch

from d2lcompanion.experiments.batch_size_passes import (
    draw_passes,
    mean_end,
    plot_passes,
    regression_step,
    steps_to,
)
from d2lcompanion.optimization import stochastic


def data():
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(12, 2, generator=generator, dtype=torch.float64)
    return X, X @ torch.tensor([1.0, -1.0], dtype=torch.float64) + 0.1


def test_each_epoch_reads_each_row_once():
    rows = draw_passes(12, 4, torch.Generator().manual_seed(1), epochs=3, runs=2)
    assert rows.shape == (2, 9, 4)
    for run in rows:
        for epoch in run.view(3, 12):
            assert sorted(epoch.tolist()) == list(range(12))
    assert not torch.equal(rows[0], rows[1])


def test_the_mean_end_is_a_slow_loop_s():
    X, y = data()
    problem = stochastic.least_squares_sum(X, y)
    rows, zero = draw_passes(12, 4, torch.Generator().manual_seed(1), epochs=2, runs=3), []
    for run in rows:
        w = torch.zeros(2, dtype=torch.float64)
        for batch in run:
            regression_step(w, (X[batch], y[batch]), lr=0.1)
        zero.append(0.5 * float((X @ w - y).square().mean()))
    start = torch.zeros(2, dtype=torch.float64)
    assert mean_end(problem, start, rows, 0.1) == pytest.approx(sum(zero) / 3)
    long = draw_passes(12, 1, torch.Generator().manual_seed(1), epochs=200, runs=1)
    assert mean_end(problem, start, long, 1e3) == float("inf")


def test_the_first_step_at_or_below_a_level():
    run = SimpleNamespace(
        values=torch.tensor([[4.0, 2.0, 1.0], [2.0, 0.0, 1.0]]), measured=torch.tensor([0, 10, 20])
    )
    assert [steps_to(run, level) for level in (3, 1, 2.5)] == [0, 10, 10]
    with pytest.raises(ValueError, match=r"must reach 0\.5"):
        steps_to(run, 0.5)


def test_a_figure_counts_in_its_unit():
    runs = {
        b: SimpleNamespace(
            values=torch.rand(2, 4, dtype=torch.float64), measured=torch.tensor([0, 10, 20, 30])
        )
        for b in (1, 2)
    }
    fig = plot_passes(runs, lambda b: 10 / b, xlabel="epochs", minimum=0.25)
    axes = fig.figure.axes[0]
    assert axes.get_xlabel() == "epochs"
    ends = {max(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) > 1}
    assert ends == {3.0, 6.0}
