"""The numbers of the section *By hand* of the chapter on fine-tuning."""

import pytest
import torch
from torch import nn

from d2lcompanion.vision.fine_tuning import count_parameters, freeze, train_except
from d2lcompanion.vision.linear_transfer import (
    TwoLinear,
    fine_tune,
    predict,
    probe,
    risk_of_least_squares,
)
from d2lcompanion.vision.lora import add_adapters


def test_twenty_examples_for_eight_features_or_for_eighteen_inputs():
    assert risk_of_least_squares(1.5, 8, 20) == pytest.approx(1.5 * (1 + 8 / 11))
    assert pytest.approx(2.591, abs=5e-4) == 1.5 * (1 + 8 / 11)
    assert risk_of_least_squares(1.0, 18, 20) == pytest.approx(19)


def test_a_head_that_is_half_as_large_bends_a_perfect_feature():
    net = TwoLinear(torch.ones(1, 2).double(), torch.tensor([0.5]).double())
    x, y = torch.tensor([[1.0, 0]]).double(), torch.ones(1).double()
    other = torch.tensor([[0.0, 1]]).double()
    assert float(predict(probe(net, x, y), other)) == pytest.approx(1)
    tuned = fine_tune(net, x, y, lr=1e-3, steps=20_000)
    square = (0.75 + (0.75**2 + 4) ** 0.5) / 2
    assert tuned.features.flatten().tolist() == pytest.approx([square**0.5, 1], abs=1e-3)
    assert square**0.5 == pytest.approx(1.2012, abs=5e-5)
    assert float(predict(tuned, other)) == pytest.approx(0.8325, abs=1e-3)
    assert float(predict(tuned, x)) == pytest.approx(1, abs=1e-3)


def test_sum_and_mean():
    """Two examples with gradients 1 and 3, w = 2, η = 0.1, λ = 0.4."""
    ends = []
    for reduce, lr, decay in (
        (torch.sum, 0.1, 0.4),
        (torch.mean, 0.2, 0.2),
        (torch.mean, 0.1, 0.4),
    ):
        w = nn.Parameter(torch.tensor(2.0))
        optimizer = torch.optim.SGD([w], lr, weight_decay=decay)
        reduce(w * torch.tensor([1.0, 3.0])).backward()
        optimizer.step()
        ends.append(float(w.detach()))
    assert ends == pytest.approx([1.52, 1.52, 1.72])


def test_a_frozen_norm_that_is_left_in_training():
    """Running mean 0, batches with mean 1: after 7 steps more than half of the way."""
    norm = nn.BatchNorm1d(1)
    net = nn.Sequential(norm)
    batch = torch.tensor([[0.0], [2.0]])
    freeze(net, ["0"])
    for _ in range(7):
        train_except(net, ["0"])
        net(batch)
    assert float(norm.running_mean) == 0
    net.train()
    for _ in range(7):
        net(batch)
    assert float(norm.running_mean) == pytest.approx(1 - 0.9**7)
    assert pytest.approx(0.5217, abs=5e-5) == 1 - 0.9**7


def test_numbers_of_an_adapter():
    net = nn.Sequential(nn.Linear(784, 64, bias=False))
    add_adapters(net, ["0"], 4)
    counts = count_parameters(net)
    assert counts.trained == 3392
    assert counts.total - counts.trained == 50_176
    assert pytest.approx(14.8, abs=0.05) == 50_176 / 3392
