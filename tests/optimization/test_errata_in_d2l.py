"""Errors in the code of d2l 1.0.3 (E11, E20): its own functions, called.

d2l/torch.py as installed from requirements-d2l.lock. Drawing is switched off; time is counted by hand.
"""

from __future__ import annotations

import re

import pytest
import torch

d2l = pytest.importorskip("d2l.torch", reason="d2l is an oracle: requirements-d2l.lock")


class NoPicture:
    """In the place of d2l.Animator: keeps what would be drawn."""

    def __init__(self, **_):
        self.Y = [[]]

    def add(self, x, y):
        self.Y[0].append(y[0])


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr(d2l.d2l, "Animator", NoPicture)


# ----------------------------------------------------------------------------------- half the loss


def airfoil_like() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """20 fixed batches of 10 rows with 5 columns."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(20, 10, 5, generator=g)
    y = x @ torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0]) + 0.1 * torch.randn(20, 10, generator=g)
    return list(zip(x, y, strict=True))


def by_hand(batches, lr: float, epochs: int, factor: float) -> torch.Tensor:
    """SGD from zero on factor · mean (xᵀw + b − y)², the gradient written out."""
    w, b = torch.zeros(5, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for _ in range(epochs):
        for x, y in batches:
            error = x.double() @ w + b - y.double()
            w = w - lr * 2 * factor * (x.double().T @ error) / len(y)
            b = b - lr * 2 * factor * error.mean()
    return torch.cat([w, b[None]])


def from_scratch(batches, lr: float, monkeypatch, **options) -> torch.Tensor:
    """The weights that d2l.train_ch11 ends with, from zero."""
    kept = []

    def sgd(params, states, hyperparams):
        kept[:] = params
        for p in params:
            p.data.sub_(hyperparams["lr"] * p.grad)
            p.grad.data.zero_()

    monkeypatch.setattr(
        d2l.torch, "normal", lambda size, **_: torch.zeros(size, requires_grad=True)
    )
    d2l.train_ch11(sgd, None, {"lr": lr}, batches, 5, **options)
    return torch.cat([p.detach().flatten() for p in kept]).double()


def concise(batches, lr: float, monkeypatch, **options) -> torch.Tensor:
    """The weights that d2l.train_concise_ch11 ends with, from zero."""
    kept = []

    def make(params, lr):
        kept[:] = params = list(params)
        for p in params:
            torch.nn.init.zeros_(p)
        return torch.optim.SGD(params, lr=lr)

    monkeypatch.setattr(torch.nn.init, "normal_", lambda tensor, **_: tensor)
    d2l.train_concise_ch11(make, {"lr": lr}, batches, **options)
    return torch.cat([p.detach().flatten() for p in kept]).double()


@pytest.mark.parametrize(("lr", "equal"), [(0.05, False), (0.025, True)])
def test_the_concise_run_doubles_the_gradient(lr, equal, monkeypatch, capsys):
    """Erratum E11: MSELoss has no ½; equal only at half the rate, from equal weights and batches."""
    batches = airfoil_like()
    scratch = from_scratch(batches, 0.05, monkeypatch, num_epochs=1)
    theirs = concise(batches, lr, monkeypatch, num_epochs=1)
    torch.testing.assert_close(scratch, by_hand(batches, 0.05, 1, 0.5), rtol=0, atol=1e-5)
    torch.testing.assert_close(theirs, by_hand(batches, lr, 1, 1.0), rtol=0, atol=1e-5)
    distance = float((theirs - scratch).abs().max())
    assert distance < 1e-5 if equal else distance > 0.1


def test_the_concise_run_takes_twice_the_epochs(monkeypatch, capsys):
    """Erratum E11: by default 4 epochs against 2. Nothing is said, only the curves are longer."""
    batches = airfoil_like()
    scratch = from_scratch(batches, 0.01, monkeypatch)
    theirs = concise(batches, 0.005, monkeypatch)
    torch.testing.assert_close(scratch, by_hand(batches, 0.01, 2, 0.5), rtol=0, atol=1e-5)
    torch.testing.assert_close(theirs, by_hand(batches, 0.01, 4, 0.5), rtol=0, atol=1e-5)
    assert float((theirs - scratch).abs().max()) > 0.1


# --------------------------------------------------------------------------- the time of the loader


class Ticks:
    """A clock that only loading (3 s a batch) and computing (1 s a batch) advance."""

    def __init__(self):
        self.now = 0.0

    def time(self) -> float:
        return self.now


class Loader:
    """5 batches of 8 rows; drawing one takes 3 seconds."""

    def __init__(self, ticks: Ticks):
        self.ticks = ticks

    def __len__(self) -> int:
        return 5

    def __iter__(self):
        for _ in range(5):
            self.ticks.now += 3.0
            yield torch.zeros(8, 2), torch.zeros(8, dtype=torch.int64)


class Slow(torch.nn.Linear):
    """A layer whose forward pass takes a second."""

    def __init__(self, ticks: Ticks):
        super().__init__(2, 3)
        self.ticks = ticks

    def forward(self, x):
        self.ticks.now += 1.0
        return super().forward(x)


def printed_throughput(text: str) -> float:
    return float(re.search(r"([\d.]+) examples/sec", text)[1])


@pytest.mark.parametrize("name", ["train_ch6", "train_ch13"])
def test_the_printed_throughput_leaves_the_loader_out(name, monkeypatch, capsys):
    """Erratum E20: 40 rows in 5·(3 + 1) s are 2 a second; d2l prints 8, those of the computation."""
    ticks = Ticks()
    monkeypatch.setattr(d2l, "time", ticks)
    net, device = Slow(ticks), torch.device("cpu")
    if name == "train_ch6":
        d2l.train_ch6(net, Loader(ticks), Loader(ticks), 1, 0.1, device)
    else:
        monkeypatch.setattr(d2l.nn, "DataParallel", lambda net, device_ids: net)
        loss, trainer = (
            torch.nn.CrossEntropyLoss(reduction="none"),
            torch.optim.SGD(net.parameters(), lr=0.1),
        )
        d2l.train_ch13(net, Loader(ticks), Loader(ticks), loss, trainer, 1, [device])
    assert printed_throughput(capsys.readouterr().out) == 40 / 5 != 40 / (5 * (3 + 1))
