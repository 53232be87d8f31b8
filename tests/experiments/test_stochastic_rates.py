"""Blocks with factors are the runs with these rates, one after the other."""

from functools import partial

import torch

from d2lcompanion.experiments.stochastic_rates import many_rates
from d2lcompanion.optimization import descent, stochastic


def test_blocks_are_the_runs_one_by_one():
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(9, 2, generator=generator, dtype=torch.float64)
    problem = stochastic.least_squares_sum(X, X[:, 0] - X[:, 1])
    factors = torch.tensor([0.01, 0.1], dtype=torch.float64)
    rows = torch.randint(9, (3, 20, 1), generator=generator)  # three runs of twenty steps
    zero = torch.zeros(2, dtype=torch.float64)
    options = {"indices": rows, "every": 20}
    rule = partial(many_rates, factors=factors)
    both = stochastic.sgd(problem, zero.expand(2, 1, -1), rule, schedule=2.0, **options)
    for block, factor in zip(both.values, factors.tolist(), strict=True):
        alone = stochastic.sgd(
            problem, zero, descent.gradient_descent, schedule=2 * factor, **options
        )
        torch.testing.assert_close(block, alone.values)
