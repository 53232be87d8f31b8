"""Erratum E19, the sum in the place of the mean: d2l 1.0.3's own step, called."""

from __future__ import annotations

import pytest
import torch
from torch import nn

d2l = pytest.importorskip("d2l.torch", reason="d2l is an oracle: requirements-d2l.lock")


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)).double()


def batches(*sizes):
    g = torch.Generator().manual_seed(1)
    return [
        (torch.randn(n, 5, generator=g).double(), torch.randint(3, (n,), generator=g))
        for n in sizes
    ]


def groups(net, rate):
    """The head learns ten times as fast, as in the book's `train_fine_tuning`."""
    return [{"params": net[0].parameters(), "lr": rate}, {"params": net[2].parameters(), "lr": 10 * rate}]  # fmt: skip


def by_d2l(data, rate, decay):
    net = network()
    trainer = torch.optim.SGD(groups(net, rate), weight_decay=decay)
    loss = nn.CrossEntropyLoss(reduction="none")
    for x, y in data:
        d2l.train_batch_ch13(net, x, y, loss, trainer, [torch.device("cpu")])
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def by_the_mean(data, rate, decay):
    net = network()
    trainer = torch.optim.SGD(groups(net, rate), weight_decay=decay)
    for x, y in data:
        trainer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        trainer.step()
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_erratum_e19_a_rate_of_5e_5_acts_as_6_4e_3():
    """Full batches of 128: equal, if rates are multiplied by 128 and decay is divided by it."""
    data = batches(128, 128, 128, 128)
    book = by_d2l(data, 5e-5, 1e-3)
    assert pytest.approx(6.4e-3) == 128 * 5e-5
    torch.testing.assert_close(by_the_mean(data, 6.4e-3, 1e-3 / 128), book, rtol=1e-10, atol=1e-12)
    start = torch.cat([p.detach().flatten() for p in network().parameters()])
    moved = (book - start).norm()
    assert (by_the_mean(data, 5e-5, 1e-3) - start).norm() < 0.02 * moved


def test_erratum_e19_decay_is_not_scaled_with_the_sum():
    data = batches(128, 128)
    exact, same = (by_the_mean(data, 6.4e-3, decay) for decay in (0.5 / 128, 0.5))
    book = by_d2l(data, 5e-5, 0.5)
    torch.testing.assert_close(exact, book, rtol=1e-10, atol=1e-12)
    assert (same - book).norm() > 0.01 * book.norm()


def test_erratum_e19_a_last_batch_of_another_size_breaks_the_equality():
    """With the sum each example counts alike; with the mean each batch does."""
    data = batches(128, 32)
    difference = by_d2l(data, 5e-5, 0.0) - by_the_mean(data, 6.4e-3, 0.0)
    start = torch.cat([p.detach().flatten() for p in network().parameters()])
    assert difference.norm() > 0.1 * (by_d2l(data, 5e-5, 0.0) - start).norm()
