"""ResNet-18 against torchvision's: names, shapes, values, gradients, running means."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from d2lcompanion.vision.resnet import ResNet18


def theirs(stem, classes):
    """torchvision's, with the stem for small images put in by hand where asked for."""
    net = resnet18(num_classes=classes)
    if stem == "small":
        net.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        net.maxpool = nn.Identity()
    return net


@pytest.mark.parametrize(("stem", "side"), [("photo", 64), ("photo", 33), ("small", 32)])
def test_it_is_torchvisions_with_torchvisions_weights(stem, side):
    ours, peer = ResNet18(7, stem=stem), theirs(stem, 7)
    shapes = {name: tuple(value.shape) for name, value in ours.state_dict().items()}
    assert shapes == {name: tuple(value.shape) for name, value in peer.state_dict().items()}
    ours.load_state_dict(peer.state_dict())
    x = torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(0))
    for net in (ours, peer):
        net.train()
    torch.testing.assert_close(ours(x), peer(x))
    torch.testing.assert_close(ours.bn1.running_mean, peer.bn1.running_mean)
    for net in (ours, peer):
        net.eval()
        net(x).square().sum().backward()
    torch.testing.assert_close(ours(x), peer(x))
    torch.testing.assert_close(ours.conv1.weight.grad, peer.conv1.weight.grad, rtol=1e-3, atol=1e-3)


def test_sizes_as_published():
    net = ResNet18(1000)
    assert sum(p.numel() for p in net.parameters()) == 11_689_512
    assert net.features(torch.zeros(2, 3, 32, 32)).shape == (2, 512)
    grey = ResNet18(5, channels=1, width=2, stem="small")
    maps = []
    grey.layer4.register_forward_hook(lambda _module, _inputs, output: maps.append(output.shape))
    assert grey(torch.zeros(2, 1, 32, 32)).shape == (2, 5)
    assert maps == [(2, 16, 4, 4)]


def test_weights_come_from_the_generator_with_hes_spread():
    nets = [ResNet18(10, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    flat = [torch.cat([p.detach().flatten() for p in net.parameters()]) for net in nets]
    assert flat[0].equal(flat[1])
    assert not flat[0].equal(flat[2])
    weight = nets[0].layer3[1].conv2.weight.detach()
    assert float(weight.std()) == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.01)
    last = nets[0].fc.weight.detach()
    assert float(last.abs().max()) <= 512**-0.5
    assert float(last.std()) == pytest.approx((3 * 512) ** -0.5, rel=0.03)


def test_a_block_of_zeros_passes_its_input_on():
    block = ResNet18(3, width=4).layer1[0].eval()
    for parameter in block.bn2.parameters():
        nn.init.zeros_(parameter)
    x = torch.rand(2, 4, 5, 5)
    assert block(x).equal(x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 0}, "classes must be a whole number ≥ 1, got 0"),
        ({"classes": 2, "width": 0}, "width must be a whole number ≥ 1, got 0"),
        ({"classes": 2, "channels": 1.5}, "channels must be a whole number ≥ 1, got 1.5"),
        ({"classes": 2, "stem": "cifar"}, "stem must be photo or small, got 'cifar'"),
    ],
)
def test_bad_numbers_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ResNet18(**arguments)
