import math

import pytest
import torch
from torch import nn

from d2lcompanion.data.fashion_mnist import load_fashion_mnist
from d2lcompanion.data.images import ImageData
from d2lcompanion.experiments.image_classification import (
    Images,
    accuracy,
    prepare,
    sharpness,
    small_cnn,
    train,
)


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load_fashion_mnist()


@pytest.fixture(scope="module")
def few(data) -> Images:
    full = prepare(data, "cpu")
    return Images(*(part[:200] for part in full))


def test_the_three_parts_share_no_image_and_lose_none(data):
    parts = prepare(data, "cpu")
    assert parts.train.shape == (7200, 1, 28, 28)
    assert parts.held_out.shape == (800, 1, 28, 28)
    assert len(parts.train_labels) + len(parts.held_out_labels) == len(data.train_labels)
    whole = torch.cat([parts.train_labels, parts.held_out_labels]).bincount()
    assert torch.equal(whole, data.train_labels.bincount())
    first = data.train_images[10].float() / 255  # held out: 0, 10, 20 …
    torch.testing.assert_close(parts.held_out[1, 0], (first - 0.2860) / 0.3530)
    assert abs(float(parts.train.mean())) < 0.02
    assert abs(float(parts.train.std()) - 1) < 0.02


def test_the_network_is_drawn_by_he_s_rule():
    net = small_cnn(64, torch.Generator().manual_seed(0))
    assert net(torch.zeros(3, 1, 28, 28)).shape == (3, 10)
    weights = [p for p in net.parameters() if p.ndim > 1]
    for weight in weights:
        fan_in = weight[0].numel()
        assert float(weight.detach().std()) == pytest.approx(math.sqrt(2 / fan_in), rel=0.1)
    assert all(not p.detach().any() for p in net.parameters() if p.ndim == 1)
    again = small_cnn(64, torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


def test_accuracy_counts_over_batches(monkeypatch):
    from d2lcompanion.experiments import image_classification

    monkeypatch.setattr(image_classification, "EVALUATION_BATCH", 3)
    logits = torch.eye(4)[torch.tensor([0, 1, 2, 3, 0, 1, 2])]
    labels = torch.tensor([0, 1, 2, 0, 0, 0, 2])
    assert accuracy(nn.Identity(), logits, labels) == 5 / 7


def test_training_learns_and_one_seed_is_one_run(few):
    def run():
        generator = torch.Generator().manual_seed(3)
        net = small_cnn(4, generator)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        return train(net, few, optimizer, epochs=6, batch_size=16, generator=generator)

    history = run()
    assert history == run()
    assert history.diverged_at is None
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]
    assert history.test_accuracy[-1] > 0.5
    assert len(history.held_out_accuracy) == 6


def test_every_image_is_used_once_an_epoch_and_the_scheduler_counts_steps(few):
    seen = []

    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(784, 10)

        def forward(self, x):
            if self.training and torch.is_grad_enabled():
                seen.append(len(x))
            return self.linear(x.flatten(1))

    net = Spy()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    generator = torch.Generator().manual_seed(0)
    train(net, few, optimizer, scheduler, epochs=2, batch_size=64, generator=generator)
    assert seen == [64, 64, 64, 8] * 2
    assert scheduler.last_epoch == 8


def test_divergence_is_reported_with_its_step(few):
    generator = torch.Generator().manual_seed(0)
    net = small_cnn(4, generator)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e6)
    history = train(net, few, optimizer, epochs=5, batch_size=20, generator=generator)
    assert history.diverged_at is not None
    assert history.diverged_at % 10 == 0
    assert len(history.train_loss) == history.diverged_at // 10
    assert all(math.isfinite(value) for value in history.train_loss)


def test_sharpness_is_the_largest_eigenvalue():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30, 4, generator=generator)
    y = torch.randint(0, 3, (30,), generator=generator)
    net = nn.Linear(4, 3)
    nn.init.normal_(net.weight, generator=generator)

    def loss(flat):
        weight, bias = flat[:12].view(3, 4), flat[12:]
        return nn.functional.cross_entropy(x @ weight.T + bias, y)

    flat = torch.cat([p.detach().flatten() for p in net.parameters()])
    eigenvalues = torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, flat))
    assert sharpness(net, x, y, iterations=200) == pytest.approx(float(eigenvalues[-1]), rel=1e-4)
    with pytest.raises(ValueError, match="iterations must be ≥ 1, got 0"):
        sharpness(net, x, y, iterations=0)
