"""The numbers of the section *By hand* in the chapter on learning-rate schedules."""

import math

import pytest

from d2lcompanion.optimization.noisy_quadratic import best_rates, mean_squares
from d2lcompanion.optimization.schedules import cosine, warmup


def test_a_schedule():
    schedule = warmup(cosine(0.4, 8), 4)
    assert [schedule(t) for t in (0, 1, 2, 3, 4)] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert schedule(6) == pytest.approx(0.2 * (1 + math.sqrt(0.5)))
    assert round(schedule(6), 4) == 0.3414
    assert [schedule(8), schedule(12), schedule(100)] == pytest.approx([0.2, 0, 0])


def test_the_best_rates():
    case = {"start": 1.0, "curvature": 1.0, "noise": 1.0}
    rates = best_rates(3, **case)
    assert rates == pytest.approx([1 / 2, 1 / 3, 1 / 4])
    assert mean_squares(rates, **case)[1:] == pytest.approx([1 / 2, 1 / 3, 1 / 4])
    assert mean_squares([0.5] * 60, **case)[-1] == pytest.approx(1 / 3)
