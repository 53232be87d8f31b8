"""The linear network that is tuned three ways: what theory says about each."""

import torch

from d2lcompanion.experiments.feature_distortion import (
    SEEN,
    WIDTH,
    draw_problem,
    errors_of,
    tune_three_ways,
)
from d2lcompanion.vision.linear_transfer import TwoLinear, predict


def test_with_perfect_features_the_probe_is_exact_everywhere_and_tuning_is_not():
    for seed in range(3):
        problem = draw_problem(0.0, seed)
        nets = tune_three_ways(problem)
        errors = {name: errors_of(net, problem) for name, net in nets.items()}
        assert max(errors["probe"]) < 1e-20
        assert max(errors["probe, then tune"]) < 1e-20
        assert errors["tune"].others > 1e-3


def test_examples_lie_in_the_seen_directions_and_the_truth_has_the_width():
    problem = draw_problem(0.3, 1)
    assert int(torch.linalg.matrix_rank(problem.x)) == SEEN
    seen, others = (x for x, _ in problem.tests)
    assert float((seen @ others.T).abs().max()) < 1e-10
    assert float((problem.x @ others.T).abs().max()) < 1e-10
    assert int(torch.linalg.matrix_rank(problem.features)) == WIDTH


def test_errors_are_shares_of_the_variance():
    problem = draw_problem(0.0, 0)
    nothing = TwoLinear(problem.features, torch.zeros(WIDTH).double())
    assert errors_of(nothing, problem) == (1.0, 1.0)


def test_tuning_fits_the_examples():
    problem = draw_problem(0.5, 2)
    net = tune_three_ways(problem)["tune"]
    left = (predict(net, problem.x) - problem.y).square().mean() / problem.y.square().mean()
    assert float(left) < 0.01
