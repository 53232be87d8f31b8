"""Regret: bounds that hold for every sequence, and the sequence on which Adam fails."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.optimization import adaptive, online
from d2lcompanion.optimization.descent import gradient_descent


def test_a_slow_loop():
    slopes, x, paid, points, regrets = [1.0, -2.0, 0.5, 3.0], 0.25, 0.0, [], []
    for t, c in enumerate(slopes, start=1):
        points.append(x)
        paid += c * x
        best = min(u * sum(slopes[:t]) for u in (-1.0, 0.5))
        regrets.append(paid - best)
        x = min(max(x - 0.4 / math.sqrt(t) * c, -1.0), 0.5)
    found = online.play(gradient_descent, slopes, lr=0.4, start=0.25, low=-1.0, high=0.5, decay=0.5)
    assert found.points.tolist() == pytest.approx(points)
    assert found.regret.tolist() == pytest.approx(regrets)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-5, 5, allow_subnormal=False), min_size=1, max_size=60),
    st.floats(0.05, 5),
    st.floats(-1, 1),
)
def test_adagrad_s_regret_is_within_its_bound(slopes, lr, start):
    played = online.play(adaptive.adagrad, slopes, lr=lr, start=start, eps=0.0)
    bound = online.adagrad_bound(slopes, lr=lr, width=2.0)
    assert bool((played.regret <= bound + 1e-9).all())


def test_the_best_rate_of_the_bound():
    slopes = [3.0, 4.0]
    best = online.adagrad_bound(slopes, lr=2 / math.sqrt(2), width=2.0)
    assert best.tolist() == pytest.approx([math.sqrt(2) * 2 * 3, math.sqrt(2) * 2 * 5])
    for lr in (1.0, 2.0):
        assert bool((online.adagrad_bound(slopes, lr=lr, width=2.0) > best).all())


@pytest.mark.parametrize("large", [2.5, 3.0, 10.0])
@pytest.mark.parametrize("start", [-1.0, 0.0, 1.0])
def test_adam_ends_at_the_worst_point_and_amsgrad_at_the_best(large, start):
    """Reddi, Kale & Kumar (2018), Theorem 1."""
    slopes = online.rare_large_slopes(6000, large=large)
    numbers = {"beta1": 0.0, "beta2": 1 / (1 + large**2), "eps": 0.0}
    common = {"lr": 0.3, "start": start, "decay": 0.5}
    adam = online.play(adaptive.adam, slopes, **common, **numbers)
    ams = online.play(adaptive.amsgrad, slopes, **common, **numbers)
    assert adam.points[-3:].min() > 0.97
    assert ams.points[-3:].max() < -0.97
    assert float(adam.regret[-1]) / 6000 > 0.9 * 2 * (large - 2) / 3
    assert float(ams.regret[-1]) / 6000 < 0.2 * (large - 2)


@pytest.mark.parametrize("large", [2.1, 3.0, 30.0])
def test_one_step_back_is_shorter_than_two_forth(large):
    """With a constant rate, away from the ends: the exact steps, and the bounds of the chapter."""
    beta2 = 1 / (1 + large**2)
    v, moves = 0.0, []
    for t in range(60):
        c = large if t % 3 == 0 else -1.0
        v = beta2 * v + (1 - beta2) * c * c
        moves.append(-c / math.sqrt(v))
    back, first, second = moves[-3:]
    unit = math.sqrt(1 + large**2) / large
    assert -back <= unit
    assert first >= unit / math.sqrt(2)
    assert second >= unit * math.sqrt((1 + large**2) / (3 + large**2))
    assert back + first + second > 0


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"slopes must be \[T\] with T ≥ 1, got shape \[0\]"):
        online.play(gradient_descent, [], lr=0.1)
    with pytest.raises(ValueError, match=r"got 2.0 in \[-1.0, 1.0\]"):
        online.play(gradient_descent, [1.0], lr=0.1, start=2.0)
    with pytest.raises(ValueError, match="large > 2, got 5 and 2"):
        online.rare_large_slopes(5, large=2.0)
