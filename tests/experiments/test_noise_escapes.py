"""Ends of shaken runs: a plain loop without noise, and the spread of a quadratic with it."""

import pytest
import torch

from d2lcompanion.experiments.noise_escapes import ends_of
from d2lcompanion.optimization import objectives


def test_without_noise_all_runs_are_gradient_descent():
    bowl = objectives.quadratic([2.0])
    ends = ends_of(bowl, 1.5, 0.0, 0, runs=4, steps=(3, 2), lr=0.1)
    assert ends.tolist() == pytest.approx([1.5 * 0.8**5] * 4)


def test_noise_spreads_and_peace_gathers():
    bowl = objectives.quadratic([2.0])
    shaken, rested = (
        ends_of(bowl, 1.5, 1.0, 0, runs=2000, steps=(300, rest), lr=0.1) for rest in (0, 10)
    )
    # stationary variance of x ← 0.8x + 0.1ξ: 0.01/(1 − 0.64)
    assert float(shaken.var()) == pytest.approx(0.01 / 0.36, rel=0.15)
    torch.testing.assert_close(rested, shaken * 0.8**10)
    assert torch.equal(shaken, ends_of(bowl, 1.5, 1.0, 0, runs=2000, steps=(300, 0), lr=0.1))
