"""Adapters: against the dense weight W + sBA, against autograd, and merged."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, linear

from d2lcompanion.vision.fine_tuning import count_parameters, freeze
from d2lcompanion.vision.lora import Adapted, add_adapters, merge_adapters, remove_adapters


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def network():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 5)
    ).double()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=drawn(p.numel())) / 5)
    return net


def images():
    return torch.randn(4, 3, 8, 8, generator=drawn(3), dtype=torch.float64)


def moved(net):
    """Adapters with B ≠ 0, as after some training."""
    for part in net.modules():
        if isinstance(part, Adapted):
            nn.init.normal_(part.up, generator=drawn(4))
    return net


@pytest.mark.parametrize(
    "base",
    [
        nn.Linear(6, 4),
        nn.Conv2d(3, 5, 1),
        nn.Conv2d(3, 5, 3, stride=2, padding=1),
        nn.Conv2d(3, 5, (3, 2), padding=(2, 0), dilation=2, bias=False),
        nn.Conv2d(3, 5, 3, padding="same"),
    ],
)
def test_it_is_the_map_with_the_weight_w_plus_s_b_a(base):
    base = base.double()
    part = moved(nn.Sequential(Adapted(copy.deepcopy(base), 2, 3.0, drawn())))[0]
    weight = base.weight + 3 / 2 * (part.up @ part.down).view_as(base.weight)
    if isinstance(base, nn.Linear):
        x = torch.randn(7, 6, generator=drawn(), dtype=torch.float64)
        expected = linear(x, weight, base.bias)
    else:
        x = torch.randn(2, 3, 9, 8, generator=drawn(), dtype=torch.float64)
        expected = conv2d(x, weight, base.bias, base.stride, base.padding, base.dilation)
    torch.testing.assert_close(part(x), expected)
    torch.testing.assert_close(part.merged()(x), expected)


def test_at_first_nothing_has_changed_and_merged_outputs_are_the_same():
    net = network()
    before = net(images())
    add_adapters(net, ["0", "3"], 2, generator=drawn())
    assert net(images()).equal(before)
    after = moved(net)(images())
    assert not torch.allclose(after, before)
    assert merge_adapters(net) == 2
    assert [type(part) for part in net] == [nn.Conv2d, nn.ReLU, nn.Flatten, nn.Linear]
    torch.testing.assert_close(net(images()), after)


def test_taken_out_the_old_network_is_there_bit_for_bit():
    net = network()
    before = net(images())
    add_adapters(net, ["0", "3"], 2, generator=drawn())
    moved(net)
    assert remove_adapters(net) == 2
    assert net(images()).equal(before)
    assert remove_adapters(net) == merge_adapters(net) == 0


def test_counts_are_r_times_rows_plus_columns():
    net = network()
    freeze(net, [""])
    total = count_parameters(net).total
    add_adapters(net, ["0", "3"], 3, generator=drawn())
    assert count_parameters(net).trained == 3 * (8 + 3 * 9) + 3 * (5 + 8 * 16)
    assert count_parameters(net).total == total + count_parameters(net).trained


def test_gradients_are_those_of_the_dense_weight():
    """∂L/∂B = s G Aᵀ and ∂L/∂A = s Bᵀ G with G = ∂L/∂(W + sBA)."""
    part = moved(nn.Sequential(Adapted(nn.Conv2d(3, 5, 3).double(), 2, 4.0, drawn())))[0]
    x = torch.randn(2, 3, 6, 6, generator=drawn(), dtype=torch.float64)
    part(x).pow(3).sum().backward()
    dense = (part.base.weight + 2 * (part.up @ part.down).view_as(part.base.weight)).detach()
    dense.requires_grad_()
    conv2d(x, dense, part.base.bias).pow(3).sum().backward()
    slope = dense.grad.flatten(1)
    torch.testing.assert_close(part.up.grad, 2 * slope @ part.down.T)
    torch.testing.assert_close(part.down.grad, 2 * part.up.T @ slope)
    assert part.base.weight.grad is None


def test_the_update_has_the_rank():
    part = moved(nn.Sequential(Adapted(nn.Linear(20, 30).double(), 3, 3.0, drawn())))[0]
    before = part.base.weight.clone()
    change = part.merged().weight - before
    assert int(torch.linalg.matrix_rank(change)) == 3


@pytest.mark.parametrize(
    ("names", "rank", "message"),
    [
        (["0"], 0, "rank must be a whole number ≥ 1, got 0"),
        (["0", "3"], 6, "3: rank must be ≤ 5, got 6"),
        (["4"], 1, "no part '4': the network has 0, 1, 2, 3"),
        (["0", "1"], 1, "1: base must be Linear or Conv2d, got ReLU"),
        (["0", "0"], 1, r"names must be different, got \['0', '0'\]"),
    ],
)
def test_what_does_not_fit_changes_nothing(names, rank, message):
    net = network()
    with pytest.raises(ValueError, match=message):
        add_adapters(net, names, rank)
    assert not any(isinstance(part, Adapted) for part in net)
    assert all(p.requires_grad for p in net.parameters())


def test_other_refusals():
    with pytest.raises(ValueError, match=r"alpha must be > 0 and finite, got 0\.0"):
        Adapted(nn.Linear(3, 3), 1, 0.0)
    with pytest.raises(ValueError, match=r"rank must be ≤ 2, that of a weight \[2, 3\], got 3"):
        Adapted(nn.Linear(3, 2), 3, 1.0)
    with pytest.raises(ValueError, match="groups 4 and padding 'zeros'"):
        Adapted(nn.Conv2d(4, 4, 3, groups=4), 1, 1.0)
    with pytest.raises(ValueError, match="groups 1 and padding 'reflect'"):
        Adapted(nn.Conv2d(4, 4, 3, padding_mode="reflect"), 1, 1.0)
