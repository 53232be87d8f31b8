"""The network as one function of one vector, against torch.nn."""

import pytest
import torch

from d2lcompanion.data.classification import ClassificationData
from d2lcompanion.experiments.two_layer import TwoLayerNetwork, segment, shuffled_order

H = 6


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def network() -> TwoLayerNetwork:
    x = torch.randn(30, 4, generator=generator(1), dtype=torch.float64)
    y = torch.randint(3, (30,), generator=generator(2))
    return TwoLayerNetwork.on(ClassificationData("made up", x, y, 3, "test"), H)


@pytest.fixture
def theta(network) -> torch.Tensor:
    return 2 * network.initial(3, generator())


def test_it_is_a_network_of_torch(network, theta):
    for row, loss in zip(theta, network.loss(theta), strict=True):
        first, second = torch.nn.Linear(4, H, bias=False), torch.nn.Linear(H, 3, bias=False)
        a, b = network.layers(row)
        first.weight.data, second.weight.data = a.T.contiguous(), b.T.contiguous()
        model = torch.nn.Sequential(first, torch.nn.Tanh(), second)
        scores = model(network.features)
        torch.testing.assert_close(network.scores(row), scores.detach())
        expected = torch.nn.functional.cross_entropy(scores, network.labels)
        torch.testing.assert_close(loss, expected.detach())


def test_the_gradient_is_that_of_automatic_differentiation(network, theta):
    rows = torch.stack([torch.autograd.functional.jacobian(network.loss, t) for t in theta])
    torch.testing.assert_close(network.gradient(theta), rows)


def test_another_order_is_another_vector_and_the_same_function(network, theta):
    order = shuffled_order(H, generator())
    moved = network.permuted(theta, order)
    assert not torch.allclose(moved, theta)
    torch.testing.assert_close(network.scores(moved), network.scores(theta))
    a, b = network.layers(theta)
    moved_a, moved_b = network.layers(moved)
    for new, old in enumerate(order.tolist()):
        assert torch.equal(moved_a[..., new], a[..., old])
        assert torch.equal(moved_b[..., new, :], b[..., old, :])
    assert torch.equal(network.permuted(moved, order.argsort()), theta)


def test_initial_networks_have_the_stated_spread(network):
    a, b = network.layers(network.initial(4000, generator()))
    assert float(a.var()) == pytest.approx(1 / 4, rel=0.03)
    assert float(b.var()) == pytest.approx(1 / H, rel=0.03)
    assert torch.equal(network.initial(2, generator(7)), network.initial(2, generator(7)))


def test_segments():
    points = segment(torch.zeros(2), torch.tensor([1.0, 4.0]), 5)
    torch.testing.assert_close(points[:, 1], torch.arange(5.0))
    with pytest.raises(ValueError, match="points must be ≥ 2, got 1"):
        segment(torch.zeros(2), torch.ones(2), 1)


def test_orders_are_never_the_one_there_is():
    g = generator()
    for _ in range(50):
        order = shuffled_order(2, g)
        assert order.tolist() == [1, 0]
    assert sorted(shuffled_order(H, g).tolist()) == list(range(H))
    with pytest.raises(ValueError, match="width must be ≥ 2 for another order, got 1"):
        shuffled_order(1, g)


def test_a_network_has_hidden_units(network):
    with pytest.raises(ValueError, match="width must be ≥ 1, got 0"):
        TwoLayerNetwork(network.features, network.labels, 3, 0)
