"""A random head bends good features: the linear network, with examples from some directions only.

The truth is y = v*ᵀB*x. Examples lie in half of the directions of x; the test asks in these
and in the others. The source has the features B*, with an error added.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.vision.linear_transfer import (
    TwoLinear,
    fine_tune,
    predict,
    probe,
)

INPUTS, WIDTH, SEEN, COUNT = 24, 4, 12, 16  # d, k, directions that are seen, examples
TESTS = 500


class Errors(NamedTuple):
    """Mean squared errors, relative to the variance of the truth."""

    seen: float  # in directions of the examples
    others: float


class Problem(NamedTuple):
    """Examples, tests of both kinds and the source's features."""

    x: Tensor
    y: Tensor
    tests: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]
    features: Tensor
    head: Tensor  # the random one


def draw_problem(error: float, seed: int) -> Problem:
    """Features B* with orthonormal rows, and normal noise of the relative size `error` on them."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    truth = torch.linalg.qr(normal(INPUTS, WIDTH))[0].T  # [k, d]
    head = normal(WIDTH)
    axes = torch.linalg.qr(normal(INPUTS, INPUTS))[0]
    x = normal(COUNT, SEEN) @ axes[:, :SEEN].T
    tests = []
    for directions in (axes[:, :SEEN], axes[:, SEEN:]):
        asked = normal(TESTS, directions.shape[1]) @ directions.T
        tests.append((asked, asked @ truth.T @ head))
    noise = normal(WIDTH, INPUTS) / INPUTS**0.5
    features = truth + error * noise
    start = normal(WIDTH)
    return Problem(x, x @ truth.T @ head, (tests[0], tests[1]), features, start)


def tune_three_ways(
    problem: Problem, *, lr: float = 0.02, steps: int = 4000
) -> dict[str, TwoLinear]:
    """The head alone; both factors from a random head; both from the probed head."""
    random = TwoLinear(problem.features, problem.head)
    probed = probe(random, problem.x, problem.y)
    return {
        "probe": probed,
        "tune": fine_tune(random, problem.x, problem.y, lr=lr, steps=steps),
        "probe, then tune": fine_tune(probed, problem.x, problem.y, lr=lr, steps=steps),
    }


def errors_of(net: TwoLinear, problem: Problem) -> Errors:
    """In seen directions and in others; 1 is what an answer of 0 pays."""
    shares = [
        float((predict(net, x) - y).square().mean() / y.square().mean())
        for x, y in problem.tests
    ]
    return Errors(*shares)
