"""The book's report of training word2vec, computed with its own `Accumulator` and `Timer`."""

import pytest
import torch
from d2l import torch as d2l


class Ticks:
    """A clock that moves when told."""

    def __init__(self):
        self.now = 0.0

    def time(self) -> float:
        return self.now


def books_report(
    ticks: Ticks, losses: list[list[float]], rows: int, seconds: list[float]
) -> tuple[float, float]:
    """As the loop of §15.4 reports: the sums run on, the timer is new in each epoch."""
    metric = d2l.Accumulator(2)
    for epoch, batches in enumerate(losses):
        timer = d2l.Timer()
        for loss in batches:
            each = torch.full((rows,), loss)  # one number for each center word
            metric.add(each.sum(), each.numel())
        ticks.now += seconds[epoch]
    return metric[0] / metric[1], metric[1] / timer.stop()


def test_erratum_e12_the_speed_is_five_times_too_high(monkeypatch):
    """5 epochs of 40 center words, 2 s each: 20 a second, and 100 are reported."""
    ticks = Ticks()
    monkeypatch.setattr(d2l, "time", ticks)
    losses = [[0.6, 0.5], [0.5, 0.4], [0.4, 0.4], [0.4, 0.3], [0.3, 0.2]]
    loss, speed = books_report(ticks, losses, rows=20, seconds=[2.0] * 5)
    assert speed == pytest.approx(100)
    honest = 5 * 40 / ticks.now
    assert speed / honest == pytest.approx(5)
    # The loss is that of all epochs, not of the vectors that training ends with.
    assert loss == pytest.approx(0.4, abs=1e-6)
    assert sum(losses[-1]) / 2 == pytest.approx(0.25)


def test_erratum_e12_a_slow_last_epoch_changes_all(monkeypatch):
    """Only the last epoch's seconds count: where it takes 10 s the report is 20, as if true."""
    ticks = Ticks()
    monkeypatch.setattr(d2l, "time", ticks)
    _, speed = books_report(ticks, [[0.5, 0.5]] * 5, rows=20, seconds=[2, 2, 2, 2, 10])
    assert speed == pytest.approx(20)
    assert 200 / ticks.now == pytest.approx(200 / 18)


def test_erratum_e12_tokens_are_center_words():
    """`l.numel()` is a row a center, whatever the window holds; none without neighbors."""
    centers, contexts = d2l.get_centers_and_contexts([[0, 1, 2, 3], [4], [5, 6]], 1)
    assert len(centers) == 6  # of 7 words
    assert sum(len(words) for words in contexts) == 8  # pairs
