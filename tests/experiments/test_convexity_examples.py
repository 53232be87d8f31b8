"""The examples against automatic differentiation and single values."""

import math

import torch

from d2lcompanion.experiments.convexity_examples import dented, softplus_bowl, vector


def test_numbers_in_double_precision():
    assert vector(1, 0.5).dtype == torch.float64
    assert vector(1, 0.5).tolist() == [1, 0.5]


def test_the_curvature_of_the_bowl_lies_between_its_bounds():
    x = torch.linspace(-8, 8, 101, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(softplus_bowl(x).sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    assert float(curvature.min()) > 0.1
    assert abs(float(curvature.max()) - 0.35) < 1e-12  # ¼ + 0.1, at 0
    assert float(softplus_bowl(vector(0))) == math.log(2)


def test_the_dent_is_there_and_narrow():
    at = dented(vector(0.3, 0.3 + 1e-6, -1)[:, None])
    torch.testing.assert_close(at, vector(0.09 - 0.01, (0.3 + 1e-6) ** 2, 1))
